"""Pairing codes as people read them out and type them. What is done with one is in :mod:`app.peers.pake`."""

from __future__ import annotations

import re
import secrets
from typing import Final

ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
"""Crockford's base 32: nothing in it is mistaken for something else when it is read out."""
CODE_CHARACTERS: Final = 6
_SEEN_AS: Final = str.maketrans("OIL", "011")
_CODE: Final = re.compile(f"[{ALPHABET}]{{{CODE_CHARACTERS}}}")


class ExchangeFailed(Exception):
    """The two sides have no common key: another code, or no message of this protocol."""


def make_code() -> str:
    """A new code, such as ``7K4-93F``: 30 bits."""
    code = "".join(secrets.choice(ALPHABET) for _ in range(CODE_CHARACTERS))
    return f"{code[:3]}-{code[3:]}"


def read_code(text: str) -> str:
    """A code as somebody typed it, as it is used: without dashes and blanks, what looks alike made the same.

    Raises:
        ValueError: it is none.
    """
    code = re.sub(r"[\s-]", "", text).upper().translate(_SEEN_AS)
    if _CODE.fullmatch(code) is None:
        raise ValueError(f"{text[:40]!r} is no pairing code: it has six letters and digits, such as 7K4-93F")
    return code
