"""Downloads that can be taken up again: into ``<target>.part``, renamed when complete.

Beside the part lies ``<target>.part.etag``, the version of the file that the part belongs to. A broken download goes
on with ``Range`` and ``If-Range``: the node sends the rest if it still has that version, else the whole file anew.
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncIterator
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

import httpx

from .connection import Connection, Params
from .errors import ProtocolError, TransferFailed
from .upload import PIECE, Progress

_CONTENT_RANGE: Final = re.compile(r"\Abytes (\d+)-\d+/(\d+)\Z")
_STREAM_TIMEOUT: Final = 60.0


async def download(
    connection: Connection, path: str, params: Params | None, target: Path, progress: Progress | None = None
) -> Path:
    """Fetch one file; the connection's retries take up where the last try broke.

    A file at ``target`` that has the size and the time of the one on the node is left as it is.

    Args:
        progress: told after every piece; bytes of the whole file.

    Returns:
        ``target``.

    Raises:
        ZordonError: see :mod:`.errors`.
        OSError: it cannot be written.
    """
    async for attempt in connection.repeating():
        with attempt:
            await _fetch(connection, path, params, target, progress)
    return target


async def _fetch(
    connection: Connection, path: str, params: Params | None, target: Path, progress: Progress | None
) -> None:
    part, version = Path(f"{target}.part"), Path(f"{target}.part.etag")
    headers = {"Accept-Encoding": "identity"} | await asyncio.to_thread(_resume_headers, part, version)
    async with connection.stream(
        "GET", path, params, headers=headers, timeout=_STREAM_TIMEOUT, accept_statuses=(416,)
    ) as response:
        if response.status_code == 416:
            # The part is no beginning of what is there now; without it, the next try takes everything.
            await asyncio.to_thread(_forget, part, version)
            await response.aclose()
            return await _fetch(connection, path, params, target, progress)
        start, total = _extent(response)
        modified = _modified(response)
        if start == 0 and await asyncio.to_thread(_is_same, target, total, modified):
            if progress is not None and total is not None:
                progress(total, total)
            return None
        await asyncio.to_thread(_remember, version, response.headers.get("ETag", ""))
        written = await _write(response, part, start, total, progress)
        if total is not None and written != total:
            raise TransferFailed(f"{target.name}: {written} of {total} bytes came")
    await asyncio.to_thread(_finish, part, version, target, modified)
    return None


async def _write(response: httpx.Response, part: Path, start: int, total: int | None, progress: Progress | None) -> int:
    """Append the body to the first ``start`` bytes of the part; the length it has then."""
    written = start
    file = await asyncio.to_thread(part.open, "r+b" if start else "wb")
    try:
        await asyncio.to_thread(file.truncate, start)
        await asyncio.to_thread(file.seek, start)
        async for piece in _pieces(response):
            await asyncio.to_thread(file.write, piece)
            written += len(piece)
            if progress is not None:
                progress(written, total)
    finally:
        await asyncio.to_thread(file.close)
    return written


async def _pieces(response: httpx.Response) -> AsyncIterator[bytes]:
    """The body in pieces of about :data:`PIECE` bytes, the last one even if the connection breaks after it."""
    held = bytearray()
    try:
        async for some in response.aiter_raw():
            held += some
            if len(held) >= PIECE:
                yield bytes(held)
                held.clear()
    except httpx.TransportError:
        if held:
            yield bytes(held)
        raise
    if held:
        yield bytes(held)


def _resume_headers(part: Path, version: Path) -> dict[str, str]:
    try:
        etag, have = version.read_text(encoding="ascii"), part.stat().st_size
    except (FileNotFoundError, UnicodeDecodeError):
        return {}
    # If-Range takes strong validators only (RFC 9110, 13.1.5).
    if not have or not etag.startswith('"'):
        return {}
    return {"Range": f"bytes={have}-", "If-Range": etag}


def _extent(response: httpx.Response) -> tuple[int, int | None]:
    """Where the body begins in the file, and the file's length if the node says it. Bytes."""
    if response.status_code == 206:
        match = _CONTENT_RANGE.match(response.headers.get("Content-Range", ""))
        if match is None:
            raise ProtocolError(f"a part of a file came without saying which: {response.headers.get('Content-Range')}")
        return int(match[1]), int(match[2])
    length = response.headers.get("Content-Length", "")
    return 0, int(length) if length.isdigit() else None


def _modified(response: httpx.Response) -> float | None:
    try:
        return parsedate_to_datetime(response.headers["Last-Modified"]).timestamp()
    except (KeyError, ValueError):
        return None


def _is_same(target: Path, size: int | None, modified: float | None) -> bool:
    if size is None or modified is None:
        return False
    try:
        found = target.stat()
    except FileNotFoundError:
        return False
    return found.st_size == size and int(found.st_mtime) == int(modified)


def _remember(version: Path, etag: str) -> None:
    version.parent.mkdir(parents=True, exist_ok=True)
    version.write_text(etag if etag.isascii() else "", encoding="ascii")


def _finish(part: Path, version: Path, target: Path, modified: float | None) -> None:
    if modified is not None:
        os.utime(part, (modified, modified))
    part.replace(target)
    version.unlink(missing_ok=True)


def _forget(part: Path, version: Path) -> None:
    part.unlink(missing_ok=True)
    version.unlink(missing_ok=True)
