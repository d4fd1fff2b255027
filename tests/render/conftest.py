"""A whole node without a server in front of it: real store, real engine processes, real files."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import orjson
import pytest

from app.api.parts import Parts
from app.main import create_app
from app.settings import load_settings
from client.models import Job


class Node:
    """One running node, as the tests talk to it."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts

    async def submit(self, *, by: str = "", **fields: object) -> Job:
        """Submit one job; the test pattern unless another engine is named."""
        body = orjson.dumps({"renderer": "testpattern", **fields})
        wires = await self.parts.intake.from_json(body, local=True, key=None, by=by)
        return Job.model_validate_json(wires[0])

    def job(self, job_id: str) -> Job:
        """A job as it is now."""
        wire = self.parts.feed.job(job_id)
        assert wire is not None
        return Job.model_validate_json(wire)

    async def until(self, job_id: str, wanted: Callable[[Job], bool], seconds: float = 120) -> Job:
        """Wait for a state of a job."""
        async with asyncio.timeout(seconds):
            while not wanted(job := self.job(job_id)):
                await self.parts.feed.wait(self.parts.feed.token, 5)
        return job

    async def ended(self, job_id: str) -> Job:
        """Wait until a job has ended."""
        return await self.until(job_id, lambda job: job.status.ended)

    def outputs(self, job_id: str) -> list[str]:
        """Names of the files in the job's output folder."""
        folder = self.parts.folders.output(job_id)
        return sorted(path.name for path in folder.iterdir()) if folder.exists() else []

    async def log(self, job_id: str) -> str:
        """What the log of an ended job says."""
        await self.parts.jobs.settled(job_id)
        return self.parts.folders.log(job_id).read_text("utf-8")


StartNode = Callable[..., AbstractAsyncContextManager[Node]]


@pytest.fixture
def start_node(tmp_path: Path) -> StartNode:
    """Starts a node on the test's data folder, with the settings that the test names."""

    @asynccontextmanager
    async def start(**settings: object) -> AsyncIterator[Node]:
        quick: dict[str, object] = {"data_dir": tmp_path / "data", "term_seconds": 1.0, "retry_seconds": 0.1}
        async with create_app(load_settings(**{**quick, **settings})).running() as parts:
            yield Node(parts)

    return start


@pytest.fixture
async def node(start_node: StartNode) -> AsyncIterator[Node]:
    """A node with the settings of the house."""
    async with start_node() as running:
        yield running
