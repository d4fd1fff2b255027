"""Scaling: as much work for each node, on 1, 2, 4, 8 and 16 nodes, at five seconds a chunk.

Efficiency: how long one node takes for its share, through how long so many take for so many shares.
"""

from __future__ import annotations

import asyncio
import time

from bench.figures import Figure, Options, Report, run
from bench.nodes import ended, nodes, submit

SECONDS = 5.0
GOAL = 0.95


def measure(options: Options, report: Report) -> None:
    """Every number of nodes, one after the other."""
    asyncio.run(_measure(options, report))


async def _measure(options: Options, report: Report) -> None:
    counts, each, seconds = ((1, 2), 4, 0.5) if options.quick else ((1, 2, 4, 8, 16), 12, SECONDS)
    alone = 0.0
    for count in counts:
        async with nodes(options.folder / str(count), (1.0,) * count) as farm:
            began = time.monotonic()
            job = await submit(farm[0], count * each, seconds)
            done, end = await ended(farm[0], job, 3600)
        if done.frames_done != count * each:
            raise SystemExit(f"the job is not complete: {done.status}: {done.reason}")
        took = end - began
        alone = alone or took
        share = alone / took
        note = f"{took:.1f} s for {count * each} chunks of {seconds:g} s"
        report(Figure(f"{count} nodes", "of 1", share, goal=f"≥ {GOAL}", reached=share >= GOAL, note=note))


if __name__ == "__main__":
    run("scaling", "1 to 16 nodes", measure)
