"""The background cache against a real service: it follows, it survives a restart, it leaves nothing behind."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from app.cli.own_service import free_port, own_service
from client import JobCache, JobNotFound, RenderServerProxy, Timeout, Unauthorized
from client.models import AddJob, Job, JobStatus
from tests.support.running_service import Service


def pattern(frames: str = "1-3", seconds: float = 0.0) -> AddJob:
    """A small job."""
    return AddJob(renderer="testpattern", frames=frames, args={"width": 32, "height": 18, "seconds_per_frame": seconds})


async def test_it_follows_a_job_to_its_end(node: RenderServerProxy) -> None:
    async with JobCache(node) as cache:
        [job] = await node.create_job(pattern())

        def ended(jobs: Mapping[str, Job]) -> Job | None:
            found = jobs.get(job.id)
            return found if found is not None and found.status.ended else None

        last = await cache.wait_for(ended)
        assert last is not None
        assert last.status is JobStatus.COMPLETED
        assert last.frames_done == 3
        assert cache.stale_since is None
        await node.delete_job(job.id)
        await cache.wait_for(lambda jobs: job.id not in jobs)


async def test_it_leaves_no_task_behind(node: RenderServerProxy) -> None:
    before = asyncio.all_tasks()
    async with JobCache(node) as cache:
        assert len(asyncio.all_tasks() - before) >= 1
        waiter = asyncio.create_task(cache.wait_for(lambda jobs: False, timeout=60))
        await asyncio.sleep(0)
        waiter.cancel()
    await asyncio.gather(waiter, return_exceptions=True)
    assert asyncio.all_tasks() == before


async def test_what_does_not_happen_times_out(node: RenderServerProxy) -> None:
    async with JobCache(node) as cache:
        with pytest.raises(Timeout):
            await cache.wait_for(lambda jobs: "no such job" in jobs, timeout=0.05)


async def test_a_wrong_token_is_said_at_once(service: Service) -> None:
    async with RenderServerProxy("127.0.0.1", service.port, "not-the-token-at-all") as node:
        with pytest.raises(Unauthorized):
            await JobCache(node).__aenter__()


async def test_the_view_is_read_only(node: RenderServerProxy) -> None:
    async with JobCache(node) as cache:
        with pytest.raises(TypeError):
            cache.jobs["x"] = None  # type: ignore[index]  # what is tested


@pytest.mark.slow
async def test_it_survives_a_restart_of_the_service(tmp_path: Path) -> None:
    port = free_port()
    async with AsyncExitStack() as first, AsyncExitStack() as cached:
        node = await first.enter_async_context(own_service(tmp_path, port=port))
        [kept] = await node.create_job(pattern(frames="1"))
        [deleted] = await node.create_job(pattern(frames="1"))
        token = (tmp_path / "token").read_text().strip()
        mine = await cached.enter_async_context(RenderServerProxy("127.0.0.1", port, token))
        cache = await cached.enter_async_context(JobCache(mine))
        assert set(cache.jobs) == {kept.id, deleted.id}
        await first.aclose()
        await cache.wait_for(lambda jobs: cache.stale_since is not None)
        assert set(cache.jobs) == {kept.id, deleted.id}
        async with own_service(tmp_path, port=port) as again:
            await again.delete_job(deleted.id)
            await cache.wait_for(lambda jobs: set(jobs) == {kept.id})
            assert cache.stale_since is None
            with pytest.raises(JobNotFound):
                await again.get_job(deleted.id)
