"""What a rule is, and what it says to an event that cannot have happened."""

from __future__ import annotations

from collections.abc import Callable

from app.jobs.events import Effect, JobEvent
from app.jobs.record import JobRecord

Outcome = tuple[JobRecord, tuple[Effect, ...]]
"""The record (the same object if nothing changed) and what must be done now."""

Rule = Callable[[JobRecord, JobEvent], Outcome]


class ImpossibleEvent(Exception):
    """An event that the rules have no place for: a fault in the service, told with its story."""

    def __init__(self, record: JobRecord, event: JobEvent, why: str) -> None:
        super().__init__(f"job {record.id} is {record.status} ({record.state.reason}): {event!r} cannot be: {why}")
