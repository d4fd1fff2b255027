"""Every change of a job: rule (pure) → commit → feed → effects.

The newest record of a job is kept in memory so that the next event meets it at once; clients see it only after its
commit. What a person asks for (cancel, retry, edit) is undone if it cannot be stored, and they are told. What has
happened (a frame is there, an attempt is over) cannot be undone: it is kept, and stored as soon as that is possible
again.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import TypedDict, Unpack

import structlog

from app.jobs import queries
from app.jobs.codec import IDLE, JobProgress, spec_bytes, state_bytes, wire_bytes
from app.jobs.events import (
    CancelAsked,
    CancelChildren,
    ChildEnded,
    Effect,
    Ended,
    JobEdited,
    JobEvent,
    NeedEngine,
    RetryAsked,
    ScheduleDue,
)
from app.jobs.feed import Feed
from app.jobs.known import JobNotFound, KnownJobs, LiveJob, Unsaved
from app.jobs.record import JobRecord, JobSpec
from app.jobs.schedule import Schedule
from app.jobs.store import Commit, Statement, Store, StoreError
from app.jobs.transitions import transition
from client.models import JobStatus

log = structlog.get_logger(__name__)

_REQUESTS = (CancelAsked, RetryAsked, JobEdited)
_SHOWN_AT_ONCE = 200
_SAVE_SECONDS = 1.0
"""After so long it is tried again to store what could not be stored."""

EffectListener = Callable[[JobRecord, Effect], None]
"""Called on the event loop after the commit; must not wait."""
EventListener = Callable[[JobRecord, JobEvent], None]
"""Called on the event loop after the commit of what an event has changed; must not wait."""

HeldBack = Callable[[JobSpec], str]
"""Why this node begins nothing of a job now: a sentence; empty if it does."""


class Bounds(TypedDict, total=False):
    """What the jobs of a node are held to."""

    progress_interval: float  # seconds between two looks of clients at the progress of a job, at least
    max_live_per_token: int | None
    max_jobs: int | None


class ChangingJobs(KnownJobs):
    """Changes jobs and tells of it. Every method is for the event loop's thread."""

    def __init__(self, store: Store, feed: Feed, **bounds: Unpack[Bounds]) -> None:
        super().__init__(store, max_live_per_token=bounds.get("max_live_per_token"), max_jobs=bounds.get("max_jobs"))
        self._feed = feed
        self._progress_interval = bounds.get("progress_interval", 0.25)
        self._revision = 0
        self._listeners: list[EffectListener] = []
        self._ears: list[EventListener] = []
        self._schedule = Schedule(self._is_due)
        self._background: set[asyncio.Task[None]] = set()
        self._settled: Callable[[str], Awaitable[None]] | None = None
        self._saver: asyncio.TimerHandle | None = None
        self._held_back: HeldBack = lambda spec: ""

    def on_effect(self, listener: EffectListener) -> None:
        """Have a part of the service told of every effect."""
        self._listeners.append(listener)

    def on_event(self, listener: EventListener) -> None:
        """Have a part of the service told of every event that has changed a job."""
        self._ears.append(listener)

    def settle_with(self, settled: Callable[[str], Awaitable[None]]) -> None:
        """Give what waits until no process of a job is alive."""
        self._settled = settled

    def hold_back_with(self, held_back: HeldBack) -> None:
        """Give what says why this node begins nothing of a job; :meth:`show_again` when it says something else."""
        self._held_back = held_back

    def apply(self, job_id: str, event: JobEvent, *also: Statement) -> Commit:
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
        wire = self._wire(record, live.progress)
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

    def _store_change(self, live: LiveJob, wire: bytes, last: Unsaved | None, request: bool) -> Commit:
        """Store the newest state of a job, together with what could not be stored before."""
        record = live.record
        earlier, live.unsaved = live.unsaved, []
        changes = [*earlier, last] if last is not None else earlier
        self._revision += 1
        spec = spec_bytes(record.spec) if any(change.spec for change in changes) else None
        update = queries.update_job(record.id, record.status.value, self._revision, state_bytes(record), wire, spec)

        def committed() -> None:
            live.trouble = ""
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
            if live.unsaved:
                self._show_trouble(live, str(done.exception()))
            if live.unsaved and self._saver is None:
                self._saver = asyncio.get_running_loop().call_later(_SAVE_SECONDS, self._save)

        also = [statement for change in changes for statement in change.also]
        future = self._store.write([update, *also], committed)
        future.add_done_callback(settle)
        return future

    def _show_trouble(self, live: LiveJob, why: str) -> None:
        """What clients see of a job is what is stored, and beside it what has happened that is not."""
        trouble = f"{live.record.state.reason} (this is not stored yet, and tried again every second: {why})"
        if trouble != live.trouble:
            live.trouble = trouble
            self._feed.publish(live.record.id, self._wire(live.committed, live.progress, trouble))

    def _save(self) -> None:
        """Try again to store what could not be stored. Logged if that fails again."""
        self._saver = None
        for live in list(self._live.values()):
            if live.unsaved:
                self._store_change(live, self._wire(live.record, live.progress), None, False)

    def note(self, *statements: Statement) -> Commit:
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
            self._feed.publish(job_id, self._wire(live.committed, progress, live.trouble))

    def show_again(self) -> None:
        """What holds jobs back is another thing now: show the reason anew of those that wait for a slot."""
        self._spawn(self._show_again())

    async def _show_again(self) -> None:
        for number, job_id in enumerate(tuple(self._live)):
            if number % _SHOWN_AT_ONCE == 0:
                await asyncio.sleep(0)  # there may be very many
            live = self._live.get(job_id)
            if live is not None and live.committed.status is JobStatus.NOT_STARTED:
                self._feed.publish(job_id, self._wire(live.committed, live.progress, live.trouble))

    def _wire(self, record: JobRecord, progress: JobProgress = IDLE, trouble: str = "") -> bytes:
        held = self._held_back(record.spec) if record.status is JobStatus.NOT_STARTED else ""
        return wire_bytes(record, progress, held, trouble)

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

    async def settled(self, job_id: str) -> None:
        """Wait until no process of a job is alive and its log is written."""
        if self._settled is not None:
            await self._settled(job_id)

    # --- parts ---------------------------------------------------------------------------------------------------

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


def _done() -> Commit:
    done = Commit(asyncio.get_running_loop())
    done.tell_threads()
    done.set_result(None)
    return done
