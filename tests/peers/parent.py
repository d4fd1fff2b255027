"""A node of a farm within the test's own process, so that a test can do what its other rooms would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import orjson
import uvicorn

from app.api.parts import Parts, parts_of
from app.cli.own_service import free_port
from app.jobs.record import JobRecord
from app.main import create_app
from app.peers.bringing import Bringing
from app.peers.peer import Peer
from app.settings import load_settings
from client import RenderServerProxy
from client.models import Job
from tests.peers.farm import SECRET
from tests.support.fault_proxy import FaultProxy


@dataclass
class Parent:
    """A node that gives work away."""

    parts: Parts

    @property
    def bring(self) -> Bringing:
        """Brings a project to another node."""
        return Bringing(self.parts.trees, self.parts.catalog, self.parts.peers)

    async def peer(self, name: str) -> Peer:
        """Another node, once it is there."""
        async with asyncio.timeout(60):
            while True:
                for peer in self.parts.peers.usable():
                    if peer.name == name:
                        return peer
                await asyncio.sleep(0.02)  # the list is all there is to look at

    async def submit(self, **fields: object) -> JobRecord:
        """Submit one job."""
        wires = await self.parts.intake.from_json(orjson.dumps(fields), local=True, key=None)
        return await self.parts.jobs.record(orjson.loads(wires[0])["id"])

    async def ended(self, job_id: str) -> Job:
        """Wait until a job has ended."""
        async with asyncio.timeout(120):
            while True:
                wire = self.parts.feed.job(job_id)
                assert wire is not None
                job = Job.model_validate_json(wire)
                if job.status.ended:
                    return job
                await self.parts.feed.wait(self.parts.feed.token, 5)


@asynccontextmanager
async def parent_node(
    folder: Path, *peers: RenderServerProxy, through: FaultProxy | None = None, **settings: object
) -> AsyncIterator[Parent]:
    """A node named ``parent``, behind a real server, while the context lasts.

    Args:
        peers: nodes that it is told of.
        through: by which others reach it, and by nothing else.
        settings: further ones.
    """
    port = free_port()
    given: dict[str, object] = {
        "data_dir": folder,
        "name": "parent",
        "port": port,
        "farm_secret": SECRET,
        "peers": [peer.connection.address for peer in peers],
        "engine_sources": [],
        "discovery": False,
        "beat_seconds": 0.25,
        "beat_misses": 24,
        "term_seconds": 1.0,
    }
    if through is not None:
        through.target = ("127.0.0.1", port)
        given["public_address"] = through.address
    application = create_app(load_settings(**{**given, **settings}))
    server = uvicorn.Server(uvicorn.Config(application, port=port, log_config=None, timeout_graceful_shutdown=2))
    serving = asyncio.create_task(server.serve())
    try:
        async with asyncio.timeout(60):
            while not (server.started or serving.done()):  # noqa: ASYNC110 - uvicorn has no event for it
                await asyncio.sleep(0.02)
        yield Parent(parts_of(application.api))
    finally:
        application.release()
        server.should_exit = True
        await serving
