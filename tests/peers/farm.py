"""Farms for tests: real services on loopback that know one secret."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

from app.cli.own_service import free_port, own_service
from client import RenderServerProxy
from client.models import Job, NodeList, PeerNode
from tests.support.fault_proxy import FaultProxy

SECRET = "a secret of the tests' farm"
QUICK = {"ZORDON_ENGINE_SOURCES": "[]", "ZORDON_BEAT_SECONDS": "0.25", "ZORDON_BEAT_MISSES": "24"}
"""Quick beats, and six seconds until a node is away: enough for one that answers slowly because the machine is busy."""


@asynccontextmanager
async def farm_node(
    folder: Path,
    name: str,
    *peers: RenderServerProxy | FaultProxy | str,
    secret: str | None = SECRET,
    through: FaultProxy | None = None,
    **settings: str,
) -> AsyncIterator[RenderServerProxy]:
    """A service that is in the farm, while the context lasts.

    Args:
        peers: nodes, or addresses, that it is told of.
        through: by which others reach it, and by nothing else; it is pointed at the node.
        settings: further ones as environment variables.
    """
    given = {**QUICK, "ZORDON_NAME": name, "ZORDON_PEERS": ",".join(map(_place, peers)), **settings}
    port: int | None = None
    if through is not None:
        port = free_port()
        through.target = ("127.0.0.1", port)
        given["ZORDON_PUBLIC_ADDRESS"] = through.address
    if secret is not None:
        given["ZORDON_FARM_SECRET"] = secret
    async with own_service(folder / name, given, port) as node:
        token = await asyncio.to_thread((folder / name / "token").read_text)
        async with RenderServerProxy("127.0.0.1", node.connection.port, token.strip(), timeout=60) as proxy:
            yield proxy


def _place(peer: RenderServerProxy | FaultProxy | str) -> str:
    if isinstance(peer, str):
        return peer
    return peer.address if isinstance(peer, FaultProxy) else peer.connection.address


async def nodes_until(node: RenderServerProxy, right: Callable[[dict[str, PeerNode]], bool]) -> dict[str, PeerNode]:
    """The nodes on a node's list by name, once ``right`` says that they are as they should be."""
    found: NodeList | None = None
    try:
        async with asyncio.timeout(60):
            while True:
                found = await node.get_nodes()
                named = {one.name: one for one in found.nodes}
                if right(named):
                    return named
                await asyncio.sleep(0.02)  # there is nothing to wait for: the list is what is tested
    except TimeoutError:
        raise AssertionError(f"it never came about: {found}") from None


async def job_until(node: RenderServerProxy, job_id: str, right: Callable[[Job], bool]) -> Job:
    """A job, once ``right`` says that it is as it should be."""
    token: str | None = None
    last: Job | None = None
    try:
        async with asyncio.timeout(120):
            while True:
                found = await node.long_poll_delta(token)
                if found is None:
                    continue
                token = found.token
                for job in found.jobs:
                    if job.id == job_id:
                        last = job
                        if right(job):
                            return job
    except TimeoutError:
        raise AssertionError(f"it never came about: {last}") from None
