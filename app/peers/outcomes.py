"""How an attempt that another node makes can end."""

from __future__ import annotations

from dataclasses import dataclass

from client.models import SubjobUpdate


@dataclass(frozen=True, slots=True)
class Came:
    """The subjob has ended; what was wanted of it and is not here failed there."""

    update: SubjobUpdate


@dataclass(frozen=True, slots=True)
class Broke:
    """It did not work out. ``fault``: whether the node is to blame, and not the line or chance."""

    reason: str
    fault: bool


@dataclass(frozen=True, slots=True)
class Short:
    """What came cannot be kept: there is no space on the disk of this node."""

    reason: str


@dataclass(frozen=True, slots=True)
class LetGo:
    """Somebody else has decided that the attempt is over."""


Outcome = Came | Broke | Short | LetGo
