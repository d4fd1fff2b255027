"""Hundreds of kill -9 at random moments, with the promises of docs/promises.md checked after each.

The loop is the one of tests/faults/test_kills.py; here it runs for longer. A promise that is broken ends it with the
sentence that says which, and the seed with which it comes again (ZORDON_FAULT_SEED).
"""

from __future__ import annotations

import asyncio
import os
import secrets
import sys

from bench.figures import Figure, Options, Report, run
from tests.faults.killing import KillLoop
from tests.faults.projects import make_video
from tests.faults.victim import Place
from tests.faults.witness import PromiseBroken

KILLS = 300


def measure(options: Options, report: Report) -> None:
    """Everything that is counted."""
    asyncio.run(_measure(options, report))


async def _measure(options: Options, report: Report) -> None:
    seed = int(os.environ.get("ZORDON_FAULT_SEED", secrets.randbelow(10**6)))
    print(f"   ZORDON_FAULT_SEED={seed}", flush=True)
    place = Place(options.folder / "run")
    loop = KillLoop(place, seed, await make_video(options.folder / "clip.mp4"), lambda line: print(f"   {line}"))
    try:
        score = await loop.run(10 if options.quick else KILLS)
    except PromiseBroken as broken:
        print(f"   promise {broken}", file=sys.stderr)
        raise SystemExit(1) from broken
    kills = sum(score.kills.values())
    moments = ", ".join(f"{moment} {count}" for moment, count in sorted(score.kills.items()))
    report(Figure("kills survived", "kills", kills, note=moments))
    report(Figure("jobs that ended", "jobs", score.jobs, goal="every one", reached=True))
    # The loop stops at the first that is lost, twice or left: whoever comes here has met none.
    report(Figure("frames lost", f"of {score.frames:,}", 0, goal="0", reached=True))
    report(Figure("verified frames rendered twice", "frames", 0, goal="0", reached=True))
    note = "whole when the kill came, not yet verified; rendered again"
    report(Figure("unverified frames thrown away", "frames", score.wasted, note=note))
    report(Figure("processes left", "processes", 0, goal="0", reached=True))
    report(Figure("bad inputs tried", "requests", score.bad_inputs, note="each refused with a status of the 400s"))
    report(Figure("last stop on SIGTERM", "s", score.stop_seconds))


if __name__ == "__main__":
    run("faults", "kill -9 at random moments: what is lost, done twice, left behind", measure)
