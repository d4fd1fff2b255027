"""Whether a signed request is from another node of the farm, meant for this one, and came for the first time."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from app.access.identity import Identity
from app.peers.greeting import Me
from app.peers.secret import FarmSecret
from app.peers.signing import WINDOW_SECONDS, Nonces, is_right, read_signature
from client.models import AccessKind, Role

NODE_PREFIX: Final = "node:"
"""Before the id of a node where it stands for who did something."""

SAY_HELLO: Final = "Say hello first"
"""Title of the refusal of a request that was signed for another instance or another node."""
CLOCKS_DIFFER: Final = "Clocks differ"
NOT_SIGNED: Final = "Signature refused"

_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class Distrust:
    """Why a signed request is refused.

    Attributes:
        guessed: whether it may have been a try to get in, which is counted.
    """

    message: str
    title: str = NOT_SIGNED
    guessed: bool = True


@dataclass(frozen=True, slots=True)
class Trusted:
    """A signed request that is right as far as its headers go.

    Attributes:
        instance: of the sender.
        body: SHA-256 that the body must have, in hexadecimal.
    """

    who: Identity
    instance: str
    body: str


class Trust:
    """Checks the signatures of one node.

    Args:
        secret: the farm, if there is one yet.
        me: this node.
        clock: seconds since 1970.
    """

    def __init__(self, secret: FarmSecret, me: Me, clock: Callable[[], float] = time.time) -> None:
        self._secret = secret
        self._me = me
        self._clock = clock
        self._nonces = Nonces()
        self._known: dict[str, Identity] = {}

    def check(self, method: str, target: bytes, headers: Mapping[bytes, bytes]) -> Trusted | Distrust:
        """Whom a request is from.

        Args:
            target: path and query as they stand in the request line.
            headers: their names in lower case.
        """
        farm = self._secret.farm
        if farm is None:
            return Distrust("this node is in no farm; `zordon join` brings it into one", guessed=False)
        signature = read_signature(headers)
        if isinstance(signature, str):
            return Distrust(signature)
        if not is_right(signature, farm.key, method, target):
            return Distrust(
                f"the signature is wrong: the node {signature.node[:8]} does not hold the secret of this node's farm, "
                "or the request was changed on its way"
            )
        now = self._clock()
        ahead = float(signature.time) - now
        if abs(ahead) > WINDOW_SECONDS:
            return Distrust(
                f"the request was signed {abs(ahead):.0f} seconds {'in the future' if ahead > 0 else 'ago'} by this "
                f"node's clock; at most {WINDOW_SECONDS:.0f} are allowed: let both nodes set their clocks by the "
                "network (NTP)",
                CLOCKS_DIFFER,
                guessed=False,
            )
        if signature.to != self._me.who:
            gone = signature.to.startswith(f"{self._me.id}/")
            return Distrust(
                "this node was started anew since: say hello first" if gone else "the request is for another node",
                SAY_HELLO,
                guessed=False,
            )
        if not self._nonces.take(signature.node, signature.nonce, time.monotonic()):
            return Distrust("this request came before; a repeat must be signed anew")
        node, _, instance = signature.node.partition("/")
        return Trusted(self._identity(node), instance, signature.body)

    def _identity(self, node: str) -> Identity:
        who = self._known.get(node)
        if who is None:
            if len(self._known) >= _REMEMBERED:
                self._known.clear()
            who = Identity(f"{NODE_PREFIX}{node}", f"node {node[:8]}", Role.PEER, AccessKind.NODE, b"")
            self._known[node] = who
        return who
