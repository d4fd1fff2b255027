"""Reads outputs for the socket: in large blocks, ahead of it, in threads; notices when a file is not the one it was."""

from __future__ import annotations

import asyncio
import os
import zlib
from collections.abc import AsyncGenerator, Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

from app.outputs.files import NotAFile, open_regular
from app.outputs.manifest import Entry

BLOCK = 2 << 20
"""Bytes in one block. Every block costs a turn of the event loop and of a thread: with 256 KB an archive is sent at a
third of the speed that it has with 2 MB; more brings nothing but memory."""

T = TypeVar("T")

_readers = ThreadPoolExecutor(max_workers=8, thread_name_prefix="read")


class OutputGone(Exception):
    """An output of the manifest is not there any more, or is not the file that was verified."""


def open_output(folder: Path, entry: Entry) -> int:
    """Open an output for reading; the caller closes the descriptor.

    Raises:
        OutputGone: see the class.
        OSError: it cannot be opened.
    """
    try:
        descriptor = open_regular(folder, entry.name)
    except (FileNotFoundError, NotADirectoryError, NotAFile) as error:
        raise OutputGone(f"{entry.name} is not in the output folder any more") from error
    if os.fstat(descriptor).st_size != entry.size:
        os.close(descriptor)
        raise OutputGone(f"{entry.name} is not the file that was verified: its size has changed")
    return descriptor


def blocks_of(descriptor: int, entry: Entry, start: int = 0, end: int | None = None) -> Generator[bytes, None, None]:
    """The bytes from ``start`` up to ``end`` (not included) of an open output, in blocks.

    A file whose time of change is not the one in the manifest is checked against its CRC on the way, when all of it is
    read.

    Raises:
        OutputGone: it became shorter, or has other content.
        OSError: it cannot be read.
    """
    left = (entry.size if end is None else end) - start
    suspect = left == entry.size and os.fstat(descriptor).st_mtime_ns != entry.mtime_ns
    crc = 0
    os.lseek(descriptor, start, os.SEEK_SET)
    while left:
        block = os.read(descriptor, min(BLOCK, left))
        if not block:
            raise OutputGone(f"{entry.name} became shorter while it was sent")
        left -= len(block)
        if suspect:
            crc = zlib.crc32(block, crc)
            if not left and crc != entry.crc32:
                raise OutputGone(f"{entry.name} is not the file that was verified: its content has changed")
        yield block


async def read_ahead(blocks: Generator[bytes, None, None]) -> AsyncGenerator[bytes, None]:
    """The same blocks, each fetched in a thread while the one before is in use.

    Close it (``contextlib.aclosing``): only then is ``blocks`` closed for certain.

    Raises:
        Exception: whatever ``blocks`` raises.
    """
    loop = asyncio.get_running_loop()
    coming = loop.run_in_executor(_readers, next, blocks, None)
    try:
        while (block := await coming) is not None:
            coming = loop.run_in_executor(_readers, next, blocks, None)
            yield block
    finally:
        # The thread may be in the middle of a block, and a generator cannot be closed while it runs.
        await asyncio.wait([coming])
        if not coming.cancelled():
            coming.exception()  # seen: it was raised above, or nobody is there any more to hear of it
        blocks.close()


async def open_in_thread(folder: Path, entry: Entry) -> int:
    """:func:`open_output` without holding up the event loop, and without losing a descriptor when cancelled."""
    opening = asyncio.get_running_loop().run_in_executor(_readers, open_output, folder, entry)
    try:
        return await asyncio.shield(opening)
    except asyncio.CancelledError:
        opening.add_done_callback(_close_opened)
        raise


def _close_opened(opening: asyncio.Future[int]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        os.close(opening.result())


async def in_reader(work: Callable[[], T]) -> T:
    """Do something short with the disk in a reader's thread."""
    return await asyncio.get_running_loop().run_in_executor(_readers, work)
