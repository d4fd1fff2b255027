"""Who asks: what a right secret stands for, and what its role lets it do. Pure but for the clock that it is given."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from client.models import AccessKind, Role

_COVERED: Final[Mapping[Role, frozenset[Role]]] = {
    Role.READ: frozenset({Role.READ}),
    Role.SUBMIT: frozenset({Role.READ, Role.SUBMIT}),
    Role.PEER: frozenset({Role.READ, Role.SUBMIT, Role.PEER}),
    Role.ADMIN: frozenset(Role),
}


def covers(role: Role, needed: Role) -> bool:
    """Whether who has ``role`` may do what asks for ``needed``.

    >>> covers(Role.SUBMIT, Role.READ), covers(Role.READ, Role.SUBMIT), covers(Role.ADMIN, Role.PEER)
    (True, False, True)
    """
    return needed in _COVERED[role]


@dataclass(slots=True, eq=False)
class Identity:
    """Somebody who showed a right secret. Times are seconds since 1970, UTC.

    One object stands for one token or session as long as the service runs: whoever keeps it sees in ``revoked`` that
    it is good for nothing any more.
    """

    id: str
    name: str
    role: Role
    kind: AccessKind
    digest: bytes  # SHA-256 of the secret
    made_by: str = ""  # id of the token that made it
    created: float | None = None
    expires: float | None = None
    revoked: bool = False

    def good(self, now: float) -> bool:
        """Whether its secret is still right."""
        return not self.revoked and (self.expires is None or now < self.expires)

    def may(self, needed: Role) -> bool:
        """Whether its role covers another one."""
        return needed in _COVERED[self.role]
