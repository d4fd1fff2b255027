"""Between the jobs and the installs: a job that needs an engine version has it fetched, sees how far it is, and goes on
by itself when it has come. What did not come is tried again for as long as a job waits for it."""

from __future__ import annotations

import asyncio
import time

import structlog

from app.installs.errors import InstallError
from app.installs.installing import Installing
from app.installs.installs import Installs
from app.jobs.events import Effect, NeedEngine
from app.jobs.feed import Feed
from app.jobs.record import JobRecord
from app.jobs.service import JobService
from app.render.awaiting import check_engines, tell_failure, tell_progress, waiting_for
from app.render.catalog import EngineCatalog, UnknownEngine
from app.settings import Settings
from client.models import InstallState, JobStatus
from engines.contract import Fetchable

log = structlog.get_logger(__name__)

AGAIN_FACTOR = 15.0
"""The first wait before another try, in ``retry_seconds``; it doubles with each."""
LOOK_SECONDS = 600.0
"""How often sources are asked again for what nobody offered when the job came; the longest wait between tries."""


class Demand:
    """One for the whole service. Build it before jobs are resumed, :meth:`start` it after the installs, :meth:`close`
    it before them."""

    def __init__(
        self, settings: Settings, jobs: JobService, catalog: EngineCatalog, installs: Installs, feed: Feed
    ) -> None:
        self._settings = settings
        self._jobs = jobs
        self._catalog = catalog
        self._installs = installs
        self._feed = feed
        self._tries: dict[tuple[str, str], int] = {}
        self._due: dict[tuple[str, str], float] = {}  # monotonic seconds
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        jobs.on_effect(self._effect)
        installs.on_change(self._moved)

    def start(self) -> None:
        """Begin to look after what is needed."""
        self._task = asyncio.create_task(self._run(), name="engines that jobs wait for")

    async def close(self) -> None:
        """Ask for nothing more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def offered(self, engine: str) -> Fetchable:
        """What could be fetched of an engine for this machine; what goes wrong with a source is in the answer."""
        if not self._settings.auto_install:
            return Fetchable(allowed=False)
        offered = await self._installs.offered(engine)
        return Fetchable(offered.releases, True, offered.troubles)

    def waiting_for(self, one: Installing) -> list[str]:
        """The ids of the jobs that wait for what an install brings."""
        return waiting_for(self._jobs, one.engine, one.version)

    # --- what is needed ------------------------------------------------------------------------------------------

    def _effect(self, record: JobRecord, effect: Effect) -> None:
        if isinstance(effect, NeedEngine):
            if effect.fetch:
                self._due.setdefault((effect.engine, effect.version), time.monotonic())
            elif self._settings.auto_install:
                # At once: when a job's copy has gone, nobody was asked for another yet. What was is remembered.
                self._due.setdefault((effect.engine, ""), time.monotonic())
            self._wake.set()

    async def _run(self) -> None:
        while True:
            self._wake.clear()
            now = time.monotonic()
            for need in [need for need, at in self._due.items() if at <= now]:
                del self._due[need]
                await self._see_to(*need)
            soonest = min(self._due.values(), default=None)
            pause = None if soonest is None else max(0.0, soonest - time.monotonic())
            try:
                async with asyncio.timeout(pause):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def _see_to(self, engine: str, version: str) -> None:
        try:
            if not version:
                await self._look_again(engine)
            elif waiting_for(self._jobs, engine, version):
                one = await self._installs.request(engine, version)
                if one.state is InstallState.INSTALLED:  # it had come meanwhile
                    check_engines(self._jobs, self._catalog, engine)
        except UnknownEngine as error:
            log.warning("a job waits for an engine that does not work here", reason=str(error))
        except InstallError as error:
            self._not_come(engine, version, error.message)

    async def _look_again(self, engine: str) -> None:
        """Ask the sources once more for those who wait for what was not to be had."""
        waits = [
            record
            for record in self._jobs.live_records()
            if record.status is JobStatus.CONFIGURING
            and record.spec.engine == engine
            and not (record.spec.missing is not None and record.spec.missing.fetch)
        ]
        if waits:
            check_engines(self._jobs, self._catalog, engine, await self.offered(engine))
            self._due.setdefault((engine, ""), time.monotonic() + LOOK_SECONDS)

    # --- what moves ----------------------------------------------------------------------------------------------

    def _moved(self, one: Installing) -> None:
        wire = one.wire(self.waiting_for(one)).model_dump_json().encode()
        self._feed.publish_install(one.id, wire)
        if one.state is InstallState.INSTALLED:
            self._tries.pop((one.engine, one.version), None)
            check_engines(self._jobs, self._catalog, one.engine)
        elif one.state is InstallState.FAILED:
            self._not_come(one.engine, one.version, one.reason)
        elif one.state is InstallState.CANCELLED:
            self._tell(one.engine, one.version, "its install was cancelled", "")
        else:
            tell_progress(self._jobs, one.engine, one.version, one.story(self._title(one.engine)))

    def _not_come(self, engine: str, version: str, reason: str) -> None:
        if not waiting_for(self._jobs, engine, version):
            return
        tries = self._tries[engine, version] = self._tries.get((engine, version), 0) + 1
        pause = min(LOOK_SECONDS, AGAIN_FACTOR * self._settings.retry_seconds * 2.0 ** min(tries - 1, 20))
        self._due[engine, version] = time.monotonic() + pause
        self._wake.set()
        self._tell(engine, version, reason, f"; it is tried again in {pause:.0f} s")

    def _tell(self, engine: str, version: str, reason: str, then: str) -> None:
        command = f"zordon engines install {engine} {version}"
        story = f"{self._title(engine)} {version} could not be fetched: {reason}{then}; by hand: {command}"
        tell_failure(self._jobs, engine, version, story)

    def _title(self, engine: str) -> str:
        known = self._catalog.engines.get(engine)
        return engine if known is None else known.title
