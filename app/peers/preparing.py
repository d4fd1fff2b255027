"""What this node will need soon, as another one has announced it: the project and the engine version of a subjob.

Asked once or often, by one node or several, it is the same work: the answer says at once how far it is.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from app.content.store import ContentStore
from app.installs.errors import InstallError
from app.installs.installs import Installs
from app.peers.fetching import Fetching
from app.peers.peer import Peer
from app.peers.registry import Peers
from app.peers.tree_fetch import TreeFetch
from app.render.catalog import EngineCatalog, UnknownEngine
from app.settings import Settings
from client.models import InstallState, Preparation, Prepare

log = structlog.get_logger(__name__)

MEET_SECONDS: Final = 10.0
"""So long a node that asks is waited for to be there."""


class Preparing:
    """See the module. One for the whole service; for the event loop."""

    def __init__(
        self,
        settings: Settings,
        store: ContentStore,
        fetching: Fetching,
        peers: Peers,
        catalog: EngineCatalog,
        installs: Installs,
    ) -> None:
        self._settings = settings
        self._store = store
        self._fetching = fetching
        self._peers = peers
        self._catalog = catalog
        self._installs = installs
        self._met = asyncio.Event()  # set whenever a node came or went
        peers.on_change(lambda change: self._met.set())
        self._installing: dict[tuple[str, str], asyncio.Task[str]] = {}

    async def prepare(self, asked: Prepare, node_id: str) -> Preparation:
        """Begin what is missing, and say how far it is.

        Args:
            asked: what will be needed.
            node_id: the node that asks; it has the project if it names nobody.
        """
        project = await self._project(asked, node_id) if asked.tree is not None else Preparation(ready=True)
        engine = Preparation(ready=True)
        if asked.engine is not None and asked.version is not None:
            engine = self._engine(asked.engine, asked.version, node_id)
        eta = max(project.eta_seconds or 0.0, engine.eta_seconds or 0.0)
        return Preparation(
            ready=project.ready and engine.ready,
            failed=project.failed or engine.failed,
            sentences=[*project.sentences, *engine.sentences],
            bytes_done=project.bytes_done + engine.bytes_done,
            bytes_total=project.bytes_total + engine.bytes_total,
            bytes_per_second=(project.bytes_per_second or 0.0) + (engine.bytes_per_second or 0.0) or None,
            eta_seconds=eta or None,
        )

    async def close(self) -> None:
        """Ask for no more engines; what is being fetched goes on at the next start."""
        tasks = list(self._installing.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- the project ---------------------------------------------------------------------------------------------

    async def _project(self, asked: Prepare, node_id: str) -> Preparation:
        assert asked.tree is not None
        tree = await asyncio.to_thread(self._store.tree, asked.tree)
        if tree is not None and not await asyncio.to_thread(self._store.missing, tree):
            return Preparation(ready=True)
        self._fetching.forget(asked.tree)
        fetch = self._fetching.fetch(asked.tree, self._sources(asked.tree, asked.sources or [node_id]))
        return _of_fetch(fetch)

    def _sources(self, tree_id: str, named: Sequence[str]) -> Callable[[], Sequence[Peer]]:
        """The nodes that were named, in their order, then whoever else has it by now."""

        def usable() -> list[Peer]:
            peers = {peer.id: peer for peer in self._peers.usable()}
            first = [peers.pop(node_id) for node_id in named if node_id in peers]
            return first + [peer for peer in peers.values() if tree_id in peer.brief.trees]

        return usable

    # --- the engine ----------------------------------------------------------------------------------------------

    def _engine(self, engine: str, version: str, node_id: str) -> Preparation:
        try:
            title = self._catalog.engine(engine).title
            if any(copy.version == version for copy in self._catalog.versions(engine)):
                return Preparation(ready=True)
        except UnknownEngine as error:
            return Preparation(ready=False, failed=True, sentences=[str(error)])
        if not self._settings.auto_install:
            reason = f"{title} {version} is not installed, and this node fetches none by itself (auto_install)"
            return Preparation(ready=False, failed=True, sentences=[reason])
        one = self._installs.under_way(engine, version)
        if one is not None:
            wire = one.wire(())
            return Preparation(
                ready=False,
                sentences=[f"{title} {version} {wire.reason}"],
                bytes_done=wire.bytes_done,
                bytes_total=wire.bytes_total or wire.bytes_done,
                bytes_per_second=wire.bytes_per_second,
                eta_seconds=wire.eta_seconds,
            )
        task = self._installing.get((engine, version))
        if task is not None and task.done():
            del self._installing[engine, version]
            if reason := task.result():
                return Preparation(ready=False, failed=True, sentences=[reason])
            task = None
        if task is None:
            task = asyncio.create_task(
                self._install(engine, version, node_id), name=f"{engine} {version} for another node"
            )
            self._installing[engine, version] = task
        return Preparation(ready=False, sentences=[f"it is being asked who has {title} {version}"])

    async def _install(self, engine: str, version: str, node_id: str) -> str:
        """Have a version installed; why it did not come, or nothing."""
        await self._until_met(node_id)
        self._installs.offers.forget(engine)  # whoever asks may have got it just now
        try:
            one = await self._installs.request(engine, version)
            one = await self._installs.wait(one.id) if not one.state.ended else one
        except (InstallError, UnknownEngine) as error:
            return str(error)
        return "" if one.state is InstallState.INSTALLED else one.reason

    async def _until_met(self, node_id: str) -> None:
        """A node that has just met this one may ask before it can be asked itself, and it is the first to have what it
        asks for."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(MEET_SECONDS):
                while (peer := self._peers.get(node_id)) is None or not peer.usable:
                    self._met.clear()
                    await self._met.wait()


def _of_fetch(fetch: TreeFetch) -> Preparation:
    wire = fetch.wire()
    fetch.tell()
    return Preparation(
        ready=fetch.complete,
        failed=fetch.failed,
        sentences=[fetch.sentence],
        bytes_done=wire.bytes_done,
        bytes_total=wire.bytes_total,
        bytes_per_second=wire.bytes_per_second,
        eta_seconds=wire.eta_seconds,
    )
