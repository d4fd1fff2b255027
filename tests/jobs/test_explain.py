"""What a person is told of a job: why it does not run, how it failed, what would help."""

from __future__ import annotations

import re
from dataclasses import replace

import pytest

from app.jobs.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptHeld,
    AttemptStarted,
    CancelAsked,
    ChildEnded,
    EngineMissing,
    FrameFailed,
    FramesVerified,
    JobEvent,
)
from app.jobs.explain import Facts, explain
from app.jobs.record import JobRecord, JobSpec, JobState
from app.jobs.transitions import initial_status, transition
from client.models import HelpAction, JobStatus
from engines.contract import FailureCause, MissingVersion
from engines.frames import FrameSet, IndexSet

FACTS = Facts(now=1000.0, reason="", title="Blender", slots=1)
STARTED = AttemptStarted("j-1", IndexSet.span(0, 9), 2.0)
MOST = FramesVerified("j-1", IndexSet.span(0, 8), 9, 0.5)


def job(name: str = "shot", *, priority: int = 50, created: float = 1.0, **fields: object) -> JobRecord:
    spec = JobSpec(
        id=f"id-of-{name}",
        name=name,
        engine="blender",
        engine_version="4.5",
        engine_version_reason="",
        frames=FrameSet.parse("1-10"),
        divisible=True,
        created=created,
        priority=priority,
    )
    spec = replace(spec, **fields)
    return JobRecord(spec, JobState(*initial_status(spec)))


def after(record: JobRecord, *events: JobEvent) -> JobRecord:
    for event in events:
        record, _ = transition(record, event)
    return record


def failing(cause: FailureCause, message: str) -> JobRecord:
    """Nine of ten frames are done, the last one was given up."""
    record = after(job(), STARTED, MOST, FrameFailed("j-1", 9, cause, message, 3.0))
    number = 1
    while not record.ended:
        record = after(record, AttemptEnded(f"j-{number}", 4.0))
        if not record.ended:
            number += 1
            one = IndexSet.span(9, 9)
            record = after(record, AttemptStarted(f"j-{number}", one, 4.0))
            record = after(record, FrameFailed(f"j-{number}", 9, cause, message, 4.0))
    return record


def test_a_job_behind_others_names_them() -> None:
    ahead = [job("urgent", priority=90), job("older", created=0.5)]
    told = explain(job(), replace(FACTS, ahead=ahead, at_work=[job("running")]))
    assert told.ahead == 2
    assert "2 jobs are before it, 1 of higher priority" in told.summary
    text = " ".join(told.sentences)
    assert "urgent (id-of-ur)" in text
    assert "1 slot here; at work: running" in text
    assert any("priority" in line for line in told.help)


def test_the_next_one() -> None:
    told = explain(job(), FACTS)
    assert (told.ahead, told.summary) == (0, "It is the next one, and waits for a free slot.")


def test_no_slots_at_all() -> None:
    assert "slots says 0" in explain(job(), replace(FACTS, slots=0)).summary


def test_a_job_that_waits_for_its_time() -> None:
    told = explain(job(scheduled_start=1000.0 + 7200), FACTS)
    assert "1970-01-01 02:16 UTC, which is in 2.0 hours" in told.summary


@pytest.mark.parametrize(
    ("fetch", "help"), [(True, "fetched by itself"), (False, "zordon engines install blender 4.5")]
)
def test_a_job_without_its_engine(fetch: bool, help: str) -> None:
    record = after(job(), EngineMissing(MissingVersion("4.5", fetch, "none is here")))
    told = explain(record, replace(FACTS, reason="fetching Blender 4.5.3: 12 of 380 MB"))
    assert "It waits for its engine: Blender 4.5" in told.summary
    assert told.sentences == ["fetching Blender 4.5.3: 12 of 380 MB."]
    assert any(help in line for line in told.help)


def test_a_job_without_space() -> None:
    record = after(job(), STARTED, AttemptHeld("j-1", "frame_0001.png cannot be kept: no space", 3.0))
    told = explain(record, replace(FACTS, free_bytes=12_000_000, needed_bytes=536_870_912))
    assert "waits for space" in told.summary
    assert told.sentences[0] == "12.0 MB are free; it goes on by itself when there are 536.9 MB."
    assert told.cause == "disk"
    assert any("zordon delete" in line for line in told.help)


def test_a_job_that_pauses_before_the_next_try() -> None:
    record = after(job(), STARTED, MOST, AttemptFailed("j-1", FailureCause.CRASH, "SIGSEGV", 9, 3.0))
    told = explain(record, replace(FACTS, log=["last words"]))
    assert told.summary == "It is tried again after a pause."
    assert told.sentences == ["The engine crashed.", "frame 10: SIGSEGV."]
    assert told.log == ["last words"]


def test_a_running_job_tells_its_trouble() -> None:
    assert explain(after(job(), STARTED), FACTS).summary == "It is running; 0 of 10 frames are done."
    told = explain(after(job(), STARTED, FrameFailed("j-1", 3, FailureCause.MISSING_ASSET, "no wood.png", 3.0)), FACTS)
    assert told.frames == "4"
    assert "Given up after several tries: frames 4." in told.sentences


@pytest.mark.parametrize("cause", list(FailureCause))
def test_every_cause_has_a_meaning_and_help(cause: FailureCause) -> None:
    record = failing(cause, "something broke")
    told = explain(record, FACTS)
    assert (told.status, told.cause, told.frames) == (JobStatus.ERROR, cause.value, "10")
    assert told.summary == "It failed: 1 of 10 frames failed: 10."
    assert "frame 10: something broke." in told.sentences
    assert len(told.help) >= 2
    assert told.help[-1].startswith("When that is mended: zordon retry id-of-shot renders the frames")
    assert not any("{" in line for line in (*told.help, *told.sentences))
    assert [step.action for step in told.steps][-1] is HelpAction.RETRY


COMMANDS = re.compile(r"zordon (?!doctor|schedule)")
"""What the page has a button for. The machine's own health and a node's schedule it does not show."""


@pytest.mark.parametrize(
    "record",
    [
        *(failing(cause, "it broke") for cause in FailureCause),
        job(),
        job(scheduled_start=9000.0),
        after(job(), EngineMissing(MissingVersion("4.5", True, "none is here"))),
        after(job(), EngineMissing(MissingVersion("4.5", False, "none is here"))),
        after(job(), STARTED, AttemptHeld("j-1", "no space", 3.0)),
        after(job(), CancelAsked(3.0)),
        job(children=("a",)),
        after(job(children=("a",)), ChildEnded("a", JobStatus.ERROR, "it broke", 3.0)),
    ],
    ids=lambda record: f"{record.status.value} {record.state.cause or record.state.reason[:20]}".strip(),
)
@pytest.mark.parametrize(
    "facts", [FACTS, replace(FACTS, held="it is paused"), replace(FACTS, ahead=[job("first")], at_work=[job("one")])]
)
def test_the_page_is_told_the_same_without_commands(record: JobRecord, facts: Facts) -> None:
    told = explain(record, facts)
    assert len(told.steps) == len(told.help)
    for step, line in zip(told.steps, told.help, strict=True):
        assert COMMANDS.search(step.text) is None
        # Where the terminal is given a command, the page has a button.
        assert (COMMANDS.search(line) is None) or step.action is not None


def test_what_the_last_attempt_said_is_told_if_the_errors_do_not() -> None:
    record = failing(FailureCause.CRASH, "something broke")
    assert not any(
        "The last failed" in line for line in explain(record, replace(FACTS, last_failure="broke")).sentences
    )
    told = explain(record, replace(FACTS, last_failure="it vanished"))
    assert told.sentences[-1] == "The last failed attempt: it vanished."


def test_a_cancelled_job_tells_what_is_missing() -> None:
    told = explain(after(job(), CancelAsked(3.0)), FACTS)
    assert told.summary == "It was cancelled: cancelled by request."
    assert told.frames == "1-10"
    assert told.help == ["zordon retry id-of-shot renders the frames that are missing."]


def test_a_parent_tells_of_its_subjobs() -> None:
    record = after(job(children=("a", "b", "c")), ChildEnded("a", JobStatus.COMPLETED, "", 3.0))
    children = {"a": JobStatus.COMPLETED, "b": JobStatus.RUNNING, "c": JobStatus.RUNNING}
    told = explain(record, replace(FACTS, children=children))
    assert told.summary == "Its subjobs render; 1 of 3 have ended."
    assert told.sentences == ["2 of them: running.", "1 of them: completed."]


def test_a_completed_job_tells_what_was_mended() -> None:
    record = after(job(), STARTED, MOST, AttemptFailed("j-1", FailureCause.CRASH, "SIGSEGV", 9, 3.0))
    last = IndexSet.span(9, 9)
    record = after(record, AttemptStarted("j-2", last, 4.0), FramesVerified("j-2", last, 10), AttemptEnded("j-2", 5.0))
    told = explain(record, replace(FACTS, log=["last words"]))
    assert (told.status, told.cause, told.log) == (JobStatus.COMPLETED, None, [])
    assert told.sentences == ["On the way, this went wrong and was mended: frame 10: SIGSEGV"]
