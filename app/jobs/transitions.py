"""The rules of a job: ``(job, event) → (job, effects)``, driven by one table, pure.

Every change of a job comes through :func:`transition`. It never raises for an event that is merely late (an attempt
that is no longer the job's own, a job that has ended): such an event changes nothing and has no effects. It raises
:class:`ImpossibleEvent` for one that cannot have happened, with the story that led there. One event alone brings a job
back that has ended: :class:`RetryAsked`.

::

    configuring ──EngineFound──▶ scheduled ──ScheduleDue──▶ not_started ──AttemptStarted──▶ running
        ▲                            │                        │   ▲                           │
        └────────EngineMissing───────┴────────────────────────┘   └──released, failed, chunk──┤
                                                                                              ▼
    waiting_for_subjobs ──ChildEnded (the last one)──────────────────────────▶ completed | error | cancelled
                                                                                   │
    configuring | scheduled | not_started | waiting_for_subjobs ◀────RetryAsked────┘
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from app.jobs.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptHeld,
    AttemptReleased,
    AttemptStarted,
    AwaitSpace,
    CancelAsked,
    CancelChildren,
    ChildEnded,
    Effect,
    Ended,
    EngineAwaited,
    EngineFound,
    EngineMissing,
    FrameFailed,
    FramesLost,
    FramesVerified,
    JobEvent,
    NeedEngine,
    Queue,
    Reconciled,
    RetryAsked,
    ScheduleDue,
    SpaceFound,
    StopAttempts,
    WarningNoted,
)
from app.jobs.record import NO_FRAMES, JobRecord, JobSpec, RunningChunk
from client.models import JobStatus
from engines.contract import FailureCause
from engines.frames import IndexSet

S = JobStatus
Outcome = tuple[JobRecord, tuple[Effect, ...]]

MAX_ATTEMPTS = 3
"""How often the same frame may be to blame for a failed attempt before it is given up."""
MAX_FRUITLESS = 6
"""Failed attempts in a row without one verified frame before the whole job is given up."""
MAX_NOTES = 50
"""Warnings and errors kept with a job, each."""

HOPELESS = frozenset({FailureCause.BAD_OPTION, FailureCause.MISSING_ASSET})
"""Causes that no retry can mend."""


class ImpossibleEvent(Exception):
    """An event that the rules have no place for: a fault in the service, told with its story."""

    def __init__(self, record: JobRecord, event: JobEvent, why: str) -> None:
        super().__init__(f"job {record.id} is {record.status} ({record.state.reason}): {event!r} cannot be: {why}")


def transition(record: JobRecord, event: JobEvent) -> Outcome:
    """Apply one event.

    Returns:
        The record (the same object if nothing changed) and what must be done now.

    Raises:
        ImpossibleEvent: see the module.
    """
    rule = _TABLE.get((record.status, type(event)))
    return rule(record, event) if rule is not None else (record, ())


def initial_status(spec: JobSpec) -> tuple[JobStatus, str]:
    """Status and reason of a job that was just submitted."""
    if spec.children:
        return S.WAITING_FOR_SUBJOBS, "its subjobs have not ended yet"
    if spec.missing is not None:
        return S.CONFIGURING, spec.missing.reason
    if spec.scheduled_start is not None:
        return S.SCHEDULED, "waits for its scheduled start"
    return S.NOT_STARTED, "waits for a free slot"


# --- rules ---------------------------------------------------------------------------------------------------------


def _due(record: JobRecord, event: JobEvent) -> Outcome:
    return record.with_state(status=S.NOT_STARTED, reason="waits for a free slot"), (Queue(),)


def _engine_missing(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, EngineMissing)
    missing, before = event.missing, record.spec.missing
    record = record.with_version(missing.version, missing.reason, missing)
    record = record.with_state(status=S.CONFIGURING, reason=missing.reason)
    if before is not None and (before.version, before.fetch) == (missing.version, missing.fetch):
        return record, ()
    return record, (NeedEngine(record.spec.engine, missing.version, missing.fetch),)


def _engine_awaited(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, EngineAwaited)
    return (record if record.state.reason == event.reason else record.with_state(reason=event.reason)), ()


def _engine_found(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, EngineFound)
    record = record.with_version(event.version, event.reason)
    if record.spec.scheduled_start is not None and record.state.started is None:
        return record.with_state(status=S.SCHEDULED, reason="waits for its scheduled start"), ()
    return _settle(record, ())


def _engine_changed(record: JobRecord, event: JobEvent) -> Outcome:
    """Another installed version takes over from one that is gone."""
    assert isinstance(event, EngineFound)
    effects = (Queue(backoff(record)),) if record.status is S.NOT_STARTED else ()
    return record.with_version(event.version, event.reason), effects


def _start(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, AttemptStarted)
    if not event.positions or event.positions - record.waiting_positions():
        raise ImpossibleEvent(record, event, "some of these frames are not waiting")
    state = record.state
    return record.with_state(
        status=S.RUNNING,
        reason="rendering",
        running=(*state.running, RunningChunk(event.attempt, event.positions)),
        attempts=state.attempts + 1,
        started=state.started if state.started is not None else event.at,
    ), ()


def _not_waiting(record: JobRecord, event: JobEvent) -> Outcome:
    raise ImpossibleEvent(record, event, "nothing of it is to be rendered now")


def _verified(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, FramesVerified)
    chunk = _chunk(record, event.attempt)
    if chunk is None:
        return record, ()
    fresh = event.positions - record.state.done  # told twice, a frame counts once
    if not fresh:
        return record, ()
    if fresh - chunk.positions:
        raise ImpossibleEvent(record, event, "some of these frames are not of this attempt")
    left = replace(chunk, positions=chunk.positions - fresh)
    return record.with_state(
        done=record.state.done | fresh,
        running=tuple(left if item is chunk else item for item in record.state.running),
        file_count=event.files,
        fruitless=0,
        seconds_per_frame=event.seconds_per_frame or record.state.seconds_per_frame,
    ), ()


def _attempt_ended(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, AttemptEnded)
    if event.verified is not None:
        record, _ = _verified(record, event.verified)
    chunk = _chunk(record, event.attempt)
    if chunk is None:
        return record, ()
    if chunk.positions:
        raise ImpossibleEvent(record, event, "not all its frames are verified")
    record = record.with_state(running=_without(record, chunk), fruitless=0)
    if event.then is not None:
        return _start(record, event.then)
    return _settle(record, (), ended_at=event.at)


def _frame_failed(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, FrameFailed)
    chunk = _chunk(record, event.attempt)
    if chunk is None or event.position not in chunk.positions:
        return record, ()
    position = IndexSet.span(event.position, event.position)
    left = replace(chunk, positions=chunk.positions - position)
    record = record.with_state(running=tuple(left if item is chunk else item for item in record.state.running))
    return _strike(record, position, event.cause, event.message), ()


def _attempt_failed(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, AttemptFailed)
    chunk = _chunk(record, event.attempt)
    if chunk is None:
        return record, ()
    state = record.state
    running = _without(record, chunk)
    record = record.with_state(running=running, fruitless=state.fruitless + 1, cause=event.cause.value)
    if state.ending is not None:
        return _settle(record, (), ended_at=event.at)
    if event.cause in HOPELESS:
        return _give_up(record, event.message, event.at)
    if record.state.fruitless >= MAX_FRUITLESS:
        story = f"{record.state.fruitless} attempts in a row brought no frame; the last one: {event.message}"
        return _give_up(record, story, event.at)
    if not record.spec.divisible:
        blamed = record.spec.frames.all_positions()
    elif event.blamed is not None and event.blamed in chunk.positions:
        blamed = IndexSet.span(event.blamed, event.blamed)
    else:
        blamed = chunk.positions.first_run(1)
    return _settle(_strike(record, blamed, event.cause, event.message), (), ended_at=event.at)


def _released(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, AttemptReleased)
    chunk = _chunk(record, event.attempt)
    if chunk is None:
        return record, ()
    record = record.with_state(running=_without(record, chunk))
    return _settle(record, (), ended_at=event.at, reason=event.reason)


def _held(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, AttemptHeld)
    chunk = _chunk(record, event.attempt)
    if chunk is None:
        return record, ()
    record = record.with_state(running=_without(record, chunk), cause=FailureCause.DISK.value)
    if record.waiting_positions():
        record = _note_error(record, event.reason).with_state(needs_space=True)
        return _settle(record, (AwaitSpace(),), ended_at=event.at)
    return _settle(record, (), ended_at=event.at)


def _lost(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, FramesLost)
    lost = event.positions - (event.positions - record.state.done)
    if _chunk(record, event.attempt) is None or not lost:
        return record, ()
    record = record.with_state(done=record.state.done - lost, file_count=event.files)
    # Blamed, so that it ends: whoever takes the files away may go on doing so.
    return _strike(record, lost, FailureCause.DISK, "it was rendered, and then taken out of the output folder"), ()


def _space_found(record: JobRecord, event: JobEvent) -> Outcome:
    if not record.state.needs_space:
        return record, ()
    record = record.with_state(needs_space=False)
    return _settle(record, (), reason="there is space on the disk again; waits for a free slot")


def _reconciled(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, Reconciled)
    record = record.with_state(
        needs_space=False, running=(), done=event.done, failed=record.state.failed - event.done, file_count=event.files
    )
    if record.status in (S.CONFIGURING, S.SCHEDULED, S.WAITING_FOR_SUBJOBS):
        return record, ()
    return _settle(record, (), reason="taken up again after a restart; waits for a free slot")


def _warned(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, WarningNoted)
    warnings = record.state.warnings
    if event.message in warnings or event.message in record.spec.warnings or len(warnings) >= MAX_NOTES:
        return record, ()
    return record.with_state(warnings=(*warnings, event.message)), ()


def _cancel(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, CancelAsked)
    open_children = tuple(child for child in record.spec.children if child not in record.state.children_ended)
    effects = (CancelChildren(open_children, event.reason),) if open_children else ()
    return _end_soon(record, S.CANCELLED, event.reason, event.at, effects)


def _retry_alive(record: JobRecord, event: JobEvent) -> Outcome:
    """Frames that were given up get new chances; the others never lost theirs."""
    state = record.state
    if state.ending is not None or not (state.failed or state.strikes):
        return record, ()
    waits = f"asked to render {len(state.failed)} frames again; waits for a free slot" if state.failed else None
    return _settle(record.with_state(failed=NO_FRAMES, strikes=(), fruitless=0), (), reason=waits)


def _retry_ended(record: JobRecord, event: JobEvent) -> Outcome:
    """Back to life with exactly the frames that are not there. Id, history and outputs stay."""
    assert isinstance(event, RetryAsked)
    spec, before = record.spec, record.state
    if spec.children:
        return _retry_parent(record, event)
    done = before.done if event.done is None else event.done
    files = before.file_count if event.done is None else event.files
    missing = len(spec.frames) - len(done)
    if not missing and record.status is S.COMPLETED:
        return record, ()
    fresh = {"failed": NO_FRAMES, "strikes": (), "fruitless": 0, "cause": "", "needs_space": False}
    record = record.with_state(done=done, file_count=files, **fresh)
    if not missing:
        return _end(record, S.COMPLETED, f"all {len(done)} frames are verified", event.at)
    noun = "frame" if missing == 1 else "frames"
    story = f"asked to render {missing} missing {noun} of {len(spec.frames)}; waits for a free slot"
    record = record.with_state(status=S.NOT_STARTED, reason=story, ended=None)
    if (lacking := spec.missing) is not None:
        record = record.with_state(status=S.CONFIGURING, reason=lacking.reason)
        return record, (NeedEngine(spec.engine, lacking.version, lacking.fetch),)
    if spec.scheduled_start is not None and spec.scheduled_start > event.at:
        return record.with_state(status=S.SCHEDULED, reason="waits for its scheduled start"), ()
    return record, (Queue(),)


def _retry_parent(record: JobRecord, event: JobEvent) -> Outcome:
    """A parent goes on with its subjobs; it renders nothing itself."""
    assert isinstance(event, RetryAsked)
    before = record.state.children_ended
    ended = {child: status for child, status in before.items() if child not in event.children}
    back = [child for child in event.children if child in record.spec.children]
    if not back or (len(ended) == len(before) and not record.ended):
        return record, ()
    left = len(record.spec.children) - len(ended)
    story = f"{left} of its {len(record.spec.children)} subjobs have not ended yet"
    return record.with_state(
        status=S.WAITING_FOR_SUBJOBS, reason=story, children_ended=ended, done=NO_FRAMES, failed=NO_FRAMES, ended=None
    ), ()


def _child_ended(record: JobRecord, event: JobEvent) -> Outcome:
    assert isinstance(event, ChildEnded)
    if event.child not in record.spec.children:
        return record, ()
    ended = {**record.state.children_ended, event.child: event.status.value}
    record = record.with_state(children_ended=ended)
    if event.status is S.ERROR:
        record = _note_error(record, f"subjob {event.child}: {event.reason}")
    left = len(record.spec.children) - len(ended)
    if left:
        return record.with_state(reason=f"{left} of its {len(record.spec.children)} subjobs have not ended yet"), ()
    statuses = set(ended.values())
    if S.ERROR.value in statuses:
        failed = sum(status == S.ERROR.value for status in ended.values())
        return _end(record, S.ERROR, f"{failed} of its {len(ended)} subjobs failed", event.at)
    if S.CANCELLED.value in statuses:
        return _end(record, S.CANCELLED, "one of its subjobs was cancelled", event.at)
    everything = record.spec.frames.all_positions()
    return _end(record.with_state(done=everything), S.COMPLETED, "all its subjobs are completed", event.at)


# --- parts of rules ------------------------------------------------------------------------------------------------


def _chunk(record: JobRecord, attempt: str) -> RunningChunk | None:
    return next((chunk for chunk in record.state.running if chunk.attempt == attempt), None)


def _without(record: JobRecord, chunk: RunningChunk) -> tuple[RunningChunk, ...]:
    return tuple(item for item in record.state.running if item is not chunk)


def _note_error(record: JobRecord, message: str) -> JobRecord:
    errors = tuple(error for error in record.state.errors if error != message)
    if len(errors) >= MAX_NOTES:
        return record
    return record.with_state(errors=(*errors, message))  # the latest is the last one


def _strike(record: JobRecord, blamed: IndexSet, cause: FailureCause, message: str) -> JobRecord:
    """Blame frames once more; those blamed too often are given up."""
    if not blamed:  # all of them are there, whatever happened then
        return _note_error(record, message)
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
    return _note_error(record, text).with_state(strikes=tuple(strikes), failed=failed, cause=cause.value)


def backoff(record: JobRecord) -> int:
    """How often the frames that wait were to blame before: 0 while one without blame is waiting."""
    waiting, strikes = record.waiting_positions(), record.state.strikes
    if not strikes or waiting - strikes[0]:
        return 0
    return sum(1 for struck in strikes if len(waiting - struck) < len(waiting))


def _give_up(record: JobRecord, reason: str, at: float) -> Outcome:
    """End the whole job as failed; what runs elsewhere is stopped, frames that never came count as failed."""
    left = record.spec.frames.all_positions() - record.state.done
    record = _note_error(record, reason)
    if not left:  # it broke when everything was there
        return _settle(record, (), ended_at=at)
    if not record.state.running:
        record = record.with_state(failed=left)
    return _end_soon(record, S.ERROR, reason, at)


def _end_soon(
    record: JobRecord, status: JobStatus, reason: str, at: float, effects: tuple[Effect, ...] = ()
) -> Outcome:
    """End the job; if attempts are alive, stop them first: a job that has ended has no process."""
    if not record.state.running:
        return _end(record, status, reason, at, effects)
    stop = StopAttempts(tuple(chunk.attempt for chunk in record.state.running), reason)
    story = f"is ending, as soon as its processes have: {reason}"
    return record.with_state(ending=status, ending_reason=reason, reason=story), (stop, *effects)


def _end(record: JobRecord, status: JobStatus, reason: str, at: float, effects: tuple[Effect, ...] = ()) -> Outcome:
    record = record.with_state(
        status=status, reason=reason, running=(), needs_space=False, ended=at, ending=None, ending_reason=""
    )
    return record, (*effects, Ended(status, reason))


def _settle(
    record: JobRecord,
    effects: tuple[Effect, ...],
    *,
    ended_at: float | None = None,
    reason: str | None = None,
) -> Outcome:
    """Where the job stands once an attempt is over (or after a restart)."""
    state, total = record.state, len(record.spec.frames)
    if not state.running and len(state.done) + len(state.failed) == total:
        at = ended_at if ended_at is not None else (state.started or record.spec.created)
        if state.failed:
            frames = record.spec.frames.notation(state.failed)
            if not record.spec.divisible:
                return _end(record, S.ERROR, state.errors[-1] if state.errors else "it failed", at, effects)
            return _end(record, S.ERROR, f"{len(state.failed)} of {total} frames failed: {frames[:200]}", at, effects)
        return _end(record, S.COMPLETED, f"all {total} frames are verified", at, effects)
    if state.ending is not None:
        if state.running:
            return record, effects
        at = ended_at if ended_at is not None else (state.started or record.spec.created)
        if state.ending is S.ERROR:
            record = record.with_state(failed=record.spec.frames.all_positions() - state.done)
        return _end(record, state.ending, state.ending_reason, at, effects)
    if state.needs_space:
        if not state.running:
            record = record.with_state(status=S.NOT_STARTED, reason=f"waits for space on the disk: {state.errors[-1]}")
        return record, effects
    times = backoff(record)
    if state.running:
        return record.with_state(status=S.RUNNING, reason="rendering"), (*effects, Queue(times))
    if reason is None:
        reason = f"{len(state.done)} of {total} frames done; waits for a free slot"
        if times:
            reason = f"{len(state.done)} of {total} frames done; tries again after a pause: {state.errors[-1]}"
    return record.with_state(status=S.NOT_STARTED, reason=reason), (*effects, Queue(times))


Rule = Callable[[JobRecord, JobEvent], Outcome]
_ALIVE = (S.CONFIGURING, S.SCHEDULED, S.NOT_STARTED, S.RUNNING, S.WAITING_FOR_SUBJOBS)
_TABLE: dict[tuple[JobStatus, type], Rule] = {
    (S.SCHEDULED, ScheduleDue): _due,
    (S.SCHEDULED, EngineMissing): _engine_missing,
    (S.NOT_STARTED, EngineMissing): _engine_missing,
    (S.CONFIGURING, EngineMissing): _engine_missing,
    (S.CONFIGURING, EngineAwaited): _engine_awaited,
    (S.CONFIGURING, EngineFound): _engine_found,
    (S.SCHEDULED, EngineFound): _engine_changed,
    (S.NOT_STARTED, EngineFound): _engine_changed,
    (S.WAITING_FOR_SUBJOBS, EngineFound): _engine_changed,
    **{(status, AttemptStarted): _not_waiting for status in S},
    (S.NOT_STARTED, AttemptStarted): _start,
    (S.RUNNING, AttemptStarted): _start,
    (S.RUNNING, FramesVerified): _verified,
    (S.RUNNING, AttemptEnded): _attempt_ended,
    (S.RUNNING, FrameFailed): _frame_failed,
    (S.RUNNING, AttemptFailed): _attempt_failed,
    (S.RUNNING, AttemptReleased): _released,
    (S.RUNNING, AttemptHeld): _held,
    (S.RUNNING, FramesLost): _lost,
    (S.RUNNING, SpaceFound): _space_found,
    (S.NOT_STARTED, SpaceFound): _space_found,
    (S.NOT_STARTED, RetryAsked): _retry_alive,
    (S.RUNNING, RetryAsked): _retry_alive,
    (S.WAITING_FOR_SUBJOBS, RetryAsked): _retry_parent,
    **{(status, RetryAsked): _retry_ended for status in (S.COMPLETED, S.CANCELLED, S.ERROR)},
    (S.WAITING_FOR_SUBJOBS, ChildEnded): _child_ended,
    **{(status, Reconciled): _reconciled for status in _ALIVE},
    **{(status, WarningNoted): _warned for status in _ALIVE},
    **{(status, CancelAsked): _cancel for status in _ALIVE},
}
