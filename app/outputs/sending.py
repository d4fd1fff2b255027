"""Answers that send outputs, as plain ASGI applications: one file with ranges, all files as a zip.

They know nothing of the framework that the ``api`` room uses. Both raise before anything is sent if the output is not
there, so that the error can still be answered properly; if it changes while it is sent, they raise as well, and the
server cuts the connection: the client sees that its file is not complete.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable, Generator, Mapping, Sequence
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote

from app.outputs.archive import Archive
from app.outputs.collection import Output
from app.outputs.kinds import media_type_of
from app.outputs.manifest import Entry
from app.outputs.names import safe_stem
from app.outputs.ranges import Unsatisfiable, asked_range, not_modified
from app.outputs.reading import blocks_of, in_reader, open_in_thread, read_ahead

if TYPE_CHECKING:
    from starlette.types import Receive, Scope, Send


Blocks = Callable[[int, int], Generator[bytes, None, None]]
"""The bytes of something from a start up to an end, in blocks."""


class FileAnswer:
    """One output, or the part of it that was asked for: 200, 206, 304 or 416. Answers GET and HEAD.

    Raises when called, before it sends anything:
        OutputGone: the file is not there any more or has another size.
        OSError: it cannot be read.
    """

    def __init__(
        self,
        folder: Path,
        entry: Entry,
        *,
        name: str | None = None,
        attachment: bool = True,
        media_type: str | None = None,
        cache: str = "",
    ) -> None:
        """``entry`` of the output folder ``folder``; ``name``: by which the client knows it, if that is another one
        than the file's; ``cache``: Cache-Control, if there shall be one."""
        self._folder = folder
        self._entry = entry
        kind = "attachment" if attachment else "inline"
        self.headers = {
            "content-type": media_type or media_type_of(entry.name),
            "content-disposition": disposition(name or entry.name, kind),
            "accept-ranges": "bytes",
            "etag": f'"{entry.sha256}"',
            "last-modified": formatdate(entry.mtime_ns // 1_000_000_000, usegmt=True),
            "x-content-type-options": "nosniff",
        }
        if cache:
            self.headers["cache-control"] = cache

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        entry = self._entry
        descriptor = await open_in_thread(self._folder, entry)
        try:

            def blocks(start: int, end: int) -> Generator[bytes, None, None]:
                return blocks_of(descriptor, entry, start, end)

            await send_asked(scope, receive, send, self.headers, entry.size, blocks)
        finally:
            os.close(descriptor)


async def send_asked(
    scope: Scope, receive: Receive, send: Send, headers: Mapping[str, str], size: int, blocks: Blocks
) -> None:
    """Answer with something whose length is known, or the part of it that was asked for: 200, 206, 304 or 416.

    Args:
        headers: of the whole, an etag among them.
        size: of the whole, in bytes.
        blocks: gives the bytes from a start up to an end (not included); read in a thread.
    """
    asked = {name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]}
    if not_modified(asked, headers["etag"]):
        await _send_start(send, 304, headers)
        return await _send_end(send)
    try:
        part = asked_range(asked, size, headers["etag"], headers.get("last-modified", ""))
    except Unsatisfiable:
        refused = {"content-range": f"bytes */{size}", "content-length": "0", "accept-ranges": "bytes"}
        await _send_start(send, 416, refused)
        return await _send_end(send)
    start, end = part or (0, size)
    told = {**headers, "content-length": str(end - start)}
    if part is not None:
        told["content-range"] = f"bytes {start}-{end - 1}/{size}"
    await _send_start(send, 200 if part is None else 206, told)
    if scope["method"] == "HEAD" or start == end:
        return await _send_end(send)
    await _send_blocks(blocks(start, end), receive, send)


class ZipAnswer:
    """All outputs as a zip of stored members. Answers GET and HEAD with 200.

    Raises when called, before it sends anything:
        OutputGone: a file is not there any more or has another size.
        OSError: the folder cannot be read.
    """

    def __init__(self, outputs: Sequence[Output], name: str) -> None:
        """``name`` of the job, for the file and the folder in it."""
        self._outputs = outputs
        self._name = safe_stem(name, "job")
        self.headers = {
            "content-type": "application/zip",
            "content-disposition": disposition(f"{self._name}.zip"),
            "x-content-type-options": "nosniff",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        archive = await in_reader(self._prepare)
        await _send_start(send, 200, {**self.headers, "content-length": str(archive.length)})
        if scope["method"] == "HEAD":
            return await _send_end(send)
        await _send_blocks(archive.blocks(), receive, send)

    def _prepare(self) -> Archive:
        archive = Archive(self._outputs, self._name)
        archive.check()
        return archive


def disposition(name: str, kind: str = "attachment") -> str:
    """A Content-Disposition for any file name: RFC 6266, with the name as in RFC 5987 where it is not plain ASCII."""
    plain = "".join(letter if " " <= letter <= "~" and letter not in '"\\%' else "_" for letter in name)
    header = f'{kind}; filename="{plain}"'
    return header if plain == name else f"{header}; filename*=UTF-8''{quote(name, safe='')}"


async def _send_start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    raw = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": raw})


async def _send_end(send: Send) -> None:
    await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _send_blocks(blocks: Generator[bytes, None, None], receive: Receive, send: Send) -> None:
    """Send all blocks; stop reading when nobody is there any more to take them."""
    gone = asyncio.get_running_loop().create_task(_until_gone(receive))
    try:
        async with contextlib.aclosing(read_ahead(blocks)) as ahead:
            async for block in ahead:
                # A server drops what it cannot deliver without a word: without looking, we would read it all.
                if gone.done():
                    return
                await send({"type": "http.response.body", "body": block, "more_body": True})
        await _send_end(send)
    finally:
        gone.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await gone


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
