"""What attempts do to their job: they start, bring frames, lose some, fail, and are over."""

from __future__ import annotations

from app.jobs.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptHeld,
    AttemptReleased,
    AttemptStarted,
    AwaitSpace,
    Effect,
    FrameFailed,
    FramesLost,
    FramesVerified,
    JobEvent,
    StopAttempts,
)
from app.jobs.record import JobRecord
from app.jobs.rules.assembling import assembly_failed
from app.jobs.rules.outcomes import ImpossibleEvent, Outcome
from app.jobs.rules.settling import (
    HOPELESS,
    MAX_FRUITLESS,
    give_up,
    note_error,
    settle,
    strike,
    without,
)
from app.jobs.running import RunningChunk
from client.models import JobStatus as S
from engines.contract import FailureCause
from engines.frames import IndexSet


def attempt_started(record: JobRecord, event: JobEvent) -> Outcome:
    """Frames are claimed by an attempt."""
    assert isinstance(event, AttemptStarted)
    free = record.waiting_positions()
    if event.twice and record.state.ending is None and not record.state.needs_space:
        free |= record.running_positions()
    if event.assembles:
        if event.positions or not record.needs_assembly:
            raise ImpossibleEvent(record, event, "its parts are not all there, or are put together already")
    elif not event.positions or event.positions - free:
        raise ImpossibleEvent(record, event, "some of these frames are not waiting")
    state = record.state
    if state.running.get(event.attempt) is not None:
        raise ImpossibleEvent(record, event, "it has begun already")
    chunk = RunningChunk(event.attempt, event.positions, event.at, event.assembles, event.node)
    return record.with_state(
        free=record.free - event.positions,
        status=S.RUNNING,
        reason="putting its parts together" if event.assembles else "rendering",
        running=state.running.begun(chunk),
        attempts=state.attempts + 1,
        started=state.started if state.started is not None else event.at,
    ), ()


def not_waiting(record: JobRecord, event: JobEvent) -> Outcome:
    """No attempt may start at a job that does not wait to be rendered."""
    raise ImpossibleEvent(record, event, "nothing of it is to be rendered now")


def frames_verified(record: JobRecord, event: JobEvent) -> Outcome:
    """Frames are there."""
    assert isinstance(event, FramesVerified)
    chunk = record.state.running.get(event.attempt)
    if chunk is None:
        return record, ()
    if not record.spec.frames.has_positions(event.positions):
        raise ImpossibleEvent(record, event, "some of these frames are none of this job")
    # Told twice, a frame counts once; and one that two attempts have counts for the one that is through with it first.
    fresh = event.positions & chunk.positions
    if not fresh:
        return record, ()
    running, robbed = record.state.running.through(fresh, event.attempt)
    effects = (StopAttempts(robbed, "others were faster with its frames"),) if robbed else ()
    return record.with_state(
        free=record.free,
        done=record.state.done | fresh,
        failed=record.state.failed - fresh,
        running=running,
        file_count=event.files,
        fruitless=0,
        seconds_per_frame=event.seconds_per_frame or record.state.seconds_per_frame,
        pace=event.pace or record.state.pace,
    ), effects


def attempt_ended(record: JobRecord, event: JobEvent) -> Outcome:
    """All that an attempt claimed is there or failed; perhaps the next one starts with it."""
    assert isinstance(event, AttemptEnded)
    effects: tuple[Effect, ...] = ()
    if event.verified is not None:
        record, effects = frames_verified(record, event.verified)
    chunk = record.state.running.get(event.attempt)
    if chunk is None:
        return record, effects
    if chunk.positions:
        raise ImpossibleEvent(record, event, "not all its frames are verified")
    record = without(record, chunk).with_state(fruitless=0)
    if chunk.assembles:
        files = record.state.file_count if event.files is None else event.files
        record = record.with_state(assembled=True, assembly_failures=0, file_count=files)
    if event.then is not None:
        return attempt_started(record, event.then)[0], effects
    return settle(record, effects, ended_at=event.at)


def frame_failed(record: JobRecord, event: JobEvent) -> Outcome:
    """One frame failed; its attempt goes on."""
    assert isinstance(event, FrameFailed)
    chunk = record.state.running.get(event.attempt)
    if chunk is None or event.position not in chunk.positions:
        return record, ()
    position = IndexSet.span(event.position, event.position)
    record = record.with_state(running=record.state.running.less(event.attempt, position))
    return strike(record, position, event.cause, event.message), ()


def attempt_failed(record: JobRecord, event: JobEvent) -> Outcome:
    """An attempt is over without all its frames, and somebody is to blame."""
    assert isinstance(event, AttemptFailed)
    chunk = record.state.running.get(event.attempt)
    if chunk is None:
        return record, ()
    if chunk.assembles:
        return assembly_failed(record, chunk, event)
    state = record.state
    record = without(record, chunk).with_state(fruitless=state.fruitless + 1, cause=event.cause.value)
    if state.ending is not None:
        return settle(record, (), ended_at=event.at)
    if event.cause in HOPELESS:
        return give_up(record, event.message, event.at)
    if record.state.fruitless >= MAX_FRUITLESS:
        story = f"{record.state.fruitless} attempts in a row brought no frame; the last one: {event.message}"
        return give_up(record, story, event.at)
    if not record.spec.divisible:
        blamed = chunk.positions if record.spec.parts else record.spec.frames.all_positions()
    elif event.blamed is not None and event.blamed in chunk.positions:
        blamed = IndexSet.span(event.blamed, event.blamed)
    else:
        blamed = chunk.positions.first_run(1)
    return settle(strike(record, blamed, event.cause, event.message), (), ended_at=event.at)


def attempt_released(record: JobRecord, event: JobEvent) -> Outcome:
    """An attempt was stopped by us: nobody is to blame."""
    assert isinstance(event, AttemptReleased)
    chunk = record.state.running.get(event.attempt)
    if chunk is None:
        return record, ()
    return settle(without(record, chunk), (), ended_at=event.at, reason=event.reason)


def attempt_held(record: JobRecord, event: JobEvent) -> Outcome:
    """An attempt cannot go on before there is space on the disk."""
    assert isinstance(event, AttemptHeld)
    chunk = record.state.running.get(event.attempt)
    if chunk is None:
        return record, ()
    record = without(record, chunk).with_state(cause=FailureCause.DISK.value)
    if record.waiting_positions() or record.needs_assembly:
        record = note_error(record, event.reason).with_state(needs_space=True)
        return settle(record, (AwaitSpace(),), ended_at=event.at)
    return settle(record, (), ended_at=event.at)


def frames_lost(record: JobRecord, event: JobEvent) -> Outcome:
    """Frames that were there are not any more."""
    assert isinstance(event, FramesLost)
    lost = event.positions - (event.positions - record.state.done)
    if record.state.running.get(event.attempt) is None or not lost:
        return record, ()
    record = record.with_state(done=record.state.done - lost, file_count=event.files)
    # Blamed, so that it ends: whoever takes the files away may go on doing so.
    return strike(record, lost, FailureCause.DISK, "it was rendered, and then taken out of the output folder"), ()
