"""Where a job stands after something happened to it: does it wait, go on, or end, and as what.

Parts of rules: every rule that takes an attempt or a frame away from a job comes through here.
"""

from __future__ import annotations

from app.jobs.events import Effect, Ended, Queue, StopAttempts
from app.jobs.record import JobRecord
from app.jobs.rules.outcomes import Outcome
from app.jobs.running import NOBODY, RunningChunk
from client.models import JobStatus as S
from engines.contract import FailureCause
from engines.frames import IndexSet

MAX_ATTEMPTS = 3
"""How often the same frame may be to blame for a failed attempt before it is given up."""
MAX_FRUITLESS = 6
"""Failed attempts in a row without one verified frame before the whole job is given up."""
MAX_NOTES = 50
"""Warnings and errors kept with a job, each."""

HOPELESS = frozenset({FailureCause.BAD_OPTION, FailureCause.MISSING_ASSET})
"""Causes that no retry can mend."""


def without(record: JobRecord, chunk: RunningChunk) -> JobRecord:
    """The job without an attempt; what only that one had is free."""
    running = record.state.running
    freed = running.only_of(chunk.attempt) - record.state.failed
    return record.with_state(free=record.free | freed, running=running.over(chunk.attempt))


def note_error(record: JobRecord, message: str) -> JobRecord:
    """Keep a message with the job, as its latest."""
    errors = tuple(error for error in record.state.errors if error != message)
    if len(errors) >= MAX_NOTES:
        return record
    return record.with_state(errors=(*errors, message))  # the latest is the last one


def strike(record: JobRecord, blamed: IndexSet, cause: FailureCause, message: str) -> JobRecord:
    """Blame frames once more; those blamed too often are given up."""
    if not blamed:  # all of them are there, whatever happened then
        return note_error(record, message)
    strikes = list(record.state.strikes)
    level = 0
    fresh = blamed
    while fresh:
        if level == len(strikes):
            strikes.append(IndexSet())
        known = fresh - (fresh - strikes[level])
        strikes[level] |= fresh
        fresh = known
        level += 1
    given_up = blamed - (blamed - strikes[MAX_ATTEMPTS - 1]) if len(strikes) >= MAX_ATTEMPTS else IndexSet()
    if cause in HOPELESS:
        given_up = blamed
    text = f"frame {record.spec.frames.notation(blamed)}: {message}" if record.spec.divisible else message
    failed = record.state.failed | given_up
    return note_error(record, text).with_state(strikes=tuple(strikes), failed=failed, cause=cause.value)


def backoff(record: JobRecord) -> int:
    """How often the frames that wait were to blame before: 0 while one without blame is waiting."""
    waiting, strikes = record.waiting_positions(), record.state.strikes
    if not strikes or waiting - strikes[0]:
        return 0
    return sum(1 for struck in strikes if len(waiting - struck) < len(waiting))


def give_up(record: JobRecord, reason: str, at: float) -> Outcome:
    """End the whole job as failed; what runs elsewhere is stopped, frames that never came count as failed."""
    left = record.spec.frames.all_positions() - record.state.done
    record = note_error(record, reason)
    if not left:  # it broke when everything was there
        return settle(record, (), ended_at=at)
    if not record.state.running:
        record = record.with_state(failed=left)
    return end_soon(record, S.ERROR, reason, at)


def end_soon(record: JobRecord, status: S, reason: str, at: float, effects: tuple[Effect, ...] = ()) -> Outcome:
    """End the job; if attempts are alive, stop them first: a job that has ended has no process."""
    if not record.state.running:
        return end(record, status, reason, at, effects)
    stop = StopAttempts(tuple(chunk.attempt for chunk in record.state.running), reason)
    story = f"is ending, as soon as its processes have: {reason}"
    return record.with_state(ending=status, ending_reason=reason, reason=story), (stop, *effects)


def end(record: JobRecord, status: S, reason: str, at: float, effects: tuple[Effect, ...] = ()) -> Outcome:
    """The job has ended."""
    record = record.with_state(
        status=status, reason=reason, running=NOBODY, needs_space=False, ended=at, ending=None, ending_reason=""
    )
    return record, (*effects, Ended(status, reason))


def settle(
    record: JobRecord,
    effects: tuple[Effect, ...],
    *,
    ended_at: float | None = None,
    reason: str | None = None,
) -> Outcome:
    """Where the job stands once an attempt is over (or after a restart)."""
    state, total = record.state, len(record.spec.frames)
    in_parts = bool(record.spec.parts and record.spec.assembles and not (state.assembled or state.failed))
    if not state.running and len(state.done) + len(state.failed) == total and not in_parts:
        at = ended_at if ended_at is not None else (state.started or record.spec.created)
        if state.failed:
            frames = record.spec.frames.notation(state.failed)
            if not record.spec.divisible:
                return end(record, S.ERROR, state.errors[-1] if state.errors else "it failed", at, effects)
            return end(record, S.ERROR, f"{len(state.failed)} of {total} frames failed: {frames[:200]}", at, effects)
        return end(record, S.COMPLETED, f"all {total} frames are verified", at, effects)
    if state.ending is not None:
        if state.running:
            return record, effects
        at = ended_at if ended_at is not None else (state.started or record.spec.created)
        if state.ending is S.ERROR:
            record = record.with_state(failed=record.spec.frames.all_positions() - state.done)
        return end(record, state.ending, state.ending_reason, at, effects)
    if state.needs_space:
        if not state.running:
            record = record.with_state(status=S.NOT_STARTED, reason=f"waits for space on the disk: {state.errors[-1]}")
        return record, effects
    if record.needs_assembly:
        story = "all its parts are rendered; waits for a free slot to put them together"
        if state.assembly_failures:
            story = f"tries to put its parts together again after a pause: {state.errors[-1]}"
        return record.with_state(status=S.NOT_STARTED, reason=story), (*effects, Queue(state.assembly_failures))
    times = backoff(record)
    if state.running:
        return record.with_state(status=S.RUNNING, reason="rendering"), (*effects, Queue(times))
    if reason is None:
        reason = f"{len(state.done)} of {total} frames done; waits for a free slot"
        if times:
            reason = f"{len(state.done)} of {total} frames done; tries again after a pause: {state.errors[-1]}"
    return record.with_state(status=S.NOT_STARTED, reason=reason), (*effects, Queue(times))
