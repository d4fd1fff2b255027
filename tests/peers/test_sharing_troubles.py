"""One job on several nodes while these are killed, cut off, restarted, or while what they say is lost and doubled."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from client import RenderServerProxy
from client.models import Job, JobStatus
from tests.peers.farm import farm_node, job_until, nodes_until
from tests.peers.test_sharing_jobs import ONE_SLOT, pattern, rendered_by, submitted
from tests.support.fault_proxy import FaultProxy, to

pytestmark = pytest.mark.slow


def kill(folder: Path, name: str) -> None:
    """End a node of this test at once, with all its processes, as a power cut does."""
    for process in psutil.Process().children():
        if process.status() != psutil.STATUS_ZOMBIE and str(folder / name) in process.cmdline():
            for one in (process, *process.children(recursive=True)):
                one.kill()
            return
    raise AssertionError(f"there is no node {name}")


async def online(node: RenderServerProxy, *names: str) -> None:
    """Wait until a node can use the others."""
    await nodes_until(node, lambda nodes: all(one in nodes and nodes[one].state == "online" for one in names))


async def there(node: RenderServerProxy, right: Callable[[list[Job]], bool]) -> None:
    """Wait until the jobs of a node are as they should be."""
    async with asyncio.timeout(60):
        found = await node.get_jobs()
        while not right(found.jobs):
            found = await node.long_poll(found.token) or found


async def whole(node: RenderServerProxy, job: Job, frames: int) -> Job:
    """The job when it has ended: complete, every frame once, in one piece."""
    done = await job_until(node, job.id, lambda job: job.status.ended)
    assert (done.status, done.frames_done) == (JobStatus.COMPLETED, frames), done.reason
    outputs = await node.get_job_manifest(job.id)
    assert sorted(one.frame or 0 for one in outputs) == list(range(1, frames + 1))
    assert done.file_count == frames
    return done


async def test_a_node_that_is_killed_loses_nothing(tmp_path: Path) -> None:
    async with (
        farm_node(tmp_path, "first", **ONE_SLOT) as first,
        farm_node(tmp_path, "second", first, **ONE_SLOT),
    ):
        await online(first, "second")
        job = await submitted(first, pattern("1-60", 0.2))
        await job_until(first, job.id, lambda job: "second" in job.nodes and job.frames_done >= 10)
        kill(tmp_path, "second")
        done = await whole(first, job, 60)
        assert not done.errors
        assert "second does not answer" in await first.get_job_logs(job.id)


async def test_a_parent_that_is_killed_takes_up_its_subjobs_where_they_are(tmp_path: Path) -> None:
    async with farm_node(tmp_path, "second", **ONE_SLOT) as second:
        async with farm_node(tmp_path, "first", second, **ONE_SLOT) as first:
            await online(first, "second")
            job = await submitted(first, pattern("1-60", 0.3))
            await job_until(first, job.id, lambda job: "second" in job.nodes and job.frames_done >= 6)
            kill(tmp_path, "first")
        async with farm_node(tmp_path, "first", second, **ONE_SLOT) as first:
            await whole(first, job, 60)
            assert "on second is taken up again" in await first.get_job_logs(job.id)
            assert (await rendered_by(first, job))["second"] > 5


async def test_what_a_node_has_rendered_while_it_was_cut_off_is_handed_in(tmp_path: Path) -> None:
    async with (
        FaultProxy() as wire,
        FaultProxy() as back,
        farm_node(tmp_path, "first", through=back, **ONE_SLOT) as first,
        farm_node(tmp_path, "second", back, through=wire, **ONE_SLOT) as second,
    ):
        await online(first, "second")
        await first.pause_node()
        job = await submitted(first, pattern("1-16", 0.5))
        await job_until(first, job.id, lambda job: job.frames_done >= 1)
        wire.swallow()
        back.swallow()
        await nodes_until(first, lambda nodes: nodes["second"].state == "away")
        waiting = await job_until(first, job.id, lambda job: job.status is JobStatus.NOT_STARTED)
        assert waiting.frames_done < 16
        wire.mend()
        back.mend()
        await whole(first, job, 16)
        assert "takes over what second has of attempt" in await first.get_job_logs(job.id)
        assert {one.status for one in (await second.get_jobs()).jobs} == {JobStatus.COMPLETED}


async def test_updates_that_are_lost_doubled_and_late_change_nothing(tmp_path: Path) -> None:
    async with (
        FaultProxy() as wire,
        FaultProxy() as back,
        farm_node(tmp_path, "first", through=back, **ONE_SLOT) as first,
        farm_node(tmp_path, "second", back, through=wire, **ONE_SLOT) as second,
    ):
        await online(first, "second")
        back.lose_answers(to("/subjob_update"), times=4)
        back.duplicate(to("/subjob_update"))
        wire.lose_answers(to("/api/add_job"), times=2)
        wire.duplicate(to("/api/add_job"))
        wire.lose_answers(to("/download"), times=2)
        job = await submitted(first, pattern("1-40", 0.1))
        held = back.hold(to("/subjob_update"), times=1)
        await held.caught()
        await job_until(first, job.id, lambda job: job.frames_done >= 10)
        held.release()
        await whole(first, job, 40)
        assert (await rendered_by(first, job))["second"]
        shares = [one.origin.attempt for one in (await second.get_jobs()).jobs if one.origin is not None]
        assert len(shares) == len(set(shares)), "a share was made twice"


async def test_a_job_that_is_cancelled_is_cancelled_everywhere_also_where_nobody_answers(tmp_path: Path) -> None:
    async with (
        FaultProxy() as wire,
        FaultProxy() as back,
        farm_node(tmp_path, "first", through=back, **ONE_SLOT) as first,
        farm_node(tmp_path, "second", back, through=wire, **ONE_SLOT) as second,
    ):
        await online(first, "second")
        job = await submitted(first, pattern("1-40", 60))
        await job_until(first, job.id, lambda job: "second" in job.nodes)
        await there(second, lambda jobs: bool(jobs))
        wire.swallow()
        back.swallow()
        cancelled = await first.cancel_job(job.id)
        assert cancelled.status is JobStatus.CANCELLED
        assert (await second.get_jobs()).jobs
        wire.mend()
        back.mend()
        await there(second, lambda jobs: not jobs)  # it is deleted there


async def test_a_node_that_rests_gives_back_what_it_has_not_begun(tmp_path: Path) -> None:
    async with (
        farm_node(tmp_path, "first", **ONE_SLOT) as first,
        farm_node(tmp_path, "second", first, **ONE_SLOT) as second,
    ):
        await online(first, "second")
        job = await submitted(first, pattern("1-40", 0.2))
        await job_until(first, job.id, lambda job: "second" in job.nodes and job.frames_done >= 6)
        await second.pause_node("somebody works at it")
        await whole(first, job, 40)
        assert (await rendered_by(first, job))["first"] > 20


async def test_a_node_that_fails_a_job_gets_no_more_of_it_and_the_job_says_so(tmp_path: Path) -> None:
    small = ONE_SLOT | {"ZORDON_ENGINE_MEMORY_BYTES": str(64 << 20), "ZORDON_RETRY_SECONDS": "0.1"}
    large: dict[str, float] = {"width": 7680, "height": 4320, "seconds_per_frame": 1}
    async with (
        farm_node(tmp_path, "first", **ONE_SLOT) as first,
        farm_node(tmp_path, "second", first, **small),
    ):
        await online(first, "second")
        job = await submitted(first, pattern("1-24", args=large))
        warned = await job_until(first, job.id, lambda job: bool(job.warnings) or job.status.ended)
        assert "second gets no more of it: it failed 2 times in a row" in " ".join(warned.warnings), warned.reason
        await job_until(first, job.id, lambda job: "second" not in job.nodes)
        explained = await first.explain_job(job.id)
        assert "second does not help: it failed" in " ".join(explained.sentences)
        done = await whole(first, job, 24)
        assert set(await rendered_by(first, done)) == {"first"}
