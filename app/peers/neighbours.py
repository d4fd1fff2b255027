"""Status and jobs of the other nodes, for whoever wants to see the farm as a whole."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from typing import Final

import orjson
import structlog

from app.peers.peer import Peer
from app.peers.registry import Peers
from client.errors import ZordonError

log = structlog.get_logger(__name__)

ASK_SECONDS: Final = 3.0
FRESH_SECONDS: Final = 0.5
"""However many ask, a node is asked at most so often."""


@dataclass(frozen=True, slots=True)
class Neighbour:
    """What another node said of itself.

    Attributes:
        address: ``host:port``.
        status: its :class:`client.models.NodeStatus`, as JSON.
        jobs: a list of :class:`client.models.Job`, as JSON.
        age: seconds since it said so.
    """

    address: str
    status: bytes
    jobs: bytes
    age: float


class Neighbours:
    """Asks the other nodes. For the event loop's thread."""

    def __init__(self, peers: Peers) -> None:
        self._peers = peers
        self._said: dict[str, tuple[float, bytes, bytes]] = {}
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def all(self) -> list[Neighbour]:
        """Every node that has ever said how it is, with what it said last; those that are there are asked now."""
        await asyncio.gather(*(self._ask(peer) for peer in self._peers.usable()))
        known = {peer.id: peer for peer in self._peers.all()}
        for gone in self._said.keys() - known.keys():
            del self._said[gone]
        now = time.monotonic()
        return [
            Neighbour(known[node].address, status, jobs, round(now - at, 3))
            for node, (at, status, jobs) in self._said.items()
        ]

    async def close(self) -> None:
        """Ask no more."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, peer: Peer) -> None:
        """Ask a node, unless somebody just did; whoever leaves meanwhile takes nothing from the others."""
        said = self._said.get(peer.id)
        if said is not None and time.monotonic() - said[0] < FRESH_SECONDS:
            return
        task = self._asking.get(peer.id)
        if task is None:
            task = self._asking[peer.id] = asyncio.create_task(self._really_ask(peer))
            task.add_done_callback(lambda done: self._asking.pop(peer.id, None))
        await asyncio.wait([task])

    async def _really_ask(self, peer: Peer) -> None:
        try:
            async with asyncio.timeout(ASK_SECONDS):
                answer = await peer.client.get("/api/snapshot", timeout=ASK_SECONDS)
            found = orjson.loads(answer.content)
            self._said[peer.id] = (time.monotonic(), orjson.dumps(found["status"]), orjson.dumps(found["jobs"]))
        except (TimeoutError, ZordonError, ValueError, KeyError, TypeError) as error:
            log.debug("a node did not say how it is", node=peer.name, reason=str(error))
