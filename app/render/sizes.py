"""What folders take on the disk: counted off the event loop, and once for as long as the folder is the same."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path


class FolderSizes:
    """Sizes by path. A folder counts as the same while its own modification time stands: copies of engines are moved
    into their places whole and not changed there."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[int, int]] = {}

    async def size(self, path: Path) -> int | None:
        """Bytes of a file, or of all files in a folder; None if it is not there or cannot be read."""
        try:
            stamp = (await asyncio.to_thread(path.stat)).st_mtime_ns
        except OSError:
            return None
        known = self._known.get(path)
        if known is None or known[0] != stamp:
            known = self._known[path] = (stamp, await asyncio.to_thread(bytes_in, path))
        return known[1]


def bytes_in(path: Path) -> int:
    """Bytes of a file, or of all files in a folder. For a thread."""
    if not path.is_dir():
        return path.stat().st_size
    total = 0
    for parent, _, names in os.walk(path):
        for name in names:
            try:
                total += Path(parent, name).lstat().st_size
            except FileNotFoundError:
                continue  # it went meanwhile
    return total
