"""Renders what the queue holds: as many slots an engine as the settings say, each with one session at a time.

A slot takes the most urgent job, begins an attempt at a chunk of it, and keeps the session open while the next chunk
is of the same job. It reports everything that happens to the job service as events; it changes no job itself.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from pathlib import Path

import structlog

from app.jobs.events import AwaitSpace, Effect, Ended, NeedEngine, PriorityChanged, Queue, SpaceFound, StopAttempts
from app.jobs.folders import DataFolder
from app.jobs.record import JobRecord
from app.jobs.service import JobService
from app.render.at_work import JobAtWork
from app.render.awaiting import check_engine
from app.render.catalog import EngineCatalog
from app.render.confinement import Confinement
from app.render.delivery import Delivery
from app.render.gpu import gpu_of_this_machine
from app.render.logs import JobLog, LogWriter
from app.render.oom_kills import OomKills
from app.render.queue import TAKEN_BACK, RenderQueue
from app.render.scratch import SpareFolders
from app.render.slot import Slot
from app.render.space import Space
from app.settings import Settings
from client.models import JobStatus
from engines.contract import EngineVersion
from engines.frames import IndexSet

log = structlog.get_logger(__name__)

DISCARD_SECONDS = 0.1
"""Between two times at which scratch folders are removed: those of many short attempts go together."""

FramesListener = Callable[[JobRecord, EngineVersion, Mapping[str, str]], None]
"""Called on the event loop when a job has new outputs, with the engine's own word on colour; must not wait."""


class Supervisor:
    """All slots of this node. Build it, :meth:`start` it, :meth:`close` it."""

    def __init__(
        self,
        settings: Settings,
        jobs: JobService,
        catalog: EngineCatalog,
        folders: DataFolder,
        delivery: Delivery,
        confinement: Confinement,
        store_id: str,
    ) -> None:
        self.settings = settings
        self.jobs = jobs
        self.catalog = catalog
        self.folders = folders
        self.delivery = delivery
        self.store_id = store_id
        self.queue = RenderQueue(jobs.live)
        self.confinement = confinement
        self.gpu = gpu_of_this_machine()
        self.space = Space(folders.root, settings.min_free_bytes, self._space_found)
        self.oom_kills = OomKills()
        self.on_frames: FramesListener | None = None
        self.share: Callable[[JobRecord], int | None] = lambda record: None
        """How many frames of a job a slot of this node should take, if other nodes help; None: as if it were alone."""
        self.spare: Callable[[JobRecord], IndexSet] = lambda record: IndexSet()
        """Frames of a job that a slot of this node should render although another node has them."""
        self.late_job: Callable[[str], JobRecord | None] = lambda engine: None
        """A job that has such frames, for an engine with a free slot."""
        self.spares = SpareFolders(folders)
        self._writer = LogWriter(settings.max_log_bytes)
        self._slots: list[Slot] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._at_work: dict[str, JobAtWork] = {}
        self._discarded: list[Path] = []
        self._discard_timer: asyncio.TimerHandle | None = None
        self._discard_at = 0.0  # on the event loop's clock, not before
        self._discarding: asyncio.Task[None] | None = None
        self._forgetting: set[asyncio.Task[None]] = set()
        self._closing = False
        jobs.on_effect(self._effect)
        jobs.settle_with(self.settled)
        jobs.verify_with(delivery.recheck)

    def start(self) -> None:
        """Open the slots and queue the jobs that have not ended."""
        for name in self.catalog.engines:
            for number in range(self.catalog.slots(name)):
                slot = Slot(self, name)
                self._slots.append(slot)
                task = asyncio.get_running_loop().create_task(slot.run(), name=f"slot {name} {number}")
                task.add_done_callback(_tell_death)
                self._tasks.append(task)
        for record in self.jobs.live_records():
            if record.status in (JobStatus.NOT_STARTED, JobStatus.RUNNING):  # running: on other nodes
                self.queue.offer(record)

    async def close(self) -> None:
        """Stop every attempt (its frames go back without blame) and wait until no process is alive."""
        self._closing = True
        self.queue.close()
        await self.space.close()
        await asyncio.gather(*(slot.close() for slot in self._slots))
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._discard_timer is not None:
            self._discard_timer.cancel()
        await self._discard(self._discarding)
        if self._forgetting:
            await asyncio.wait(self._forgetting)
        await self._writer.close()
        self.oom_kills.close()

    def free_slots(self, engine: str) -> int:
        """How many slots of an engine render nothing."""
        return sum(1 for slot in self._slots if slot.engine == engine and not slot.attempt)

    async def settled(self, job_id: str) -> None:
        """Wait until no process of the job is alive."""
        while (work := self._at_work.get(job_id)) is not None:
            await work.quiet.wait()

    def stop_all(self) -> None:
        """End every attempt that is under way; their frames go back to their jobs without blame."""
        for slot in self._slots:
            if slot.attempt:
                slot.stop_attempt(TAKEN_BACK)

    def of_attempt(self, job_id: str, attempt: str) -> tuple[float, str]:
        """How far an attempt that is under way is (frames), and what it does just now."""
        work = self._at_work.get(job_id)
        return (0.0, "") if work is None else work.of_attempt(attempt)

    def sessions(self) -> dict[str, int]:
        """How many engine processes are open, by engine."""
        counts = dict.fromkeys(self.catalog.engines, 0)
        for slot in self._slots:
            counts[slot.engine] += slot.has_process
        return counts

    def dead_slots(self) -> list[str]:
        """The names of the slots that have died of a fault; none while the service stops."""
        return [] if self._closing else [task.get_name() for task in self._tasks if task.done()]

    def at_work(self, job_id: str) -> JobAtWork | None:
        """What those that work for a job share; None: nobody does."""
        return self._at_work.get(job_id)

    # --- for the slots -------------------------------------------------------------------------------------------

    def enter(self, job_id: str) -> JobAtWork:
        """A slot begins to work for a job; :meth:`leave` must follow."""
        work = self._at_work.get(job_id)
        if work is None:
            path = self.folders.log(job_id)
            work = JobAtWork(JobLog(path, self._writer, _size_of(path)))
            self._at_work[job_id] = work
        work.sessions += 1
        return work

    async def leave(self, job_id: str) -> None:
        """The slot has no process of this job any more."""
        work = self._at_work[job_id]
        work.sessions -= 1
        if work.sessions == 0:
            await work.log.flush()
            if work.sessions == 0:
                try:
                    await self.delivery.release(job_id)
                except OSError as error:  # the next start looks what is really there
                    log.error("a job's manifest could not be synced", job=job_id, reason=str(error))
            if work.sessions == 0 and self._at_work.pop(job_id, None) is not None:
                work.quiet.set()

    def discard(self, folder: Path) -> None:
        """Have a scratch folder removed soon, or kept for another attempt if it is empty. Folders that come close
        together go together."""
        self._discarded.append(folder)
        if self._discard_timer is None:
            loop = asyncio.get_running_loop()
            self._discard_timer = loop.call_at(self._discard_at, self._begin_discard)

    def _forget_parts(self, job_id: str) -> None:
        task = asyncio.get_running_loop().create_task(asyncio.to_thread(self.delivery.forget_parts, job_id))
        self._forgetting.add(task)
        task.add_done_callback(self._forgotten)

    def _forgotten(self, task: asyncio.Task[None]) -> None:
        self._forgetting.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.warning("the parts of a job could not be removed", reason=str(error))

    def _begin_discard(self) -> None:
        self._discard_timer = None
        loop = asyncio.get_running_loop()
        self._discard_at = loop.time() + DISCARD_SECONDS
        self._discarding = loop.create_task(self._discard(self._discarding))

    async def _discard(self, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await before
        folders, self._discarded = self._discarded, []
        await asyncio.to_thread(self.spares.sift, folders)

    # --- effects -------------------------------------------------------------------------------------------------

    def _space_found(self, job_id: str) -> bool:
        self.jobs.apply(job_id, SpaceFound())
        record = self.jobs.live(job_id)
        return record is None or not record.state.needs_space

    def _effect(self, record: JobRecord, effect: Effect) -> None:
        if isinstance(effect, Queue):
            if not self._closing:
                pause = self.settings.retry_seconds * 2 ** (effect.backoff - 1) if effect.backoff else 0.0
                self.queue.offer(record, pause)
        elif isinstance(effect, PriorityChanged):
            self.queue.reorder(record)
        elif isinstance(effect, NeedEngine):
            check_engine(record, self.jobs, self.catalog)  # it may have come between the choice and its commit
        elif isinstance(effect, StopAttempts):
            for slot in self._slots:
                if slot.attempt in effect.attempts:
                    slot.stop_attempt(effect.reason)
        elif isinstance(effect, AwaitSpace):
            if not self._closing:
                self.space.wait(record.id)
        elif isinstance(effect, Ended):
            self.space.forget(record.id)
            if record.spec.parts and record.spec.assembles and effect.status is JobStatus.COMPLETED:
                self._forget_parts(record.id)
            if (work := self._at_work.get(record.id)) is not None:
                work.log.say(f"the job ended as {effect.status}: {effect.reason}")


def _size_of(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0
    except OSError as error:  # whoever writes it will meet it too
        log.error("a job's log cannot be looked at", job=path.parent.name, reason=str(error))
        return 0


def _tell_death(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.critical("a slot died; its engine renders less until a restart", slot=task.get_name(), exc_info=error)
