"""The rules of a job in parts: one chunk a part, and an attempt of its own that puts them together."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.jobs.chunking import next_chunk
from app.jobs.codec import record_from, spec_bytes, state_bytes, wire_bytes
from app.jobs.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptHeld,
    AttemptReleased,
    AttemptStarted,
    AwaitSpace,
    CancelAsked,
    Ended,
    Queue,
    Reconciled,
    RetryAsked,
    SpaceFound,
    StopAttempts,
)
from app.jobs.record import NO_FRAMES, JobRecord
from app.jobs.rules.settling import MAX_ATTEMPTS
from app.jobs.transitions import ImpossibleEvent, transition
from client.models import Job, JobStatus
from engines.contract import FailureCause
from engines.frames import FrameSet, IndexSet
from tests.jobs.test_transitions import after, failed, job, started, verified

PARTS = (4, 3, 3)
ALL = IndexSet.span(0, 9)


def in_parts(**changes: object) -> JobRecord:
    record = job(divisible=False)
    return JobRecord(replace(record.spec, parts=PARTS, **changes), record.state)  # type: ignore[arg-type]


def rendered(record: JobRecord | None = None) -> JobRecord:
    """Every part is there."""
    record = record or in_parts()
    for number, (first, last) in enumerate(((0, 3), (4, 6), (7, 9))):
        name = f"j-{number}"
        record = after(record, started(name, first, last), verified(name, first, last), AttemptEnded(name, 3.0))
    return record


def assembling(attempt: str = "whole") -> AttemptStarted:
    return AttemptStarted(attempt, NO_FRAMES, 4.0, assembles=True)


def chunk(record: JobRecord) -> IndexSet:
    return next_chunk(record, slots=4, chunk_seconds=0.001, max_frames=1)


def test_a_chunk_is_a_part() -> None:
    record = in_parts()
    assert chunk(record) == IndexSet.span(0, 3)
    record = after(record, started("a", 0, 3))
    assert chunk(record) == IndexSet.span(4, 6)
    record = after(record, started("b", 4, 6), started("c", 7, 9))
    assert not chunk(record)
    # One that has failed comes after those that have not.
    record = after(in_parts(), started("a", 0, 3), failed("a", 0))
    assert chunk(record) == IndexSet.span(4, 6)
    assert (record.failures_at(IndexSet.span(0, 3)), record.failures_at(IndexSet.span(4, 6))) == (1, 0)


def test_parts_that_are_all_there_wait_to_be_put_together() -> None:
    record = rendered()
    assert record.status is JobStatus.NOT_STARTED
    assert record.needs_assembly
    assert "put them together" in record.state.reason
    last = after(in_parts(), started("a", 0, 3), verified("a", 0, 3), AttemptEnded("a", 3.0))
    last = after(last, started("b", 4, 6), verified("b", 4, 6), AttemptEnded("b", 3.0), started("c", 7, 9))
    assert transition(after(last, verified("c", 7, 9)), AttemptEnded("c", 3.0))[1] == (Queue(0),)


def test_put_together_it_is_completed() -> None:
    record = after(rendered(), assembling())
    assert (record.status, record.state.reason) == (JobStatus.RUNNING, "putting its parts together")
    assert not record.needs_assembly
    record, effects = transition(record, AttemptEnded("whole", 5.0, files=1))
    assert (record.status, record.state.file_count, record.state.assembled) == (JobStatus.COMPLETED, 1, True)
    assert [type(effect) for effect in effects] == [Ended]


def test_nobody_puts_together_what_is_not_all_there() -> None:
    for record in (in_parts(), after(rendered(), assembling()), job()):
        with pytest.raises(ImpossibleEvent):
            transition(record, assembling("too early"))


def test_a_failed_assembly_is_tried_again_and_given_up_in_the_end() -> None:
    record = rendered()
    for number in range(1, MAX_ATTEMPTS):
        record, effects = transition(after(record, assembling()), failed("whole", None))
        assert record.needs_assembly
        assert effects == (Queue(number),)
    record, effects = transition(after(record, assembling()), failed("whole", None))
    assert record.status is JobStatus.ERROR
    assert record.state.done == ALL
    assert "cannot be put together: it broke" in record.state.reason
    again = after(record, RetryAsked(9.0, ALL, 0))
    assert again.needs_assembly
    assert again.state.assembly_failures == 0


def test_what_no_retry_mends_is_told_at_once() -> None:
    record = after(rendered(), assembling(), failed("whole", None, FailureCause.BAD_OPTION))
    assert record.status is JobStatus.ERROR


def test_parts_that_do_not_fit_are_rendered_again() -> None:
    misfit = AttemptFailed("whole", FailureCause.BAD_FRAME, "it does not fit", None, 5.0, IndexSet.span(4, 6))
    record = after(rendered(), assembling(), misfit)
    assert record.waiting_positions() == IndexSet.span(4, 6)
    assert record.failures_at(IndexSet.span(4, 6)) == 1
    assert not record.needs_assembly
    record = after(record, started("b", 4, 6), verified("b", 4, 6), AttemptEnded("b", 6.0))
    assert record.needs_assembly
    for _ in range(MAX_ATTEMPTS - 1):
        record = after(record, assembling(), misfit)
        if record.status is JobStatus.ERROR:
            break
        record = after(record, started("b", 4, 6), verified("b", 4, 6), AttemptEnded("b", 6.0))
    assert (record.status, record.state.failed) == (JobStatus.ERROR, IndexSet.span(4, 6))


def test_an_assembly_that_was_stopped_or_lacked_space_begins_again() -> None:
    record = after(rendered(), assembling(), AttemptReleased("whole", "the service stops", 5.0))
    assert record.needs_assembly
    record, effects = transition(after(rendered(), assembling()), AttemptHeld("whole", "no space", 5.0))
    assert effects == (AwaitSpace(),)
    assert not record.needs_assembly
    record, effects = transition(record, SpaceFound())
    assert record.needs_assembly
    assert effects == (Queue(0),)


def test_cancelled_while_it_is_put_together() -> None:
    record, effects = transition(after(rendered(), assembling()), CancelAsked(5.0))
    assert effects == (StopAttempts(("whole",), "cancelled by request"),)
    record = after(record, AttemptReleased("whole", "cancelled", 6.0))
    assert record.status is JobStatus.CANCELLED
    assert after(record, RetryAsked(7.0, ALL, 0)).needs_assembly


def test_after_a_restart_parts_count_and_so_does_the_whole() -> None:
    record = after(in_parts(), started("a", 0, 3), Reconciled(IndexSet.span(0, 3), 0))
    assert (record.state.done, chunk(record)) == (IndexSet.span(0, 3), IndexSet.span(4, 6))
    record = after(rendered(), assembling(), Reconciled(ALL, 0))
    assert record.needs_assembly
    record = after(rendered(), assembling(), Reconciled(ALL, 1, assembled=True))
    assert record.status is JobStatus.COMPLETED


def test_a_completed_one_whose_file_is_gone_begins_again() -> None:
    record = after(rendered(), assembling(), AttemptEnded("whole", 5.0, files=1))
    assert after(record, RetryAsked(9.0, ALL, 1, assembled=True)) is record
    again = after(record, RetryAsked(9.0, IndexSet(), 0))
    assert (again.status, again.waiting_positions()) == (JobStatus.NOT_STARTED, ALL)
    assert not again.needs_assembly


def test_a_part_for_another_node_is_not_put_together() -> None:
    record = job(frames="1-4", divisible=False)
    record = JobRecord(replace(record.spec, parts=(4,), assembles=False), record.state)
    record = after(record, started("a", 0, 3), verified("a", 0, 3), AttemptEnded("a", 3.0))
    assert record.status is JobStatus.COMPLETED


def test_the_store_keeps_all_of_it() -> None:
    for record in (rendered(), after(rendered(), assembling()), in_parts(still=7, part_failures=2, assembles=False)):
        assert record_from(spec_bytes(record.spec), state_bytes(record)) == record


def test_a_still_is_one_frame_for_people() -> None:
    plain = job(frames="1-10", divisible=False)
    spec = replace(plain.spec, parts=(1,) * 10, still=42)
    record = JobRecord(spec, plain.state)
    shown = Job.model_validate_json(wire_bytes(record))
    assert (shown.frames, shown.total_frames, shown.frames_done) == ("42", 1, 0)
    half = after(record, started("a", 0, 4), verified("a", 0, 4), AttemptEnded("a", 3.0))
    shown = Job.model_validate_json(wire_bytes(half))
    assert (shown.percent_complete, shown.done_frames, shown.frames_done) == (50.0, "", 0)
    done = after(half, started("b", 5, 9), verified("b", 5, 9), AttemptEnded("b", 4.0), assembling())
    done = after(done, AttemptEnded("whole", 5.0, files=1))
    shown = Job.model_validate_json(wire_bytes(done))
    assert (shown.status, shown.done_frames, shown.frames_done) == (JobStatus.COMPLETED, "42", 1)
    assert FrameSet.parse(shown.frames).highest == shown.end_frame == 42
