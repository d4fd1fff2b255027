"""Farms of real services on this machine, a slot each: for the benchmarks of what several nodes do together.

The test pattern renders without a processor, so that a node that takes a second a frame is one, however few cores there
are here. Every node is a process of its own on a port of its own; that they are on one machine costs them, not us.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from app.cli.own_service import own_service
from client import RenderServerProxy
from client.models import AddJob, Job, NodeState
from engines.testpattern.engine import SLOWNESS

SETTINGS = {
    "ZORDON_ENGINE_SOURCES": "[]",
    "ZORDON_FARM_SECRET": "a secret of the benchmarks' farm",
    "ZORDON_DISCOVERY": "false",
    "ZORDON_SLOTS": '{"testpattern": 1}',
}
STARTED_AT_ONCE = 4
"""So many services are started at a time: they need a core each for that."""


@dataclass(frozen=True)
class Node:
    """One service."""

    name: str
    folder: Path
    proxy: RenderServerProxy

    @property
    def pid(self) -> int:
        """Of its process."""
        return next(one.pid for one in psutil.Process().children() if str(self.folder) in one.cmdline())

    def kill(self) -> None:
        """End it and its engines at once, as a power cut does."""
        for one in self._processes():
            one.kill()

    def cpu_seconds(self) -> float:
        """Processor time so far of it and all that it started; of what has ended, once it was waited for."""
        total = 0.0
        for one in self._processes():
            with contextlib.suppress(psutil.NoSuchProcess):
                times = one.cpu_times()
                total += times.user + times.system + times.children_user + times.children_system
        return total

    def _processes(self) -> list[psutil.Process]:
        found: list[psutil.Process] = []
        for process in psutil.Process().children():
            if str(self.folder) in process.cmdline():
                found += [process, *process.children(recursive=True)]
        return found


Grow = Callable[[Sequence[float]], Awaitable[list[Node]]]
"""Starts so many nodes more as it is given factors; gives all that there are, once the first one can use them."""


@asynccontextmanager
async def growing(
    folder: Path, settings: Mapping[str, str] | None = None, cores: Sequence[int] | None = None
) -> AsyncIterator[Grow]:
    """A farm without nodes, to which they are added; the first one is to be asked for jobs.

    Args:
        settings: further ones of all of them, as environment variables.
        cores: the processor that each node has for itself and all that it starts; None: all of them have all.
    """
    async with AsyncExitStack() as stack:
        found: list[Node] = []
        at_once = asyncio.Semaphore(STARTED_AT_ONCE if cores is None else 1)  # where we run is where they begin

        async def started(number: int, factor: float) -> Node:
            name = f"node{number:02}"
            own_settings = {**SETTINGS, **(settings or {}), "ZORDON_NAME": name, SLOWNESS: str(factor)}
            if found:
                own_settings["ZORDON_PEERS"] = found[0].proxy.connection.address
            async with at_once:
                with on_core(None if cores is None else cores[number]):
                    proxy = await stack.enter_async_context(own_service(folder / name, own_settings))
            token = await asyncio.to_thread((folder / name / "token").read_text)
            own = RenderServerProxy("127.0.0.1", proxy.connection.port, token.strip())
            return Node(name, folder / name, await stack.enter_async_context(own))

        async def grow(slowness: Sequence[float]) -> list[Node]:
            new = list(enumerate(slowness, start=len(found)))
            if not found and new:
                found.append(await started(*new.pop(0)))
            found.extend(await asyncio.gather(*(started(*one) for one in new)))
            async with asyncio.timeout(120):
                while await online(found[0]) < len(found):  # noqa: ASYNC110 - another process knows
                    await asyncio.sleep(0.1)
            return list(found)

        yield grow


@asynccontextmanager
async def nodes(
    folder: Path,
    slowness: Sequence[float],
    settings: Mapping[str, str] | None = None,
    cores: Sequence[int] | None = None,
) -> AsyncIterator[list[Node]]:
    """So many nodes as there are factors, which know of each other; see :func:`growing`."""
    async with growing(folder, settings, cores) as grow:
        yield await grow(slowness)


@contextmanager
def on_core(core: int | None) -> Iterator[None]:
    """What is started meanwhile runs on this processor alone (sched_setaffinity(2) is inherited)."""
    if core is None:
        yield
        return
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


async def online(node: Node) -> int:
    """How many nodes it can use, itself included."""
    return sum(1 for one in (await node.proxy.get_nodes()).nodes if one.state is NodeState.ONLINE)


async def submit(node: Node, frames: int, seconds: float) -> Job:
    """A job of the test pattern, pictures of 64 x 36 pixels."""
    args = {"seconds_per_frame": seconds, "width": 64, "height": 36}
    job = AddJob.model_validate({"renderer": "testpattern", "name": "bench", "frames": f"1-{frames}", "args": args})
    return (await node.proxy.create_job(job))[0]


async def until(node: Node, job: Job, frames: int, seconds: float) -> tuple[Job, float]:
    """The job when so many frames of it are done or it has ended, and the moment by ``time.monotonic()``.

    Raises:
        TimeoutError: it takes longer than ``seconds``.
    """
    token: str | None = None
    async with asyncio.timeout(seconds):
        while True:
            found = await node.proxy.long_poll_delta(token)
            if found is None:
                continue
            token = found.token
            for one in found.jobs:
                if one.id == job.id and (one.frames_done >= frames or one.status.ended):
                    return one, time.monotonic()


async def ended(node: Node, job: Job, seconds: float) -> tuple[Job, float]:
    """The same for its end."""
    return await until(node, job, job.total_frames + 1, seconds)
