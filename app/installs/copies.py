"""The managed copies on this node: deleting one, and pruning those that nobody has used for long."""

from __future__ import annotations

import asyncio
import contextlib
import time

import structlog

from app.installs.errors import CopyNeeded, NoSuchVersion
from app.installs.installing import Installing
from app.installs.installs import Installs
from app.installs.pruning import DAY, ManagedCopy, prunable
from app.jobs import queries
from app.jobs.folders import DataFolder
from app.jobs.service import JobService
from app.jobs.store import Store
from app.render.awaiting import check_engines
from app.render.catalog import EngineCatalog
from app.render.sizes import bytes_in
from app.settings import Settings
from client.models import EnginePruned, InstallState
from engines.contract import EngineVersion, InstallKind

log = structlog.get_logger(__name__)


class ManagedCopies:
    """See the module. One for the whole service; for the event loop."""

    def __init__(
        self,
        settings: Settings,
        folders: DataFolder,
        store: Store,
        jobs: JobService,
        catalog: EngineCatalog,
        installs: Installs,
    ) -> None:
        self._settings = settings
        self._folders = folders
        self._store = store
        self._jobs = jobs
        self._catalog = catalog
        self._installs = installs
        self._task: asyncio.Task[None] | None = None
        self._look = asyncio.Event()
        installs.on_change(self._moved)

    def start(self) -> None:
        """Prune once a day, and whenever another version has come."""
        self._task = asyncio.create_task(self._every_day(), name="prune engines")

    async def close(self) -> None:
        """Prune no more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def delete(self, engine: str, version: str) -> None:
        """Delete a managed copy.

        Raises:
            UnknownEngine: there is no such engine.
            NoSuchVersion: this node has no such version; the message names those it has.
            CopyNeeded: a job uses or needs it, it is being installed, or it is not Zordon's to delete.
        """
        title = self._catalog.engine(engine).title
        copies = [copy for copy in self._catalog.versions(engine) if copy.version == version]
        if self._installs.under_way(engine, version) is not None:
            raise CopyNeeded(f"{title} {version} is just being installed; cancel that install", "version")
        if not copies:
            known = ", ".join(copy.version for copy in self._catalog.versions(engine)) or "none"
            raise NoSuchVersion(f"{title} {version} is not on this node; there is {known}", "version")
        copy = copies[0]
        if copy.kind is not InstallKind.MANAGED:
            raise CopyNeeded(f"{copy.path} was not installed by Zordon ({copy.kind}), so it is not deleted", "version")
        if needed := self._needed_by(engine, version):
            raise CopyNeeded(
                f"{len(needed)} unfinished jobs use or need {title} {version}, such as {needed[0]}: wait for them, or "
                "cancel them",
                "version",
            )
        await self._remove(copy)

    async def prune(self, unused_days: float | None, budget: int | None, *, dry_run: bool) -> EnginePruned:
        """Delete what was not used for long; see :func:`app.installs.pruning.prunable`.

        Args:
            unused_days: None: as the settings say.
            budget: bytes that may stay; None: as the settings say.
            dry_run: only say what would go.
        """
        days = self._settings.engine_unused_days if unused_days is None else unused_days
        most = self._settings.engine_budget_bytes if budget is None else budget
        copies = await self._facts()
        removed, kept = prunable(list(copies), most, days, time.time())
        gone: list[ManagedCopy] = []
        for fact in removed:
            # Looked at once more: a job may have come while the one before was removed.
            if not dry_run:
                if self._needed_by(fact.engine, fact.version):
                    kept[fact.name] = "a job needs it now"
                    continue
                await self._remove(copies[fact])
            gone.append(fact)
        return EnginePruned(
            removed=[fact.name for fact in gone], bytes_freed=sum(fact.size for fact in gone), kept=kept
        )

    async def _every_day(self) -> None:
        while True:
            self._look.clear()
            with contextlib.suppress(TimeoutError):
                # Not wait_for: in Python 3.11 it swallows a cancellation that comes together with the event.
                async with asyncio.timeout(DAY):
                    await self._look.wait()
            done = await self.prune(None, None, dry_run=False)
            if done.removed:
                log.info("removed engines that nobody used", engines=done.removed, bytes=done.bytes_freed)

    def _moved(self, one: Installing) -> None:
        if one.state is InstallState.INSTALLED:
            self._look.set()

    async def _remove(self, copy: EngineVersion) -> None:
        place = self._folders.engines / copy.engine / copy.version
        log.info("removing an engine", engine=copy.engine, version=copy.version)
        await asyncio.to_thread(self._folders.throw_away, place)
        await self._store.write([queries.remove_install(copy.engine, copy.version)])
        await self._catalog.refresh()
        check_engines(self._jobs, self._catalog, copy.engine)

    def _needed_by(self, engine: str, version: str) -> list[str]:
        return [
            record.id
            for record in self._jobs.live_records()
            if record.spec.engine == engine and record.spec.engine_version == version
        ]

    async def _facts(self) -> dict[ManagedCopy, EngineVersion]:
        used = await self._store.read(queries.load_installs)
        facts: dict[ManagedCopy, EngineVersion] = {}
        for engine in self._catalog.engines:
            versions = self._catalog.versions(engine)
            for copy in versions:
                if copy.kind is not InstallKind.MANAGED:
                    continue
                folder = self._folders.engines / engine / copy.version
                size = await asyncio.to_thread(bytes_in, folder)
                last = used.get((engine, copy.version))
                if last is None:
                    last = (await asyncio.to_thread(folder.stat)).st_mtime
                needed = tuple(self._needed_by(engine, copy.version))
                fact = ManagedCopy(engine, copy.version, size, last, needed, copy is versions[0])
                facts[fact] = copy
        return facts
