"""The only one who changes a job.

Order of every change: rule (pure) → commit → feed → effects. The newest record of a job is kept in memory so that the
next event meets it at once; clients see it only after its commit.

What a person asks for (cancel, retry) is undone if it cannot be stored, and they are told. What has happened (a frame
is there, an attempt is over) cannot be undone: it is kept, and stored as soon as that is possible again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine, Sequence

import structlog

from app.jobs import queries
from app.jobs.codec import IDLE, JobProgress, record_from, spec_bytes, state_bytes, wire_bytes
from app.jobs.events import (
    CancelAsked,
    CancelChildren,
    ChildEnded,
    Effect,
    Ended,
    JobEvent,
    NeedEngine,
    Queue,
    RetryAsked,
    ScheduleDue,
)
from app.jobs.feed import Feed
from app.jobs.folders import DataFolder
from app.jobs.keys import IdempotencyKeys, KeyReused
from app.jobs.known import JobNotFound, KnownJobs, LiveJob, Unsaved, project_of
from app.jobs.record import JobRecord, JobSpec, JobState
from app.jobs.schedule import Schedule
from app.jobs.store import Statement, Store, StoreError
from app.jobs.transitions import initial_status, transition
from client.models import JobStatus
from engines.frames import IndexSet

__all__ = ["KEY_SECONDS", "EffectListener", "JobNotFound", "JobService"]

log = structlog.get_logger(__name__)

_QUEUE_NOW = Queue()
_REQUESTS = (CancelAsked, RetryAsked)
_SAVE_SECONDS = 1.0
"""After so long it is tried again to store what could not be stored."""

KEY_SECONDS = 7 * 24 * 3600.0
"""How long an Idempotency-Key is remembered."""


Verifier = Callable[[JobRecord], Awaitable[tuple[IndexSet, int]]]
"""Looks what of a job that has ended really is in its output folder: the positions of its frames, how many outputs."""

EffectListener = Callable[[JobRecord, Effect], None]
"""Called on the event loop after the commit; must not wait."""
EventListener = Callable[[JobRecord, JobEvent], None]
"""Called on the event loop after the commit of what an event has changed; must not wait."""


class JobService(KnownJobs):
    """All jobs of this node. Every method is for the event loop's thread."""

    def __init__(
        self,
        store: Store,
        feed: Feed,
        folders: DataFolder,
        *,
        progress_interval: float = 0.25,
        max_live_per_token: int | None = None,
        max_jobs: int | None = None,
    ) -> None:
        super().__init__(store, max_live_per_token=max_live_per_token, max_jobs=max_jobs)
        self._feed = feed
        self._folders = folders
        self._progress_interval = progress_interval
        self._revision = 0
        self._keys = IdempotencyKeys()
        self._listeners: list[EffectListener] = []
        self._ears: list[EventListener] = []
        self._schedule = Schedule(self._is_due)
        self._background: set[asyncio.Task[None]] = set()
        self._settled: Callable[[str], Awaitable[None]] | None = None
        self._verify: Verifier | None = None
        self._forget: Callable[[str], Awaitable[None]] | None = None
        self._deleting: set[str] = set()
        self._retrying: dict[str, asyncio.Lock] = {}
        self._saver: asyncio.TimerHandle | None = None

    # --- building and taking down --------------------------------------------------------------------------------

    def on_effect(self, listener: EffectListener) -> None:
        """Have a part of the service told of every effect."""
        self._listeners.append(listener)

    def on_event(self, listener: EventListener) -> None:
        """Have a part of the service told of every event that has changed a job."""
        self._ears.append(listener)

    def settle_with(self, settled: Callable[[str], Awaitable[None]]) -> None:
        """Give what waits until no process of a job is alive."""
        self._settled = settled

    def verify_with(self, verify: Verifier) -> None:
        """Give what looks at the outputs of a job that is to be brought back to life."""
        self._verify = verify

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
        for row in await self._store.read(queries.load_jobs):
            self._status[row.id] = JobStatus(row.status)
            if row.project is not None:
                self._project_users.setdefault(row.project, set()).add(row.id)
            if row.spec is not None and row.state is not None:
                record = record_from(row.spec, row.state)
                self._live[row.id] = LiveJob(record, record)
                unfinished.append(record)
            self._feed.load(row.id, row.wire)
        await asyncio.to_thread(self._folders.sweep, set(self._status), set(self._project_users))
        return unfinished

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

    # --- submitting ----------------------------------------------------------------------------------------------

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
            wire = wire_bytes(record)
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

    # --- changing ------------------------------------------------------------------------------------------------

    def apply(self, job_id: str, event: JobEvent, *also: Statement) -> asyncio.Future[None]:
        """Let something happen to a job. ``also`` is committed in the same transaction, whatever the rules say.

        The future ends after the commit (at once if nothing changes); it raises :class:`StoreError` if the change
        could not be stored now (see the module for what becomes of it).
        """
        live = self._live.get(job_id)
        if live is None:
            return self.note(*also)
        record, effects = transition(live.record, event)
        if record is live.record:
            return self.note(*also)
        before, live.record = live.record, record
        if not record.state.running:
            live.progress = IDLE
        wire = wire_bytes(record, live.progress)
        spec_changed = record.spec is not before.spec

        def committed() -> None:
            live.committed = record
            self._status[record.id] = record.status
            if record.ended:
                self._live.pop(record.id, None)
            self._feed.publish(record.id, wire)
            if record.status is not before.status:
                self._watch_schedule(record)
            for hear in self._ears:
                hear(record, event)
            for effect in effects:
                self._tell(record, effect)

        return self._store_change(
            live, wire, Unsaved(before, spec_changed, also, committed), isinstance(event, _REQUESTS)
        )

    def _store_change(self, live: LiveJob, wire: bytes, last: Unsaved | None, request: bool) -> asyncio.Future[None]:
        """Store the newest state of a job, together with what could not be stored before."""
        record = live.record
        earlier, live.unsaved = live.unsaved, []
        changes = [*earlier, last] if last is not None else earlier
        self._revision += 1
        spec = spec_bytes(record.spec) if any(change.spec for change in changes) else None
        update = queries.update_job(record.id, record.status.value, self._revision, state_bytes(record), wire, spec)

        def committed() -> None:
            for change in changes:
                change.committed()

        def settle(done: asyncio.Future[None]) -> None:
            if done.cancelled() or done.exception() is None:
                return
            log.error("a change of a job could not be stored", job=record.id, reason=str(done.exception()))
            if request and last is not None and live.record is record:
                live.record = last.before
                live.unsaved = [*earlier, *live.unsaved]
                if last.before.ended:
                    self._live.pop(record.id, None)
            else:
                live.unsaved = [*changes, *live.unsaved]
            if live.unsaved and self._saver is None:
                self._saver = asyncio.get_running_loop().call_later(_SAVE_SECONDS, self._save)

        also = [statement for change in changes for statement in change.also]
        future = self._store.write([update, *also], committed)
        future.add_done_callback(settle)
        return future

    def _save(self) -> None:
        """Try again to store what could not be stored. Logged if that fails again."""
        self._saver = None
        for live in list(self._live.values()):
            if live.unsaved:
                self._store_change(live, wire_bytes(live.record, live.progress), None, False)

    def note(self, *statements: Statement) -> asyncio.Future[None]:
        """Store something that changes no job, and can wait a moment. If it fails that is logged, whether or not
        somebody waits."""
        if not statements:
            return _done()
        future = self._store.write(statements, lazy=True)
        future.add_done_callback(_log_failure)
        return future

    def progress(self, job_id: str, progress: JobProgress) -> None:
        """Show progress between two commits, of what is running or of what a job waits for: in memory and in the feed
        only, at most a few times a second."""
        live = self._live.get(job_id)
        if live is None:
            return
        live.progress = progress
        now = time.monotonic()
        moves = live.committed.state.running or live.committed.status is JobStatus.CONFIGURING
        if moves and now - live.progress_at >= self._progress_interval:
            live.progress_at = now
            self._feed.publish(job_id, wire_bytes(live.committed, progress))

    async def cancel(self, job_id: str, reason: str = "cancelled by request") -> bytes:
        """Cancel a job and wait until no process of it is alive. An ended job stays as it is.

        Raises:
            JobNotFound: there is none.
        """
        if job_id not in self._status:
            raise JobNotFound(job_id)
        await self.apply(job_id, CancelAsked(time.time(), reason))
        await self.settled(job_id)
        await self._store.write(())  # what the end of its attempts changed is committed with or before this
        wire = self._feed.job(job_id)
        if wire is None:
            raise JobNotFound(job_id)
        return wire

    async def retry(self, job_id: str) -> bytes:
        """Have the frames of a job rendered that are missing or bad, and nothing else. Returns the job's wire bytes.

        The outputs of a job that has ended are verified again first; it comes back to life if one is not there. In a
        live job, frames that were given up get new chances. Of a parent, this is done for every subjob.

        Raises:
            JobNotFound: there is none.
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
            done, files = await self._verify(record)
        except OSError:
            if job_id in self._status and job_id not in self._deleting:
                raise
            raise JobNotFound(job_id) from None  # its files went while they were read
        if job_id in self._status and job_id not in self._live and job_id not in self._deleting:
            event = RetryAsked(time.time(), done, files)
            if transition(record, event)[0] is not record:
                if record.spec.parent is not None:
                    await self._revive(record.spec.parent, RetryAsked(event.at, children=(job_id,)))
                    if (parent := self.live(record.spec.parent)) is not None:
                        self._tell_of_subjobs(parent, "ended before the retry", besides=job_id)
                try:
                    await self._revive(job_id, event)
                except StoreError:
                    if record.spec.parent is not None:  # it waits for one that did not come back
                        ended = ChildEnded(job_id, record.status, record.state.reason, event.at)
                        self.apply(record.spec.parent, ended)
                    raise

    async def _revive(self, job_id: str, event: RetryAsked) -> None:
        """Apply to a job that has ended or not."""
        if job_id not in self._live:
            if job_id not in self._status:
                return
            record = await self.record(job_id)
            if job_id in self._deleting or transition(record, event)[0] is record:
                return
            self._live.setdefault(job_id, LiveJob(record, record))
        await self.apply(job_id, event)

    async def settled(self, job_id: str) -> None:
        """Wait until no process of a job is alive and its log is written."""
        if self._settled is not None:
            await self._settled(job_id)

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

        await self._store.write(queries.delete_job(job_id), committed)
        if self._forget is not None:
            await self._forget(job_id)
        await asyncio.to_thread(self._folders.throw_away, self._folders.job(job_id))
        if project is not None:
            users = self._project_users.get(project, set())
            users.discard(job_id)
            if not users:
                self._project_users.pop(project, None)
                await asyncio.to_thread(self._folders.throw_away, self._folders.projects / project)

    # --- parts ---------------------------------------------------------------------------------------------------

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

    def _tell(self, record: JobRecord, effect: Effect) -> None:
        if isinstance(effect, CancelChildren):
            for child in effect.children:
                self._spawn(self._cancel_child(child, f"its parent was cancelled: {effect.reason}"))
        elif isinstance(effect, Ended):
            self._schedule.forget(record.id)
            if record.spec.parent is not None:
                event = ChildEnded(record.id, effect.status, effect.reason, record.state.ended or time.time())
                self.apply(record.spec.parent, event)
        for listener in self._listeners:
            listener(record, effect)

    def _tell_need(self, record: JobRecord) -> None:
        if (missing := record.spec.missing) is not None:
            self._tell(record, NeedEngine(record.spec.engine, missing.version, missing.fetch))

    async def _cancel_child(self, child: str, reason: str) -> None:
        try:
            await self.cancel(child, reason)
        except (JobNotFound, StoreError) as error:
            log.warning("a subjob could not be cancelled", job=child, reason=str(error))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _is_due(self, job_id: str) -> None:
        self.apply(job_id, ScheduleDue())

    def _watch_schedule(self, record: JobRecord) -> None:
        if record.status is JobStatus.SCHEDULED and record.spec.scheduled_start is not None:
            self._schedule.watch(record.id, record.spec.scheduled_start)


def _log_failure(done: asyncio.Future[None]) -> None:
    if not done.cancelled() and (error := done.exception()) is not None:
        log.error("something could not be stored", reason=str(error))


def _done() -> asyncio.Future[None]:
    future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
    future.set_result(None)
    return future
