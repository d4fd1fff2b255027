"""Hashes of files, each counted once for as long as the file stays as it is; kept over restarts.

A file counts as the one that was hashed while its path, size, time of change and inode are the same. One that was
changed in the very moment in which it was hashed could change again without its time showing it, so that its hash is
used once and not remembered as certain.
"""

from __future__ import annotations

import hashlib
import os
import stat
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson
import structlog

log = structlog.get_logger(__name__)

BLOCK: Final = 1 << 20
"""Bytes hashed at a time."""
MAX_KNOWN: Final = 200_000
"""The most files that are remembered; those that were hashed first are forgotten first."""
_RACY_NS: Final = 2_000_000_000
_TRIES: Final = 3


class FileChanging(Exception):
    """A file changes while it is read, again and again, or is none. The message is a sentence."""


class HashingStopped(Exception):
    """Nobody waits for the hash any more."""


@dataclass(frozen=True, slots=True)
class Known:
    """A file as it was when it was hashed."""

    path: str
    size: int  # bytes
    mtime_ns: int
    inode: int
    sha256: str
    certain: bool  # whether its time of change tells every later change

    def is_still(self, found: os.stat_result) -> bool:
        """Whether the file looks as it did."""
        return (self.size, self.mtime_ns, self.inode) == (found.st_size, found.st_mtime_ns, found.st_ino)


class Hashes:
    """See the module. May be used from several threads; everything touches the disk."""

    def __init__(self, note: Path) -> None:
        self._note = note
        self._lock = threading.Lock()
        self._known: dict[str, Known] = {}  # by path, oldest first
        self._places: dict[str, dict[str, None]] = {}  # paths by hash

    def load(self) -> None:
        """Take up what was known before; a line that a crash tore off is dropped."""
        lines = 0
        try:
            with self._note.open("rb") as file:
                for line in file:
                    lines += 1
                    try:
                        self._remember(Known(**orjson.loads(line)))
                    except (orjson.JSONDecodeError, TypeError):
                        log.warning("a hash was not understood and is counted anew", note=str(self._note))
        except FileNotFoundError:
            return
        if lines > 2 * len(self._known) + 1000:
            fresh = self._note.with_name(f"{self._note.name}.new")
            with fresh.open("wb") as file:
                file.writelines(_line(known) for known in self._known.values())
            fresh.replace(self._note)

    def of(self, path: Path, stop: threading.Event, report: Callable[[int], None]) -> Known:
        """The hash of a file, from memory if it is still the one that was hashed.

        Args:
            path: absolute, without links.
            stop: ends it early.
            report: called with the bytes that are done, again and again; from memory, all at once.

        Raises:
            FileChanging: see the class.
            HashingStopped: ``stop`` was set.
            OSError: it cannot be read.
        """
        with self._lock:
            known = self._known.get(str(path))
        if known is not None and known.certain and known.is_still(path.stat()):
            report(known.size)
            return known
        for _ in range(_TRIES):
            known = _hash(path, stop, report)
            if known is not None:
                with self._lock:
                    self._remember(known)
                    with self._note.open("ab") as file:
                        file.write(_line(known))
                return known
        raise FileChanging(f"{path.name} changes while it is read; submit the job when it is saved")

    def place_of(self, sha256: str) -> Known | None:
        """A file outside of our store that has this content, as far as can be told without reading it."""
        with self._lock:
            places = [self._known[path] for path in self._places.get(sha256, ())]
        for known in places:
            try:
                found = Path(known.path).stat(follow_symlinks=False)
            except OSError:
                continue
            if stat.S_ISREG(found.st_mode) and known.is_still(found):
                return known
        return None

    def _remember(self, known: Known) -> None:
        before = self._known.pop(known.path, None)
        if before is None and len(self._known) >= MAX_KNOWN:
            before = self._known.pop(next(iter(self._known)))
        if before is not None:
            places = self._places[before.sha256]
            places.pop(before.path, None)
            if not places:
                del self._places[before.sha256]
        self._known[known.path] = known
        self._places.setdefault(known.sha256, {})[known.path] = None


def _hash(path: Path, stop: threading.Event, report: Callable[[int], None]) -> Known | None:
    """The hash of a file; None if it changed meanwhile."""
    # O_NONBLOCK: a pipe that took the file's place must not hold us.
    flags = os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    buffer = bytearray(BLOCK)
    view = memoryview(buffer)
    digest = hashlib.sha256()
    with os.fdopen(os.open(path, flags), "rb", buffering=0) as file:
        before = os.fstat(file.fileno())
        if not stat.S_ISREG(before.st_mode):
            raise FileChanging(f"{path.name} is no regular file")
        began = time.time_ns()
        done = 0
        while count := file.readinto(buffer):
            if stop.is_set():
                raise HashingStopped
            digest.update(view[:count])
            done += count
            report(count)
        after = os.fstat(file.fileno())
    known = Known(
        path=str(path),
        size=before.st_size,
        mtime_ns=before.st_mtime_ns,
        inode=before.st_ino,
        sha256=digest.hexdigest(),
        certain=before.st_mtime_ns < began - _RACY_NS,
    )
    if done != before.st_size or not known.is_still(after) or not known.is_still(path.stat()):
        report(-done)
        return None
    return known


def _line(known: Known) -> bytes:
    return orjson.dumps(known, option=orjson.OPT_APPEND_NEWLINE)
