"""A download on the disk that is not complete yet, and what is needed to go on with it after a break or a restart.

The bytes are in ``<target>.part``. Beside it ``<target>.part.json`` says where they came from and which state of the
file there they belong to; without it, or if it speaks of something else, the bytes are worth nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Final, ParamSpec, TypeVar

from pydantic import BaseModel, ValidationError

from app.installs.source import SourceError
from app.jobs.buffers import ALIGNED, Buffer, write_past_cache, write_through_cache
from app.jobs.durable import begin_writing
from app.outputs.files import sync_folder
from engines.installs.release import Checksum

BLOCK: Final = 4 << 20
"""How much is hashed and written at a time, in bytes. Two of them belong to every download."""

P = ParamSpec("P")
T = TypeVar("T")


class Origin(BaseModel, frozen=True):
    """Where the bytes of a part belong."""

    url: str
    validator: str  # a strong ETag or the Last-Modified of the file, as If-Range takes it; empty: there was none
    total: int | None  # bytes of the whole file


class PartFile:
    """See the module. For one task on the event loop; files are touched in threads.

    Args:
        target: the complete file. Its folder exists.
        url: where it comes from.
        size: what the file must have, in bytes.
        checksum: what the file must have.
        keep_free: bytes that stay free on the disk.
    """

    def __init__(self, target: Path, url: str, size: int | None, checksum: Checksum | None, keep_free: int) -> None:
        self._target = target
        self._path = target.with_name(f"{target.name}.part")
        self._note = target.with_name(f"{target.name}.part.json")
        self._url = url
        self._size = size
        self._checksum = checksum
        self._keep_free = keep_free
        self._hash = _new_hash(checksum)
        self._descriptor = -1
        self._direct = False  # whether it is written past the cache just now
        self._refused = False  # whether its disk does not let us
        self._full: asyncio.Task[None] | None = None  # writes a buffer
        self._buffers: list[Buffer] = []  # all of them, to be closed
        self._free: list[Buffer] = []
        self._buffer: Buffer | None = None  # the one being filled
        self._filled = 0
        self._on_disk = 0
        self.origin = Origin(url=url, validator="", total=size)
        self.have = 0
        """Bytes that were taken so far."""

    @property
    def complete(self) -> bool:
        """Whether nothing is missing, as far as somebody has said how much it is."""
        return self.origin.total is not None and self.have == self.origin.total

    async def open(self) -> None:
        """Take up what an earlier try has left; its bytes are hashed again."""
        await self._in_thread(self._open)

    async def begin(self, validator: str, total: int | None) -> None:
        """The file comes from its first byte on; what is there is thrown away.

        Raises:
            SourceError: the disk has no room for it.
        """
        await self._written()
        self._filled = 0
        self.have = 0
        self.origin = Origin(url=self._url, validator=validator, total=total)
        await self._in_thread(self._begin)

    async def make_room(self) -> None:
        """See that the disk has room for what is missing.

        Raises:
            SourceError: it has not.
        """
        await self._in_thread(self._check_space, (self.origin.total or 0) - self.have)

    async def put(self, data: bytes) -> None:
        """Take the next bytes; they are written 4 MiB at a time while the next ones come.

        Raises:
            SourceError: they cannot be written.
        """
        view = memoryview(data)
        while view:
            if self._buffer is None:
                self._buffer, self._filled = self._take(), 0
            count = min(len(view), BLOCK - self._filled)
            self._buffer.view[self._filled : self._filled + count] = view[:count]
            self._filled += count
            self.have += count
            view = view[count:]
            if self._filled == BLOCK:
                await self._write_out()

    async def fill(self, read: Callable[[memoryview], Awaitable[int]]) -> int:
        """Have the next bytes read straight into a buffer, instead of copying them there by :meth:`put`.

        Args:
            read: fills the memory it is given, or a part of it, and returns how many bytes that are; 0 at the end. It
                is through with the memory when it returns or raises.

        Returns:
            What ``read`` did.

        Raises:
            SourceError: they cannot be written.
        """
        if self._buffer is None:
            self._buffer, self._filled = self._take(), 0
        with self._buffer.view[self._filled :] as room:
            count = await read(room)
        self._filled += count
        self.have += count
        if self._filled == BLOCK:
            await self._write_out()
        return count

    async def flush(self) -> None:
        """Write what was taken, so that nothing has to come again.

        Raises:
            SourceError: it cannot be written.
        """
        if self._filled:
            await self._write_out()
        await self._written()

    async def settle(self) -> None:
        """Verify the whole and give it its name, for good.

        Raises:
            SourceError: it is not what it should be; nothing of it is left then. Or the disk is in trouble.
        """
        await self.flush()
        await self._in_thread(self._settle)

    async def close(self) -> None:
        """Keep what was taken for a later try, whatever has become of the task meanwhile."""
        await asyncio.shield(asyncio.create_task(self._close()))

    async def _close(self) -> None:
        try:
            await self.flush()
        except SourceError:
            # What cannot be kept comes again; whoever closes has a better reason to tell. The part ends where it ends.
            pass
        finally:
            await asyncio.to_thread(self._release)

    def _take(self) -> Buffer:
        if not self._free:
            self._free.append(Buffer(BLOCK))
            self._buffers.append(self._free[-1])
        return self._free.pop()

    async def _write_out(self) -> None:
        await self._written()
        buffer, count = self._buffer, self._filled
        if buffer is not None:
            self._buffer, self._filled = None, 0
            self._full = asyncio.create_task(self._in_thread(self._write, buffer, count))

    async def _written(self) -> None:
        if self._full is not None:
            await asyncio.shield(self._full)
            self._full = None

    async def _in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run it to its end, even if nobody waits for it any more: two threads must not meet in one file."""
        task = asyncio.create_task(asyncio.to_thread(work, *args, **kwargs))
        try:
            return await asyncio.shield(task)
        except asyncio.CancelledError:
            await asyncio.wait([task])
            raise
        except OSError as error:
            raise SourceError(f"{self._target.name} cannot be written: {error.strerror or error}") from error

    # --- in a thread ---------------------------------------------------------------------------------------------

    def _open(self) -> None:
        flags = os.O_CREAT | os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        self._descriptor = os.open(self._path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
        try:
            origin = Origin.model_validate_json(self._note.read_bytes())
        except (FileNotFoundError, ValidationError):
            return
        there = os.fstat(self._descriptor).st_size
        if origin.url != self._url or self._size not in (None, origin.total) or there > (origin.total or there):
            return
        if not origin.validator and there != origin.total:
            return  # nothing would tell whether the rest belongs to it
        if self._hash is not None:
            while self._on_disk < there:
                piece = os.read(self._descriptor, BLOCK)
                if not piece:
                    break
                self._hash.update(piece)
                self._on_disk += len(piece)
        self.origin = origin
        self.have = self._on_disk = os.lseek(self._descriptor, 0, os.SEEK_END)

    def _begin(self) -> None:
        os.ftruncate(self._descriptor, 0)
        os.lseek(self._descriptor, 0, os.SEEK_SET)
        self._on_disk = 0
        self._hash = _new_hash(self._checksum)
        fresh = self._note.with_name(f"{self._note.name}.new")
        fresh.write_text(self.origin.model_dump_json())
        fresh.replace(self._note)

    def _check_space(self, wanted: int) -> None:
        free = shutil.disk_usage(self._target.parent).free
        if free - max(0, wanted) < self._keep_free:
            raise SourceError(
                f"the disk has {free} bytes free; {self._target.name} needs {max(0, wanted)} more and "
                f"{self._keep_free} must stay free"
            )

    def _write(self, buffer: Buffer, count: int) -> None:
        self._check_space(count)
        # Past the cache where it goes: what is there at once need not be waited for in the end (see app.jobs.buffers).
        directly = count == BLOCK and self._on_disk % ALIGNED == 0 and not self._refused
        if directly and not self._direct:
            self._direct = write_past_cache(self._descriptor)
            self._refused = not self._direct
        done = buffer.write_directly(self._descriptor, count) if directly and self._direct else 0
        if done < count:
            if self._direct:
                write_through_cache(self._descriptor)
                self._direct, self._refused = False, directly
            buffer.write(self._descriptor, count, done)
            begin_writing(self._descriptor, self._on_disk, count)
        if self._hash is not None:
            with buffer.view[:count] as written:
                self._hash.update(written)
        self._on_disk += count
        self._free.append(buffer)

    def _settle(self) -> None:
        if self._checksum is not None and self._hash is not None:
            digest = self._hash.hexdigest()
            if digest != self._checksum.digest.lower():
                self._discard()
                raise SourceError(
                    f"{self._target.name} is damaged or not what it should be: its {self._checksum.algorithm} is "
                    f"{digest} and should be {self._checksum.digest.lower()}"
                )
        os.fsync(self._descriptor)
        self._release()
        self._path.replace(self._target)
        self._note.unlink(missing_ok=True)
        sync_folder(self._target.parent)

    def _discard(self) -> None:
        self._release()
        self._path.unlink(missing_ok=True)
        self._note.unlink(missing_ok=True)

    def _release(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor, self._direct = -1, False
        while self._buffers:
            self._buffers.pop().close()


def _new_hash(checksum: Checksum | None) -> hashlib._Hash | None:
    if checksum is None:
        return None
    try:
        return hashlib.new(checksum.algorithm, usedforsecurity=False)
    except ValueError as error:
        raise SourceError(f"a checksum of the kind {checksum.algorithm[:40]!r} cannot be verified here") from error
