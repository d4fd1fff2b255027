"""Who is next: priority, age, another priority while waiting, and what this node does not render."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from app.jobs.record import JobRecord, JobSpec, JobState
from app.render.queue import RenderQueue
from client.models import JobStatus
from engines.frames import FrameSet


class Jobs:
    """Live jobs."""

    def __init__(self) -> None:
        self.live: dict[str, JobRecord] = {}

    def add(self, job_id: str, priority: int = 50, created: float = 1.0, tags: tuple[str, ...] = ()) -> JobRecord:
        spec = JobSpec(
            id=job_id,
            name=job_id,
            engine="testpattern",
            engine_version="1",
            engine_version_reason="",
            frames=FrameSet.parse("1-4"),
            divisible=True,
            created=created,
            priority=priority,
            tags=tags,
        )
        record = self.live[job_id] = JobRecord(spec, JobState(JobStatus.NOT_STARTED, ""))
        return record


@pytest.fixture
def jobs() -> Jobs:
    return Jobs()


@pytest.fixture
def queue(jobs: Jobs) -> RenderQueue:
    return RenderQueue(jobs.live.get)


def taken(queue: RenderQueue) -> list[str]:
    order = []
    while (record := queue.take("testpattern")) is not None:
        order.append(record.id)
    return order


async def test_priority_first_then_age(jobs: Jobs, queue: RenderQueue) -> None:
    for record in (jobs.add("new", created=3.0), jobs.add("old", created=1.0), jobs.add("urgent", 60, 9.0)):
        queue.offer(record)
    assert taken(queue) == ["urgent", "old", "new"]


async def test_another_priority_is_another_place_at_once(jobs: Jobs, queue: RenderQueue) -> None:
    for name in ("a", "b", "c"):
        queue.offer(jobs.add(name, created=float(ord(name))))
    for priority in (90, 10, 80):
        jobs.live["c"] = jobs.live["c"].with_spec(priority=priority)
        queue.reorder(jobs.live["c"])
    jobs.live["a"] = jobs.live["a"].with_spec(priority=20)
    queue.reorder(jobs.live["a"])
    assert taken(queue) == ["c", "b", "a"]


async def test_a_job_that_is_not_queued_is_not_queued_by_another_priority(jobs: Jobs, queue: RenderQueue) -> None:
    queue.reorder(jobs.add("a"))
    assert taken(queue) == []


async def test_a_resting_node_takes_nothing_and_loses_nothing(jobs: Jobs, queue: RenderQueue) -> None:
    resting = ["paused"]
    queue.hold_back_with(lambda: resting[0], lambda spec: "")
    for name in ("a", "b"):
        queue.offer(jobs.add(name, created=float(ord(name))))
    assert taken(queue) == []
    waiting = asyncio.create_task(queue.wait("testpattern"))
    await asyncio.wait_for(waiting, 60)
    resting[0] = ""
    waiting = asyncio.create_task(queue.wait("testpattern"))
    await asyncio.sleep(0)
    assert not waiting.done()
    queue.look_again()
    await asyncio.wait_for(waiting, 60)
    assert taken(queue) == ["a", "b"]


async def test_what_this_node_lacks_keeps_one_job_and_not_the_others(jobs: Jobs, queue: RenderQueue) -> None:
    has = {"linux"}
    queue.hold_back_with(str, lambda spec: "" if set(spec.tags) <= has else "it lacks a tag")
    for record in (
        jobs.add("gpu", 90, tags=("gpu", "linux")),
        jobs.add("plain"),
        jobs.add("linux", 60, tags=("linux",)),
    ):
        queue.offer(record)
    assert taken(queue) == ["linux", "plain"]
    queue.offer(jobs.live["gpu"])
    assert taken(queue) == []
    has.add("gpu")
    queue.look_again()
    assert taken(queue) == ["gpu"]


async def test_jobs_that_ended_meanwhile_are_not_offered_again(jobs: Jobs, queue: RenderQueue) -> None:
    held = ["no"]
    queue.hold_back_with(str, lambda spec: held[0])
    queue.offer(jobs.add("a"))
    queue.offer(jobs.add("b"))
    assert taken(queue) == []
    del jobs.live["a"]
    jobs.live["b"] = replace(jobs.live["b"], state=replace(jobs.live["b"].state, status=JobStatus.CANCELLED))
    held[0] = ""
    queue.look_again()
    assert taken(queue) == []
