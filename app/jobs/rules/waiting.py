"""What a job waits for before it renders: its time, its engine version, space on the disk, the end of a restart."""

from __future__ import annotations

from dataclasses import replace

from app.jobs.events import (
    EngineAwaited,
    EngineFound,
    EngineMissing,
    JobEvent,
    NeedEngine,
    Queue,
    Reconciled,
    StopAttempts,
)
from app.jobs.record import JobRecord
from app.jobs.rules.outcomes import Outcome
from app.jobs.rules.settling import backoff, settle
from app.jobs.running import Running
from client.models import JobStatus as S


def schedule_due(record: JobRecord, event: JobEvent) -> Outcome:
    """Its scheduled start has come."""
    return record.with_state(status=S.NOT_STARTED, reason="waits for a free slot"), (Queue(),)


def engine_missing(record: JobRecord, event: JobEvent) -> Outcome:
    """The engine version that it wants is not installed."""
    assert isinstance(event, EngineMissing)
    missing, before = event.missing, record.spec.missing
    record = record.with_version(missing.version, missing.reason, missing)
    record = record.with_state(status=S.CONFIGURING, reason=missing.reason)
    if before is not None and (before.version, before.fetch) == (missing.version, missing.fetch):
        return record, ()
    return record, (NeedEngine(record.spec.engine, missing.version, missing.fetch),)


def engine_awaited(record: JobRecord, event: JobEvent) -> Outcome:
    """There is news of the version that it waits for."""
    assert isinstance(event, EngineAwaited)
    return (record if record.state.reason == event.reason else record.with_state(reason=event.reason)), ()


def engine_found(record: JobRecord, event: JobEvent) -> Outcome:
    """The version that it waited for is there."""
    assert isinstance(event, EngineFound)
    record = record.with_version(event.version, event.reason)
    if record.spec.scheduled_start is not None and record.state.started is None:
        return record.with_state(status=S.SCHEDULED, reason="waits for its scheduled start"), ()
    return settle(record, ())


def engine_changed(record: JobRecord, event: JobEvent) -> Outcome:
    """Another installed version takes over from one that is gone."""
    assert isinstance(event, EngineFound)
    effects = (Queue(backoff(record)),) if record.status is S.NOT_STARTED else ()
    return record.with_version(event.version, event.reason), effects


def space_found(record: JobRecord, event: JobEvent) -> Outcome:
    """There is space on the disk again."""
    if not record.state.needs_space:
        return record, ()
    record = record.with_state(needs_space=False)
    return settle(record, (), reason="there is space on the disk again; waits for a free slot")


def reconciled(record: JobRecord, event: JobEvent) -> Outcome:
    """The service has started, and looked what is really there."""
    assert isinstance(event, Reconciled)
    kept = Running(
        replace(chunk, positions=chunk.positions - event.done)
        for chunk in record.state.running
        if chunk.attempt in event.kept
    )
    record = record.with_state(
        needs_space=False,
        running=kept,
        done=event.done,
        failed=record.state.failed - event.done,
        file_count=event.files,
        assembled=event.assembled,
    )
    if record.status in (S.CONFIGURING, S.SCHEDULED, S.WAITING_FOR_SUBJOBS):
        return record, ()
    useless = tuple(chunk.attempt for chunk in kept if not chunk.positions or record.state.ending is not None)
    stop = (StopAttempts(useless, record.state.ending_reason or "its frames are there"),) if useless else ()
    return settle(record, stop, reason="taken up again after a restart; waits for a free slot")
