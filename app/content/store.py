"""The content store: files by the hash of their content, shared by every project that has them.

::

    <data>/content/blobs/<2 digits>/<hash>   complete and verified
    <data>/content/coming/<hash>.part        on its way; goes on after a break or a restart
    <data>/content/trees/<tree>.json         projects that are complete here; its time is that of the last use
    <data>/content/hashes.jsonl              see app.content.hashing
    <data>/content/packing/                  scratch, emptied at every start

A blob is verified before it gets its name, and marked with one fixed time of change. What a job does to a checkout that
shares its bytes (a hard link) moves that time or the size, so that a blob that has neither any more is worth nothing.
A file outside (a project of this machine's own) counts as a blob too while it is still the one that was hashed: nothing
is kept twice for being sent.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import threading
import time
from collections import Counter
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import structlog

from app.content.hashing import BLOCK, Hashes
from app.content.tree import blobs_of, size_of, tree_bytes
from app.jobs.durable import sync_file
from app.outputs.files import sync_folder
from app.outputs.manifest import Entry
from client.models import Tree

log = structlog.get_logger(__name__)

MARK_NS: Final = 315_532_800 * 1_000_000_000
"""Time of change of every blob: 1980-01-01, which every file system can store."""
RECENT_SECONDS: Final = 600.0
"""What was used so lately is not pruned: its job may just be on its way."""


class ContentGone(Exception):
    """Content that should be here is not any more, or has been changed. The message is a sentence."""


@dataclass(frozen=True, slots=True)
class Pruned:
    """What was removed."""

    trees: int
    size: int  # bytes


class ContentStore:
    """See the module. May be used from several threads; all but :meth:`hold` and :meth:`complete_trees` touch the disk.

    Args:
        root: the folder.
        budget: bytes that blobs may take before unused ones are removed.
        forgotten: told of each tree that was removed, so that its checkout goes too.
    """

    def __init__(
        self,
        root: Path,
        budget: int,
        forgotten: Callable[[str], None] = lambda tree_id: None,
    ) -> None:
        self.root = root
        self.hashes = Hashes(root / "hashes.jsonl")
        self.packing = root / "packing"
        self._forgotten = forgotten
        self._blobs = root / "blobs"
        self._coming = root / "coming"
        self._trees = root / "trees"
        self._budget = budget
        self._held: Counter[str] = Counter()
        self._lock = threading.RLock()
        self._known: dict[str, float] = {}  # when each complete tree was used last

    def open(self) -> None:
        """Make the folders; take up what is there.

        Raises:
            OSError: they cannot be read or written.
        """
        shutil.rmtree(self.packing, ignore_errors=True)
        for folder in (self.root, self._blobs, self._coming, self._trees, self.packing):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.hashes.load()
        for path in self._trees.iterdir():
            if path.suffix == ".json":
                self._known[path.stem] = path.stat().st_mtime
            else:  # a power cut left it
                path.unlink()

    # --- blobs ---------------------------------------------------------------------------------------------------

    def has(self, sha256: str, size: int) -> bool:
        """Whether some content is here."""
        return self.find(sha256, size) is not None

    def find(self, sha256: str, size: int | None = None) -> Path | None:
        """A file with this content: ours, or one outside; None if there is none."""
        own = self._own(sha256)
        try:
            found = own.stat(follow_symlinks=False)
        except FileNotFoundError:
            outside = self.hashes.place_of(sha256)
            return None if outside is None or size not in (None, outside.size) else Path(outside.path)
        if found.st_mtime_ns == MARK_NS and size in (None, found.st_size) and stat.S_ISREG(found.st_mode):
            return own
        log.warning("content was changed after it had been verified; it is fetched anew", sha256=sha256)
        own.unlink(missing_ok=True)
        return self.find(sha256, size)

    def entry(self, sha256: str) -> tuple[Path, Entry]:
        """The folder of a content, and it in the form in which files are sent.

        Raises:
            ContentGone: it is not here.
        """
        path = self.find(sha256)
        if path is None:
            raise ContentGone(f"the content {sha256[:16]}… is not on this node")
        found = path.stat(follow_symlinks=False)
        entry = Entry(
            name=path.name,
            size=found.st_size,
            sha256=sha256,
            crc32=0,
            frame=None,
            width=None,
            height=None,
            mtime_ns=found.st_mtime_ns,
            attempt="",
        )
        return path.parent, entry

    def coming(self, sha256: str) -> Path:
        """Where a content is complete and verified before :meth:`take` puts it into its place."""
        return self._coming / sha256

    def arrived(self, sha256: str) -> int:
        """How many bytes of a content on its way are here already."""
        try:
            return self._coming.joinpath(f"{sha256}.part").stat().st_size
        except FileNotFoundError:
            return 0

    def take(self, path: Path, sha256: str) -> None:
        """Make a file that was verified and synced a blob, for good. It is moved.

        Raises:
            OSError: it cannot be.
        """
        own = self._own(sha256)
        own.parent.mkdir(mode=0o700, exist_ok=True)
        if hasattr(os, "geteuid") and path.stat().st_uid != os.geteuid():
            os.chown(path, os.geteuid(), os.getegid())  # the reader of projects may be another user
        path.chmod(0o400)
        os.utime(path, ns=(time.time_ns(), MARK_NS))
        path.replace(own)  # the name itself is not synced: content whose name is lost comes again

    def add(self, content: bytes, sha256: str) -> None:
        """Make verified bytes a blob.

        Raises:
            OSError: they cannot be written.
        """
        path = self.coming(sha256)
        path.write_bytes(content)
        sync_file(path)
        self.take(path, sha256)

    def adopt(self, sha256: str, size: int) -> Path:
        """Our own blob of a content; one that lies outside is copied and verified first.

        Raises:
            ContentGone: it is not here.
            OSError: it cannot be copied.
        """
        found = self.find(sha256, size)
        own = self._own(sha256)
        if found == own:
            return own
        if found is None:
            raise ContentGone(f"the content {sha256[:16]}… is not on this node")
        copy = self._coming / f"{sha256}.copy"
        digest = hashlib.sha256()
        with found.open("rb", buffering=0) as source, copy.open("wb", buffering=0) as target:
            while piece := source.read(BLOCK):
                digest.update(piece)
                target.write(piece)
        if digest.hexdigest() != sha256:
            copy.unlink()
            raise ContentGone(f"{found.name} was changed after it had been hashed")
        sync_file(copy)
        self.take(copy, sha256)
        return own

    def drop(self, sha256: str) -> None:
        """Forget a blob that turned out to be damaged."""
        self._own(sha256).unlink(missing_ok=True)

    # --- trees ---------------------------------------------------------------------------------------------------

    def complete_trees(self) -> list[str]:
        """Ids of the projects that are complete here, the one that was used last first."""
        with self._lock:
            return sorted(self._known, key=self._known.__getitem__, reverse=True)

    def tree(self, tree_id: str) -> Tree | None:
        """A project that is complete here; None if there is none of this id. It counts as used now."""
        path = self._tree(tree_id)
        try:
            body = path.read_bytes()
        except FileNotFoundError:
            return None
        os.utime(path)
        with self._lock:
            self._known[tree_id] = time.time()
        return Tree.model_validate_json(body)

    def missing(self, tree: Tree) -> dict[str, int]:
        """The contents of a tree that are not here: size in bytes by hash."""
        return {sha256: size for sha256, size in blobs_of(tree).items() if not self.has(sha256, size)}

    def complete(self, tree: Tree) -> None:
        """Note that everything of a project is here.

        Raises:
            OSError: it cannot be written.
        """
        path = self._tree(tree.id)
        fresh = path.with_suffix(".new")
        fresh.write_bytes(tree_bytes(tree))
        sync_file(fresh)
        fresh.replace(path)
        sync_folder(self._trees)
        with self._lock:
            self._known[tree.id] = time.time()

    def forget(self, tree_id: str) -> None:
        """A project is not complete here any more."""
        self._tree(tree_id).unlink(missing_ok=True)
        with self._lock:
            self._known.pop(tree_id, None)

    @contextmanager
    def hold(self, tree_id: str) -> Iterator[None]:
        """Nothing of this tree is pruned while the context lasts."""
        with self._lock:
            self._held[tree_id] += 1
        try:
            yield
        finally:
            with self._lock:
                self._held[tree_id] -= 1
                if not self._held[tree_id]:
                    del self._held[tree_id]

    # --- room ----------------------------------------------------------------------------------------------------

    def prune(self, in_use: Collection[str], needed: Collection[str] = ()) -> Pruned:
        """Remove what was not used for longest until the budget is kept; never what a job needs.

        Args:
            in_use: ids of the trees that jobs of this node have.
            needed: hashes that are about to be fetched.
        """
        with self._lock:
            sizes = {path.name: path.stat().st_size for path in self._blobs.glob("??/*")}
            kept = set(in_use) | set(self._held)
            now = time.time()
            trees = {tree_id: self._files(tree_id) for tree_id in self.complete_trees()}
            uses = Counter(sha256 for files in trees.values() for sha256 in files)
            total, removed, freed = sum(sizes.values()), 0, 0

            def free(sha256: str) -> int:
                self._own(sha256).unlink(missing_ok=True)
                return sizes.pop(sha256, 0)

            if total > self._budget:
                for sha256 in [one for one in sizes if not uses[one] and one not in needed]:
                    freed += free(sha256)  # of a fetch that was given up
            for tree_id in reversed(self.complete_trees()):
                if total - freed <= self._budget:
                    break
                if tree_id in kept or now - self._known[tree_id] < RECENT_SECONDS:
                    continue
                self.forget(tree_id)
                self._forgotten(tree_id)
                removed += 1
                for sha256 in trees[tree_id]:
                    uses[sha256] -= 1
                    if not uses[sha256] and sha256 not in needed:
                        freed += free(sha256)
        if freed:
            log.info("removed projects that nobody used", trees=removed, bytes=freed)
        return Pruned(removed, freed)

    def size(self) -> int:
        """Bytes of all blobs."""
        return sum(path.stat().st_size for path in self._blobs.glob("??/*"))

    # --- parts ---------------------------------------------------------------------------------------------------

    def _files(self, tree_id: str) -> Collection[str]:
        try:
            tree = Tree.model_validate(orjson.loads(self._tree(tree_id).read_bytes()))
        except FileNotFoundError:
            return ()
        return blobs_of(tree).keys() if size_of(tree) else ()

    def _own(self, sha256: str) -> Path:
        return self._blobs / sha256[:2] / sha256

    def _tree(self, tree_id: str) -> Path:
        return self._trees / f"{tree_id}.json"
