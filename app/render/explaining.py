"""Gathers what there is to know of a job, for the explanation that :mod:`app.jobs.explain` makes of it."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import orjson

from app.jobs import queries
from app.jobs.explain import Facts, explain
from app.jobs.feed import Feed
from app.jobs.folders import DataFolder
from app.jobs.known import JobNotFound
from app.jobs.record import JobRecord, JobSpec
from app.jobs.service import JobService
from app.jobs.store import Store
from app.render.catalog import EngineCatalog
from app.render.space import Space
from client.models import Explanation, JobStatus

LINES = 15
"""Last lines of the log that are shown."""
_TAIL_BYTES = 16 << 10


class Explaining:
    """Explains the jobs of this node."""

    def __init__(
        self,
        jobs: JobService,
        feed: Feed,
        store: Store,
        catalog: EngineCatalog,
        folders: DataFolder,
        space: Space,
        held_back: Callable[[JobSpec], str],
        elsewhere: Callable[[JobRecord], Sequence[str]],
    ) -> None:
        """``elsewhere``: what other nodes have of a job, and why others have nothing, a sentence each."""
        self._jobs = jobs
        self._feed = feed
        self._store = store
        self._catalog = catalog
        self._folders = folders
        self._space = space
        self._held_back = held_back
        self._elsewhere = elsewhere

    async def explain(self, job_id: str) -> Explanation:
        """Why a job is in its state, and what would help.

        Raises:
            JobNotFound: there is none.
            StoreError: the store cannot be read.
        """
        record = await self._jobs.record(job_id)
        failure = await self._store.read(lambda connection: queries.load_last_failure(connection, job_id))
        free = await self._space.free() if record.state.needs_space else None
        lines = await asyncio.to_thread(_last_lines, self._folders.log(job_id))
        wire = self._feed.job(job_id)
        if wire is None:
            raise JobNotFound(job_id)
        others = [
            other
            for other in self._jobs.live_records()
            if other.spec.engine == record.spec.engine and other.id != job_id and not other.spec.children
        ]
        engine = self._catalog.engines.get(record.spec.engine)
        facts = Facts(
            now=time.time(),
            reason=str(orjson.loads(wire)["reason"]),
            unsaved=self._jobs.trouble(job_id),
            title=engine.title if engine is not None else record.spec.engine,
            slots=self._catalog.slots(record.spec.engine) if engine is not None else 0,
            ahead=sorted((other for other in others if _is_before(other, record)), key=_place),
            at_work=[other for other in others if other.state.running],
            free_bytes=free,
            needed_bytes=self._space.needed,
            last_failure=failure,
            log=lines,
            held=self._held_back(record.spec),
            elsewhere=self._elsewhere(record),
            children={child: self._jobs.status(child) for child in record.spec.children if child in self._jobs},
        )
        return explain(record, facts)


def _is_before(other: JobRecord, record: JobRecord) -> bool:
    waits = other.status in (JobStatus.NOT_STARTED, JobStatus.RUNNING) and other.waiting_positions()
    return bool(waits) and _place(other) < _place(record)


def _place(record: JobRecord) -> tuple[int, float, str]:
    """As :mod:`app.render.queue` orders them."""
    return -record.spec.priority, record.spec.created, record.id


def _last_lines(log: Path) -> list[str]:
    try:
        with log.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            text = file.read(_TAIL_BYTES).decode("utf-8", "replace")
    except OSError:  # there is none yet
        return []
    return [line[:500] for line in text.splitlines() if line.strip()][-LINES:]
