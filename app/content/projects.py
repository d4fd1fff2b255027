"""The trees of this node's own projects: what a job needs is packed, hashed, and kept ready for whoever fetches it."""

from __future__ import annotations

import asyncio
import secrets
import shutil
import threading
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final

import structlog

from app.content.hashing import FileChanging, HashingStopped, Known
from app.content.store import ContentStore
from app.content.tree import BadTree, make_tree
from app.jobs.durable import sync_file
from app.jobs.folders import DataFolder
from app.jobs.record import JobSpec
from client.models import Tree, TreeFile
from engines.contract import Engine, PackedFile, Packing, Refusal

log = structlog.get_logger(__name__)

HASHERS: Final = 2
"""Files hashed at a time, on the whole node."""
MAX_KEPT: Final = 1000
"""Projects whose trees are remembered."""

Pack = Callable[[Engine, Path, Path | None, Path, Path | None], Awaitable[Packing]]
"""Runs :meth:`Engine.pack` off the event loop. Raises what it raises."""


Seen = tuple[int, int, int]
"""Size in bytes, time of change in nanoseconds, inode."""


class NotPacked(Exception):
    """A project cannot be sent to other nodes. The message is a sentence."""


@dataclass(slots=True)
class Hashing:
    """How far the tree of a project is."""

    bytes_done: int = 0
    bytes_total: int = 0


@dataclass(frozen=True, slots=True)
class BuiltTree:
    """The tree of a project of this node, and what is not in it."""

    tree: Tree
    warnings: tuple[str, ...]
    seen: Mapping[Path, Seen] = field(default_factory=dict)  # every file and folder that went into it


class ProjectTrees:
    """See the module. One for the whole service; for the event loop."""

    def __init__(self, folders: DataFolder, store: ContentStore, pack: Pack, local_roots: Sequence[Path] = ()) -> None:
        self._folders = folders
        self._store = store
        self._pack = pack
        self._local_roots = local_roots
        self._building: dict[str, asyncio.Task[BuiltTree]] = {}
        self._built: OrderedDict[str, BuiltTree] = OrderedDict()  # by project path
        self._hashers = ThreadPoolExecutor(HASHERS, thread_name_prefix="hash")
        self.under_way: dict[str, Hashing] = {}
        """Projects that are being read now, by their paths as JobSpec.project_path has them."""

    async def of(self, engine: Engine, spec: JobSpec) -> BuiltTree | None:
        """The tree of a job's project; None for a job without one. It is made once, however many ask; later callers get
        it anew only if a file of it was changed meanwhile.

        Raises:
            NotPacked: a file cannot be read, or the project changes while it is read.
        """
        path = spec.project_path
        if path is None:
            return None
        task = self._building.get(path)
        if task is None:
            task = self._building[path] = asyncio.create_task(self._build(engine, path), name=f"tree of {path}")
            task.add_done_callback(lambda done: self._building.pop(path, None))
        return await asyncio.shield(task)

    def known(self, spec: JobSpec) -> BuiltTree | None:
        """The tree of a job's project as it was made last; None if it was not since our start."""
        return self._built.get(spec.project_path or "")

    async def close(self) -> None:
        """Give up what is being read."""
        tasks = list(self._building.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.to_thread(self._hashers.shutdown)

    # --- building ------------------------------------------------------------------------------------------------

    async def _build(self, engine: Engine, path: str) -> BuiltTree:
        known = await self._checked_out(path) or self._built.get(path)
        if known is not None and await asyncio.to_thread(self._is_still, known):
            return known
        work = self._store.packing / secrets.token_hex(8)
        hashing = self.under_way[path] = Hashing()
        try:
            await asyncio.to_thread(work.mkdir, 0o700)
            project, root, around = await asyncio.to_thread(self._places, path)
            packing = await self._pack(engine, project, root, work, around)
            allowed, warnings = await asyncio.to_thread(self._allowed, packing, path, work)
            seen = await asyncio.to_thread(_seen, allowed)
            tree = make_tree(packing.main, await self._hash_all(allowed, hashing))
            await asyncio.to_thread(self._store.complete, tree)
        except (Refusal, FileChanging) as error:
            raise NotPacked(str(error)) from error
        except BadTree as error:
            raise NotPacked(f"{error}; rename it") from error
        except OSError as error:
            raise NotPacked(f"a file of the project cannot be read: {error.strerror}: {error.filename}") from error
        finally:
            del self.under_way[path]
            await asyncio.to_thread(shutil.rmtree, work, ignore_errors=True)
        built = self._built[path] = BuiltTree(tree, warnings, seen)
        self._built.move_to_end(path)
        if len(self._built) > MAX_KEPT:
            self._built.popitem(last=False)
        return built

    def _is_still(self, known: BuiltTree) -> bool:
        """Whether every file is as it was, and none has come or gone beside it; and all of it can still be sent."""
        try:
            same = all(_look(path) == before for path, before in known.seen.items())
        except OSError:
            return False
        return same and self._store.tree(known.tree.id) is not None and not self._store.missing(known.tree)

    async def _checked_out(self, path: str) -> BuiltTree | None:
        """The tree of a project that came from another node: it has one already."""
        parts = path.split("/")
        if parts[0] != "projects" or len(parts[1]) != 64:
            return None
        tree = await asyncio.to_thread(self._store.tree, parts[1])
        return None if tree is None else BuiltTree(tree, ())

    def _places(self, path: str) -> tuple[Path, Path | None, Path | None]:
        """What the engine opens, the folder of the upload that it belongs to, and the local root that it lies under."""
        project = self._folders.project(path)
        if path.startswith("projects/"):
            return project, self._folders.projects / path.split("/")[1], None
        roots = [root.resolve() for root in self._local_roots]
        # Under "/" it would be all of the machine.
        return (
            project,
            None,
            next((root for root in roots if project.is_relative_to(root) and root.parent != root), None),
        )

    def _allowed(self, packing: Packing, path: str, work: Path) -> tuple[list[PackedFile], tuple[str, ...]]:
        """The files with their real places. Nothing of the data folder but the project itself may go: a project could
        name the farm's secret as its texture."""
        root = self._folders.root.resolve()
        own = [work.resolve()]
        if path.startswith("projects/"):
            own.append((self._folders.projects / path.split("/")[1]).resolve())
        files: list[PackedFile] = []
        warnings = list(packing.warnings)
        for file in packing.files:
            real = file.source.resolve()
            if real.is_relative_to(root) and not any(real.is_relative_to(place) for place in own):
                warnings.append(f"not sent, because it is in Zordon's data folder: {file.source}")
                continue
            files.append(replace(file, source=real))
        return files, tuple(warnings)

    async def _hash_all(self, files: list[PackedFile], hashing: Hashing) -> list[TreeFile]:
        sizes = await asyncio.to_thread(lambda: [file.source.stat().st_size for file in files])
        hashing.bytes_total = sum(sizes)
        loop = asyncio.get_running_loop()
        stop = threading.Event()

        def count(done: int) -> None:
            hashing.bytes_done += done  # told roughly: two threads may count at once

        def known_of(file: PackedFile) -> Known:
            if stop.is_set():
                raise HashingStopped
            known = self._store.hashes.of(file.source, stop, count)
            if file.origin is not None:  # made for this: nobody else has it
                sync_file(file.source)
                self._store.take(file.source, known.sha256)
            return known

        async def one(file: PackedFile) -> TreeFile:
            known = await loop.run_in_executor(self._hashers, known_of, file)
            return TreeFile(path=file.path, size=known.size, sha256=known.sha256)

        tasks = [asyncio.ensure_future(one(file)) for file in files]
        try:
            return list(await asyncio.gather(*tasks))
        finally:
            stop.set()
            await asyncio.gather(*tasks, return_exceptions=True)


def _seen(files: list[PackedFile]) -> dict[Path, Seen]:
    """How the files are that a project was packed from, and the folders that they lie in."""
    sources = {file.origin or file.source for file in files}
    return {path: _look(path) for path in sources | {path.parent for path in sources}}


def _look(path: Path) -> Seen:
    found = path.stat()
    return found.st_size, found.st_mtime_ns, found.st_ino
