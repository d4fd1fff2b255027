"""Jobs that are asked to render what is missing or bad: live ones get new chances, ended ones come back to life."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import Unpack

from app.jobs.changing import Bounds
from app.jobs.errors import TooMany
from app.jobs.events import ChildEnded, JobEdited, RetryAsked
from app.jobs.feed import Feed
from app.jobs.known import JobNotFound, LiveJob
from app.jobs.record import JobRecord, Present
from app.jobs.store import Store, StoreError
from app.jobs.submitting import SubmittingJobs
from app.jobs.transitions import transition
from client.models import JobStatus

Verifier = Callable[[JobRecord], Awaitable[Present]]
"""Looks what of a job that has ended really is in its output folder."""


class RetryingJobs(SubmittingJobs):
    """Brings jobs back."""

    def __init__(self, store: Store, feed: Feed, **bounds: Unpack[Bounds]) -> None:
        super().__init__(store, feed, **bounds)
        self._verify: Verifier | None = None
        self._deleting: set[str] = set()
        self._retrying: dict[str, asyncio.Lock] = {}

    def verify_with(self, verify: Verifier) -> None:
        """Give what looks at the outputs of a job that is to be brought back to life."""
        self._verify = verify

    async def retry(self, job_id: str) -> bytes:
        """Have the frames of a job rendered that are missing or bad, and nothing else. Returns the job's wire bytes.

        The outputs of a job that has ended are verified again first; it comes back to life if one is not there. In a
        live job, frames that were given up get new chances. Of a parent, this is done for every subjob.

        Raises:
            JobNotFound: there is none.
            TooMany: it has ended, and its token has as many live jobs as it may have.
            StoreError: nothing was changed.
        """
        lock = self._retrying.setdefault(job_id, asyncio.Lock())
        try:
            async with lock:
                await self._retry(job_id)
        finally:
            if not lock.locked():
                self._retrying.pop(job_id, None)
        wire = self._feed.job(job_id)
        if wire is None:
            raise JobNotFound(job_id)
        return wire

    async def _retry(self, job_id: str) -> None:
        record = await self.record(job_id)
        for child in record.spec.children:
            if child in self._status:
                await self.retry(child)
        if record.spec.children:
            return
        newest = self.live(job_id)
        if newest is not None and not newest.ended and newest.state.ending is None:
            await self.apply(job_id, RetryAsked(time.time()))
            return
        await self.settled(job_id)
        await self._store.write(())  # its end is committed with or before this
        record = await self.record(job_id)
        if not record.ended or self._verify is None:
            return
        try:
            found = await self._verify(record)
        except OSError:
            if job_id in self._status and job_id not in self._deleting:
                raise
            raise JobNotFound(job_id) from None  # its files went while they were read
        if job_id in self._status and job_id not in self._live and job_id not in self._deleting:
            event = RetryAsked(time.time(), found.done, found.files, assembled=found.assembled)
            if transition(record, event)[0] is not record:
                self.check_live(record.spec.submitted_by)
                if record.spec.parent is not None:
                    await self._apply_to_any(record.spec.parent, RetryAsked(event.at, children=(job_id,)))
                    if (parent := self.live(record.spec.parent)) is not None:
                        self._tell_of_subjobs(parent, "ended before the retry", besides=job_id)
                try:
                    await self._apply_to_any(job_id, event)
                except (StoreError, TooMany):
                    if record.spec.parent is not None:  # it waits for one that did not come back
                        ended = ChildEnded(job_id, record.status, record.state.reason, event.at)
                        self.apply(record.spec.parent, ended)
                    raise

    async def _apply_to_any(self, job_id: str, event: RetryAsked | JobEdited) -> None:
        """Apply to a job that has ended or not."""
        if job_id not in self._live:
            if job_id not in self._status:
                return
            record = await self.record(job_id)
            if job_id in self._deleting or transition(record, event)[0] is record:
                return
            if not record.spec.children:
                self.check_live(record.spec.submitted_by)
            self._live.setdefault(job_id, LiveJob(record, record))
        await self.apply(job_id, event)

    def _tell_of_subjobs(self, parent: JobRecord, story: str, besides: str = "") -> None:
        """Tell a parent of the subjobs that ended while it could not hear of it."""
        for child in parent.spec.children:
            status = self._status.get(child)
            if child == besides or child in parent.state.children_ended:
                continue
            if status is None:
                self.apply(parent.id, ChildEnded(child, JobStatus.CANCELLED, "it is gone", time.time()))
            elif status.ended:
                self.apply(parent.id, ChildEnded(child, status, story, time.time()))
