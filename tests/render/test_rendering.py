"""From submit to verified outputs with the test pattern: whatever the engine does, the job ends and tells the truth."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import psutil
import pytest
from PIL import Image

from app.render.environment import ATTEMPT_COOKIE
from client.models import JobStatus

if TYPE_CHECKING:
    from tests.render.conftest import Node, StartNode

SMALL = {"width": 64, "height": 48}


def cookies() -> list[str]:
    """The attempts that still have a process."""
    found = []
    for process in psutil.process_iter():
        try:
            cookie = process.environ().get(ATTEMPT_COOKIE)
        except (psutil.Error, OSError):
            continue
        if cookie is not None:
            found.append(cookie)
    return found


def of(job_id: str) -> list[str]:
    return [cookie for cookie in cookies() if cookie.startswith(job_id)]


async def test_every_frame_is_rendered_verified_and_listed(node: Node) -> None:
    job = await node.submit(frames="1-20x2,-3", args=SMALL, name="shot 010")
    job = await node.ended(job.id)
    assert (job.status, job.done_frames, job.frames_done, job.file_count) == ("completed", "1-19x2,-3", 11, 11)
    assert job.percent_complete == 100.0
    names = node.outputs(job.id)
    assert len(names) == 11
    for name in names:
        with Image.open(node.parts.folders.output(job.id) / name) as picture:
            picture.load()
            assert picture.size == (64, 48)
    assert of(job.id) == []


async def test_the_log_begins_with_the_command_line(node: Node) -> None:
    job = await node.ended((await node.submit(frames="1", args=SMALL)).id)
    lines = (await node.log(job.id)).splitlines()
    assert "runner.py" in lines[0]
    assert "--width 64" in lines[0]
    assert "zordon" not in lines[0].partition(" ")[0], "it cannot be copied as it stands"


async def test_one_session_renders_chunk_after_chunk(start_node: StartNode) -> None:
    async with start_node(slots={"testpattern": 1}, max_chunk_frames=2) as node:
        job = await node.ended((await node.submit(frames="1-10", args=SMALL)).id)
        assert job.attempts == 5
        assert (await node.log(job.id)).count("started a session") == 1


async def test_two_slots_share_a_job(start_node: StartNode) -> None:
    async with start_node(slots={"testpattern": 2}, max_chunk_frames=1) as node:
        job = await node.submit(frames="1-8", args={**SMALL, "seconds_per_frame": 0.1})
        both = await node.until(job.id, lambda now: now.current.count("frame") == 2 or now.status.ended)
        assert both.status is JobStatus.RUNNING
        assert (await node.ended(job.id)).status is JobStatus.COMPLETED


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"fail_frames": "2"}, "frame 2"),
        ({"missing_frames": "2"}, "was not written"),
        ({"broken_frames": "2"}, "damaged"),
        ({"crash_frames": "2"}, "crash"),
    ],
)
async def test_a_bad_frame_is_given_up_and_the_others_are_there(
    node: Node, options: dict[str, object], error: str
) -> None:
    job = await node.ended((await node.submit(frames="1-4", args={**SMALL, **options})).id)
    assert (job.status, job.done_frames, job.failed_frames) == (JobStatus.ERROR, "1,3-4", "2")
    assert job.reason == "1 of 4 frames failed: 2"
    assert any(error in message for message in job.errors), job.errors
    assert len(node.outputs(job.id)) == 3
    assert of(job.id) == []


async def test_cancel_ends_every_process_of_an_engine_that_refuses_to_die(node: Node) -> None:
    options = {**SMALL, "hang_at": 2, "ignore_term": True, "grandchildren": 3}
    job = await node.submit(frames="1-2", args=options)
    await node.until(job.id, lambda now: now.frames_done == 1)
    assert of(job.id) != []
    await node.parts.jobs.cancel(job.id)
    assert of(job.id) == []
    assert node.job(job.id).status is JobStatus.CANCELLED
    assert "is killed" in (await node.log(job.id))


async def test_an_engine_that_does_nothing_at_all_is_stalled(start_node: StartNode) -> None:
    async with start_node(stall_seconds=1.0) as node:
        job = await node.submit(frames="1-2", args={**SMALL, "hang_at": 2, "ignore_term": True})
        stalled = await node.until(job.id, lambda now: bool(now.errors))
        assert "no progress, no output and no CPU time" in stalled.errors[0]
        assert stalled.done_frames == "1"
        await node.parts.jobs.cancel(job.id)


async def test_delete_leaves_nothing(node: Node) -> None:
    job = await node.submit(frames="1-5", args={**SMALL, "seconds_per_frame": 0.2})
    await node.until(job.id, lambda now: now.frames_done >= 1)
    await node.parts.jobs.delete(job.id)
    assert not node.parts.folders.job(job.id).exists()
    assert node.parts.feed.job(job.id) is None
    assert of(job.id) == []


async def test_the_urgent_job_is_next_then_the_older_one(start_node: StartNode) -> None:
    async with start_node(slots={"testpattern": 1}) as node:
        first = await node.submit(frames="1-3", args={**SMALL, "seconds_per_frame": 0.2})
        later = [
            await node.submit(frames="1", args=SMALL, priority=priority, name=f"{priority} {number}")
            for number, priority in enumerate((10, 90, 50, 90))
        ]
        await asyncio.gather(*(node.ended(job.id) for job in (first, *later)))
        started = sorted((node.job(job.id) for job in later), key=lambda job: job.start_time or job.date_created)
        assert [job.name for job in started] == ["90 1", "90 3", "50 2", "10 0"]


async def test_a_stopped_service_leaves_no_process_and_the_next_one_renders_the_rest(start_node: StartNode) -> None:
    async with start_node(max_chunk_frames=3) as node:
        job = await node.submit(frames="1-12", args={**SMALL, "seconds_per_frame": 0.2, "grandchildren": 1})
        before = await node.until(job.id, lambda now: now.frames_done >= 3)
    assert of(job.id) == []
    folder = node.parts.folders.output(job.id)
    kept = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    assert len(kept) >= before.frames_done
    async with start_node() as node:
        after = await node.ended(job.id)
        assert (after.status, after.frames_done) == (JobStatus.COMPLETED, 12)
        assert {name: (folder / name).stat().st_mtime_ns for name in kept} == kept, "a frame was rendered again"


async def test_a_frame_that_somebody_removed_is_rendered_again_after_a_restart(start_node: StartNode) -> None:
    async with start_node() as node:
        job = await node.submit(frames="1-6", args={**SMALL, "hang_at": 6, "ignore_term": True})
        await node.until(job.id, lambda now: now.frames_done >= 3)
    name = node.outputs(job.id)[0]
    (node.parts.folders.output(job.id) / name).unlink()
    async with start_node() as node:
        await node.until(job.id, lambda now: name in node.outputs(job.id))
        await node.parts.jobs.cancel(job.id)


async def test_a_scheduled_job_waits_for_its_time(node: Node) -> None:
    soon = datetime.now(UTC) + timedelta(seconds=1)
    job = await node.submit(frames="1", args=SMALL, scheduled_start=soon.isoformat())
    assert job.status is JobStatus.SCHEDULED
    ended = await node.ended(job.id)
    assert ended.status is JobStatus.COMPLETED
    assert ended.start_time is not None
    assert ended.start_time >= soon


async def test_a_log_is_bounded_and_the_service_has_the_last_word(start_node: StartNode) -> None:
    async with start_node(max_log_bytes=64 * 1024, slots={"testpattern": 1}) as node:
        job = await node.submit(frames="1-4", args={**SMALL, "noise_bytes": 1_000_000})
        assert (await node.ended(job.id)).status is JobStatus.COMPLETED
        log = await node.log(job.id)
        assert len(log.encode()) < 200 * 1024
        assert "the rest of its output is left out" in log
        assert "the job ended as completed" in log
        assert "\x1b" not in log


async def test_children_end_their_parent(node: Node) -> None:
    parent = await node.submit(
        frames="1-4", args=SMALL, child_jobs=[{"frames": "1-2"}, {"frames": "3-4", "name": "second half"}]
    )
    assert parent.status is JobStatus.WAITING_FOR_SUBJOBS
    ended = await node.ended(parent.id)
    assert ended.status is JobStatus.COMPLETED
    assert [node.job(child).status for child in ended.children] == ["completed", "completed"]
    assert {node.job(child).parent for child in ended.children} == {parent.id}


async def test_cancelling_a_parent_cancels_its_children(node: Node) -> None:
    parent = await node.submit(frames="1-2", args={**SMALL, "hang_at": 1}, child_jobs=[{"frames": "1"}])
    await node.until(parent.children[0], lambda now: now.status is JobStatus.RUNNING)
    await node.parts.jobs.cancel(parent.id)
    child = await node.ended(parent.children[0])
    assert child.status is JobStatus.CANCELLED
    assert "parent" in child.reason
