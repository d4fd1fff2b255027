"""A file on its way from a socket to the data disk, hashed on the way and written once."""

from __future__ import annotations

import asyncio
import errno
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.jobs.buffers import DIRECT_WRITES, Buffer, write_through_cache
from app.jobs.errors import NoSpace, RequestError, TooLarge
from app.jobs.names import BadName, upload_name

BUFFER: Final = 4 << 20
"""How much is hashed and written at a time, in bytes. Two of them belong to every upload."""


@dataclass(frozen=True, slots=True)
class UploadLimits:
    """What an upload may be, in bytes."""

    file: int  # the largest file
    document: int  # the largest json field
    free: int  # what must stay free on the disk


@dataclass(frozen=True, slots=True)
class UploadedFile:
    """A file that has arrived completely."""

    name: str  # plain and safe, as the client called it
    path: Path
    size: int  # bytes
    sha256: str  # hexadecimal


def check_space(folder: Path, wanted: int, keep: int) -> None:
    """See that the disk has room. For a thread.

    Args:
        folder: on that disk.
        wanted: what will be written, in bytes.
        keep: what must stay free after that, in bytes.

    Raises:
        NoSpace: it has not.
    """
    free = shutil.disk_usage(folder).free
    if free - wanted < keep:
        raise NoSpace(
            f"the disk of the data folder has {free} bytes free; the upload needs {wanted} and {keep} must stay free "
            "(min_free_bytes)",
            "file",
        )


def _checked(name: str) -> str:
    try:
        return upload_name(name)
    except BadName as error:
        raise RequestError(str(error), "file") from error


class FileSink:
    """The file part on its way to the disk: one buffer fills while threads hash and write the other."""

    def __init__(self, folder: Path, limits: UploadLimits) -> None:
        self._folder = folder
        self._limits = limits
        self._name: str | None = None
        self._hash = hashlib.sha256()
        self._descriptor = -1
        self._direct = False  # whether it is open for writing past the cache
        self._size = 0
        self._buffers: list[Buffer] = []  # all of them, to be closed
        self._buffer: Buffer | None = None  # the one being filled
        self._filled = 0
        self._full: list[Buffer] = []
        self._free: list[Buffer] = []
        self._writing: asyncio.Task[None] | None = None

    def begin(self, name: str) -> None:
        """A file part begins; ``name`` is what the client calls it.

        Raises:
            RequestError: no file can be called that.
        """
        if name:  # without one it may still turn out to be no file at all
            _checked(name)
        self._name = name

    def put(self, data: bytes, start: int, end: int) -> None:
        """Take the bytes from ``start`` to ``end`` of a piece from the socket; copies them.

        Raises:
            TooLarge: the file is larger than allowed.
        """
        self._size += end - start
        if self._size > self._limits.file:
            raise TooLarge(f"the file has more than {self._limits.file} bytes (max_upload_bytes)", "file")
        view = memoryview(data)
        while start < end:
            if self._buffer is None:
                self._buffer, self._filled = self._take(), 0
            count = min(end - start, BUFFER - self._filled)
            self._buffer.view[self._filled : self._filled + count] = view[start : start + count]
            self._filled += count
            start += count
            if self._filled == BUFFER:
                self._full.append(self._buffer)
                self._buffer = None

    def _take(self) -> Buffer:
        if self._free:
            return self._free.pop()
        self._buffers.append(Buffer(BUFFER))
        return self._buffers[-1]

    async def drain(self) -> None:
        """Give full buffers to the threads; waits while they still have one."""
        while self._full:
            await self._written()
            self._writing = asyncio.create_task(self._keep(self._full.pop(0), BUFFER))

    async def close(self) -> UploadedFile | None:
        """Write the rest. Returns None if no file was sent (browsers send an empty part then).

        Raises:
            RequestError: the file is empty or has no usable name.
            NoSpace: the disk is full.
        """
        if self._name is None or (self._name == "" and self._size == 0):
            return None
        name = _checked(self._name)
        if self._size == 0:
            raise RequestError(f"the file {name!r} is empty", "file")
        await self._written()
        if self._buffer is not None:
            self._writing = asyncio.create_task(self._keep(self._buffer, self._filled))
            await self._written()
        path = self._folder / name
        self._writing = asyncio.create_task(asyncio.to_thread(self._finish, path))
        await self._written()
        return UploadedFile(name, path, self._size, self._hash.hexdigest())

    async def abort(self, clean: Callable[[], None]) -> None:
        """Stop writing, close the file and clean up, whatever has become of the request meanwhile."""
        await asyncio.shield(asyncio.create_task(self._abort(clean)))

    async def _abort(self, clean: Callable[[], None]) -> None:
        if self._writing is not None:
            # The threads must be through with the descriptor before it is closed; what they met no longer matters.
            await asyncio.wait([self._writing])
            if not self._writing.cancelled():
                self._writing.exception()
        self._release()
        await asyncio.to_thread(clean)

    async def _written(self) -> None:
        if self._writing is not None:
            await asyncio.shield(self._writing)
            self._writing = None

    async def _keep(self, buffer: Buffer, count: int) -> None:
        """Hash and write a buffer, at the same time."""
        hashing = asyncio.create_task(asyncio.to_thread(self._add_to_hash, buffer, count))
        try:
            await asyncio.to_thread(self._write, buffer, count)
        finally:
            await hashing
        self._free.append(buffer)

    # --- in a thread --------------------------------------------------------------------------------------------

    def _add_to_hash(self, buffer: Buffer, count: int) -> None:
        with buffer.view[:count] as part:
            self._hash.update(part)

    def _write(self, buffer: Buffer, count: int) -> None:
        check_space(self._folder, count, self._limits.free)
        try:
            if self._descriptor < 0:
                self._open(directly=count == BUFFER)
            done = 0
            if self._direct:
                done = buffer.write_directly(self._descriptor, count) if count == BUFFER else 0
                if done < count:
                    write_through_cache(self._descriptor)
                    self._direct = False
            buffer.write(self._descriptor, count, done)
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
                raise NoSpace(f"the disk of the data folder is full: {error.strerror}", "file") from error
            raise

    def _open(self, *, directly: bool) -> None:
        path = self._folder / "upload"
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_BINARY", 0)
        if directly and DIRECT_WRITES:
            try:
                self._descriptor = os.open(path, flags | DIRECT_WRITES, 0o600)
            except OSError as error:
                if error.errno != errno.EINVAL:
                    raise
                path.unlink(missing_ok=True)  # some systems have made it before they refuse to open it that way
            else:
                self._direct = True
                return
        self._descriptor = os.open(path, flags, 0o600)

    def _finish(self, path: Path) -> None:
        self._release()
        (self._folder / "upload").rename(path)

    def _release(self) -> None:
        """Close everything. Only while no thread writes."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
        while self._buffers:
            self._buffers.pop().close()
