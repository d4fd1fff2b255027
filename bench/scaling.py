"""Scaling: as much work for each node, on 1, 2, 4, 8 and 16 nodes, at five seconds a chunk.

Efficiency: how long one node takes for its share, through how long so many take for so many shares. The farm grows from
one number to the next, so that no service is started twice. Beside it what all services together took of the processor
meanwhile, the engines not counted: each of them would have a machine of its own.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import psutil

from bench.figures import Figure, Options, Report, run
from bench.nodes import Node, ended, growing, submit

SECONDS = 5.0
GOAL = 0.95


def measure(options: Options, report: Report) -> None:
    """Every number of nodes, one after the other."""
    asyncio.run(_measure(options, report))


async def _measure(options: Options, report: Report) -> None:
    counts, each, seconds = ((1, 2), 4, 0.5) if options.quick else ((1, 2, 4, 8, 16), 12, SECONDS)
    alone = 0.0
    async with growing(options.folder) as grow:
        for before, count in zip((0, *counts), counts, strict=False):
            farm = await grow((1.0,) * (count - before))
            spent, began = _processor(farm), time.monotonic()
            job = await submit(farm[0], count * each, seconds)
            done, end = await ended(farm[0], job, 20 * each * seconds)
            if done.frames_done != count * each:
                raise SystemExit(f"the job is not complete: {done.status}: {done.reason}")
            took = end - began
            spent = (_processor(farm) - spent) / took / count
            alone = alone or took
            share = alone / took
            note = f"{took:.1f} s for {count * each} chunks of {seconds:g} s; a service took {spent:.1%} of a core"
            report(Figure(f"{count} nodes", "of 1", share, goal=f"≥ {GOAL}", reached=share >= GOAL, note=note))


def _processor(farm: Sequence[Node]) -> float:
    """Seconds of a processor that the services themselves took so far."""
    times = [psutil.Process(node.pid).cpu_times() for node in farm]
    return sum(one.user + one.system for one in times)


if __name__ == "__main__":
    run("scaling", "1 to 16 nodes", measure)
