"""Rendering again only what is missing or bad: ended jobs come back with their id, history and outputs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import pytest

from app.jobs.known import JobNotFound
from client.models import JobStatus

if TYPE_CHECKING:
    from tests.render.conftest import Node, StartNode

SMALL = {"width": 64, "height": 48}


def written(node: Node, job_id: str) -> dict[str, tuple[int, int]]:
    """The outputs: name, inode and time of the last change."""
    folder = node.parts.folders.output(job_id)
    return {path.name: (path.stat().st_ino, path.stat().st_mtime_ns) for path in folder.iterdir()}


async def retry(node: Node, job_id: str) -> None:
    await node.parts.jobs.retry(job_id)


async def test_a_completed_job_renders_lost_and_damaged_frames_and_no_others(node: Node) -> None:
    job = await node.ended((await node.submit(frames="1-6", args=SMALL)).id)
    await node.parts.jobs.settled(job.id)
    folder, names = node.parts.folders.output(job.id), node.outputs(job.id)
    before = written(node, job.id)
    (folder / names[0]).unlink()
    damaged = bytearray((folder / names[1]).read_bytes())
    damaged[-20] ^= 1
    (folder / names[1]).write_bytes(damaged)  # of the same size: only its content tells
    (folder / names[2]).write_bytes(b"")
    (folder / names[3]).unlink()
    (folder / names[3]).symlink_to(folder / names[4])
    await retry(node, job.id)
    ended = await node.until(job.id, lambda now: now.status.ended and now.attempts > job.attempts)
    assert (ended.status, ended.frames_done, ended.file_count) == (JobStatus.COMPLETED, 6, 6)
    after = written(node, job.id)
    assert {name for name in names if before[name] != after[name]} == set(names[:4])
    assert sorted(path.name for path in node.parts.folders.damaged(job.id).iterdir()) == names[1:4]
    log = await node.log(job.id)
    assert log.count("the job ended as completed") == 2, "its log was begun anew"
    assert ended.date_created == job.date_created


async def test_a_job_in_error_comes_back_with_the_failed_frame(start_node: StartNode) -> None:
    async with start_node() as node:
        job = await node.ended((await node.submit(frames="1-3", args={**SMALL, "fail_frames": "2"})).id)
        assert (job.status, job.failed_frames) == (JobStatus.ERROR, "2")
        await retry(node, job.id)
        await node.until(job.id, lambda now: now.attempts > job.attempts)
        ended = await node.ended(job.id)
        assert (ended.status, ended.failed_frames, ended.done_frames) == (JobStatus.ERROR, "2", "1,3")
        assert ended.attempts == job.attempts + 3, "it had three new chances"
    async with start_node() as node:
        await retry(node, job.id)  # it is known from the store alone
        assert not node.job(job.id).status.ended
        assert (await node.ended(job.id)).attempts == ended.attempts + 3


async def test_a_cancelled_job_goes_on_where_it_was(node: Node) -> None:
    job = await node.submit(frames="1-6", args={**SMALL, "seconds_per_frame": 0.1})
    await node.until(job.id, lambda now: now.frames_done >= 2)
    await node.parts.jobs.cancel(job.id)
    before = written(node, job.id)
    assert 2 <= len(before) < 6
    await retry(node, job.id)
    assert (await node.ended(job.id)).status is JobStatus.COMPLETED
    assert {name: written(node, job.id)[name] for name in before} == before


async def test_a_retry_survives_a_restart(start_node: StartNode) -> None:
    async with start_node() as node:
        job = await node.ended((await node.submit(frames="1-3", args=SMALL)).id)
        await node.parts.jobs.settled(job.id)
        (node.parts.folders.output(job.id) / node.outputs(job.id)[1]).unlink()
    async with start_node(slots={"testpattern": 0}) as node:
        await retry(node, job.id)
        assert (node.job(job.id).status, node.job(job.id).done_frames) == (JobStatus.NOT_STARTED, "1,3")
    async with start_node() as node:
        assert (await node.ended(job.id)).frames_done == 3


async def test_nothing_is_missing_nothing_happens(node: Node) -> None:
    job = await node.ended((await node.submit(frames="1-3", args=SMALL)).id)
    await node.parts.jobs.settled(job.id)
    before = node.job(job.id)
    await asyncio.gather(*(retry(node, job.id) for _ in range(5)))
    assert node.job(job.id) == before
    assert node.parts.jobs.live(job.id) is None
    with pytest.raises(JobNotFound):
        await retry(node, "nobody")


async def test_many_who_ask_at_once_bring_it_back_once(node: Node) -> None:
    job = await node.ended((await node.submit(frames="1-3", args=SMALL)).id)
    await node.parts.jobs.settled(job.id)
    (node.parts.folders.output(job.id) / node.outputs(job.id)[0]).unlink()
    await asyncio.gather(*(retry(node, job.id) for _ in range(5)))
    ended = await node.ended(job.id)
    assert (ended.status, ended.attempts) == (JobStatus.COMPLETED, job.attempts + 1)


async def test_a_live_job_gets_its_given_up_frames_back(node: Node) -> None:
    options = {**SMALL, "fail_frames": "1", "hang_at": 3}
    job = await node.submit(frames="1-3", args=options)
    given_up = await node.until(job.id, lambda now: now.failed_frames == "1")
    await retry(node, job.id)
    assert node.job(job.id).failed_frames == ""
    again = await node.until(job.id, lambda now: now.failed_frames == "1")
    assert again.attempts > given_up.attempts
    await node.parts.jobs.cancel(job.id)


async def test_a_parent_brings_its_subjobs_back(node: Node) -> None:
    parent = await node.submit(frames="1-4", args=SMALL, child_jobs=[{"frames": "1-2"}, {"frames": "3-4"}])
    parent = await node.ended(parent.id)
    first, second = parent.children
    await node.parts.jobs.settled(first)
    (node.parts.folders.output(first) / node.outputs(first)[0]).unlink()
    untouched = node.job(second)
    await retry(node, parent.id)
    await node.until(parent.id, lambda now: now.status is JobStatus.COMPLETED and now.end_time != parent.end_time)
    assert len(node.outputs(first)) == 2
    assert node.job(second) == untouched
    (node.parts.folders.output(first) / node.outputs(first)[0]).unlink()
    before = node.job(parent.id)
    await retry(node, first)  # asked of the subjob itself, its parent waits for it again
    ended = await node.until(parent.id, lambda now: now.status.ended and now.end_time != before.end_time)
    assert ended.status is JobStatus.COMPLETED


async def test_deleted_while_its_outputs_are_read(node: Node) -> None:
    job = await node.ended((await node.submit(frames="1-30", args=SMALL)).id)
    await node.parts.jobs.settled(job.id)
    (node.parts.folders.output(job.id) / node.outputs(job.id)[0]).unlink()
    asked = asyncio.ensure_future(retry(node, job.id))
    deleted = asyncio.ensure_future(node.parts.jobs.delete(job.id))
    await asyncio.gather(asked, deleted, return_exceptions=True)
    assert deleted.exception() is None
    assert asked.exception() is None or isinstance(asked.exception(), JobNotFound)
    assert job.id not in node.parts.jobs
    assert node.parts.jobs.live(job.id) is None
    assert not node.parts.folders.job(job.id).exists()
