"""The parts that render, in this process and without HTTP: the real store, feed, job service, supervisor, delivery."""

from __future__ import annotations

import asyncio
import gc
import secrets
import sys
import time
from collections.abc import AsyncIterator, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import TypeVar

import uvloop

from app.jobs.events import Effect, Ended
from app.jobs.feed import Feed
from app.jobs.folders import DataFolder
from app.jobs.record import JobRecord, JobSpec
from app.jobs.service import JobService
from app.jobs.store import Store
from app.outputs.manifest import Manifests
from app.outputs.workers import Workers
from app.render.catalog import EngineCatalog
from app.render.confinement import Confinement
from app.render.delivery import Delivery
from app.render.finding import FoundCopies
from app.render.processes import adopt_orphans
from app.render.supervisor import Supervisor
from app.server import COLLECTOR, SWITCH_SECONDS
from app.settings import load_settings
from bench.noop import NoopEngine
from engines.contract import EngineVersion, InstallKind
from engines.frames import FrameSet

T = TypeVar("T")


def as_served(work: Coroutine[None, None, T]) -> T:
    """Run a coroutine as the service would: on uvloop, with its settings of the interpreter."""
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECTOR)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(work)


class _Catalog(EngineCatalog):
    """The engines of this machine, and the one that does nothing."""

    async def refresh(self) -> None:
        await super().refresh()
        self.engines["noop"] = NoopEngine()
        copy = EngineVersion("noop", "1", Path("/bin/true"), InstallKind.SYSTEM, "linux", "x64")
        self._found["noop"] = FoundCopies((copy,))


class Farm:
    """A supervisor with two slots, and the time that jobs take in it."""

    def __init__(self, jobs: JobService, version: str) -> None:
        self._jobs = jobs
        self._version = version
        self._ended: asyncio.Queue[JobRecord] = asyncio.Queue()
        jobs.on_effect(self._effect)

    def _effect(self, record: JobRecord, effect: Effect) -> None:
        if isinstance(effect, Ended):
            self._ended.put_nowait(record)

    async def render(self, engine: str, frames: int) -> float:
        """Submit a job of so many frames, each of them a chunk, and wait for its end; returns seconds."""
        spec = JobSpec(
            id=secrets.token_hex(8),
            name="bench",
            engine=engine,
            engine_version="1" if engine == "noop" else self._version,
            engine_version_reason="",
            frames=FrameSet.between(1, frames),
            divisible=True,
            created=time.time(),
            width=16,
            height=16,
            options={} if engine == "noop" else {"width": 16, "height": 16},
        )
        begun = time.perf_counter()
        await self._jobs.submit([spec])
        record = await self._ended.get()
        if record.status != "completed":
            raise RuntimeError(f"the job ended as {record.status}: {record.state.reason} {record.state.errors[:2]}")
        return time.perf_counter() - begun


@asynccontextmanager
async def farm(folder: Path) -> AsyncIterator[Farm]:
    """The parts, built as :mod:`app.main` builds them, with chunks of one frame."""
    adopt_orphans()
    settings = load_settings(data_dir=folder, max_chunk_frames=1)
    folders = DataFolder(folder)
    folders.prepare()
    async with AsyncExitStack() as stack:
        store = Store(folders.database)
        await store.open()
        stack.push_async_callback(store.close)
        feed = Feed(store.store_id, store.epoch)
        workers = Workers()
        stack.push_async_callback(workers.close)
        jobs = JobService(store, feed, folders)
        stack.push_async_callback(jobs.close)
        catalog = _Catalog(settings, folders.engines)
        await catalog.refresh()
        await jobs.load()
        delivery = Delivery(folders, workers, Manifests())
        supervisor = Supervisor(
            settings, jobs, catalog, folders, delivery, Confinement(settings, folders), store.store_id
        )
        stack.push_async_callback(supervisor.close)
        supervisor.start()
        yield Farm(jobs, catalog.versions("testpattern")[0].version)
