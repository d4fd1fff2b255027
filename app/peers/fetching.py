"""Projects on their way from other nodes to this one: by content, only what is not here, from whoever has it.

The node that wants a project pulls it. What is broken off goes on where it was (RFC 9110, Range), from the same node or
another; nothing counts before its hash was verified. Whoever needs the same content at the same time waits for the same
bytes.
"""

from __future__ import annotations

import asyncio
import hashlib
import shutil
import time
from collections import Counter, OrderedDict
from collections.abc import Callable, Collection
from typing import Final

import structlog

from app.content.store import ContentStore
from app.content.tree import BadTree, read_tree
from app.installs.part import PartFile
from app.installs.retries import PATIENCE, Patience, Retries, Trouble
from app.installs.source import SourceError
from app.peers.peer import Peer
from app.peers.tree_fetch import Sources, TreeFetch
from app.settings import Settings
from client.errors import ProtocolError, ZordonError
from client.models import Fetch, Tree
from engines.installs.release import Checksum

log = structlog.get_logger(__name__)

CONNECTIONS: Final = 2
"""Large contents of one project that come at a time."""
SMALL_CONNECTIONS: Final = 4
"""Small ones that come beside them: they wait for answers and for the disk, not for the line."""
SMALL: Final = 256 << 10
"""Up to here a content is read whole and written once, in bytes."""
KEPT: Final = 20
"""Fetches that have ended and are still told about."""
STALL_SECONDS: Final = 20.0
"""A connection that brings no byte for so long is broken."""


class Fetching:
    """See the module. One for the whole service; for the event loop.

    Args:
        in_use: ids of the trees that jobs of this node have.
        patience: with nodes in trouble.
    """

    def __init__(
        self,
        settings: Settings,
        store: ContentStore,
        in_use: Callable[[], Collection[str]],
        patience: Patience = PATIENCE,
    ) -> None:
        self._settings = settings
        self._store = store
        self._in_use = in_use
        self._patience = patience
        self._coming: OrderedDict[str, TreeFetch] = OrderedDict()  # by tree
        self._contents: dict[str, asyncio.Task[None]] = {}  # by hash
        self._load: Counter[str] = Counter()  # contents that come from each node just now, by its id

    def fetch(self, tree_id: str, sources: Sources) -> TreeFetch:
        """Have a project come; the fetch that is under way already, or a new one. One that failed begins anew."""
        known = self._coming.get(tree_id)
        if known is not None and not known.may_begin_anew(time.monotonic()):
            known.sources = sources
            return known
        fetch = self._coming[tree_id] = TreeFetch(tree_id, sources)
        self._coming.move_to_end(tree_id)
        fetch.task = asyncio.create_task(self._run(fetch), name=f"project {tree_id[:16]}")
        ended = [one for one in self._coming.values() if one.task is not None and one.task.done()]
        for old in ended[:-KEPT]:
            del self._coming[old.tree_id]
        return fetch

    def forget(self, tree_id: str) -> None:
        """What was complete once is not any more: the next :meth:`fetch` looks again."""
        known = self._coming.get(tree_id)
        if known is not None and known.complete:
            del self._coming[tree_id]

    def all(self) -> list[Fetch]:
        """Those under way and those that have ended lately, as clients see them."""
        return [fetch.wire() for fetch in self._coming.values()]

    async def close(self) -> None:
        """Break off what is under way; it goes on when it is asked for again."""
        tasks = [fetch.task for fetch in self._coming.values() if fetch.task is not None]
        tasks += self._contents.values()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    # --- one project ---------------------------------------------------------------------------------------------

    async def _run(self, fetch: TreeFetch) -> None:
        try:
            with self._store.hold(fetch.tree_id):
                await self._bring(fetch)
            fetch.end("")
        except (SourceError, BadTree) as error:
            fetch.end(str(error))
        except OSError as error:
            fetch.end(f"the data folder cannot be written: {error.strerror or error}")
        except asyncio.CancelledError:
            fetch.end("it was broken off")
            raise
        except Exception as error:
            log.exception("a project did not come because of a fault in the service", tree=fetch.tree_id)
            fetch.end(f"the service has a fault ({type(error).__name__}); its log says more")
        if fetch.failed:
            log.warning("a project did not come", tree=fetch.tree_id, reason=fetch.reason)
        else:
            await asyncio.to_thread(self._store.prune, self._in_use())

    async def _bring(self, fetch: TreeFetch) -> None:
        tree = await asyncio.to_thread(self._store.tree, fetch.tree_id)
        if tree is None:
            tree = await self._tree(fetch)
        missing = await asyncio.to_thread(self._store.missing, tree)
        await asyncio.to_thread(self._check_space, missing, self._in_use())
        fetch.begin(sum(missing.values()), len(missing))
        # The largest first: all connections are busy to the end then.
        ordered = sorted(missing, key=missing.__getitem__)
        small = [sha256 for sha256 in ordered if missing[sha256] <= SMALL]
        large = ordered[len(small) :]

        async def one_by_one(waiting: list[str]) -> None:
            while waiting:
                sha256 = waiting.pop()
                await self._content(fetch, sha256, missing[sha256])

        kinds = [large] * min(CONNECTIONS, len(large)) + [small] * min(SMALL_CONNECTIONS, len(small))
        workers = [asyncio.create_task(one_by_one(waiting)) for waiting in kinds]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        await asyncio.to_thread(self._store.complete, tree)

    async def _tree(self, fetch: TreeFetch) -> Tree:
        """What belongs to the project, as somebody who has it says; the id tells whether it is true."""
        retries = Retries(self._patience)
        settings = self._settings
        async for attempt in retries.again():
            with attempt:
                peer = self._best(fetch)
                try:
                    answer = await peer.client.get(f"/api/content/trees/{fetch.tree_id}")
                except ZordonError as error:
                    raise fetch.trouble(peer, error) from error
                return await asyncio.to_thread(
                    read_tree,
                    answer.content,
                    fetch.tree_id,
                    most_files=settings.max_archive_files,
                    most_bytes=settings.max_unpacked_bytes,
                )
        raise AssertionError("unreachable: the last attempt returns or raises")

    def _check_space(self, missing: dict[str, int], in_use: Collection[str]) -> None:
        """See that the disk has room for all that is missing, before the first byte comes."""
        self._store.prune(in_use, missing.keys())
        wanted = sum(size - min(size, self._store.arrived(sha256)) for sha256, size in missing.items())
        free, kept = shutil.disk_usage(self._store.root).free, self._settings.min_free_bytes
        if wanted and free - wanted < kept:
            raise SourceError(
                f"the disk of this node has {free} bytes free; the project needs {wanted} more and {kept} must stay "
                "free (min_free_bytes)"
            )

    # --- one content ---------------------------------------------------------------------------------------------

    async def _content(self, fetch: TreeFetch, sha256: str, size: int) -> None:
        """Bring one content, or wait for it if it is coming for another project."""
        task = self._contents.get(sha256)
        if task is None or task.cancelled():
            task = self._contents[sha256] = asyncio.create_task(self._pull(fetch, sha256, size))
            task.add_done_callback(lambda done: self._contents.pop(sha256, None))
            try:
                await asyncio.shield(task)
            except asyncio.CancelledError:
                task.cancel()
                await asyncio.wait([task])
                raise
            return
        await asyncio.wait([task])
        if not await asyncio.to_thread(self._store.has, sha256, size):
            await self._content(fetch, sha256, size)  # the other one gave up
        else:
            fetch.arrived(size)

    async def _pull(self, fetch: TreeFetch, sha256: str, size: int) -> None:
        if size <= SMALL:
            await self._pull_whole(fetch, sha256, size)
            return
        while not await self._pull_part(fetch, sha256, size):
            pass

    async def _pull_part(self, fetch: TreeFetch, sha256: str, size: int) -> bool:
        """Bring a content piece by piece. False: what came was damaged, and another node may have it whole."""
        target = self._store.coming(sha256)
        part = PartFile(target, f"sha256:{sha256}", size, Checksum("sha256", sha256), self._settings.min_free_bytes)
        retries = Retries(self._patience)
        last: Peer | None = None
        try:
            await part.open()
            if not part.have:
                await part.begin(f'"{sha256}"', size)
            fetch.arrived(part.have)
            async for attempt in retries.again():
                with attempt:
                    try:
                        if not part.complete:
                            last = self._best(fetch)
                            await self._go_on(fetch, last, sha256, part, size)
                    finally:
                        await part.flush()
                        retries.reached(part.have)
            try:
                await part.settle()
            except SourceError as error:
                fetch.arrived(-size)
                if await asyncio.to_thread(self._store.arrived, sha256):
                    raise  # the disk is in trouble
                if not fetch.has_another(last):
                    told = "" if last is None else f"; {last.name} may have changed the project since"
                    raise SourceError(f"{error.message}{told}") from error
                return False
        finally:
            await part.close()
        await asyncio.to_thread(self._store.take, target, sha256)
        return True

    async def _go_on(self, fetch: TreeFetch, peer: Peer, sha256: str, part: PartFile, size: int) -> None:
        """One try: what is missing of a content, from one node."""
        headers = {"Range": f"bytes={part.have}-"} if part.have else {}
        self._load[peer.id] += 1
        fetch.from_nodes[peer.name] += 1
        try:
            async with peer.client.download(_path(sha256), headers, timeout=STALL_SECONDS) as response:
                if response.headers.get("ETag") != f'"{sha256}"':
                    raise ProtocolError(f"{peer.name} sends another content than the one that was asked for")
                if part.have and response.headers.get("Content-Range") != f"bytes {part.have}-{size - 1}/{size}":
                    raise ProtocolError(f"{peer.name} does not go on where the content was broken off")
                if response.left > size - part.have:
                    raise ProtocolError(f"{peer.name} sends more than the content has")
                while response.left and (count := await part.fill(response.read_into)):
                    fetch.arrived(count)
            if part.have < size:
                raise ProtocolError(f"{peer.name} broke off after {part.have} of {size} bytes")
        except ZordonError as error:
            raise fetch.trouble(peer, error) from error
        finally:
            self._load[peer.id] -= 1
            fetch.from_nodes[peer.name] -= 1

    async def _pull_whole(self, fetch: TreeFetch, sha256: str, size: int) -> None:
        retries = Retries(self._patience)
        async for attempt in retries.again():
            with attempt:
                peer = self._best(fetch)
                self._load[peer.id] += 1
                fetch.from_nodes[peer.name] += 1
                try:
                    content = (await peer.client.get(_path(sha256), timeout=STALL_SECONDS)).content
                    if len(content) != size or hashlib.sha256(content).hexdigest() != sha256:
                        raise ProtocolError(f"{peer.name} sends another content than the one that was asked for")
                except ZordonError as error:
                    raise fetch.trouble(peer, error) from error
                finally:
                    self._load[peer.id] -= 1
                    fetch.from_nodes[peer.name] -= 1
                await asyncio.to_thread(self._store.add, content, sha256)
                fetch.arrived(size)

    def _best(self, fetch: TreeFetch) -> Peer:
        """Who is asked next: who did not fail, and has least to do; else in the order of the sources."""
        peers = list(fetch.sources())
        if not peers:
            raise Trouble("no node that has the project can be reached just now")
        return min(peers, key=lambda peer: (fetch.failures[peer.id], self._load[peer.id], peers.index(peer)))


def _path(sha256: str) -> str:
    return f"/api/content/blobs/{sha256}"
