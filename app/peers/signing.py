"""How a request between two nodes is signed. Pure: keys, clocks and random numbers are given.

A signature is the HMAC-SHA256 (RFC 2104) with the farm's key over method, path with query, SHA-256 of the body, time in
seconds since 1970, nonce, who sends it and whom it is for: of both the node id and the instance, which is made anew at
each start. So a request that was overheard is good for nothing elsewhere, and nothing later: not at another node, not
at the same one after a restart, not twice, and not after a minute.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

WINDOW_SECONDS: Final = 60.0
"""By how much the clocks of two nodes may differ."""

NODE_HEADER: Final = "X-Zordon-Node"
TO_HEADER: Final = "X-Zordon-To"
TIME_HEADER: Final = "X-Zordon-Time"
NONCE_HEADER: Final = "X-Zordon-Nonce"
BODY_HEADER: Final = "X-Zordon-Body"
SIGNATURE_HEADER: Final = "X-Zordon-Signature"
HEADERS: Final = (NODE_HEADER, TO_HEADER, TIME_HEADER, NONCE_HEADER, BODY_HEADER, SIGNATURE_HEADER)

EMPTY_BODY: Final = hashlib.sha256(b"").hexdigest()

_SIGNED: Final = b"zordon signed request 1"
_WHO: Final = re.compile(rb"[0-9a-f]{32}/[0-9a-f]{16}")
_SHAPES: Final = (
    _WHO,
    _WHO,
    re.compile(rb"[0-9]{1,12}(?:\.[0-9]{1,6})?"),
    re.compile(rb"[0-9a-f]{32}"),
    re.compile(rb"[0-9a-f]{64}"),
    re.compile(rb"[0-9a-f]{64}"),
)
_NAMES: Final = tuple(name.lower().encode() for name in HEADERS)


@dataclass(frozen=True, slots=True)
class Signature:
    """What the headers of a signed request say.

    Attributes:
        node: id of the sender, ``/``, its instance.
        to: the same of the receiver.
        time: seconds since 1970 by the sender's clock, as it stands in the header.
        nonce: 32 hexadecimal digits, never used twice.
        body: SHA-256 of the body, in hexadecimal.
        mac: the signature itself, in hexadecimal.
    """

    node: str
    to: str
    time: str
    nonce: str
    body: str
    mac: str

    def headers(self) -> dict[str, str]:
        """As headers of a request."""
        values = (self.node, self.to, self.time, self.nonce, self.body, self.mac)
        return dict(zip(HEADERS, values, strict=True))


def sign(
    key: bytes, method: str, target: bytes, *, node: str, to: str, time: float, nonce: str, body: str
) -> Signature:
    """Sign a request.

    Args:
        key: 32 bytes, see :attr:`app.peers.secret.Farm.key`.
        target: path and query as they stand in the request line.
        node: id and instance of the sender, with a slash between them.
        to: the same of the receiver.
        time: seconds since 1970.
        body: SHA-256 of the body, in hexadecimal.
    """
    at = f"{time:.3f}"
    return Signature(node, to, at, nonce, body, _mac(key, method, target, body, at, nonce, node, to))


def read_signature(headers: Mapping[bytes, bytes]) -> Signature | str:
    """The signature in the headers of a request, their names in lower case; what is wrong with it, as a sentence, if it
    is none."""
    values: list[str] = []
    for name, key, shape in zip(HEADERS, _NAMES, _SHAPES, strict=True):
        value = headers.get(key)
        if value is None:
            return f"the header {name} is missing: a request of a node has all of {', '.join(HEADERS)}"
        if shape.fullmatch(value) is None:
            return f"the header {name} is malformed"
        values.append(value.decode("ascii"))
    return Signature(*values)


def is_right(signature: Signature, key: bytes, method: str, target: bytes) -> bool:
    """Whether whoever signed a request holds the key. Says nothing about its age, and whether it came before."""
    wanted = _mac(key, method, target, signature.body, signature.time, signature.nonce, signature.node, signature.to)
    return hmac.compare_digest(wanted, signature.mac)


def prove(key: bytes, purpose: str, *facts: str) -> str:
    """Proof that its maker holds the key, over facts that both sides know, in hexadecimal."""
    return _hmac(key, b"zordon proof 1", purpose.encode(), *(fact.encode() for fact in facts))


def is_proof(proof: str, key: bytes, purpose: str, *facts: str) -> bool:
    """Whether a proof is right."""
    return hmac.compare_digest(prove(key, purpose, *facts).encode(), proof.encode())


class Nonces:
    """Remembers what was used, for as long as it could be used again.

    Two generations: what is older than both is forgotten at once, so that a busy farm costs no search.

    Args:
        seconds: how long a nonce is remembered at least.
    """

    def __init__(self, seconds: float = 2 * WINDOW_SECONDS) -> None:
        self._seconds = seconds
        self._since = float("-inf")
        self._young: set[tuple[str, str]] = set()
        self._old: set[tuple[str, str]] = set()

    def take(self, node: str, nonce: str, now: float) -> bool:
        """Use a nonce of a node; False: it was used before.

        Args:
            now: seconds that only ever grow.
        """
        if now - self._since >= self._seconds:
            # Both are too old after a long silence.
            self._old = self._young if now - self._since < 2 * self._seconds else set()
            self._young, self._since = set(), now
        key = (node, nonce)
        if key in self._young or key in self._old:
            return False
        self._young.add(key)
        return True

    def __len__(self) -> int:
        return len(self._young) + len(self._old)


def _mac(key: bytes, method: str, target: bytes, body: str, time: str, nonce: str, node: str, to: str) -> str:
    texts = (text.encode() for text in (body, time, nonce, node, to))
    return _hmac(key, _SIGNED, method.encode(), target, *texts)


def _hmac(key: bytes, *lines: bytes) -> str:
    # With its length before each, no two different requests have the same text.
    text = b"".join(b"%d:%s\n" % (len(line), line) for line in lines)
    return hmac.new(key, text, hashlib.sha256).hexdigest()
