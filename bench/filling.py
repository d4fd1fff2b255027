"""Fills a store with finished jobs, straight through the store, before a service is started on it."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from app.jobs import queries
from app.jobs.codec import spec_bytes, state_bytes, wire_bytes
from app.jobs.folders import DataFolder
from app.jobs.record import JobRecord, JobSpec, JobState
from app.jobs.store import Statement, Store
from client.models import JobStatus
from engines.frames import FrameSet

_AT_ONCE = 1000


def fill(data_dir: Path, jobs: int) -> None:
    """Make a data folder with so many completed jobs."""
    asyncio.run(_fill(data_dir, jobs))


def record(number: int) -> JobRecord:
    """A completed job like any other."""
    frames = FrameSet.between(1, 250)
    now = time.time()
    spec = JobSpec(
        id=f"{number:016x}",
        name=f"shot_{number:05d}",
        engine="testpattern",
        engine_version="0.1.0",
        engine_version_reason="it comes with the service",
        frames=frames,
        divisible=True,
        created=now - 3600,
        width=1920,
        height=1080,
        output_format="PNG",
        hostname="node-1",
    )
    state = JobState(
        JobStatus.COMPLETED,
        "all 250 frames are verified",
        done=frames.all_positions(),
        attempts=5,
        seconds_per_frame=1.25,
        started=now - 3000,
        ended=now,
        file_count=250,
    )
    return JobRecord(spec, state)


async def _fill(data_dir: Path, jobs: int) -> None:
    folders = DataFolder(data_dir)
    folders.prepare()
    store = Store(folders.database)
    await store.open()
    try:
        for begin in range(0, jobs, _AT_ONCE):
            numbers = range(begin, min(begin + _AT_ONCE, jobs))
            await store.write([_insert(record(number), number + 1) for number in numbers])
    finally:
        await store.close()


def _insert(job: JobRecord, revision: int) -> Statement:
    return queries.insert_job(
        job.id, job.status.value, revision, None, spec_bytes(job.spec), state_bytes(job), wire_bytes(job)
    )
