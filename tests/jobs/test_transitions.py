"""One test a transition, named after it, and the rules' promises under any order of events."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from app.jobs.record import JobRecord, JobSpec, JobState
from app.jobs.rules.settling import MAX_ATTEMPTS, MAX_FRUITLESS
from app.jobs.transitions import ImpossibleEvent, initial_status, transition
from client.models import JobStatus
from engines.contract import FailureCause, MissingVersion
from engines.frames import FrameSet, IndexSet

ALL = IndexSet.span(0, 9)
GONE = MissingVersion("4.5", False, "no blender 4.5")


def job(
    *,
    frames: str = "1-10",
    divisible: bool = True,
    scheduled: bool = False,
    children: tuple[str, ...] = (),
    missing: MissingVersion | None = None,
) -> JobRecord:
    spec = JobSpec(
        id="j",
        name="a job",
        engine="testpattern",
        engine_version="1",
        engine_version_reason="",
        frames=FrameSet.parse(frames),
        divisible=divisible,
        created=1.0,
        scheduled_start=100.0 if scheduled else None,
        children=children,
        missing=missing,
    )
    status, reason = initial_status(spec)
    return JobRecord(spec, JobState(status, reason))


def after(record: JobRecord, *events: JobEvent) -> JobRecord:
    for event in events:
        record, _ = transition(record, event)
    return record


def started(attempt: str = "j-1", first: int = 0, last: int = 9) -> AttemptStarted:
    return AttemptStarted(attempt, IndexSet.span(first, last), 2.0)


def verified(attempt: str = "j-1", first: int = 0, last: int = 9) -> FramesVerified:
    return FramesVerified(attempt, IndexSet.span(first, last), last - first + 1, 0.5)


def failed(attempt: str, blamed: int | None, cause: FailureCause = FailureCause.CRASH) -> AttemptFailed:
    return AttemptFailed(attempt, cause, "it broke", blamed, 3.0)


def test_scheduled_becomes_not_started_when_due() -> None:
    record, effects = transition(job(scheduled=True), ScheduleDue())
    assert record.status is JobStatus.NOT_STARTED
    assert effects == (Queue(),)


def test_not_started_becomes_configuring_without_its_engine_and_comes_back() -> None:
    record, effects = transition(job(), EngineMissing(GONE))
    assert (record.status, record.state.reason) == (JobStatus.CONFIGURING, "no blender 4.5")
    assert (record.spec.engine_version, record.spec.missing) == ("4.5", GONE)
    assert effects == (NeedEngine("testpattern", "4.5", False),)
    record, effects = transition(record, EngineFound("4.5.3", "it came"))
    assert record.status is JobStatus.NOT_STARTED
    assert (record.spec.engine_version, record.spec.engine_version_reason) == ("4.5.3", "it came")
    assert record.spec.missing is None
    assert effects == (Queue(),)


def test_a_new_job_without_its_engine_is_configuring_and_subjobs_are_waited_for_first() -> None:
    assert job(missing=GONE).status is JobStatus.CONFIGURING
    assert job(missing=GONE, scheduled=True).status is JobStatus.CONFIGURING
    assert job(missing=GONE).state.reason == "no blender 4.5"
    assert job(missing=GONE, children=("a",)).status is JobStatus.WAITING_FOR_SUBJOBS


def test_configuring_becomes_scheduled_if_its_time_has_not_come() -> None:
    for record in (job(scheduled=True, missing=GONE), after(job(scheduled=True), EngineMissing(GONE))):
        assert after(record, EngineFound("4.5.3", "it came")).status is JobStatus.SCHEDULED


def test_configuring_tells_what_it_needs_only_when_that_changes() -> None:
    fetched = MissingVersion("4.5.3", True, "4.5.3 is fetched")
    record, effects = transition(job(missing=GONE), EngineMissing(fetched))
    assert (record.status, record.spec.missing) == (JobStatus.CONFIGURING, fetched)
    assert effects == (NeedEngine("testpattern", "4.5.3", True),)
    record, effects = transition(record, EngineMissing(MissingVersion("4.5.3", True, "in other words")))
    assert (record.state.reason, effects) == ("in other words", ())


def test_configuring_stays_with_the_reason_why_the_engine_does_not_come() -> None:
    record, effects = transition(job(missing=GONE), EngineAwaited("it could not be fetched"))
    assert (record.status, record.state.reason, effects) == (JobStatus.CONFIGURING, "it could not be fetched", ())
    assert record.spec.missing == GONE
    assert transition(record, EngineAwaited("it could not be fetched")) == (record, ())


@pytest.mark.parametrize(
    ("record", "effects"),
    [(job(), (Queue(),)), (job(scheduled=True), ()), (job(children=("a",), missing=GONE), ())],
)
def test_another_installed_version_takes_over(record: JobRecord, effects: tuple[Queue, ...]) -> None:
    changed, told = transition(record, EngineFound("2", "1 is gone"))
    assert (changed.status, changed.state, told) == (record.status, record.state, effects)
    assert (changed.spec.engine_version, changed.spec.missing) == ("2", None)


def test_a_running_job_keeps_its_version() -> None:
    record = after(job(), started())
    for event in (EngineMissing(GONE), EngineFound("2", "")):
        assert transition(record, event) == (record, ())


def test_not_started_becomes_running_with_an_attempt() -> None:
    record = after(job(), started())
    assert record.status is JobStatus.RUNNING
    assert record.state.started == 2.0
    assert record.state.attempts == 1
    assert not record.waiting_positions()


def test_running_becomes_completed_when_every_frame_is_verified() -> None:
    record = after(job(), started(), verified())
    assert record.status is JobStatus.RUNNING, "the attempt is not over yet"
    record, effects = transition(record, AttemptEnded("j-1", 9.0))
    assert record.status is JobStatus.COMPLETED
    assert record.state.ended == 9.0
    assert isinstance(effects[-1], Ended)


def test_running_becomes_not_started_between_chunks_and_says_how_far_it_is() -> None:
    record, effects = transition(after(job(), started(last=3), verified(last=3)), AttemptEnded("j-1", 9.0))
    assert record.status is JobStatus.NOT_STARTED
    assert record.state.reason.startswith("4 of 10 frames done")
    assert effects == (Queue(),)


def test_running_stays_running_when_the_next_attempt_follows_at_once() -> None:
    record, _ = transition(
        after(job(), started(last=3), verified(last=3)), AttemptEnded("j-1", 9.0, then=started("j-2", 4, 9))
    )
    assert record.status is JobStatus.RUNNING
    assert [chunk.attempt for chunk in record.state.running] == ["j-2"]


def test_an_attempt_may_end_together_with_the_news_of_its_frames() -> None:
    record = after(job(), started(), AttemptEnded("j-1", 9.0, verified()))
    assert record.status is JobStatus.COMPLETED
    assert record.state.file_count == 10


def test_a_frame_that_failed_is_tried_again_and_given_up_in_the_end() -> None:
    record = job(frames="1-2")
    for number in range(1, MAX_ATTEMPTS + 1):
        record = after(record, started(f"j-{number}", 0, 1 if number == 1 else 0))
        if number == 1:
            record = after(record, FramesVerified("j-1", IndexSet.span(1, 1), 1))
        record, effects = transition(record, failed(f"j-{number}", 0))
        if number < MAX_ATTEMPTS:
            assert record.status is JobStatus.NOT_STARTED
            assert isinstance(effects[0], Queue)
            assert effects[0].backoff == number
    assert record.status is JobStatus.ERROR
    assert record.spec.frames.notation(record.state.failed) == "1"
    assert record.state.reason == "1 of 2 frames failed: 1"


def test_only_the_blamed_frame_gets_the_blame() -> None:
    record = after(job(), started(), verified(last=4), failed("j-1", 5))
    assert record.state.strikes == (IndexSet.span(5, 5),)
    assert record.waiting_positions() == IndexSet.span(5, 9)


def test_a_frame_that_the_engine_refuses_does_not_end_the_attempt() -> None:
    record = after(job(), started(), FrameFailed("j-1", 4, FailureCause.ERROR, "no light", 3.0))
    assert record.status is JobStatus.RUNNING
    assert 4 in record.waiting_positions()
    assert record.state.errors == ("frame 5: no light",)


@pytest.mark.parametrize("cause", [FailureCause.BAD_OPTION, FailureCause.MISSING_ASSET])
def test_running_becomes_error_at_once_when_no_retry_can_help(cause: FailureCause) -> None:
    record, effects = transition(after(job(), started(last=3), started("j-2", 4, 9)), failed("j-1", 0, cause))
    assert effects == (StopAttempts(("j-2",), "it broke"),)
    assert record.status is JobStatus.RUNNING, "a process of it is alive"
    assert not record.waiting_positions(), "nothing more of it is begun"
    record, effects = transition(record, AttemptReleased("j-2", "stopped", 8.0))
    assert (record.status, record.state.reason, record.state.ended) == (JobStatus.ERROR, "it broke", 8.0)
    assert len(record.state.failed) == 10


def test_running_becomes_error_after_too_many_attempts_without_a_frame() -> None:
    record = job(frames="1-100")
    for number in range(MAX_FRUITLESS):
        assert not record.ended
        waiting = record.waiting_positions().first_run(1)
        record = after(record, AttemptStarted(f"j-{number}", waiting, 2.0), failed(f"j-{number}", None))
    assert record.status is JobStatus.ERROR
    assert len(record.state.failed) == 100


def test_an_indivisible_job_is_blamed_as_a_whole() -> None:
    record = job(divisible=False)
    for number in range(1, MAX_ATTEMPTS + 1):
        record = after(record, started(f"j-{number}"), failed(f"j-{number}", 3))
    assert record.status is JobStatus.ERROR
    assert record.state.reason == "it broke"


def test_running_becomes_not_started_without_blame_when_we_stopped_it() -> None:
    record = after(job(), started(), verified(last=2), AttemptReleased("j-1", "the service stops", 5.0))
    assert record.status is JobStatus.NOT_STARTED
    assert record.state.reason == "the service stops"
    assert record.state.strikes == ()
    assert record.waiting_positions() == IndexSet.span(3, 9)


def test_after_a_restart_the_missing_frames_are_waiting() -> None:
    record = after(job(), started(), Reconciled(IndexSet.span(0, 6), 7))
    assert record.status is JobStatus.NOT_STARTED
    assert record.waiting_positions() == IndexSet.span(7, 9)


def test_after_a_restart_a_job_whose_last_frame_was_there_is_completed() -> None:
    assert after(job(), started(), Reconciled(ALL, 10)).status is JobStatus.COMPLETED


@pytest.mark.parametrize("record", [job(), job(scheduled=True), job(missing=GONE)])
def test_whatever_waits_becomes_cancelled(record: JobRecord) -> None:
    assert after(record, CancelAsked(4.0)).status is JobStatus.CANCELLED


def test_running_becomes_cancelled_and_its_attempts_are_stopped() -> None:
    record, effects = transition(after(job(), started()), CancelAsked(4.0))
    assert effects == (StopAttempts(("j-1",), "cancelled by request"),)
    assert record.status is JobStatus.RUNNING, "its process is alive"
    record, effects = transition(record, AttemptReleased("j-1", "stopped", 5.0))
    assert (record.status, record.state.reason) == (JobStatus.CANCELLED, "cancelled by request")
    assert effects == (Ended(JobStatus.CANCELLED, "cancelled by request"),)


def test_cancel_against_finish_whoever_was_first_counts() -> None:
    record = after(job(), started(), CancelAsked(4.0), verified(), AttemptEnded("j-1", 5.0))
    assert record.status is JobStatus.COMPLETED, "every frame was there before the processes were stopped"


def test_a_cancelled_job_whose_service_died_is_cancelled_after_the_restart() -> None:
    record = after(job(), started(), CancelAsked(4.0), Reconciled(IndexSet.span(0, 2), 3))
    assert (record.status, record.state.ending) == (JobStatus.CANCELLED, None)


def test_waiting_for_subjobs_becomes_cancelled_with_its_open_children() -> None:
    record = after(job(children=("a", "b")), ChildEnded("a", JobStatus.COMPLETED, "", 3.0))
    record, effects = transition(record, CancelAsked(4.0))
    assert record.status is JobStatus.CANCELLED
    assert CancelChildren(("b",), "cancelled by request") in effects


@pytest.mark.parametrize(
    ("statuses", "end"),
    [
        ((JobStatus.COMPLETED, JobStatus.COMPLETED), JobStatus.COMPLETED),
        ((JobStatus.COMPLETED, JobStatus.ERROR), JobStatus.ERROR),
        ((JobStatus.CANCELLED, JobStatus.COMPLETED), JobStatus.CANCELLED),
        ((JobStatus.CANCELLED, JobStatus.ERROR), JobStatus.ERROR),
    ],
)
def test_waiting_for_subjobs_ends_with_the_last_of_them(statuses: tuple[JobStatus, ...], end: JobStatus) -> None:
    record = after(job(children=("a", "b")), ChildEnded("a", statuses[0], "", 3.0))
    assert record.status is JobStatus.WAITING_FOR_SUBJOBS
    assert after(record, ChildEnded("b", statuses[1], "", 4.0)).status is end


def test_a_full_disk_is_waited_for_without_blame() -> None:
    record, effects = transition(after(job(), started(), verified(last=2)), AttemptHeld("j-1", "no space", 5.0))
    assert (record.status, record.state.strikes, record.state.fruitless) == (JobStatus.NOT_STARTED, (), 0)
    assert "space on the disk: no space" in record.state.reason
    assert effects == (AwaitSpace(),)
    assert not record.waiting_positions(), "it would be taken at once and fail again"
    record, effects = transition(record, SpaceFound())
    assert record.waiting_positions() == IndexSet.span(3, 9)
    assert effects == (Queue(),)


def test_while_it_waits_for_space_other_attempts_end_and_it_still_waits() -> None:
    record = after(job(), started(last=4), started("j-2", 5, 9), AttemptHeld("j-1", "no space", 5.0))
    assert record.status is JobStatus.RUNNING
    record = after(record, verified("j-2", 5, 9), AttemptEnded("j-2", 6.0))
    assert (record.status, record.state.needs_space) == (JobStatus.NOT_STARTED, True)
    assert after(record, CancelAsked(7.0)).status is JobStatus.CANCELLED
    assert after(record, Reconciled(record.state.done, 5)).waiting_positions() == IndexSet.span(0, 4)


def test_waiting_for_space_and_for_an_engine_at_once() -> None:
    record = after(job(), started(), AttemptHeld("j-1", "no space", 5.0), EngineMissing(GONE), SpaceFound())
    assert (record.status, record.state.needs_space) == (JobStatus.CONFIGURING, True)
    record, effects = transition(record, EngineFound("4.5.3", "it came"))
    assert (record.status, effects) == (JobStatus.NOT_STARTED, ())
    assert transition(record, SpaceFound())[1] == (Queue(),)


def test_a_cancelled_attempt_that_met_a_full_disk_ends_its_job() -> None:
    assert after(job(), started(), CancelAsked(4.0), AttemptHeld("j-1", "", 5.0)).status is JobStatus.CANCELLED


def test_lost_outputs_are_rendered_again_but_not_for_ever() -> None:
    record = after(job(), started())
    for number in range(1, MAX_ATTEMPTS + 1):
        record = after(record, verified(f"j-{number}", *((0, 9) if number == 1 else (3, 3))))
        record = after(record, FramesLost(f"j-{number}", IndexSet.span(3, 3), 9), AttemptEnded(f"j-{number}", 5.0))
        if number < MAX_ATTEMPTS:
            assert record.waiting_positions() == IndexSet.span(3, 3)
            record = after(record, started(f"j-{number + 1}", 3, 3))
    assert (record.status, record.state.failed) == (JobStatus.ERROR, IndexSet.span(3, 3))
    assert "taken out of the output folder" in record.state.errors[0]


def given_up() -> JobRecord:
    """A job of ten frames that ended without frame 4."""
    record = after(job(), started(), verified(last=2), verified(first=4))
    record = after(record, FrameFailed("j-1", 3, FailureCause.BAD_OPTION, "no", 4.0), AttemptEnded("j-1", 5.0))
    assert (record.status, record.state.cause) == (JobStatus.ERROR, "bad_option")
    return record


def test_error_becomes_not_started_with_the_missing_frames_only() -> None:
    before = given_up()
    record, effects = transition(before, RetryAsked(6.0, before.state.done - IndexSet.span(0, 0), 8))
    assert (record.status, effects) == (JobStatus.NOT_STARTED, (Queue(),))
    assert record.waiting_positions() == IndexSet.of([0, 3])
    assert (record.state.file_count, record.state.ended, record.state.strikes) == (8, None, ())
    assert (record.state.attempts, record.state.errors) == (1, before.state.errors), "its history is gone"
    record = after(record, AttemptStarted("j-2", IndexSet.of([0, 3]), 7.0))
    record = after(record, FramesVerified("j-2", IndexSet.of([0, 3]), 10), AttemptEnded("j-2", 8.0))
    assert (record.status, record.state.ended) == (JobStatus.COMPLETED, 8.0)


def test_completed_stays_so_if_nothing_is_missing() -> None:
    record = after(job(), started(), verified(), AttemptEnded("j-1", 5.0))
    assert transition(record, RetryAsked(6.0, ALL, 10)) == (record, ())
    assert after(record, RetryAsked(6.0, ALL - IndexSet.span(9, 9), 9)).status is JobStatus.NOT_STARTED


def test_cancelled_with_every_frame_there_becomes_completed() -> None:
    record, effects = transition(after(job(), CancelAsked(4.0)), RetryAsked(6.0, ALL, 10))
    assert (record.status, record.state.ended) == (JobStatus.COMPLETED, 6.0)
    assert isinstance(effects[0], Ended)


def test_cancelled_becomes_what_it_waited_for() -> None:
    record, effects = transition(after(job(missing=GONE), CancelAsked(4.0)), RetryAsked(6.0, IndexSet(), 0))
    assert (record.status, effects) == (JobStatus.CONFIGURING, (NeedEngine("testpattern", "4.5", False),))
    waits = after(job(scheduled=True), CancelAsked(4.0))
    assert after(waits, RetryAsked(6.0, IndexSet(), 0)).status is JobStatus.SCHEDULED
    assert after(waits, RetryAsked(100.0, IndexSet(), 0)).status is JobStatus.NOT_STARTED


def test_a_live_job_forgets_what_it_gave_up() -> None:
    record = after(job(), started(), FrameFailed("j-1", 3, FailureCause.BAD_OPTION, "no", 4.0))
    record, effects = transition(record, RetryAsked(5.0))
    assert (record.status, record.state.failed, effects) == (JobStatus.RUNNING, IndexSet(), (Queue(),))
    assert record.waiting_positions() == IndexSet.span(3, 3)
    assert transition(record, RetryAsked(6.0)) == (record, ()), "there is nothing to forget"
    dying = after(record, CancelAsked(7.0))
    assert transition(dying, RetryAsked(8.0)) == (dying, ())


def test_a_parent_waits_again_for_the_subjobs_that_came_back() -> None:
    record = after(
        job(children=("a", "b")),
        ChildEnded("a", JobStatus.ERROR, "no", 3.0),
        ChildEnded("b", JobStatus.COMPLETED, "", 4.0),
    )
    assert record.status is JobStatus.ERROR
    record = after(record, RetryAsked(5.0, children=("a",)))
    assert (record.status, record.state.ended) == (JobStatus.WAITING_FOR_SUBJOBS, None)
    assert transition(record, RetryAsked(6.0, children=("a",))) == (record, ())
    assert after(record, ChildEnded("a", JobStatus.COMPLETED, "", 7.0)).status is JobStatus.COMPLETED


def test_an_attempt_that_failed_after_its_last_frame_blames_none() -> None:
    record = after(job(), started(), verified(), failed("j-1", None))
    assert (record.status, record.state.errors) == (JobStatus.COMPLETED, ("it broke",))


def test_a_late_event_changes_nothing() -> None:
    record = after(job(), started(), CancelAsked(4.0), AttemptReleased("j-1", "stopped", 4.5))
    for event in (verified(), AttemptEnded("j-1", 5.0), failed("j-1", 0), ScheduleDue(), CancelAsked(6.0)):
        assert transition(record, event) == (record, ())


def test_an_event_of_another_attempt_changes_nothing() -> None:
    record = after(job(), started("j-2"))
    assert transition(record, verified("j-1")) == (record, ())


def test_frames_cannot_be_given_twice() -> None:
    with pytest.raises(ImpossibleEvent, match="not waiting"):
        transition(after(job(), started()), started("j-2"))


def test_a_warning_is_kept_once() -> None:
    record = after(job(), WarningNoted("no texture"), WarningNoted("no texture"))
    assert record.state.warnings == ("no texture",)


def test_frames_that_are_told_twice_count_once() -> None:
    record = after(job(), started(), verified(last=3))
    assert transition(record, verified(last=3)) == (record, ())
    assert after(record, verified(last=5)).state.done == IndexSet.span(0, 5)


def test_an_engine_that_breaks_when_everything_is_there_fails_nothing() -> None:
    record = after(job(), started(), verified(), failed("j-1", None, FailureCause.MISSING_ASSET))
    assert record.status is JobStatus.COMPLETED
    assert record.state.errors == ("it broke",)


@pytest.mark.parametrize("record", [job(scheduled=True), job(missing=GONE), after(job(), CancelAsked(4.0))])
def test_an_attempt_cannot_begin_where_nothing_is_to_be_rendered(record: JobRecord) -> None:
    with pytest.raises(ImpossibleEvent, match="nothing of it"):
        transition(record, started())


def test_a_cancelled_parent_comes_back_with_a_subjob_whose_end_it_has_missed() -> None:
    parent = after(job(children=("a", "b")), CancelAsked(4.0))
    parent = after(parent, RetryAsked(5.0, children=("a",)))
    assert (parent.status, parent.state.ended) == (JobStatus.WAITING_FOR_SUBJOBS, None)
    parent = after(parent, ChildEnded("b", JobStatus.COMPLETED, "", 6.0), ChildEnded("a", JobStatus.COMPLETED, "", 7.0))
    assert parent.status is JobStatus.COMPLETED
    assert transition(parent, RetryAsked(8.0, children=("no child of it",))) == (parent, ())


@st.composite
def histories(draw: st.DrawFn) -> list[tuple[str, int, int]]:
    kinds = [
        "start",
        "verify",
        "end",
        "fail",
        "frame",
        "release",
        "reconcile",
        "cancel",
        "hold",
        "space",
        "lost",
        "retry",
    ]
    step = st.tuples(st.sampled_from(kinds), st.integers(0, 9), st.integers(0, 4))
    return draw(st.lists(step, max_size=60))


@given(histories())
@settings(max_examples=300, deadline=None)
def test_whatever_happens_every_frame_is_in_one_place(history: list[tuple[str, int, int]]) -> None:
    record = job()
    for number, (kind, where, pick) in enumerate(history):
        running = tuple(record.state.running)
        chunk = running[pick % len(running)] if running else None
        event: JobEvent | None = None
        if kind == "start" and (waiting := record.waiting_positions()) and not record.ended:
            event = AttemptStarted(f"j-{number}", waiting.first_run(pick + 1), 2.0)
        elif kind == "reconcile":
            event = Reconciled(record.state.done, len(record.state.done))
        elif kind == "cancel" and where == 0:
            event = CancelAsked(3.0)
        elif kind == "space":
            event = SpaceFound()
        elif kind == "retry":
            event = RetryAsked(3.0, record.state.done if pick else record.state.done.first_run(1), pick)
        elif chunk is not None:
            part = chunk.positions.first_run(pick + 1)
            event = {
                "verify": FramesVerified(chunk.attempt, part, 1, 0.1),
                "end": AttemptEnded(chunk.attempt, 3.0) if not chunk.positions else None,
                "fail": failed(chunk.attempt, where),
                "frame": FrameFailed(chunk.attempt, where, FailureCause.ERROR, "no", 3.0),
                "release": AttemptReleased(chunk.attempt, "stop", 3.0),
                "hold": AttemptHeld(chunk.attempt, "the disk is full", 3.0),
                "lost": FramesLost(chunk.attempt, record.state.done.first_run(pick + 1), 1),
            }.get(kind)
        if event is None:
            continue
        record, effects = transition(record, event)
        places = [record.state.done, record.state.failed, *(chunk.positions for chunk in record.state.running)]
        counted = [position for place in places for position in place]
        assert len(counted) == len(set(counted)), "a frame is in two places"
        unclaimed = IndexSet.span(0, 9) - IndexSet.of(counted)
        held = record.state.ending is not None or record.state.needs_space
        assert record.waiting_positions() == (IndexSet() if held else unclaimed)
        assert record.ended == any(isinstance(effect, Ended) for effect in effects) or record.ended
        if record.status is JobStatus.NOT_STARTED:
            assert unclaimed, "it waits for nothing"
        if record.status is JobStatus.RUNNING:
            assert record.state.running
