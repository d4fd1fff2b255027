"""A multipart upload, streamed to the disk of the data folder once, hashed on the way.

python-multipart finds the parts: its data callback names positions in the piece that came from the socket, so bytes
are copied once, into a buffer of 4 MiB; a thread hashes and writes one buffer while the next one fills. Measured on
2 cores: python-multipart scans 8,700 to 10,300 MB/s, streaming-form-data 2,100 to 2,500 (it copies every piece), and
SHA-256 with the CPU's own instructions makes 1,390. Searching for the boundary only in the tail of the body would save
nothing worth having and misread a part that follows the file. streaming-form-data was also left because it passes over
parts that nobody registered and bodies that end too early, both of which are refused here.

The project is synced before its job is answered (:mod:`app.jobs.durable`): what was answered is never lost.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from app.jobs.errors import RequestError, TooLarge
from app.jobs.folders import DataFolder
from app.jobs.sink import FileSink, UploadedFile, UploadLimits, check_space

OVERHEAD: Final = 64 << 10
"""What boundaries and part headers may add to a body, in bytes."""
PARTS: Final = ("json", "file")


@dataclass(frozen=True, slots=True)
class Form:
    """A multipart body that has arrived completely. Whoever has it throws ``folder`` away."""

    document: bytes
    file: UploadedFile | None
    folder: Path


async def receive_form(
    content_type: str, chunks: AsyncIterator[bytes], length: int | None, folders: DataFolder, limits: UploadLimits
) -> Form:
    """Read a multipart body with the field ``json`` and at most one ``file``, in either order.

    Args:
        content_type: the header, which has the boundary.
        chunks: the body as it comes from the socket.
        length: the Content-Length, if there was one.

    Raises:
        RequestError: the body is malformed, too large or ends too early; nothing of it is left on the disk.
        NoSpace: the disk is full.
    """
    boundary = _boundary(content_type)
    most, received = limits.file + limits.document + OVERHEAD, 0
    if length is not None and length > most:
        raise TooLarge(f"the upload has {length} bytes; at most {limits.file} are allowed (max_upload_bytes)", "file")
    folder = await asyncio.to_thread(folders.make_upload)
    sink = FileSink(folder, limits)
    form = _Parts(sink, limits)
    parser = MultipartParser(
        boundary,
        {
            "on_part_begin": form.begin,
            "on_header_field": form.header_name,
            "on_header_value": form.header_value,
            "on_header_end": form.header_end,
            "on_headers_finished": form.headers_done,
            "on_part_data": form.data,
            "on_part_end": form.end,
            "on_end": form.finish,
        },
    )
    try:
        await asyncio.to_thread(check_space, folder, length or 0, limits.free)
        async for chunk in chunks:
            received += len(chunk)
            if received > most:  # also counts what follows the closing boundary
                raise TooLarge(f"the upload has more than {most} bytes (max_upload_bytes)", "file")
            try:
                parser.write(chunk)
            except FormParserError as error:
                raise RequestError(f"the multipart body is malformed: {error}") from error
            await sink.drain()
        if not form.finished:
            raise RequestError("the multipart body ends before its closing boundary")
        if form.document is None:
            raise RequestError("the part 'json' with the job is missing", "json")
        file = await sink.close()
        return Form(bytes(form.document), file, folder)
    except BaseException:
        await sink.abort(lambda: folders.throw_away(folder))
        raise


def _boundary(content_type: str) -> bytes:
    try:
        kind, parameters = parse_options_header(content_type)
    except UnicodeEncodeError as error:
        raise RequestError("the Content-Type header is not readable") from error
    if kind != b"multipart/form-data":
        raise RequestError(f"the body is {kind.decode('latin-1')[:60]!r}; send application/json or multipart/form-data")
    boundary = parameters.get(b"boundary", b"")
    if not boundary:
        raise RequestError("the Content-Type header names no boundary; a multipart body needs one")
    if len(boundary) > 200:
        raise RequestError("the boundary in the Content-Type header is longer than 200 bytes")
    return boundary


class _Parts:
    """Puts every part where it belongs. Its methods are the parser's callbacks."""

    def __init__(self, sink: FileSink, limits: UploadLimits) -> None:
        self.document: bytearray | None = None
        self.finished = False
        self._sink = sink
        self._limits = limits
        self._seen: set[str] = set()
        self._part = ""
        self._header = bytearray()
        self._value = bytearray()
        self._disposition = b""

    def begin(self) -> None:
        self._part, self._disposition = "", b""

    def header_name(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_end(self) -> None:
        header, value = bytes(self._header).lower(), bytes(self._value)
        if header == b"content-disposition":
            self._disposition = value
        elif header == b"content-transfer-encoding" and value.lower() not in (b"binary", b"8bit", b"7bit"):
            raise RequestError("parts with a Content-Transfer-Encoding are not read; send the bytes as they are")
        self._header.clear()
        self._value.clear()

    def headers_done(self) -> None:
        kind, parameters = parse_options_header(self._disposition)
        name = parameters.get(b"name", b"").decode("utf-8", "replace")
        if kind != b"form-data" or name not in PARTS:
            raise RequestError(f"the body has a part {name[:60]!r}; only 'json' and 'file' are known")
        if name in self._seen:
            raise RequestError(f"the body has two parts {name!r}; one is allowed", name)
        self._seen.add(name)
        self._part = name
        if name == "json":
            self.document = bytearray()
            return
        if b"filename" not in parameters:
            raise RequestError("the part 'file' has no filename", "file")
        self._sink.begin(parameters[b"filename"].decode("utf-8", "replace"))

    def data(self, data: bytes, start: int, end: int) -> None:
        if self._part == "file":
            self._sink.put(data, start, end)
            return
        assert self.document is not None
        if len(self.document) + end - start > self._limits.document:
            raise TooLarge(f"the part 'json' has more than {self._limits.document} bytes (max_json_bytes)", "json")
        self.document += data[start:end]

    def end(self) -> None:
        self._part = ""

    def finish(self) -> None:
        self.finished = True
