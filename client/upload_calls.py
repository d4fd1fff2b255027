"""The routes under ``/api/uploads``: a project that is sent in as many requests as it takes."""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Final
from urllib.parse import quote

from pydantic import TypeAdapter
from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, wait_random_exponential

from .connection import Connection, read, worth_repeating
from .errors import Conflict, NotFound, TransferFailed
from .models import NewUpload, ProjectInspection, UploadInfo
from .upload import PIECE, Progress

_UPLOAD: Final = TypeAdapter(UploadInfo)
_UPLOADS: Final = TypeAdapter(list[UploadInfo])
_INSPECTION: Final = TypeAdapter(ProjectInspection)

_SEND_TIMEOUT: Final = 600.0
"""The whole file is read once more before the last answer comes."""


class UploadCalls:
    """The upload routes of a node. Everybody sees their own uploads, administrators all."""

    connection: Connection

    async def add_upload(self, name: str, size: int, sha256: str | None = None) -> UploadInfo:
        """Begin an upload, or go on with one of the same name, size and content.

        Args:
            size: bytes.
            sha256: of the whole file, hexadecimal; then the node checks it, and an earlier upload is found again.

        Raises:
            TooLarge: the file is too large for the node.
        """
        body = NewUpload(name=name, size=size, sha256=sha256).model_dump(exclude_none=True)
        return read(_UPLOAD, await self.connection.send("POST", "/api/uploads", json=body))

    async def get_uploads(self) -> list[UploadInfo]:
        """The uploads that no job has taken yet."""
        return read(_UPLOADS, await self.connection.get("/api/uploads"))

    async def get_upload(self, upload_id: str) -> UploadInfo:
        """How much of an upload has come.

        Raises:
            NotFound: there is none of this id.
        """
        return read(_UPLOAD, await self.connection.get(_of(upload_id)))

    async def send_upload(self, upload_id: str, file: Path, progress: Progress | None = None) -> UploadInfo:
        """Send what the node does not have yet, and go on as often as the connection breaks, as long as something comes
        across in between.

        Args:
            file: the whole file; never held in memory.
            progress: told the bytes that have come and all.

        Raises:
            NotFound: there is no upload of this id.
            BadRequest: all came, and it was not what was announced.
            ConnectionFailed, Timeout: nothing comes across any more.
            OSError: the file cannot be read.
        """
        upload = await self.get_upload(upload_id)
        fruitless = 0

        def enough(state: RetryCallState) -> bool:
            return fruitless >= self.connection.retries

        retrying = AsyncRetrying(
            stop=enough,
            wait=wait_random_exponential(multiplier=0.1, max=2.0),
            retry=retry_if_exception(lambda error: worth_repeating(error) or isinstance(error, Conflict)),
            reraise=True,
        )
        async for attempt in retrying:
            with attempt:
                fruitless += 1
                if attempt.retry_state.attempt_number > 1:
                    before, upload = upload.offset, await self.get_upload(upload_id)
                    fruitless = 1 if upload.offset > before else fruitless
                response = await self.connection.send(
                    "PATCH",
                    _of(upload_id),
                    content=_rest(file, upload, progress),
                    headers={"Upload-Offset": str(upload.offset), "Content-Length": str(upload.size - upload.offset)},
                    timeout=_SEND_TIMEOUT,
                )
                upload = read(_UPLOAD, response)
        return upload

    async def upload(self, file: Path, progress: Progress | None = None) -> UploadInfo:
        """Bring a file to the node, whole and checked, and go on with an earlier upload of it that broke.

        Raises:
            TooLarge: it is too large for the node.
            OSError: it cannot be read.
        """
        size, sha256 = await asyncio.to_thread(_size_and_hash, file)
        begun = await self.add_upload(file.name, size, sha256)
        return begun if begun.complete else await self.send_upload(begun.id, file, progress)

    async def delete_upload(self, upload_id: str) -> None:
        """Throw an upload away.

        Raises:
            NotFound: there is none of this id.
            Conflict: a job is being made of it.
        """
        await self.connection.send("DELETE", _of(upload_id))

    async def inspect_upload(self, upload_id: str) -> ProjectInspection:
        """What is in a complete upload, and what would render it.

        Raises:
            NotFound: there is none of this id.
            Conflict: not all of it is there.
        """
        return read(_INSPECTION, await self.connection.get(f"{_of(upload_id)}/inspection", timeout=_SEND_TIMEOUT))


def _of(upload_id: str) -> str:
    segment = quote(upload_id, safe="")
    if segment in ("", ".", ".."):
        raise NotFound(f"{upload_id!r} is no upload id", status=404)
    return f"/api/uploads/{segment}"


async def _rest(file: Path, upload: UploadInfo, progress: Progress | None) -> AsyncIterator[bytes]:
    """The bytes of a file from the offset of its upload on."""
    sent = upload.offset
    descriptor = await asyncio.to_thread(os.open, file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
    try:
        os.lseek(descriptor, sent, os.SEEK_SET)
        while sent < upload.size:
            piece = await asyncio.to_thread(os.read, descriptor, min(PIECE, upload.size - sent))
            if not piece:
                raise TransferFailed(f"{file} became shorter while it was sent")
            sent += len(piece)
            yield piece
            if progress is not None:
                progress(sent, upload.size)
    finally:
        os.close(descriptor)


def _size_and_hash(file: Path) -> tuple[int, str]:
    with file.open("rb") as opened:
        digest = hashlib.file_digest(opened, "sha256")
        return opened.tell(), digest.hexdigest()
