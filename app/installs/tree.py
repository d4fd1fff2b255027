"""A folder that fills from an archive, behind the wall that nothing gets past.

Every name is checked before anything is made of it, bytes are counted while they are written. Links are as old
releases of engines have them: to another name of the same tree. A link's way up is from its own folder, which is no
link (nothing lies below one); after that it only goes down. So no chain of links leads out.
"""

from __future__ import annotations

import os
import shutil
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.installs.source import SourceError
from app.jobs.durable import begin_writing, settle_tree
from app.jobs.names import BadName, MemberNames, member_parts
from app.jobs.unpack import MAX_RATIO, RATIO_FREE, SPACE_EVERY, Stopped
from app.outputs.files import sync_folder

MAX_LINK: Final = 1024
"""The longest target of a link, in bytes."""


class ArchiveError(SourceError):
    """An archive is damaged or holds what is not unpacked. Nothing of it was kept."""


@dataclass(frozen=True, slots=True)
class ArchiveLimits:
    """What a release may hold."""

    files: int = 200_000  # entries: files, folders, links
    total: int = 30 << 30  # bytes unpacked
    keep_free: int = 0  # bytes that stay free on the disk


class Tree:
    """See the module. For a thread.

    Args:
        root: a folder of ours, empty.
        packed: bytes of the archive.
        limits: what may come of it.
        stop: ends it early.
    """

    def __init__(self, root: Path, packed: int, limits: ArchiveLimits, stop: threading.Event) -> None:
        self._root = root
        self._packed = packed
        self._limits = limits
        self._stop = stop
        self._names = MemberNames()
        self._entries = 0
        self._written = 0
        self._looked = 0
        self._files: set[tuple[str, ...]] = set()
        self._to_root: str | None = None  # a link that leads through the outermost folder

    def add_folder(self, name: str) -> None:
        """Make a folder; the archive's root itself is none to be made."""
        if parts := self._admit(name, folder=True):
            self._root.joinpath(*parts).mkdir(mode=0o755, parents=True, exist_ok=True)

    def add_file(self, name: str, mode: int, read: Callable[[int], bytes]) -> None:
        """Write a file. Of its mode only counts whether somebody may execute it; setuid and the like are dropped.

        Args:
            name: as the archive has it.
            mode: bits of its mode.
            read: gives so many bytes of its content at most, none at its end, and has them counted.
        """
        parts = self._admit(name, folder=False)
        path = self._made_room_for(parts)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
        with os.fdopen(os.open(path, flags, 0o755 if mode & 0o111 else 0o644), "wb", buffering=0) as file:
            while piece := read(1 << 20):
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]
            begin_writing(file.fileno(), 0, 0)
        self._files.add(parts)

    def add_symlink(self, name: str, target: str) -> None:
        """Make a link to another name of the tree."""
        parts = self._admit(name, folder=False)
        shown = f"{name[:100]!r} is a link to {target[:100]!r}"
        if not target or "\\" in target or ":" in target or len(os.fsencode(target)) > MAX_LINK:
            raise ArchiveError(f"the archive is refused: {shown}, which is no name in it")
        if target.startswith("/"):
            raise ArchiveError(f"the archive is refused: {shown}, an absolute path")
        steps = [step for step in target.split("/") if step not in ("", ".")]
        up = next((at for at, step in enumerate(steps) if step != ".."), len(steps))
        if up > len(parts) - 1:
            raise ArchiveError(f"the archive is refused: {shown}, which leads out of it")
        if up == len(parts) - 1 and up:
            self._to_root = shown
        try:
            member_parts("/".join(steps[up:]))  # also: no way up after one down
        except BadName as error:
            raise ArchiveError(f"the archive is refused: {shown}: {error}") from error
        self._made_room_for(parts).symlink_to("/".join(steps) or ".")

    def add_hard_link(self, name: str, target: str) -> None:
        """Give a file that was unpacked before a second name."""
        parts = self._admit(name, folder=False)
        try:
            source = member_parts(target)
        except BadName as error:
            raise ArchiveError(f"the archive is refused: {name[:100]!r} is a link: {error}") from error
        if source not in self._files:
            raise ArchiveError(
                f"the archive is refused: {name[:100]!r} is a second name of {target[:100]!r}, which is no file in it"
            )
        os.link(self._root.joinpath(*source), self._made_room_for(parts), follow_symlinks=False)

    def count(self, size: int) -> None:
        """So many bytes more come out of the archive.

        Raises:
            ArchiveError: they are too many.
            SourceError: the disk has no room for them.
            Stopped: nobody waits for them any more.
        """
        if self._stop.is_set():
            raise Stopped
        self._written += size
        if self._written > self._limits.total:
            raise ArchiveError(f"the archive unpacks to more than {self._limits.total} bytes, the most that is allowed")
        if self._written > RATIO_FREE and self._written > MAX_RATIO * self._packed:
            raise ArchiveError(
                f"the archive unpacks to more than {MAX_RATIO} times its size; that is refused as a bomb"
            )
        if self._written - self._looked >= SPACE_EVERY:
            self.check_space(0)
            self._looked = self._written

    def check_space(self, wanted: int) -> None:
        """See that the disk has room for so many bytes.

        Raises:
            SourceError: it has not.
        """
        free = shutil.disk_usage(self._root).free
        if free - wanted < self._limits.keep_free:
            raise SourceError(
                f"the disk has {free} bytes free; the archive needs {wanted} more and {self._limits.keep_free} must "
                "stay free"
            )

    def settle(self, place: Path) -> None:
        """Put the complete tree in its place, for good; a single outermost folder is not kept.

        Every file is synced before the tree gets its name: an engine that is listed after a power cut must have its
        content. It is one pass at the end, when most of it is on the disk already.

        Raises:
            ArchiveError: it is empty, or has links that need the outermost folder.
            Stopped: nobody waits for it any more.
        """
        if not self._files:
            raise ArchiveError("the archive is empty")
        inner = list(self._root.iterdir())
        stripped = len(inner) == 1 and inner[0].is_dir() and not inner[0].is_symlink()
        if stripped and self._to_root is not None:
            raise ArchiveError(f"the archive is refused: {self._to_root}, which leads out of its outermost folder")
        settle_tree((self._root.joinpath(*parts) for parts in self._files), self._root, self._stop)
        if self._stop.is_set():
            raise Stopped
        (inner[0] if stripped else self._root).rename(place)
        sync_folder(place.parent)

    def _admit(self, name: str, *, folder: bool) -> tuple[str, ...]:
        if self._stop.is_set():
            raise Stopped
        self._entries += 1
        if self._entries > self._limits.files:
            raise ArchiveError(f"the archive has more than {self._limits.files} entries, the most that is allowed")
        try:
            parts = member_parts(name)
            if parts:
                self._names.add(parts, folder=folder, shown=repr(name[:100]))
        except BadName as error:
            raise ArchiveError(f"the archive is refused: {error}") from error
        if not parts and not folder:
            raise ArchiveError(f"the archive is refused: {name[:100]!r} is no name of a file")
        return parts

    def _made_room_for(self, parts: tuple[str, ...]) -> Path:
        path = self._root.joinpath(*parts)
        path.parent.mkdir(mode=0o755, parents=True, exist_ok=True)
        return path
