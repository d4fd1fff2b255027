"""A watched folder for every test, and services in it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from client import RenderServerProxy
from client.models import AddJob, Job
from tests.faults.victim import Place, Victim

Serve = Callable[..., AbstractAsyncContextManager[tuple[Victim, RenderServerProxy]]]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    """The folders of this test."""
    return Place(tmp_path / "run").prepare()


@pytest.fixture
def serve(place: Place) -> Serve:
    """Runs the service in the folders of this test; settings as environment variables."""

    @asynccontextmanager
    async def run(
        before: Callable[[], None] | None = None, **settings: str
    ) -> AsyncIterator[tuple[Victim, RenderServerProxy]]:
        victim = await Victim.spawn(place, settings, before)
        try:
            await victim.ready()
            async with victim.node() as node:
                yield victim, node
        finally:
            await victim.kill()

    return run


async def submit(node: RenderServerProxy, frames: str = "1-4", **options: object) -> Job:
    """A small job of the test pattern."""
    document = {"renderer": "testpattern", "frames": frames, "args": {"width": 32, "height": 32, **options}}
    [job] = await node.create_job(AddJob.model_validate(document))
    return job


async def until(node: RenderServerProxy, job_id: str, wanted: Callable[[Job], bool]) -> Job:
    """Wait for a state of a job."""
    token = None
    async with asyncio.timeout(120):
        while not wanted(job := await node.get_job(job_id)):
            listed = await node.long_poll(token)
            token = listed.token if listed is not None else token
        return job


async def ended(node: RenderServerProxy, job_id: str) -> Job:
    """Wait until a job has ended."""
    return await until(node, job_id, lambda job: job.status.ended)
