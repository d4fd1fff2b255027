"""Failover: from the death of a node (kill -9) to its frames running elsewhere.

With the beats of the settings as they are delivered: four missed ones of two seconds.
"""

from __future__ import annotations

import asyncio
import time

from bench.figures import Figure, Options, Report, median, run
from bench.nodes import nodes, submit, until
from client.models import RunningFrames

GOAL = 15.0
NEVER = 3600.0
"""Seconds a frame: nothing ends while it is measured."""


def measure(options: Options, report: Report) -> None:
    """Several deaths."""
    took = [asyncio.run(_once(options, number)) for number in range(1 if options.quick else 3)]
    worst = max(took)
    what = "a dead node's frames running elsewhere"
    report(Figure(what, "s", worst, goal=f"< {GOAL:g} s", reached=worst < GOAL, note=f"median {median(took):.1f} s"))


async def _once(options: Options, number: int) -> float:
    async with nodes(options.folder / str(number), (1.0, 1.0, 1.0)) as farm:
        first, *others = farm
        job = await submit(first, 2, NEVER)  # one each for two of them, and the third is free
        await until(first, job, 0, 60)
        held: list[RunningFrames] = []
        names = {one.name for one in others}
        async with asyncio.timeout(60):
            while not any(one.node in names for one in held):
                held = (await first.proxy.get_job_frames(job.id)).running
                await asyncio.sleep(0.05)
        victim = next(one for one in others if any(one.name == frames.node for frames in held))
        lost = {one.frames for one in held if one.node == victim.name}
        began = time.monotonic()
        victim.kill()
        async with asyncio.timeout(60):
            while True:
                page = await first.proxy.get_job_frames(job.id)
                elsewhere = {one.frames for one in page.running if one.node != victim.name}
                if elsewhere & lost or (not page.waiting and all(one.node != victim.name for one in page.running)):
                    return time.monotonic() - began
                await asyncio.sleep(0.05)


if __name__ == "__main__":
    run("failover", "a dead node", measure)
