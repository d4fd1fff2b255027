"""The only one who changes a job.

Order of every change: rule (pure) → commit → feed → effects (:mod:`app.jobs.changing`). What is here is the life of the
whole: loading the jobs, going on after a restart, deleting, closing.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Unpack

from app.jobs import queries
from app.jobs.changing import Bounds, EffectListener
from app.jobs.codec import record_from
from app.jobs.editing import EditingJobs
from app.jobs.feed import Feed
from app.jobs.folders import DataFolder, is_checkout
from app.jobs.known import JobNotFound, LiveJob, project_of
from app.jobs.queries import JobRow
from app.jobs.record import JobRecord
from app.jobs.store import Store, StoreError
from client.models import JobStatus

__all__ = ["KEY_SECONDS", "EffectListener", "JobNotFound", "JobService"]

KEY_SECONDS = 7 * 24 * 3600.0
"""How long an Idempotency-Key is remembered."""
LOADED_AT_ONCE = 256
"""Jobs are read from the store in lots: what one lot took is free again for the next, and the process stays small."""


class JobService(EditingJobs):
    """All jobs of this node. Every method is for the event loop's thread."""

    def __init__(self, store: Store, feed: Feed, folders: DataFolder, **bounds: Unpack[Bounds]) -> None:
        super().__init__(store, feed, **bounds)
        self._folders = folders
        self._forget: Callable[[str], Awaitable[None]] | None = None

    def forget_with(self, forget: Callable[[str], Awaitable[None]]) -> None:
        """Give what ends the work on the files of a job that is gone, before they are removed."""
        self._forget = forget

    async def load(self) -> list[JobRecord]:
        """Read the store. Returns the jobs that have not ended, oldest first."""
        self._revision = await self._store.read(queries.load_revision)
        now = time.time()
        await self._store.write([queries.forget_keys(now - KEY_SECONDS), queries.end_open_attempts(now)])
        self._keys.load(await self._store.read(queries.load_keys))
        unfinished: list[JobRecord] = []
        seq = 0
        while rows := await self._store.read(partial(queries.load_jobs, after=seq, most=LOADED_AT_ONCE)):
            seq = rows[-1].seq
            unfinished += [record for row in rows if (record := self._load(row)) is not None]
        await asyncio.to_thread(self._folders.sweep, set(self._status), set(self._project_users))
        return unfinished

    def _load(self, row: JobRow) -> JobRecord | None:
        """Know a job of the store. Returns it if it has not ended."""
        self._status[row.id] = JobStatus(row.status)
        if row.project is not None:
            self._project_users.setdefault(row.project, set()).add(row.id)
        self._feed.load(row.id, row.wire)
        if row.spec is None or row.state is None:
            return None
        record = record_from(row.spec, row.state)
        self._live[row.id] = LiveJob(record, record)
        return record

    def resume(self) -> None:
        """After unfinished jobs were reconciled: set the timers of scheduled ones, tell parents what they missed, and
        say which engine versions are waited for."""
        for live in list(self._live.values()):
            self._watch_schedule(live.record)
            if live.record.status is live.committed.status is JobStatus.CONFIGURING:
                self._tell_need(live.record)
            self._tell_of_subjobs(live.record, "ended before the restart")

    async def close(self) -> None:
        """Wait for what is under way; change nothing more."""
        self._schedule.close()
        if self._saver is not None:
            self._saver.cancel()
            self._save()
        while self._background:
            await asyncio.gather(*self._background)

    async def delete(self, job_id: str) -> None:
        """Cancel a job, then remove it and its subjobs, their outputs and previews, and projects that nobody else uses.

        Raises:
            JobNotFound: there is none.
        """
        record = await self.record(job_id)
        self._deleting.add(job_id)
        try:
            await self._delete(job_id, record)
        finally:
            self._deleting.discard(job_id)

    async def _delete(self, job_id: str, record: JobRecord) -> None:
        await self.cancel(job_id, "it is being deleted")
        for child in record.spec.children:
            if child in self._status:
                await self.delete(child)
        project = project_of(record.spec)

        def committed() -> None:
            self._live.pop(job_id, None)
            self._status.pop(job_id, None)
            self._feed.remove(job_id)
            self._schedule.forget(job_id)

        await asyncio.to_thread(self._folders.mark_deleted, job_id)
        try:
            await self._store.write(queries.delete_job(job_id), committed)
        except StoreError:
            await asyncio.to_thread(self._folders.mark_deleted, job_id, False)
            raise
        if self._forget is not None:
            await self._forget(job_id)
        await asyncio.to_thread(self._folders.throw_away, self._folders.job(job_id))
        if project is not None:
            users = self._project_users.get(project, set())
            users.discard(job_id)
            if not users:
                self._project_users.pop(project, None)
                if not is_checkout(project):  # else others may be about to use it; the content store looks after those
                    await asyncio.to_thread(self._folders.throw_away, self._folders.projects / project)
