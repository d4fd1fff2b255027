"""Sends a job's log: from any byte, as it is now or as it grows.

The file is written by the service while it is read here, and only ever grows; what is answered is what was there when
it was looked at, so Content-Length and Range hold. ``follow`` looks again a few times a second.
"""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Final

from starlette.types import Receive, Scope, Send

from app.api.lists import BASE_HEADERS
from app.api.parts import Parts
from app.api.waiting import stays
from app.jobs.service import JobNotFound
from app.outputs.ranges import Unsatisfiable, asked_range

BLOCK: Final = 256 * 1024
FOLLOW_SECONDS: Final = 0.25


class LogAnswer:
    """ASGI: the log of one job.

    Args:
        offset: byte to begin with, where the request has no Range.
        follow: go on until the job has ended or the client is gone.
    """

    def __init__(self, parts: Parts, job_id: str, offset: int, follow: bool) -> None:
        self._parts = parts
        self._job_id = job_id
        self._path = parts.folders.log(job_id)
        self._offset = offset
        self._follow = follow

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        headers = [*BASE_HEADERS, (b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store")]
        if self._follow:
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await self._send_growing(receive, send)
            return
        if self._is_over():
            await self._last_lines()
        size = await asyncio.to_thread(_size, self._path)
        asked = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        headers.append((b"accept-ranges", b"bytes"))
        try:
            part = asked_range(asked, size, "", "")
        except Unsatisfiable:
            headers += [(b"content-range", b"bytes */%d" % size), (b"content-length", b"0")]
            await send({"type": "http.response.start", "status": 416, "headers": headers})
            await send({"type": "http.response.body", "body": b""})
            return
        start, end = part or (min(self._offset, size), size)
        headers.append((b"content-length", b"%d" % (end - start)))
        if part is not None:
            headers.append((b"content-range", b"bytes %d-%d/%d" % (start, end - 1, size)))
        await send({"type": "http.response.start", "status": 200 if part is None else 206, "headers": headers})
        while start < end:
            block = await asyncio.to_thread(_read, self._path, start, min(BLOCK, end - start))
            if not block:
                raise OSError(f"the log of {self._job_id} became shorter while it was sent")
            await send({"type": "http.response.body", "body": block, "more_body": True})
            start += len(block)
        await send({"type": "http.response.body", "body": b""})

    async def _send_growing(self, receive: Receive, send: Send) -> None:
        offset = self._offset
        while True:
            # Asked before reading: what a job wrote before it ended is then surely read.
            over = self._is_over()
            if over:
                await self._last_lines()
            block = await asyncio.to_thread(_read, self._path, offset, BLOCK)
            if block:
                offset += len(block)
                await send({"type": "http.response.body", "body": block, "more_body": True})
                if not await stays(receive, 0):
                    return
            elif over:
                await send({"type": "http.response.body", "body": b""})
                return
            elif not await stays(receive, FOLLOW_SECONDS):
                return

    async def _last_lines(self) -> None:
        """Wait for the last lines of an ended job, which may still be on their way to the disk."""
        if not self._parts.feed.closed:
            await self._parts.jobs.settled(self._job_id)

    def _is_over(self) -> bool:
        """Whether nothing more will be written."""
        try:
            return self._parts.feed.closed or self._parts.jobs.status(self._job_id).ended
        except JobNotFound:
            return True


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _read(path: Path, offset: int, length: int) -> bytes:
    try:
        descriptor = os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    except FileNotFoundError:
        return b""
    try:
        os.lseek(descriptor, offset, os.SEEK_SET)
        return os.read(descriptor, length)
    finally:
        os.close(descriptor)
