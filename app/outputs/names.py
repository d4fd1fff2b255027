"""Names of outputs: what may be one, how to make one of free text, and the order in which a person reads them.

A name that comes from outside is only ever looked up in a manifest. The names in a manifest come from engines; they are
checked here before anything is done with them, and they must be good on every system that a peer may run.
"""

from __future__ import annotations

import re
import unicodedata

MAX_NAME_BYTES = 240
"""The longest name of an output, in bytes of UTF-8; leaves room for a suffix under the 255 of most file systems."""

_FORBIDDEN = re.compile(r'[\x00-\x1f\x7f<>:"/\\|?*]')
_RESERVED = re.compile(r"(?i)\A(con|prn|aux|nul|com[0-9¹²³]|lpt[0-9¹²³])(\..*)?\Z")
_NUMBER = re.compile(r"(\d+)")


class NameRefused(ValueError):
    """The name cannot be the name of a file on every system; the message says why."""


def check_name(name: str) -> str:
    """The name itself, if it is a plain file name that every system takes.

    Raises:
        NameRefused: see the class.
    """
    if not name or name in (".", ".."):
        raise NameRefused(f"{name!r} is no file name")
    if _FORBIDDEN.search(name):
        raise NameRefused(f"{name[:60]!r} has a character that no file name may have")
    if name[-1] in ". ":
        raise NameRefused(f"{name[:60]!r} ends with a dot or a space")
    if _RESERVED.match(name):
        raise NameRefused(f"{name[:60]!r} is the name of a device on Windows")
    try:
        length = len(name.encode())
    except UnicodeEncodeError as error:
        raise NameRefused(f"{name[:60]!r} is no Unicode text") from error
    if length > MAX_NAME_BYTES:
        raise NameRefused(f"{name[:60]!r} is longer than {MAX_NAME_BYTES} bytes")
    return name


def safe_stem(text: str, fallback: str = "output", most: int = 80) -> str:
    """A stem for file and folder names, made of free text: at most ``most`` bytes; ``fallback`` if nothing is left."""
    stem = _FORBIDDEN.sub("_", unicodedata.normalize("NFC", text.encode("utf-8", "replace").decode()))
    stem = stem.encode()[:most].decode("utf-8", "ignore").strip(" .")
    if not stem.strip("_"):
        return fallback
    return f"_{stem}" if _RESERVED.match(stem) else stem


def natural_key(name: str) -> tuple[tuple[int, int, str], ...]:
    """Sorts names as a person does: ``shot_2`` before ``shot_10``."""
    parts = _NUMBER.split(name.casefold())
    return tuple((1, int(part), part) if at % 2 else (0, 0, part) for at, part in enumerate(parts))
