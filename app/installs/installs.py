"""The engine versions on their way to this node: one install a version, whoever asks and however often.

What was asked for is a row until it has come, so that a restart goes on with it. A copy becomes visible by one rename,
after it was proven; before that nobody can find it.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import structlog

from app.installs.errors import InstallError, NoSource, NoSuchVersion, checked_version
from app.installs.installing import Installing
from app.installs.offers import Offered, Offers
from app.installs.proof import Prove
from app.installs.source import Phase, SourceError
from app.jobs import queries
from app.jobs.folders import DataFolder
from app.jobs.store import Store
from app.node.platforms import cpu_name, system_os
from app.render.catalog import EngineCatalog
from client.models import InstallState
from engines.contract import EngineVersion, InstallKind
from engines.installs.release import Release

log = structlog.get_logger(__name__)

KEPT = 50
"""Installs that have ended and are still told about."""
SHOW_SECONDS = 0.5
"""Least time between two reports of the same step."""

Listener = Callable[[Installing], None]
"""Called on the event loop whenever an install has moved; must not wait."""


class Installs:
    """All installs of this node. Build it, :meth:`start` it, :meth:`close` it; for the event loop."""

    def __init__(self, folders: DataFolder, store: Store, catalog: EngineCatalog, offers: Offers, prove: Prove) -> None:
        self.offers = offers
        self._folders = folders
        self._store = store
        self._catalog = catalog
        self._prove = prove
        self._known: dict[str, Installing] = {}  # by id, oldest first
        self._tasks: dict[str, asyncio.Task[None]] = {}  # by id
        self._deciding: dict[str, asyncio.Lock] = {}  # by engine: two requests must not begin the same install
        self._listeners: list[Listener] = []
        self._shown: dict[str, float] = {}
        self._one_at_a_time = asyncio.Semaphore(1)
        self._closing = False

    def on_change(self, listener: Listener) -> None:
        """Have a part of the service told of every install that moves."""
        self._listeners.append(listener)

    async def start(self) -> None:
        """Go on with what was under way, and remove what nobody asks for any more."""
        rows = await self._store.read(queries.load_fetches)
        wanted = {(engine, version) for _, engine, version, _ in rows}
        await asyncio.to_thread(_sweep, self._folders.fetching, wanted)
        for id, engine, version, asked in rows:
            if engine in self._catalog.engines:
                self._begin(Installing(id, engine, version, system_os(), cpu_name(), asked), ())

    async def close(self) -> None:
        """Break off what is under way; it goes on at the next start."""
        self._closing = True
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.offers.close()

    # --- asking --------------------------------------------------------------------------------------------------

    def all(self) -> list[Installing]:
        """Those under way and those that have ended lately, oldest first."""
        return list(self._known.values())

    def find(self, id: str) -> Installing:
        """An install.

        Raises:
            NoSuchVersion: there is none of this id, or it was long ago.
        """
        try:
            return self._known[id]
        except KeyError:
            raise NoSuchVersion(f"there is no install {id[:60]!r}", "install_id") from None

    def under_way(self, engine: str, version: str) -> Installing | None:
        """The install of exactly this version, if it has not ended."""
        for one in self._known.values():
            if (one.engine, one.version) == (engine, version) and one.id in self._tasks:
                return one
        return None

    async def offered(self, engine: str, system: str | None = None, cpu: str | None = None) -> Offered:
        """What can be fetched, for this kind of machine unless another is named.

        Raises:
            UnknownEngine: there is no such engine.
        """
        self._catalog.engine(engine)
        return await self.offers.of(engine, system or system_os(), cpu or cpu_name())

    async def releases_of(
        self, engine: str, version: str, system: str | None = None, cpu: str | None = None
    ) -> list[Release]:
        """The releases of a version (of its newest patch, where it is short), best source first.

        Raises:
            UnknownEngine: there is no such engine.
            InstallError: this is no version.
            NoSource: nobody could be asked.
            NoSuchVersion: nobody offers it.
        """
        checked_version(version)
        offered = await self.offered(engine, system, cpu)
        found = offered.of_version(version)
        if not found:
            raise nothing_found(self._catalog.engine(engine).title, version, offered)
        return found

    async def request(self, engine: str, version: str) -> Installing:
        """Have a version installed; returns at once with the install, which others may have begun.

        Raises:
            UnknownEngine, InstallError: see :meth:`releases_of`.
        """
        releases = await self.releases_of(engine, version)
        exact = releases[0].version
        async with self._deciding.setdefault(engine, asyncio.Lock()):
            if (running := self.under_way(engine, exact)) is not None:
                return running
            one = Installing(secrets.token_hex(8), engine, exact, system_os(), cpu_name(), time.time())
            if (copy := self._managed(engine, exact)) is not None:
                one.end(InstallState.INSTALLED, f"it is installed already: {copy.path}")
                return one
            await self._store.write([queries.begin_fetch(one.id, engine, exact, one.created)])
            self._begin(one, releases)
            return one

    async def cancel(self, id: str) -> Installing:
        """Stop an install and forget what came; one that has ended stays as it is.

        Raises:
            NoSuchVersion: there is none.
        """
        one = self.find(id)
        task = self._tasks.get(id)
        if task is not None:
            task.cancel()
            await asyncio.wait([task])
            if one.state is not InstallState.INSTALLED:
                await self._finish(one, InstallState.CANCELLED, "cancelled by request")
                await asyncio.to_thread(self._folders.throw_away, self._work(one))
                self._tell(one)
        return one

    async def wait(self, id: str) -> Installing:
        """Wait until an install has ended."""
        one = self.find(id)
        if (task := self._tasks.get(id)) is not None:
            await asyncio.wait([task])
        return one

    # --- installing ----------------------------------------------------------------------------------------------

    def _begin(self, one: Installing, releases: Sequence[Release]) -> None:
        self._known[one.id] = one
        task = asyncio.create_task(self._run(one, releases), name=f"install {one.engine} {one.version}")
        self._tasks[one.id] = task
        task.add_done_callback(lambda done: self._over(one, done))
        self._tell(one)

    def _over(self, one: Installing, task: asyncio.Task[None]) -> None:
        self._tasks.pop(one.id, None)
        self._shown.pop(one.id, None)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("an install failed because of a fault in the service", install=one.id, exc_info=error)
            one.end(InstallState.FAILED, f"the service has a fault ({type(error).__name__}); its log says more")
        for old in [known.id for known in self._known.values() if known.state.ended][:-KEPT]:
            del self._known[old]
        self._tell(one)

    async def _run(self, one: Installing, releases: Sequence[Release]) -> None:
        async with self._one_at_a_time:
            try:
                await self._install(one, releases or await self.releases_of(one.engine, one.version))
            except InstallError as error:
                await self._finish(one, InstallState.FAILED, error.message)
            except OSError as error:
                await self._finish(one, InstallState.FAILED, f"the data folder cannot be written: {error}")

    async def _install(self, one: Installing, releases: Sequence[Release]) -> None:
        title = self._catalog.engine(one.engine).title
        troubles: list[str] = []
        for release in releases:
            log.info("fetching an engine", engine=one.engine, version=one.version, source=release.source)
            one.begin(release.source)
            self._tell(one)
            try:
                copy = await self._fetch(one, release)
            except SourceError as error:
                log.warning("an engine did not come", engine=one.engine, source=release.source, reason=error.message)
                troubles.append(f"{release.source}: {error.message}")
                await asyncio.to_thread(self._folders.throw_away, self._copy(one))
            else:
                await self._finish(one, InstallState.INSTALLED, f"{title} {copy.version} came from {release.source}")
                return
        await self._finish(one, InstallState.FAILED, "; ".join(troubles))

    async def _fetch(self, one: Installing, release: Release) -> EngineVersion:
        """Fetch, prove, put into its place."""
        engine = self._catalog.engine(one.engine)
        work = self._work(one) / release.source
        root = self._copy(one)
        place = root / one.version
        await asyncio.to_thread(_prepare, work, root)
        await self.offers.sources[release.source].fetch(release, work, place, lambda *step: self._step(one, *step))
        self._step(one, Phase.PROVING, 0, None)
        copy = await self._prove(engine, root, one.version)
        final = self._folders.engines / one.engine / one.version
        await asyncio.to_thread(self._put, place, final)
        await self._store.write([queries.add_install(one.engine, one.version, str(final), time.time())])
        await asyncio.to_thread(self._folders.throw_away, self._work(one))
        await self._catalog.refresh()
        return copy

    def _put(self, place: Path, final: Path) -> None:
        final.parent.mkdir(parents=True, exist_ok=True)
        self._folders.throw_away(final)  # a copy that could not be listed, so that nobody uses it
        place.rename(final)
        descriptor = os.open(final.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)

    async def _finish(self, one: Installing, state: InstallState, reason: str) -> None:
        await self._store.write([queries.end_fetch(one.id)])
        one.end(state, reason)
        log.info("an install ended", engine=one.engine, version=one.version, state=state.value, reason=reason)

    # --- parts ---------------------------------------------------------------------------------------------------

    def _step(self, one: Installing, phase: Phase, done: int, total: int | None) -> None:
        before = one.state
        one.step(phase, done, total)
        now = time.monotonic()
        if one.state is not before or now - self._shown.get(one.id, 0.0) >= SHOW_SECONDS:
            self._shown[one.id] = now
            self._tell(one)

    def _tell(self, one: Installing) -> None:
        if not self._closing:
            for listener in self._listeners:
                listener(one)

    def _managed(self, engine: str, version: str) -> EngineVersion | None:
        found = (copy for copy in self._catalog.versions(engine) if copy.kind is InstallKind.MANAGED)
        return next((copy for copy in found if copy.version == version), None)

    def _work(self, one: Installing) -> Path:
        return self._folders.fetching / one.engine / one.version

    def _copy(self, one: Installing) -> Path:
        """Where the copy is made and proven: a folder laid out as that of the managed versions."""
        return self._work(one) / ".copy"


def nothing_found(title: str, version: str, offered: Offered) -> InstallError:
    """Why a version cannot be had: nobody could be asked, or nobody has it."""
    troubles = "; ".join(f"{name}: {reason}" for name, reason in offered.troubles.items())
    if not offered.asked:
        return NoSource(troubles or f"no source of the settings offers {title}", "version")
    known = ", ".join(offered.versions()[:12]) or "none"
    story = f"nobody offers {title} {version} for this kind of machine; there is {known}"
    return NoSuchVersion(f"{story} (not asked: {troubles})" if troubles else story, "version")


def _prepare(work: Path, root: Path) -> None:
    work.mkdir(parents=True, exist_ok=True)
    if root.exists():  # of a try that was broken off: what is in it may be half a copy
        shutil.rmtree(root)
    root.mkdir()


def _sweep(fetching: Path, wanted: set[tuple[str, str]]) -> None:
    for engine in fetching.iterdir():
        for version in list(engine.iterdir()) if engine.is_dir() else []:
            if (engine.name, version.name) not in wanted:
                shutil.rmtree(version, ignore_errors=True)
