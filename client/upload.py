"""The body of a multipart upload, streamed from the disk with its length known beforehand.

httpx has a multipart encoder of its own, but it reads the file on the event loop; this one reads in a thread.
"""

from __future__ import annotations

import asyncio
import os
import secrets
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Final

from .errors import TransferFailed

PIECE: Final = 1 << 20
"""How much of a file is read, sent or written at a time, in bytes."""

Progress = Callable[[int, int | None], None]
"""Called as ``progress(bytes so far, bytes in all or None)``, from the event loop, after every piece."""


class Upload:
    """One multipart body: the field ``json``, then the file in the field ``file``.

    Args:
        document: the JSON text.
        file: what to upload; its size is taken now.
        progress: told after every piece, in bytes of the file.

    Raises:
        OSError: the file cannot be read.
    """

    def __init__(self, document: bytes, file: Path, progress: Progress | None = None) -> None:
        self._file = file
        self._size = file.stat().st_size
        self._progress = progress
        boundary = f"zordon-{secrets.token_hex(16)}"
        self._head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="json"\r\n'
            "Content-Type: application/json\r\n\r\n".encode()
            + document
            + f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_quoted(file.name)}"\r\n'
            "Content-Type: application/octet-stream\r\n\r\n".encode()
        )
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(self._head) + self._size + len(self._tail)),
        }

    async def body(self) -> AsyncIterator[bytes]:
        """The bytes; each call reads the file anew.

        Raises:
            TransferFailed: the file is not as long any more as it was.
            OSError: it cannot be read.
        """
        yield self._head
        sent = 0
        descriptor = await asyncio.to_thread(os.open, self._file, os.O_RDONLY | getattr(os, "O_BINARY", 0))
        try:
            while sent < self._size:
                piece = await asyncio.to_thread(os.read, descriptor, min(PIECE, self._size - sent))
                if not piece:
                    raise TransferFailed(f"{self._file} became shorter while it was sent")
                sent += len(piece)
                yield piece
                if self._progress is not None:
                    self._progress(sent, self._size)
        finally:
            os.close(descriptor)
        yield self._tail


def _quoted(name: str) -> str:
    """A file name inside a quoted parameter, escaped as browsers do (WHATWG HTML, multipart/form-data)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
