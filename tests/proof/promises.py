"""What holds for a job after every event, whatever the event was. Pure, and quick: it is asked a million times."""

from __future__ import annotations

from collections.abc import Sequence

from app.jobs.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptReleased,
    AttemptStarted,
    Effect,
    Ended,
    FramesLost,
    JobEvent,
    Queue,
    RetryAsked,
    StopAttempts,
)
from app.jobs.record import NO_FRAMES, JobRecord
from app.jobs.rules.settling import MAX_ATTEMPTS, MAX_NOTES
from client.models import JobStatus


def check_change(before: JobRecord, event: JobEvent, after: JobRecord, effects: Sequence[Effect]) -> None:
    """Look at what one event did.

    Raises:
        AssertionError: a promise is broken.
    """
    if after is before:
        assert not effects, "nothing changed, and yet something is to be done"
        return
    _check_frames(after)
    _check_status(after)
    assert before.spec.frames is after.spec.frames, "the frames of a job never change"
    if before.ended:
        assert isinstance(event, RetryAsked), "a job that had ended changed, and nobody asked for it"
    told = [effect for effect in effects if isinstance(effect, Ended)]
    assert len(told) == (after.ended and after.status is not before.status), "an end is told once, when it comes"
    if told:
        assert (told[0].status, told[0].reason) == (after.status, after.state.reason)
    begun = isinstance(event, AttemptStarted) or (isinstance(event, AttemptEnded) and event.then is not None)
    assert after.state.attempts - before.state.attempts == begun, "attempts are counted as they begin"
    queued = any(isinstance(effect, Queue) for effect in effects)
    if isinstance(event, AttemptFailed | AttemptReleased) or (isinstance(event, AttemptEnded) and event.then is None):
        assert queued or after.ended or not after.waiting_positions(), (
            "frames that wait are offered when an attempt is over"
        )
    assert not (queued and after.ended), "an ended job is queued"
    if isinstance(event, AttemptFailed):
        assert after.state.fruitless == before.state.fruitless + 1, "attempts without a frame are counted"
    for effect in effects:
        if isinstance(effect, StopAttempts):
            assert {chunk.attempt for chunk in after.state.running}.issuperset(effect.attempts), (
                "nobody is there to stop"
            )
    if isinstance(event, FramesLost):
        assert not event.positions & after.state.done, "a frame counts whose file is gone"


def _check_frames(record: JobRecord) -> None:
    """Every frame is in one place: done, failed, with an attempt, or waiting. Two attempts may have one frame, and one
    may still try what has failed too often elsewhere."""
    state, everything = record.state, record.spec.frames.all_positions()
    running = NO_FRAMES
    for chunk in state.running:
        running |= chunk.positions
    assert not state.done & running, "a frame that is done is with an attempt"
    assert not state.done & state.failed, "a frame is done and failed"
    together = state.done | state.failed | running
    assert not together - everything, "a frame is none of this job"
    waiting = record.waiting_positions()
    if state.ending is not None or state.needs_space:
        assert not waiting, "frames are given out that nobody wants now"
    else:
        assert waiting == everything - together, "a frame is nowhere"
    ids = [chunk.attempt for chunk in state.running]
    assert len(ids) == len(set(ids)), "two attempts have one id"
    for level, struck in enumerate(state.strikes):
        assert not level or not struck - state.strikes[level - 1], "a frame has its second strike before the first"
    if len(state.strikes) >= MAX_ATTEMPTS and record.spec.divisible:
        assert not state.strikes[MAX_ATTEMPTS - 1] & waiting, "a frame is tried again that was given up"


def _check_status(record: JobRecord) -> None:
    """The status says what is so, with a reason."""
    state, status = record.state, record.status
    assert state.reason.strip(), "no reason is given"
    assert status.ended == (state.ended is not None), "the end and its time belong together"
    assert (status is JobStatus.RUNNING) == bool(state.running), "running means that an attempt is"
    if state.ending is not None:
        assert state.ending.ended
        assert state.running, "it is ending, and nothing is left to wait for"
        assert state.ending_reason.strip()
    if status is JobStatus.NOT_STARTED:
        assert record.waiting_positions() or state.needs_space, "it waits for nothing"
    if status is JobStatus.CONFIGURING:
        assert record.spec.missing is not None, "it does not say what it waits for"
    if status is JobStatus.COMPLETED:
        assert state.done == record.spec.frames.all_positions(), "completed without all its frames"
        assert not state.failed
    if status is JobStatus.ERROR and not record.spec.children:
        assert state.failed, "an error without a frame that failed"
    assert len(state.errors) <= MAX_NOTES
    assert len(state.warnings) <= MAX_NOTES
