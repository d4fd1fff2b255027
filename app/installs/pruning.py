"""Which managed engine versions go when there are too many: a rule, pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class ManagedCopy:
    """A managed version, as far as the rule needs it."""

    engine: str
    version: str
    size: int  # bytes on the disk
    last_used: float  # seconds since 1970; when it was installed, if it was never used
    needed_by: tuple[str, ...] = ()  # ids of unfinished jobs
    newest: bool = False  # the newest copy of its engine on this node

    @property
    def name(self) -> str:
        """As people write it."""
        return f"{self.engine} {self.version}"


def prunable(
    copies: Sequence[ManagedCopy], budget: int, unused_days: float, now: float
) -> tuple[list[ManagedCopy], dict[str, str]]:
    """What goes: of the copies that were not used for long the one used least recently first, until the rest is within
    the budget. What a job needs stays, and so does the newest copy of every engine.

    Args:
        copies: all managed copies.
        budget: bytes that may stay.
        unused_days: unused for so many days is long.
        now: seconds since 1970.

    Returns:
        The copies that go, in this order; the name of every other one, with the reason why it stays.
    """
    total = sum(copy.size for copy in copies)
    removed: list[ManagedCopy] = []
    kept: dict[str, str] = {}
    for copy in sorted(copies, key=lambda copy: copy.last_used):
        unused = (now - copy.last_used) / DAY
        if copy.needed_by:
            kept[copy.name] = f"{len(copy.needed_by)} unfinished jobs need it"
        elif copy.newest:
            kept[copy.name] = "it is the newest one here"
        elif unused < unused_days:
            kept[copy.name] = f"it was used {unused:.1f} days ago, and only {unused_days:g} days without use are long"
        elif total <= budget:
            kept[copy.name] = f"all together take {total / 1e9:.1f} GB, which is within {budget / 1e9:.1f} GB"
        else:
            removed.append(copy)
            total -= copy.size
    return removed, kept
