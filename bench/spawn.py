"""Starting processes while the service has 1 GB of memory: ours on both loops, asyncio's and uvloop's own way.

Two at a time, each with its pipes, each waited for; ours includes the sweep for what it may have left behind.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import uvloop

from app.render.processes import Launch, adopt_orphans, launch
from bench.figures import Figure, Options, Report, median, run

GOAL = 1_200
SLOTS = 2
ROUNDS = 3
BALLAST = 1 << 30
_TRUE = "/bin/true"
Loop = Callable[[], asyncio.AbstractEventLoop]


def measure(options: Options, report: Report) -> None:
    """All four ways, in turns."""
    adopt_orphans()
    ballast = bytearray(b"\x01") * (BALLAST >> 6 if options.quick else BALLAST)
    count = 40 if options.quick else 1_000
    folder = options.folder

    async def ours() -> None:
        process = await launch(
            Launch(
                session="bench-1",
                argv=(_TRUE,),
                environment={},
                folder=folder,
                events_on_stdout=False,
                on_event=_nothing,
                on_output=_nothing,
            )
        )
        process.close_stdin()
        await process.wait()
        await process.sweep()

    def plain() -> asyncio.AbstractEventLoop:
        loop = asyncio.new_event_loop()
        watcher = asyncio.PidfdChildWatcher()
        watcher.attach_loop(loop)
        asyncio.set_child_watcher(watcher)
        return loop

    ways: list[tuple[str, Loop, Callable[[], Awaitable[None]], int]] = [
        ("ours, uvloop", uvloop.new_event_loop, ours, count),
        ("ours, plain loop", asyncio.new_event_loop, ours, count),
        ("asyncio, pidfd, plain loop", plain, _asyncio, count),
        ("uvloop's own", uvloop.new_event_loop, _asyncio, 20 if options.quick else 60),
    ]
    found: dict[str, list[float]] = {name: [] for name, *_ in ways}
    for _ in range(1 if options.quick else ROUNDS):
        for name, loop, way, number in ways:
            with asyncio.Runner(loop_factory=loop) as runner:
                found[name].append(runner.run(_rate(way, number)))
    rates = {name: median(values) for name, values in found.items()}
    limit = "asyncio, pidfd, plain loop"
    note = f"{len(ballast) >> 20} MB in the process, {SLOTS} at a time"
    for name in ("ours, uvloop", "ours, plain loop"):
        mine = rates[name]
        title = f"processes started and ended, {name}"
        report(Figure(title, "/s", mine, rates[limit], limit, f"≥ {GOAL:,}/s", mine >= GOAL, note))
    report(Figure("processes started and ended", "/s", None, rates["uvloop's own"], "uvloop's own"))


async def _asyncio() -> None:
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(_TRUE, stdin=pipe, stdout=pipe, stderr=pipe)
    await process.wait()


async def _rate(way: Callable[[], Awaitable[None]], count: int) -> float:
    async def some() -> None:
        for _ in range(count // SLOTS):
            await way()

    await way()
    begun = time.perf_counter()
    await asyncio.gather(*(some() for _ in range(SLOTS)))
    return count / (time.perf_counter() - begun)


def _nothing(data: bytes) -> None:
    return None


if __name__ == "__main__":
    run("spawn", "starting processes with 1 GB in the service", measure)
