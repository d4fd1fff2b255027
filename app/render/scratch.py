"""Scratch folders: an empty one is handed on to another attempt, by renaming it.

Making and removing folders by the hundred a second is dear: ext4 gives no inode out again for five seconds after it was
freed, and passes over all of those whenever it looks for one.
"""

from __future__ import annotations

import os
import secrets
import stat
from collections import deque
from collections.abc import Callable, Sequence
from pathlib import Path

from app.jobs.folders import DataFolder

MOST_SPARE = 128
"""So many empty folders are kept for what is started next: as many as short jobs leave at a time."""


class SpareFolders:
    """Empty folders of jobs that are through. :meth:`sift` is for a thread, :meth:`take` for any."""

    def __init__(self, folders: DataFolder) -> None:
        self._folders = folders
        self._kept: deque[Path] = deque()

    def take(self) -> Path | None:
        """One that may become another folder; whoever asks makes it so, or removes it."""
        try:
            return self._kept.pop()
        except IndexError:
            return None

    def sift(self, folders: Sequence[Path]) -> None:
        """Keep those that are empty, unless there are enough, and remove the others."""
        useless = []
        for folder in folders:
            spare = self._folders.spare / secrets.token_hex(6)
            if len(self._kept) < MOST_SPARE and become(folder, spare):
                self._kept.append(spare)
            else:
                useless.append(folder)
        self._folders.discard(useless)


class ScratchFolders:
    """The scratch folders of one slot. Its methods are for the event loop's thread.

    Args:
        discard: has a folder removed, or kept for others.
        take: gives a folder that others have left.
    """

    def __init__(self, discard: Callable[[Path], None], take: Callable[[], Path | None]) -> None:
        self._discard = discard
        self._take = take
        self._kept: dict[str, Path] = {}  # by the name of the folder that they are in; all are of one job

    def done_with(self, folder: Path, *, keep: bool = True) -> None:
        """No process uses this folder any more. ``keep``: False if there may be much in it."""
        if not keep:
            self._discard(folder)
            return
        before = self._kept.pop(folder.parent.name, None)
        self._kept[folder.parent.name] = folder
        if before is not None:
            self._discard(before)

    def spare(self, folder: Path) -> Path | None:
        """A folder that may become this one; whoever asks makes it so, or removes it."""
        return self._kept.pop(folder.parent.name, None) or self._take()

    def drop(self) -> None:
        """Keep none: the job is left."""
        for folder in self._kept.values():
            self._discard(folder)
        self._kept.clear()


def become(spare: Path, folder: Path) -> bool:
    """Let an empty folder become another one on the same disk. For a thread.

    Returns:
        Whether it has; not if something is in it, or it is no folder of ours any more.
    """
    try:
        if not _is_as_made(spare.lstat()) or any(os.scandir(spare)):
            return False
        spare.rename(folder)
    except OSError:
        return False
    return True


def _is_as_made(found: os.stat_result) -> bool:
    return stat.S_ISDIR(found.st_mode) and found.st_mode & stat.S_IRWXU == stat.S_IRWXU
