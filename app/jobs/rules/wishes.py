"""What people ask of a job (cancel it, change it, render again what is missing), and what its subjobs and its engine
tell it."""

from __future__ import annotations

from app.jobs.events import (
    CancelAsked,
    CancelChildren,
    ChildEnded,
    JobEdited,
    JobEvent,
    NeedEngine,
    PriorityChanged,
    Queue,
    RetryAsked,
    WarningNoted,
)
from app.jobs.record import NO_FRAMES, JobRecord
from app.jobs.rules.outcomes import Outcome
from app.jobs.rules.settling import MAX_NOTES, end, end_soon, note_error, settle
from client.models import JobStatus as S


def warning_noted(record: JobRecord, event: JobEvent) -> Outcome:
    """The engine warned of something."""
    assert isinstance(event, WarningNoted)
    warnings = record.state.warnings
    if event.message in warnings or event.message in record.spec.warnings or len(warnings) >= MAX_NOTES:
        return record, ()
    return record.with_state(warnings=(*warnings, event.message)), ()


def cancel_asked(record: JobRecord, event: JobEvent) -> Outcome:
    """Somebody wants it to end."""
    assert isinstance(event, CancelAsked)
    open_children = tuple(child for child in record.spec.children if child not in record.state.children_ended)
    effects = (CancelChildren(open_children, event.reason),) if open_children else ()
    return end_soon(record, S.CANCELLED, event.reason, event.at, effects)


def job_edited(record: JobRecord, event: JobEvent) -> Outcome:
    """A person wants something of it to be another thing. Its files keep the name that they have."""
    assert isinstance(event, JobEdited)
    wanted = {"name": event.name, "priority": event.priority, "notes": event.notes}
    changes = {name: new for name, new in wanted.items() if new is not None and new != getattr(record.spec, name)}
    if not changes:
        return record, ()
    edited = record.with_spec(**changes)
    return edited, ((PriorityChanged(edited.spec.priority),) if "priority" in changes else ())


def retry_alive(record: JobRecord, event: JobEvent) -> Outcome:
    """Frames that were given up get new chances; the others never lost theirs."""
    state = record.state
    if state.ending is not None or not (state.failed or state.strikes):
        return record, ()
    waits = f"asked to render {len(state.failed)} frames again; waits for a free slot" if state.failed else None
    return settle(record.with_state(failed=NO_FRAMES, strikes=(), fruitless=0), (), reason=waits)


def retry_ended(record: JobRecord, event: JobEvent) -> Outcome:
    """Back to life with exactly the frames that are not there. Id, history and outputs stay."""
    assert isinstance(event, RetryAsked)
    spec, before = record.spec, record.state
    if spec.children:
        return retry_parent(record, event)
    done = before.done if event.done is None else event.done
    files = before.file_count if event.done is None else event.files
    missing = len(spec.frames) - len(done)
    whole = not missing and (event.assembled or not spec.parts or not spec.assembles)
    if whole and record.status is S.COMPLETED:
        return record, ()
    record = record.with_state(failed=NO_FRAMES, strikes=(), fruitless=0, cause="", needs_space=False)
    record = record.with_state(done=done, file_count=files, assembled=event.assembled, assembly_failures=0)
    if whole:
        return end(record, S.COMPLETED, f"all {len(done)} frames are verified", event.at)
    noun = "frame" if missing == 1 else "frames"
    story = f"asked to render {missing} missing {noun} of {len(spec.frames)}; waits for a free slot"
    if not missing:
        story = "asked to put its parts together again; waits for a free slot"
    record = record.with_state(status=S.NOT_STARTED, reason=story, ended=None)
    if (lacking := spec.missing) is not None:
        record = record.with_state(status=S.CONFIGURING, reason=lacking.reason)
        return record, (NeedEngine(spec.engine, lacking.version, lacking.fetch),)
    if spec.scheduled_start is not None and spec.scheduled_start > event.at:
        return record.with_state(status=S.SCHEDULED, reason="waits for its scheduled start"), ()
    return record, (Queue(),)


def retry_parent(record: JobRecord, event: JobEvent) -> Outcome:
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


def child_ended(record: JobRecord, event: JobEvent) -> Outcome:
    """One of its subjobs has ended."""
    assert isinstance(event, ChildEnded)
    if event.child not in record.spec.children:
        return record, ()
    ended = {**record.state.children_ended, event.child: event.status.value}
    record = record.with_state(children_ended=ended)
    if event.status is S.ERROR:
        record = note_error(record, f"subjob {event.child}: {event.reason}")
    left = len(record.spec.children) - len(ended)
    if left:
        return record.with_state(reason=f"{left} of its {len(record.spec.children)} subjobs have not ended yet"), ()
    statuses = set(ended.values())
    if S.ERROR.value in statuses:
        failed = sum(status == S.ERROR.value for status in ended.values())
        return end(record, S.ERROR, f"{failed} of its {len(ended)} subjobs failed", event.at)
    if S.CANCELLED.value in statuses:
        return end(record, S.CANCELLED, "one of its subjobs was cancelled", event.at)
    everything = record.spec.frames.all_positions()
    return end(record.with_state(done=everything), S.COMPLETED, "all its subjobs are completed", event.at)
