"""Frames that two attempts have, and attempts that go on on other nodes: what the rules make of them."""

from __future__ import annotations

import pytest

from app.jobs.codec import record_from, spec_bytes, state_bytes
from app.jobs.events import (
    AttemptEnded,
    AttemptReleased,
    AttemptStarted,
    CancelAsked,
    Ended,
    FrameFailed,
    FramesVerified,
    Queue,
    Reconciled,
    StopAttempts,
)
from app.jobs.record import JobRecord
from app.jobs.rules.settling import MAX_ATTEMPTS
from app.jobs.transitions import ImpossibleEvent, transition
from client.models import JobStatus
from engines.contract import FailureCause
from engines.frames import IndexSet
from tests.jobs.test_transitions import after, job, started, verified


def twice(attempt: str, first: int, last: int) -> AttemptStarted:
    return AttemptStarted(attempt, IndexSet.span(first, last), 2.0, node="north", twice=True)


def positions(record: JobRecord, attempt: str) -> IndexSet | None:
    chunk = record.state.running.get(attempt)
    return None if chunk is None else chunk.positions


def test_the_first_to_be_through_with_a_frame_takes_it_from_the_other() -> None:
    record = after(job(), started(), twice("j-2", 8, 9))
    record, effects = transition(record, verified("j-2", 9, 9))
    assert (record.state.done, effects) == (IndexSet.span(9, 9), ())
    assert positions(record, "j-1") == IndexSet.span(0, 8)
    assert positions(record, "j-2") == IndexSet.span(8, 8)
    assert transition(record, verified("j-1", 9, 9)) == (record, ())


def test_an_attempt_that_is_left_with_nothing_is_stopped_and_the_job_ends_with_it() -> None:
    record = after(job(), started(), twice("j-2", 8, 9), verified("j-1", 0, 7))
    ended = AttemptEnded("j-2", 3.0, verified("j-2", 8, 9))
    record, effects = transition(record, ended)
    assert StopAttempts(("j-1",), "others were faster with its frames") in effects
    assert record.status is JobStatus.RUNNING
    record, effects = transition(record, AttemptReleased("j-1", "others were faster with its frames", 4.0))
    assert record.status is JobStatus.COMPLETED
    assert any(isinstance(effect, Ended) for effect in effects)


def test_frames_that_are_done_or_given_up_are_not_given_twice() -> None:
    record = after(job(), started(), verified("j-1", 0, 3))
    with pytest.raises(ImpossibleEvent, match="not waiting"):
        transition(record, twice("j-2", 3, 5))
    with pytest.raises(ImpossibleEvent, match="not waiting"):
        transition(after(record, CancelAsked(3.0)), twice("j-2", 5, 5))


def test_a_frame_that_was_given_up_counts_when_the_other_attempt_brings_it() -> None:
    record = job()
    for number in range(1, MAX_ATTEMPTS):
        name = f"j-{number}"
        record = after(record, started(name, 5, 5), FrameFailed(name, 5, FailureCause.CRASH, "no", 3.0))
        record = after(record, AttemptEnded(name, 4.0))
    record = after(record, started("j-3"), twice("j-4", 5, 5), FrameFailed("j-3", 5, FailureCause.CRASH, "no", 5.0))
    assert record.state.failed == IndexSet.span(5, 5)
    record = after(record, AttemptEnded("j-4", 6.0, verified("j-4", 5, 5)))
    assert (record.state.failed, record.state.done) == (IndexSet(), IndexSet.span(5, 5))
    record = after(record, verified("j-3", 0, 4), AttemptEnded("j-3", 7.0, verified("j-3", 6, 9)))
    assert record.status is JobStatus.COMPLETED


def test_what_was_released_brings_nothing_until_a_fresh_attempt_takes_it_over() -> None:
    record = after(job(), started(), AttemptReleased("j-1", "north does not answer", 3.0), started("j-2", 0, 4))
    assert transition(record, verified("j-1", 3, 6)) == (record, ())
    record = after(record, twice("j-3", 3, 6), AttemptEnded("j-3", 4.0, verified("j-3", 3, 6)))
    assert record.state.done == IndexSet.span(3, 6)
    assert positions(record, "j-2") == IndexSet.span(0, 2)


def test_after_a_restart_the_attempts_of_other_nodes_go_on_with_what_is_missing() -> None:
    record = after(job(), started("j-1", 0, 4), AttemptStarted("j-2", IndexSet.span(5, 9), 2.0, node="north"))
    record = record_from(spec_bytes(record.spec), state_bytes(record))
    record, effects = transition(record, Reconciled(IndexSet.span(0, 6), 7, kept=("j-2",)))
    assert record.status is JobStatus.RUNNING
    assert next(iter(record.state.running)).node == "north"
    assert positions(record, "j-2") == IndexSet.span(7, 9)
    assert any(isinstance(effect, Queue) for effect in effects)
    record = after(record, AttemptEnded("j-2", 5.0, verified("j-2", 5, 9)))
    assert record.status is JobStatus.COMPLETED


def test_after_a_restart_attempts_that_nobody_needs_are_stopped() -> None:
    record = after(job(), started("j-1", 0, 4), started("j-2", 5, 9))
    record, effects = transition(record, Reconciled(IndexSet.span(0, 9), 10, kept=("j-2",)))
    assert StopAttempts(("j-2",), "its frames are there") in effects
    record = after(after(job(), started()), CancelAsked(3.0))
    record, effects = transition(record, Reconciled(IndexSet(), 0, kept=("j-1",)))
    assert record.status is JobStatus.RUNNING
    assert StopAttempts(("j-1",), "cancelled by request") in effects
    assert after(record, AttemptReleased("j-1", "cancelled by request", 5.0)).status is JobStatus.CANCELLED


def test_frames_of_no_job_cannot_be_verified() -> None:
    with pytest.raises(ImpossibleEvent, match="none of this job"):
        transition(after(job(), started()), FramesVerified("j-1", IndexSet.span(9, 10), 2))
