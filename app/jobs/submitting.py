"""How jobs come to be: all of a request or none, once for an Idempotency-Key, queued after their commit."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Unpack

from app.jobs import queries
from app.jobs.changing import Bounds, ChangingJobs
from app.jobs.codec import spec_bytes, state_bytes
from app.jobs.events import Queue
from app.jobs.feed import Feed
from app.jobs.keys import IdempotencyKeys, KeyReused
from app.jobs.known import LiveJob, project_of
from app.jobs.record import JobRecord, JobSpec, JobState
from app.jobs.store import Statement, Store
from app.jobs.transitions import initial_status
from client.models import JobStatus

_QUEUE_NOW = Queue()


class SubmittingJobs(ChangingJobs):
    """Takes new jobs."""

    def __init__(self, store: Store, feed: Feed, **bounds: Unpack[Bounds]) -> None:
        super().__init__(store, feed, **bounds)
        self._keys = IdempotencyKeys()

    async def once(self, key: str | None, body: str, make: Callable[[], Awaitable[Sequence[JobSpec]]]) -> list[bytes]:
        """Submit what ``make`` prepares, but only once for an Idempotency-Key: a repeat gets the same jobs.

        Args:
            key: the Idempotency-Key, or None.
            body: a hash of what was sent; the same key with another body is refused.
            make: plans the jobs; whatever it raises is raised here, and the key stays unused.

        Returns:
            The wire bytes of the jobs.

        Raises:
            KeyReused: the key came with another body, or its jobs are gone.
            StoreError: nothing was submitted.
        """
        if key is None:
            return await self.submit(await make())
        if (ids := await self._keys.jobs_of(key, body)) is not None:
            wires = [wire for job_id in ids if (wire := self._feed.job(job_id)) is not None]
            if not wires:
                raise KeyReused("the jobs of this Idempotency-Key were deleted; use a new one")
            return wires
        with self._keys.use(key):
            return await self.submit(await make(), key=(key, body))

    async def submit(self, specs: Sequence[JobSpec], *, key: tuple[str, str] | None = None) -> list[bytes]:
        """Store new jobs, all or none, and queue them. Returns their wire bytes once they are committed.

        Raises:
            TooMany: their token has too many jobs.
            StoreError: nothing was submitted.
        """
        by = specs[0].submitted_by if specs else ""  # one request, one token
        self.check_room(by, len(specs))
        records: list[JobRecord] = []
        wires: list[bytes] = []
        statements: list[Statement] = []
        for spec in specs:
            status, reason = initial_status(spec)
            record = JobRecord(spec, JobState(status, reason))
            wire = self._wire(record)
            self._revision += 1
            statements.append(
                queries.insert_job(
                    spec.id,
                    status.value,
                    self._revision,
                    project_of(spec),
                    spec_bytes(spec),
                    state_bytes(record),
                    wire,
                )
            )
            if spec.origin is not None:
                statements.append(queries.begin_origin(spec.id))
            records.append(record)
            wires.append(wire)
        if key is not None:
            statements.append(queries.remember_key(key[0], key[1], [spec.id for spec in specs], time.time()))

        def committed() -> None:
            for record, wire in zip(records, wires, strict=True):
                self._live[record.id] = LiveJob(record, record)
                self._status[record.id] = record.status
                if (project := project_of(record.spec)) is not None:
                    self._project_users.setdefault(project, set()).add(record.id)
                self._feed.publish(record.id, wire)
            if key is not None:
                self._keys.committed(*key, [record.id for record in records])
            for record in records:
                self._watch_schedule(record)
                if record.status is JobStatus.NOT_STARTED:
                    self._tell(record, _QUEUE_NOW)
                elif record.status is JobStatus.CONFIGURING:
                    self._tell_need(record)

        self._being_stored[by] += len(specs)
        try:
            await self._store.write(statements, committed)
        finally:
            self._being_stored[by] -= len(specs)
        return wires
