"""The feed: every change wakes every waiter, a delta leaves nothing out, and what it joins is what the models say."""

from __future__ import annotations

import asyncio

import pytest

from app.jobs.codec import id_in, record_from, spec_bytes, state_bytes, wire_bytes
from app.jobs.events import AttemptStarted, CancelAsked, FramesVerified
from app.jobs.feed import MAX_GONE, Feed
from app.jobs.record import JobRecord, JobSpec, JobState
from app.jobs.transitions import transition
from client.models import Job, JobDelta, JobList, JobStatus
from engines.frames import FrameSet, IndexSet


def job(job_id: str = "a", frames: str = "1-10x3,20") -> JobRecord:
    spec = JobSpec(
        id=job_id,
        name="Ünïcode „name“",
        engine="testpattern",
        engine_version="1",
        engine_version_reason="the only one",
        frames=FrameSet.parse(frames),
        divisible=True,
        created=1_700_000_000.25,
        options={"width": 64},
        warnings=("a texture is missing",),
    )
    return JobRecord(spec, JobState(JobStatus.NOT_STARTED, "waits"))


def test_the_wire_bytes_are_the_wire_model() -> None:
    record, _ = transition(job(), AttemptStarted("a-1", IndexSet.span(0, 4), 1_700_000_001.0))
    record, _ = transition(record, FramesVerified("a-1", IndexSet.of([0, 1, 4]), 3, 1.5))
    wire = Job.model_validate_json(wire_bytes(record))
    assert wire.model_fields_set == set(Job.model_fields), "a field is not on the wire, or unknown to the model"
    assert (wire.frames, wire.done_frames, wire.frames_done) == ("1-10x3,20", "1,4,20", 3)
    assert (wire.start_frame, wire.end_frame, wire.total_frames) == (1, 20, 5)
    assert wire.percent_complete == 60.0
    assert id_in(wire_bytes(record)) == wire.id
    assert wire.eta_seconds == 3.0
    assert wire.date_created.timestamp() == 1_700_000_000.25


def test_a_record_survives_the_store() -> None:
    record, _ = transition(job(), AttemptStarted("a-1", IndexSet.span(0, 2), 2.0))
    record, _ = transition(record, FramesVerified("a-1", IndexSet.of([1]), 1, 1.5))
    assert record_from(spec_bytes(record.spec), state_bytes(record)) == record
    ended, _ = transition(record, CancelAsked(3.0))
    assert record_from(spec_bytes(ended.spec), state_bytes(ended)) == ended


def feed_of(*ids: str) -> Feed:
    feed = Feed("store", 1)
    for job_id in ids:
        feed.publish(job_id, wire_bytes(job(job_id)))
    return feed


def test_the_list_is_in_the_order_of_submission() -> None:
    feed = feed_of("a", "b", "c")
    feed.publish("a", wire_bytes(job("a")))
    listed = JobList.model_validate_json(b"".join(feed.job_list()))
    assert [item.id for item in listed.jobs] == ["a", "b", "c"]
    assert listed.token == feed.token


def test_a_delta_has_what_changed_and_what_is_gone() -> None:
    feed = feed_of("a", "b", "c")
    token = feed.token
    feed.remove("a")
    feed.publish("c", wire_bytes(job("c")))
    feed.publish("d", wire_bytes(job("d")))
    delta = JobDelta.model_validate_json(b"".join(feed.delta(token)))
    assert ([item.id for item in delta.jobs], delta.gone, delta.full) == (["c", "d"], ["a"], False)
    again = JobDelta.model_validate_json(b"".join(feed.delta(delta.token)))
    assert (again.jobs, again.gone, again.full) == ([], [], False)


@pytest.mark.parametrize(
    "token", [None, "", "nonsense", "store-2-1", "store-1-99", "store-1--1", "store-1-x", "store-1-²"]
)
def test_a_token_of_another_time_gets_everything(token: str | None) -> None:
    delta = JobDelta.model_validate_json(b"".join(feed_of("a", "b").delta(token)))
    assert (len(delta.jobs), delta.full) == (2, True)


def test_a_token_older_than_the_forgotten_deletions_gets_everything() -> None:
    feed = feed_of("a")
    token = feed.token
    for number in range(MAX_GONE + 1):
        feed.publish(f"x{number}", b"{}")
        feed.remove(f"x{number}")
    assert JobDelta.model_validate_json(b"".join(feed.delta(token))).full


async def test_every_waiter_is_woken_by_one_change() -> None:
    feed = feed_of("a")
    waiters = [asyncio.ensure_future(feed.wait(feed.token, 30)) for _ in range(500)]
    await asyncio.sleep(0)
    feed.publish("b", b"{}")
    assert await asyncio.gather(*waiters) == [True] * 500


async def test_no_change_between_reading_and_waiting_is_lost() -> None:
    feed = feed_of("a")
    token = feed.token
    feed.publish("b", b"{}")
    assert await feed.wait(token, 30) is True


async def test_a_wait_ends_without_a_change_after_its_time() -> None:
    feed = feed_of("a")
    assert await feed.wait(feed.token, 0.01) is False


async def test_closing_releases_every_waiter_at_once() -> None:
    feed = feed_of("a")
    waiter = asyncio.ensure_future(feed.wait(feed.token, 3600))
    await asyncio.sleep(0)
    feed.close()
    assert await waiter is False
    assert await feed.wait(feed.token, 3600) is False
