"""After a start: end what a crash left running, and let every unfinished job go on with exactly the missing frames."""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Sequence

import structlog

from app.jobs import queries
from app.jobs.events import Reconciled
from app.jobs.folders import DataFolder
from app.jobs.record import JobRecord
from app.jobs.service import JobService
from app.jobs.store import Store
from app.render.delivery import Delivery
from app.render.processes import boot_id, end_leftovers

log = structlog.get_logger(__name__)


async def end_survivors(store: Store, jobs: JobService) -> int:
    """End the engine processes that outlived the service. Returns how many there were.

    Known ones are recognised by pid, start time and boot id; all others by the cookie in their environment.
    """
    rows = await store.read(queries.load_processes)
    boot = boot_id()
    known = {row.pid: row.started for row in rows if row.boot == boot}
    ended = await asyncio.to_thread(end_leftovers, store.store_id, known)
    if ended:
        log.warning("ended engine processes of the time before the restart", count=ended)
    await jobs.note(*(queries.end_process(row.session) for row in rows))
    return ended


async def reconcile(
    unfinished: Sequence[JobRecord],
    jobs: JobService,
    delivery: Delivery,
    folders: DataFolder,
    kept: Collection[str] = (),
) -> None:
    """Compare every unfinished job with what is in its output folder; what is there and listed counts, the rest is
    rendered again. What attempts have left in their own folders goes; what counts of it, also of jobs that have ended,
    is moved to where it belongs.

    Args:
        kept: attempts that go on, on other nodes.
    """
    for record in unfinished:
        if not record.state.attempts:
            continue
        found = await delivery.reconcile(record)
        mine = tuple(chunk.attempt for chunk in record.state.running if chunk.attempt in kept)
        await jobs.apply(record.id, Reconciled(found.done, found.files, found.assembled, mine))
    for job_id in await asyncio.to_thread(folders.left_by) - {record.id for record in unfinished}:
        await delivery.finish_moves(job_id)
    await asyncio.to_thread(folders.clear_scratch)
