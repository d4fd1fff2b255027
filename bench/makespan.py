"""Makespan: 500 frames on eight nodes of which two are four times slower, and one dies half-way.

Beside it the ideal for the power that was there, and the even split of the reference, computed for the same nodes.

The ideal: all slots render without a pause until the last frame, and the dead node's power is there until it dies.
"""

from __future__ import annotations

import asyncio
import time

from bench.figures import Figure, Options, Report, run
from bench.nodes import ended, nodes, submit, until

SLOWNESS = (1.0, 1.0, 4.0, 1.0, 4.0, 1.0, 1.0, 1.0)
DIES = 5
GOAL = 1.05


def measure(options: Options, report: Report) -> None:
    """One run on real nodes."""
    asyncio.run(_measure(options, report))


async def _measure(options: Options, report: Report) -> None:
    frames, seconds = (60, 0.5) if options.quick else (500, 2.0)
    async with nodes(options.folder, SLOWNESS) as farm:
        began = time.monotonic()
        job = await submit(farm[0], frames, seconds)
        half, at = await until(farm[0], job, frames // 2, 3600)
        farm[DIES].kill()
        done, end = await ended(farm[0], job, 3600)
    took, died = end - began, at - began
    if done.frames_done != frames:
        raise SystemExit(f"the job is not complete: {done.status}: {done.reason}")
    everybody = sum(1 / (factor * seconds) for factor in SLOWNESS)
    survivors = everybody - 1 / (SLOWNESS[DIES] * seconds)
    ideal = died + (frames - everybody * died) / survivors
    note = f"{half.frames_done} frames when it died after {died:.1f} s; {frames} frames of {seconds:g} s"
    goal = f"≤ {GOAL} times the ideal"
    report(Figure("500 chunks, 8 nodes", "s", took, ideal, "ideal", goal, took <= GOAL * ideal, note))
    report(Figure("the even split of the reference", "s", None, even(frames, seconds, died), "computed"))


def even(frames: int, seconds: float, died: float) -> float:
    """Seconds that an even split takes: each node gets as many frames, and what the dead one has not done is rendered
    by the first that is through."""
    share = frames / len(SLOWNESS)
    ends = sorted(share * factor * seconds for number, factor in enumerate(SLOWNESS) if number != DIES)
    lost = max(0.0, share - died / (SLOWNESS[DIES] * seconds))
    return max(ends[-1], max(ends[0], died) + lost * seconds)


if __name__ == "__main__":
    run("makespan", "unequal nodes, one of which dies", measure)
