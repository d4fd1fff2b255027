"""The exchange behind a pairing code: SPAKE2 (the protocol of RFC 9382, in the library of magic-wormhole), and what is
handed over by it, sealed.

A code is short, so it must not be possible to try many: who listens learns nothing to try codes on, and who takes part
can try one code a run. The key that both have in the end seals the farm's secret.

What this needs takes 8 MB, and few ever pair: whoever does imports it then.
"""

from __future__ import annotations

import hmac
import json
import secrets
from dataclasses import dataclass
from hashlib import sha256
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import ChaCha20Poly1305
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from spake2 import SPAKE2_A, SPAKE2_B, SPAKEError
from spake2.ed25519_basic import NotOnCurve

from app.peers.pairing_code import ExchangeFailed

_JOINS: Final = b"zordon node that joins a farm"
_PAIRS: Final = b"zordon node that offers its farm"
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class CommonKey:
    """What both sides know after an exchange with one code.

    Attributes:
        session: binds the proof and the seal to this exchange.
    """

    _key: bytes
    session: str

    def proof(self) -> str:
        """That the joining side knows it, in hexadecimal."""
        return hmac.new(self._derived(b"zordon pairing proof 1"), self.session.encode(), sha256).hexdigest()

    def is_proof(self, proof: str) -> bool:
        """Whether the other side knows it."""
        return hmac.compare_digest(self.proof().encode(), proof.encode())

    def seal(self, key: bytes, name: str) -> str:
        """A farm's key and name for the other side, in hexadecimal."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        text = json.dumps({"secret": key.hex(), "name": name}).encode()
        return (nonce + self._cipher().encrypt(nonce, text, self.session.encode())).hex()

    def open(self, sealed: str) -> tuple[bytes, str]:
        """A farm's key and name from the other side.

        Raises:
            ExchangeFailed: it was not sealed with this key.
        """
        try:
            raw = bytes.fromhex(sealed)
            text = self._cipher().decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], self.session.encode())
            found = json.loads(text)
            return bytes.fromhex(found["secret"]), str(found["name"])
        except (InvalidTag, ValueError, KeyError, TypeError) as error:
            raise ExchangeFailed("what the other node sent was not sealed with this code") from error

    def _cipher(self) -> ChaCha20Poly1305:
        return ChaCha20Poly1305(self._derived(b"zordon pairing seal 1"))

    def _derived(self, purpose: bytes) -> bytes:
        return HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(self._key)


class Side:
    """One side of one exchange. Everything but the making takes some tens of milliseconds: for a thread.

    Args:
        code: see :func:`app.peers.pairing_code.read_code`.
        joins: whether it is the side that joins.
    """

    def __init__(self, code: str, *, joins: bool) -> None:
        kind = SPAKE2_A if joins else SPAKE2_B
        self._side = kind(code.encode(), idA=_JOINS, idB=_PAIRS)

    def message(self) -> str:
        """What the other side is sent, in hexadecimal. Once only."""
        said: bytes = self._side.start()
        return said.hex()

    def finish(self, message: str, session: str) -> CommonKey:
        """The key, from what the other side has sent; call :meth:`message` before. That both have the same is not known
        yet.

        Raises:
            ExchangeFailed: that is no message of the protocol.
        """
        try:
            key: bytes = self._side.finish(bytes.fromhex(message))
        except (SPAKEError, NotOnCurve, ValueError, AssertionError) as error:
            raise ExchangeFailed("this is no message of an exchange with a pairing code") from error
        return CommonKey(key, session)
