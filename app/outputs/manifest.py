"""The manifest: the list of a job's verified outputs, and the only place where a name from outside is looked up.

One JSON line an output, appended; of several lines with one name the last one counts. A line that a crash tore off is
dropped when the file is read. Outputs that only count together (the frames of one run, say) are written down together:
the whole file anew, put in its place by a rename.

An output is written down before it is moved to its place, and in memory it is listed after that. So whatever moment a
crash picks, either the line is missing, or it names a file that is in its place or still in the folder of its attempt
(:func:`app.outputs.unfinished.finish_moves`).

What survives a power cut: the content of every output is synced before it gets its place (see
:mod:`app.outputs.delivery`), so a file that is there is whole. Its name in the folder and its line here are left to
the system to write: if either is lost, :meth:`Manifest.reconcile` does not find the output at the next start and its
frame is rendered again. :meth:`Manifest.sync` writes both down for good; it is called once, when the job has ended.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import threading
import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from app.outputs.files import sync_folder
from app.outputs.names import NameRefused, check_name, natural_key
from app.outputs.verification import Verified


@dataclass(frozen=True, slots=True)
class Entry:
    """One output. Sizes of the picture in pixels."""

    name: str
    size: int  # bytes
    sha256: str  # hexadecimal
    crc32: int
    frame: int | None
    width: int | None
    height: int | None
    mtime_ns: int
    attempt: str
    seconds: float | None = None  # that one frame of it took, where that was measured
    node: str = ""  # name of the node that rendered it; empty in the manifests of earlier releases

    @staticmethod
    def of(verified: Verified, made: Made) -> Entry:
        """The entry for a verified file that was made so."""
        return Entry(**asdict(verified), attempt=made.attempt, seconds=made.seconds, node=made.node)


@dataclass(frozen=True, slots=True)
class Made:
    """How a file came to be."""

    attempt: str
    seconds: float | None = None  # see Entry
    node: str = ""


class Manifest:
    """The outputs of one job. May be used from several threads; all but the look-ups touch the disk."""

    def __init__(self, path: Path) -> None:
        """Read the manifest; one that does not exist yet is empty.

        Raises:
            OSError: it is there and cannot be read.
        """
        self.path = path
        self._lock = threading.Lock()
        self._entries: dict[str, Entry] = {}
        self._written: set[str] = set()  # every name in the file
        self._folded: dict[str, str] = {}  # by name in one case: the last name that was added
        self._sorted: tuple[Entry, ...] | None = None
        self._frames: dict[int, list[Entry]] | None = None
        self._torn = False
        self._read()

    def add(self, *entries: Entry) -> None:
        """Add outputs that are in their place; see :meth:`adding`."""
        with self.adding(*entries):
            pass

    @contextmanager
    def adding(self, *entries: Entry) -> Iterator[None]:
        """Write outputs down, all or none, have them moved to their place in the context, and list them then. Those of
        the same names from before are replaced. If the context fails they are not listed.

        Raises:
            NameRefused: a name cannot be a file name everywhere.
            OSError: they cannot be written.
        """
        for entry in entries:
            check_name(entry.name)
        with self._lock:
            if len(entries) == 1:
                self._append(_line(entries[0]))
            else:
                self._write_anew(entries)
            self._written.update(entry.name for entry in entries)
        yield
        with self._lock:
            for entry in entries:
                self._keep(entry)

    def _append(self, line: bytes) -> None:
        flags = os.O_WRONLY | os.O_APPEND | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        descriptor = os.open(self.path, flags, 0o600)
        try:
            # A torn line is ended first, or it would take this one with it.
            data = b"\n" + line if self._torn else line
            self._torn = True
            written = os.write(descriptor, data)
            if written != len(data):
                raise OSError(errno.ENOSPC, f"only {written} of {len(data)} bytes of the manifest could be written")
            self._torn = False
        finally:
            os.close(descriptor)

    def _write_anew(self, entries: Sequence[Entry]) -> None:
        """One write could be torn between two lines; a rename cannot."""
        new = {entry.name for entry in entries}
        kept = [entry for entry in self._entries.values() if entry.name not in new]
        part = self.path.with_name(f"{self.path.name}.part")
        with part.open("wb") as file:
            file.writelines(_line(entry) for entry in (*kept, *entries))
            file.flush()
            os.fsync(file.fileno())
        part.replace(self.path)
        self._torn = False
        self._written = {entry.name for entry in kept}

    def entries(self) -> tuple[Entry, ...]:
        """All outputs, sorted by name as a person does (``shot_2`` before ``shot_10``)."""
        with self._lock:
            if self._sorted is None:
                self._sorted = tuple(sorted(self._entries.values(), key=lambda entry: natural_key(entry.name)))
            return self._sorted

    def find(self, name: str) -> Entry | None:
        """The output of exactly this name, or else the one whose name differs in upper and lower case alone."""
        with self._lock:
            return self._entries.get(name) or self._entries.get(self._folded.get(name.casefold(), ""))

    def newest(self, suits: Callable[[Entry], bool] = lambda entry: True) -> Entry | None:
        """The output that was added last, of those that suit."""
        with self._lock:
            return next((entry for entry in reversed(self._entries.values()) if suits(entry)), None)

    def by_frame(self) -> Mapping[int, Sequence[Entry]]:
        """The outputs of every frame that has any, in the order in which they were added. For a thread, if there may be
        many."""
        with self._lock:
            if self._frames is None:
                self._frames = {}
                for entry in self._entries.values():
                    if entry.frame is not None:
                        self._frames.setdefault(entry.frame, []).append(entry)
            return self._frames

    @property
    def total_bytes(self) -> int:
        """The size of all outputs together."""
        with self._lock:
            return sum(entry.size for entry in self._entries.values())

    def __len__(self) -> int:
        return len(self._entries)

    @property
    def whole(self) -> bool:
        """Whether there are outputs and every one that was ever written down is still one."""
        with self._lock:
            return bool(self._entries) and self._entries.keys() >= self._written

    def reconcile(self, output: Path) -> tuple[Entry, ...]:
        """Forget the outputs that are not in the folder (any more) in their full size.

        Returns:
            Those that are there, sorted.
        """
        self.forget(self.missing(output))
        return self.entries()

    def missing(self, output: Path) -> list[Entry]:
        """The outputs that are not in the folder (any more) in their full size, sorted."""
        if output.is_symlink():
            return list(self.entries())  # what is there is not ours
        return [entry for entry in self.entries() if not _is_there(output, entry)]

    def forget(self, gone: Iterable[Entry]) -> None:
        """These outputs are no outputs any more. Not written down: whoever reads the manifest again finds them gone."""
        with self._lock:
            for entry in gone:
                if self._entries.get(entry.name) is entry:
                    del self._entries[entry.name]
            self._folded = {name.casefold(): name for name in self._entries}
            self._sorted = self._frames = None

    def sync(self, output: Path) -> None:
        """Let the manifest and the names in the output folder survive a power cut from now on."""
        with self._lock:
            if self.path.exists():
                descriptor = os.open(self.path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0))
                try:
                    os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        for folder in (self.path.parent, output):
            if folder.is_dir():
                sync_folder(folder)

    def _read(self) -> None:
        try:
            data = self.path.read_bytes()
        except FileNotFoundError:
            return
        self._torn = bool(data) and not data.endswith(b"\n")
        for line in data.splitlines():
            entry = _parse(line)
            if entry is not None:
                self._keep(entry)
        self._written = set(self._entries)

    def _keep(self, entry: Entry) -> None:
        self._entries.pop(entry.name, None)  # so that the newest is always the last one
        self._entries[entry.name] = entry
        self._folded[entry.name.casefold()] = entry.name
        self._sorted = self._frames = None


class Manifests:
    """The manifests of many jobs: read when first asked for, the last used ones kept.

    As long as anyone holds a manifest, everyone who asks gets the same object.
    """

    def __init__(self, kept: int = 64) -> None:
        self._kept = kept
        self._recent: OrderedDict[Path, Manifest] = OrderedDict()
        self._alive: weakref.WeakValueDictionary[Path, Manifest] = weakref.WeakValueDictionary()
        self._lock = threading.Lock()

    def at(self, path: Path) -> Manifest:
        """The manifest at this path. Reads the disk if it is not at hand; for a thread.

        Raises:
            OSError: it cannot be read.
        """
        with self._lock:
            manifest = self._alive.get(path)
            if manifest is None:
                manifest = self._alive[path] = Manifest(path)
            self._recent[path] = manifest
            self._recent.move_to_end(path)
            if len(self._recent) > self._kept:
                self._recent.popitem(last=False)
            return manifest

    def at_hand(self, path: Path) -> Manifest | None:
        """The manifest at this path if that takes no reading."""
        with self._lock:
            return self._alive.get(path)

    def forget(self, path: Path) -> None:
        """The job was deleted."""
        with self._lock:
            self._recent.pop(path, None)
            self._alive.pop(path, None)


def _line(entry: Entry) -> bytes:
    return json.dumps(asdict(entry), separators=(",", ":")).encode() + b"\n"


def _is_there(output: Path, entry: Entry) -> bool:
    try:
        found = (output / entry.name).lstat()
    except OSError:
        return False
    return stat.S_ISREG(found.st_mode) and found.st_size == entry.size


_TYPES: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "size": (int,),
    "sha256": (str,),
    "crc32": (int,),
    "frame": (int, type(None)),
    "width": (int, type(None)),
    "height": (int, type(None)),
    "mtime_ns": (int,),
    "attempt": (str,),
    "seconds": (int, float, type(None)),
    "node": (str,),
}
_LATER: Mapping[str, str | None] = {"seconds": None, "node": ""}
"""What lines of earlier releases do not have."""


def _parse(line: bytes) -> Entry | None:
    """The entry in one line; None for a torn or foreign one."""
    try:
        said = json.loads(line)
        if not isinstance(said, dict):
            return None
        said = {**_LATER, **said}
        values = {item.name: said[item.name] for item in fields(Entry)}
        if not all(isinstance(values[name], kinds) for name, kinds in _TYPES.items()):
            return None
        check_name(values["name"])
    except (ValueError, KeyError, RecursionError, NameRefused):
        return None
    return Entry(**values)


def frames_of(entries: Sequence[Entry]) -> list[int]:
    """The frames whose pictures are among these outputs, in the same order."""
    return [entry.frame for entry in entries if entry.frame is not None]
