"""A Zordon node as an object: one method a route.

async with RenderServerProxy("127.0.0.1", token=token) as node:
    [job] = await node.create_job(AddJob(renderer="blender", frames="1-10"), Path("shot.blend"))
    async with JobCache(node) as cache:
        await cache.wait_for(lambda jobs: jobs[job.id].status.ended)
    for name in await node.get_job_files(job.id):
        await node.download_job_file(job.id, name, Path("pictures"))
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Self

import httpx

from .access_calls import AccessCalls
from .connection import DEFAULT_PORT, Connection
from .discovery import Target
from .engine_calls import EngineCalls
from .farm_calls import FarmCalls
from .job_calls import JobCalls
from .node_calls import NodeCalls


class RenderServerProxy(JobCalls, EngineCalls, NodeCalls, FarmCalls, AccessCalls):
    """Every route of one node; see :class:`.connection.Connection` for the arguments.

    An async context manager: its connections are closed at the end. May be used by several tasks of one event loop.
    Every method raises :class:`.errors.ZordonError`, and says which of them matters.
    """

    def __init__(
        self,
        host: str,
        port: int = DEFAULT_PORT,
        token: str | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        *,
        timeout: float = 15.0,
        retries: int = 3,
        scheme: str = "http",
        ca: Path | None = None,
        pin: bool = False,
    ) -> None:
        self.connection = Connection(
            host,
            port,
            token=token,
            transport=transport,
            timeout=timeout,
            retries=retries,
            scheme=scheme,
            ca=ca,
            pin=pin,
        )

    @classmethod
    def at(cls, target: Target) -> Self:
        """A client of the node that :func:`.discovery.find_target` found.

        Raises:
            ZordonError: the file with its certificate cannot be read.
        """
        return cls(target.host, target.port, target.token, scheme=target.scheme, ca=target.ca, pin=target.pin)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """Close every connection."""
        await self.connection.aclose()

    def __repr__(self) -> str:
        return f"<RenderServerProxy {self.connection.address}>"
