"""One slot: takes a job, opens a session for it, gives the session chunk after chunk, reports how each went."""

from __future__ import annotations

import asyncio
import contextlib
import time
from dataclasses import replace
from typing import TYPE_CHECKING

import structlog

from app.jobs import queries
from app.jobs.chunking import next_chunk
from app.jobs.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptHeld,
    AttemptReleased,
    AttemptStarted,
    FramesLost,
)
from app.jobs.record import JobRecord
from app.jobs.rules.settling import backoff
from app.jobs.store import Commit, Statement, StoreError
from app.render.at_work import JobAtWork
from app.render.attempt import Attempt, Failed, Held, Outcome, Stopped, Succeeded
from app.render.attempt_ports import frames_verified, ports_of
from app.render.awaiting import check_engine
from app.render.causes import MachineSigns, classify, not_together
from app.render.processes import EngineProcess, LaunchError, boot_id
from app.render.scratch import ScratchFolders
from app.render.session import Session
from app.render.session_request import session_request
from engines.contract import Chunk, EngineVersion, FailureCause, Refusal
from engines.frames import IndexSet

if TYPE_CHECKING:
    from app.render.supervisor import Supervisor

log = structlog.get_logger(__name__)

NOTE_SECONDS = 0.1
"""A process that lives so long is noted in the store, for a start after a crash. Younger ones are found by their cookie
alone, as all are until the note is committed."""


class _StoppedInTime(Exception):
    """The attempt was stopped before its process was started."""


class Slot:
    """See the module. ``attempt`` is the id of the attempt that it renders now, or ``""``."""

    def __init__(self, owner: Supervisor, engine: str) -> None:
        self.attempt = ""
        self.engine = engine
        self._owner = owner
        self._scratch = ScratchFolders(owner.discard, owner.spares.take)
        self._session: Session | None = None
        self._work: JobAtWork | None = None
        self._job = ""  # the job that it has entered
        self._finished: tuple[str, AttemptEnded] | None = None  # the job, and what is not yet reported of it
        self._noting: asyncio.TimerHandle | None = None  # the process that is not yet noted in the store
        self._stop_reason = ""
        self._closing = False
        self._idle = asyncio.Event()
        self._idle.set()

    async def run(self) -> None:
        """Render until cancelled; :meth:`close` comes first, so that nothing is under way then."""
        try:
            while not self._closing:
                record = self._next()
                if record is None:
                    await self._rest()
                    record = self._next()
                if record is None:
                    self._idle.set()
                    await self._owner.queue.wait(self.engine)
                    continue
                self._idle.clear()
                await self._take(record)
            await self._rest()
        finally:
            self._idle.set()  # also if the slot dies: whoever closes it must not wait for ever

    def _next(self) -> JobRecord | None:
        """The job to go on with: the most urgent one, else one whose end another node has."""
        return self._owner.queue.take(self.engine) or self._owner.late_job(self.engine)

    @property
    def has_process(self) -> bool:
        """Whether an engine process of it is open."""
        return self._session is not None and self._session.process is not None

    def stop_attempt(self, reason: str) -> None:
        """End the attempt that is under way."""
        self._stop_reason = reason
        if self._session is not None:
            self._session.stop(reason)

    async def close(self) -> None:
        """Take nothing more, end what is under way, and wait until it is over."""
        self._closing = True
        self.stop_attempt("the service stops")
        await self._idle.wait()
        await self._close_session()  # there is one if the slot has died
        self._scratch.drop()

    # --- taking a chunk ------------------------------------------------------------------------------------------

    async def _take(self, record: JobRecord) -> None:
        """Begin an attempt at the next chunk of this job. Nothing waits between choosing the frames and claiming them:
        another slot could take the same."""
        owner, spec = self._owner, record.spec
        version = owner.catalog.find(spec.engine, spec.engine_version)
        if version is None:
            check_engine(record, owner.jobs, owner.catalog)
            return
        assembles = record.needs_assembly
        positions = next_chunk(
            record,
            slots=owner.catalog.slots(spec.engine),
            chunk_seconds=owner.settings.chunk_seconds,
            max_frames=owner.settings.max_chunk_frames,
            size=owner.share(record),
        )
        twice = False
        if not positions and not assembles:
            positions, twice = owner.spare(record), True
        if not positions and not assembles:
            return
        attempt = f"{record.id}-{record.state.attempts + 1}"
        reused = self._session if self._job == record.id else None
        fits = reused is not None and reused.alive and reused.takes_chunks and reused.request.version == version
        if assembles or not fits:
            reused = None
        started = AttemptStarted(attempt, positions, time.time(), assembles, twice=twice)
        committed = self._claim(record, started, reused)
        fresh = self._job != record.id
        work = owner.enter(record.id) if fresh or self._work is None else self._work
        left = owner.jobs.live(record.id)
        shared = spec.divisible or bool(spec.parts)
        if left is not None and shared and not backoff(left) and left.waiting_positions():
            owner.queue.offer(left)
        self.attempt, self._stop_reason = attempt, ""
        try:
            if reused is None:
                await self._close_session()
            self._report_finished()  # of another job, if anything: its process is gone now
            if fresh:
                if self._job:
                    self._scratch.drop()
                    await owner.leave(self._job)
                self._job, self._work = record.id, work
            outcome = await self._render(record, version, attempt, positions, committed, assembles)
        finally:
            self.attempt = ""
        work.attempt_over(attempt)
        await self._conclude(record, version, attempt, outcome, assembles)

    def _claim(self, record: JobRecord, started: AttemptStarted, reused: Session | None) -> Commit:
        notation = record.spec.frames.notation(started.positions)
        session = reused.id if reused is not None else started.attempt
        begin = queries.begin_attempt(started.attempt, record.id, session, notation, started.at)
        if self._finished is not None and self._finished[0] == record.id:
            return self._report_finished(started, begin)
        return self._owner.jobs.apply(record.id, started, begin)

    def _report_finished(self, then: AttemptStarted | None = None, *also: Statement) -> Commit:
        """Report the attempt that succeeded last, together with the one that follows it."""
        if self._finished is None:
            return self._owner.jobs.note(*also)
        (job, ended), self._finished = self._finished, None
        end = queries.end_attempt(ended.attempt, ended.at, "succeeded", "")
        return self._owner.jobs.apply(job, replace(ended, then=then), end, *also)

    async def _rest(self) -> None:
        """Nothing to do: close the session, report (an ended job has no process), leave the job."""
        await self._close_session()
        committed = self._report_finished()
        with contextlib.suppress(StoreError):  # logged where it happened
            await committed
        self._scratch.drop()
        if self._job:
            job, self._job, self._work = self._job, "", None
            await self._owner.leave(job)

    async def _close_session(self) -> None:
        session, self._session = self._session, None
        if session is None:
            return
        await session.close()
        if self._noting is not None:  # it was over before it was worth a row
            self._noting.cancel()
            self._noting = None
        elif session.process is not None:
            self._owner.jobs.note(queries.end_process(session.id))
        self._scratch.done_with(session.request.folder)

    # --- rendering it --------------------------------------------------------------------------------------------

    async def _render(
        self,
        record: JobRecord,
        version: EngineVersion,
        attempt: str,
        positions: IndexSet,
        committed: Commit,
        assembles: bool,
    ) -> Outcome:
        assert self._work is not None
        owner, spec = self._owner, record.spec
        engine = owner.catalog.engine(spec.engine)
        frames = tuple(spec.frames) if assembles else spec.frames.frames_at(positions)
        failures = record.failures_at(positions) if spec.parts else 0
        chunk = Chunk(attempt, frames, owner.folders.attempt(attempt), failures)
        session = self._session
        try:
            await owner.delivery.hold(record)
            if session is None:
                request = session_request(record, version, attempt, engine, owner.settings, owner.folders)
                session = Session(
                    engine,
                    request,
                    job_id=record.id,
                    store_id=owner.store_id,
                    log=self._work.log,
                    grace=owner.settings.term_seconds,
                    confinement=owner.confinement,
                    parts=owner.folders.parts(record.id) if assembles else None,
                )
                session.oom_kills = owner.oom_kills.recent()
            else:
                spares = [(chunk.folder, self._scratch.spare(chunk.folder))]
                await asyncio.to_thread(owner.confinement.make, spares)
            if self._session is not None or assembles:  # else the thread that starts the process waits for it
                await committed
            if self._stop_reason:
                return Stopped(self._stop_reason)
            if assembles:
                parts = owner.folders.parts(record.id)
                bad = await asyncio.to_thread(engine.bad_parts, session.request, parts)
                if bad:
                    return not_together(record, bad)
            watcher = Attempt(
                session,
                chunk,
                engine.assembled(session.request, chunk) if assembles else engine.expected(session.request, chunk),
                spec.divisible,
                ports_of(owner, self._work, record, chunk, session.request.version, assembles, self.stop_attempt),
                owner.settings.stall_seconds,
            )
            if self._session is None:
                watcher.listen()
                await self._open(session, attempt, chunk, committed)
            outcome = await watcher.run()
        except _StoppedInTime:
            return Stopped(self._stop_reason)
        except LaunchError as error:
            outcome = Failed(FailureCause.MACHINE, str(error))
        except StoreError as error:
            return Held(str(error))
        except OSError as error:
            outcome = Failed(FailureCause.DISK, f"a file or folder of the job cannot be used: {error}")
        except Refusal as error:
            return Failed(FailureCause.BAD_OPTION, error.message)
        except Exception as error:  # whatever a plug-in of somebody else raises, the slot goes on
            log.exception("the engine or the service has a fault", job=record.id, engine=spec.engine)
            return Failed(FailureCause.ERROR, f"{engine.title} has a fault ({type(error).__name__}): {error}")
        return await self._explained(outcome) if isinstance(outcome, Failed) else outcome

    async def _explained(self, failed: Failed) -> Outcome:
        """The failure with its cause, by what the machine says; held if it only lacked space."""
        session, space = self._session, self._owner.space
        free = await space.free()
        before = session.oom_kills if session is not None else None
        after = self._owner.oom_kills.count() if failed.code is not None else None
        kills = after - before if after is not None and before is not None else None
        failed = classify(failed, session.tail if session is not None else (), MachineSigns(kills, free))
        held = failed.cause is FailureCause.DISK and space.is_short(free, self._job)
        return Held(failed.message) if held else failed

    async def _open(self, session: Session, attempt: str, chunk: Chunk, committed: Commit) -> None:
        def may_begin() -> None:
            committed.wait_in_thread()
            if self._stop_reason:
                raise _StoppedInTime

        self._session = session
        process = await session.open(attempt, chunk, self._scratch, may_begin)
        self._owner.catalog.used(session.request.version)
        self._noting = asyncio.get_running_loop().call_later(NOTE_SECONDS, self._note, session.id, process)
        if self._stop_reason:
            session.stop(self._stop_reason)

    def _note(self, session: str, process: EngineProcess) -> None:
        self._noting = None
        if started := process.started:
            self._owner.jobs.note(queries.begin_process(session, process.pid, started, boot_id()))

    async def _conclude(
        self, record: JobRecord, version: EngineVersion, attempt: str, outcome: Outcome, assembles: bool
    ) -> None:
        """Report how the attempt went, and take away what it left in its folder."""
        assert self._work is not None
        owner, now, say = self._owner, time.time(), self._work.log.say
        if isinstance(outcome, Succeeded):
            if assembles:
                ended = AttemptEnded(attempt, now, files=owner.delivery.file_count(record.id))
            else:
                verified = frames_verified(owner, self._work, record, attempt, outcome.frames, outcome.seconds)
                ended = AttemptEnded(attempt, now, verified if outcome.frames else None)
            self._finished = (record.id, ended)
            if outcome.frames and owner.on_frames is not None:
                owner.on_frames(record, version, self._work.colour)
            if self._session is not None and not self._session.alive:
                await self._close_session()
            await self._look_for_lost(record.id, attempt)
            left = owner.jobs.live(record.id)
            if left is None or self._closing:
                self._report_finished()
            elif left.waiting_positions() and not backoff(left):
                owner.queue.offer(left)
        elif isinstance(outcome, Held):
            say(f"attempt {attempt} waits for space on the disk: {outcome.reason}")
            if self._session is not None:
                self._session.stop("the disk is full")
            await self._close_session()
            end = queries.end_attempt(attempt, now, FailureCause.DISK.value, outcome.reason)
            owner.jobs.apply(record.id, AttemptHeld(attempt, outcome.reason, now), end)
        elif isinstance(outcome, Stopped):
            say(f"attempt {attempt} was stopped: {outcome.reason}")
            await self._close_session()
            end = queries.end_attempt(attempt, now, "released", outcome.reason)
            owner.jobs.apply(record.id, AttemptReleased(attempt, outcome.reason, now), end)
        else:
            say(f"attempt {attempt} failed ({outcome.cause}): {outcome.message}")
            await self._close_session()
            blamed = record.spec.frames.position(outcome.frame) if outcome.frame is not None else None
            end = queries.end_attempt(attempt, now, outcome.cause.value, outcome.message)
            refused = IndexSet()
            for first in outcome.refused:
                refused |= record.part_positions(record.spec.frames.position(first))
            failed = AttemptFailed(attempt, outcome.cause, outcome.message, blamed, now, refused)
            owner.jobs.apply(record.id, failed, end)
        succeeded = isinstance(outcome, Succeeded)
        self._scratch.done_with(owner.folders.attempt(attempt), keep=succeeded)

    async def _look_for_lost(self, job_id: str, attempt: str) -> None:
        """Before the last attempt of a job is reported: are all its outputs still where they were put?"""
        left = self._owner.jobs.live(job_id)
        if left is None or not left.spec.divisible or left.waiting_positions():
            return
        if any(chunk.positions for chunk in left.state.running if chunk.attempt != attempt):
            return
        if lost := await self._owner.delivery.lost(left):
            files = self._owner.delivery.file_count(job_id)
            assert self._work is not None
            self._work.log.say(f"{len(lost)} frames were taken out of the output folder while it rendered")
            self._owner.jobs.apply(job_id, FramesLost(attempt, lost, files))
