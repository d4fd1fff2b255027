"""When the time of scheduled jobs comes: each once, in order, and not those that wait no more."""

from __future__ import annotations

import asyncio
import time

from app.jobs import schedule
from app.jobs.schedule import Schedule


class Due:
    """Hears of the jobs whose time has come."""

    def __init__(self) -> None:
        self.jobs: asyncio.Queue[str] = asyncio.Queue()

    def __call__(self, job_id: str) -> None:
        self.jobs.put_nowait(job_id)


async def test_jobs_are_due_in_the_order_of_their_starts() -> None:
    due, now = Due(), time.time()
    waits = Schedule(due)
    for job, seconds in (("late", 0.2), ("early", 0.05), ("middle", 0.1), ("past", -1.0)):
        waits.watch(job, now + seconds)
    assert [await due.jobs.get() for _ in range(4)] == ["past", "early", "middle", "late"]
    assert due.jobs.empty()


async def test_a_job_is_due_at_its_newest_start_and_not_before() -> None:
    due, now = Due(), time.time()
    waits = Schedule(due)
    waits.watch("moved back", now + 0.05)
    waits.watch("forgotten", now + 0.05)
    waits.watch("moved forward", now + 3600)
    waits.watch("moved back", now + 0.15)
    waits.watch("moved forward", now + 0.1)
    waits.forget("forgotten")
    waits.forget("never watched")
    assert [await due.jobs.get() for _ in range(2)] == ["moved forward", "moved back"]
    assert due.jobs.empty()
    waits.close()


async def test_what_is_due_may_be_watched_again() -> None:
    seen: asyncio.Queue[str] = asyncio.Queue()

    def again(job_id: str) -> None:
        seen.put_nowait(job_id)
        if seen.qsize() < 2:
            waits.watch(job_id, time.time() + 0.05)

    waits = Schedule(again)
    waits.watch("job", time.time() + 0.05)
    assert [await seen.get(), await seen.get()] == ["job", "job"]
    waits.close()


async def test_what_waits_no_more_is_not_kept_for_ever() -> None:
    due, far = Due(), time.time() + 3600
    waits = Schedule(due)
    for number in range(10 * schedule.FEW):
        waits.watch("moved often", far + number)
    assert len(waits._heap) <= schedule.FEW + 3
    waits.watch("soon", time.time() + 0.01)
    assert await due.jobs.get() == "soon"
    waits.close()
