"""A file that comes in several requests: appended to on the disk, one piece of a few MiB at a time, in a thread."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import threading
from pathlib import Path
from typing import Final

from app.jobs.errors import NoSpace
from app.jobs.sink import check_space

PIECE: Final = 4 << 20
"""How much is written at a time, in bytes; twice as much is in memory."""
_HASHED: Final = 1 << 20


class PieceWriter:
    """Appends to one file: a thread writes a piece while the next one comes. :meth:`close` it, whatever happens.

    Args:
        path: the file; made if it is not there.
        free: bytes that must stay free on its disk.
    """

    def __init__(self, path: Path, free: int) -> None:
        self._path = path
        self._free = free
        self._pieces: list[bytes] = []
        self._held = 0
        self._descriptor = -1
        self._writing: asyncio.Task[None] | None = None
        self.written = 0
        """Bytes that are in the file."""

    async def put(self, data: bytes) -> None:
        """Take bytes; waits if the disk is slower than they come.

        Raises:
            NoSpace: the disk is full.
            OSError: it cannot be written.
        """
        self._pieces.append(data)
        self._held += len(data)
        if self._held >= PIECE:
            await self._pass_on()

    async def close(self) -> None:
        """Write what is left and close the file, also if this is cancelled.

        Raises:
            NoSpace: the disk is full.
            OSError: it cannot be written.
        """
        await asyncio.shield(asyncio.create_task(self._close()))

    async def _close(self) -> None:
        try:
            await self._pass_on()
            await self._written()
        finally:
            if self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    async def _pass_on(self) -> None:
        await self._written()
        if self._pieces:
            data, self._pieces, self._held = b"".join(self._pieces), [], 0
            self._writing = asyncio.create_task(asyncio.to_thread(self._write, data))

    async def _written(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            await asyncio.shield(writing)

    def _write(self, data: bytes) -> None:
        check_space(self._path.parent, len(data), self._free)
        try:
            if self._descriptor < 0:
                flags = os.O_CREAT | os.O_WRONLY | os.O_APPEND | getattr(os, "O_BINARY", 0)
                self._descriptor = os.open(self._path, flags, 0o600)
            view = memoryview(data)
            while view:
                count = os.write(self._descriptor, view)
                view = view[count:]
                self.written += count
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise NoSpace(f"the disk of the data folder is full: {error.strerror}") from error
            raise


def size_of(path: Path) -> int:
    """How many bytes a file has; 0 if it is not there. For a thread."""
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def sha256_of(path: Path, stop: threading.Event) -> str:
    """The SHA-256 of a file, hexadecimal; of a part of it if ``stop`` is set meanwhile. For a thread.

    Raises:
        OSError: it cannot be read.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while not stop.is_set() and (block := file.read(_HASHED)):
            digest.update(block)
    return digest.hexdigest()
