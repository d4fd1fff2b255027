"""Jobs that are rendered in parts: when all of them are there, an attempt of its own puts them together."""

from __future__ import annotations

from app.jobs.events import AttemptFailed
from app.jobs.record import JobRecord
from app.jobs.rules.outcomes import Outcome
from app.jobs.rules.settling import HOPELESS, MAX_ATTEMPTS, end, note_error, settle, strike, without
from app.jobs.running import RunningChunk
from client.models import JobStatus


def assembly_failed(record: JobRecord, chunk: RunningChunk, event: AttemptFailed) -> Outcome:
    """The parts are kept. Those that do not go with the others are rendered again, and then it is tried again."""
    failures = record.state.assembly_failures + 1
    record = without(record, chunk).with_state(assembly_failures=failures, cause=event.cause.value)
    if record.state.ending is None and event.refused:
        record = record.with_state(done=record.state.done - event.refused)
        return settle(strike(record, event.refused, event.cause, event.message), (), ended_at=event.at)
    record = note_error(record, event.message)
    if record.state.ending is None and (event.cause in HOPELESS or failures >= MAX_ATTEMPTS):
        story = f"all {len(record.spec.frames)} frames are done, but cannot be put together: {event.message}"
        return end(record, JobStatus.ERROR, story, event.at)
    return settle(record, (), ended_at=event.at)
