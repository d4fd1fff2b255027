"""A project on its way to the service: one multipart body, read from the disk while it is sent."""

from __future__ import annotations

import json
import secrets
import socket
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path

from .connection import Json, Service
from .errors import AddonError, Cancelled, PackingFailed, Unreachable

Progress = Callable[[int, int], None]
"""Called as ``progress(bytes so far, bytes in all)`` from the thread that works."""

PIECE = 1 << 20
"""How much is read and sent at a time, in bytes."""
TRIES = 4
"""How often a submit is sent at most when the connection breaks; its key makes it one job all the same."""
_FIRST_WAIT = 0.5
_SUBMIT_SECONDS = 600.0
"""An archive is unpacked and its project inspected before the answer comes."""


class Upload:
    """One submit; :meth:`cancel` may be called from another thread while :meth:`run` works.

    Args:
        document: what ``add_job`` wants to know.
        file: the archive.
        progress: told after every piece.
    """

    def __init__(self, service: Service, document: Mapping[str, Json], file: Path, progress: Progress) -> None:
        self._service = service
        self._document = json.dumps(document).encode()
        self._file = file
        self._progress = progress
        self._key = uuid.uuid4().hex
        self._stop = threading.Event()
        self._sock: socket.socket | None = None

    def cancel(self) -> None:
        """Give it up; a send or a wait that is under way ends at once."""
        self._stop.set()
        sock = self._sock
        if sock is not None:
            # Closing would not wake a thread that waits in send(). It may just have been closed by itself.
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def run(self) -> str:
        """Send it; sent again if the connection breaks.

        Returns:
            The id of the job.

        Raises:
            Cancelled: see :meth:`cancel`.
            Refused: the service says no; no job was made.
            Unreachable: the connection broke too often.
            PackingFailed: the archive cannot be read.
        """
        for again in range(TRIES):
            try:
                return self._send()
            except Unreachable:
                if again + 1 == TRIES and not self._stop.is_set():
                    raise
            self._stop.wait(_FIRST_WAIT * 2**again)
            if self._stop.is_set():
                break
        raise Cancelled("the upload was cancelled")

    def _send(self) -> str:
        if self._stop.is_set():
            raise Cancelled("the upload was cancelled")
        try:
            size = self._file.stat().st_size
        except OSError as error:
            raise PackingFailed(f"the archive {self._file} is gone: {error.strerror}") from error
        boundary = f"zordon-{secrets.token_hex(16)}"
        head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="json"\r\nContent-Type: application/json\r\n\r\n'
        ).encode()
        middle = (
            f'\r\n--{boundary}\r\nContent-Disposition: form-data; name="file"; filename="{_quoted(self._file.name)}"'
            "\r\nContent-Type: application/octet-stream\r\n\r\n"
        ).encode()
        before, after = head + self._document + middle, f"\r\n--{boundary}--\r\n".encode()
        headers = {
            "Content-Type": f"multipart/form-data; boundary={boundary}",
            "Content-Length": str(len(before) + size + len(after)),
            "Idempotency-Key": self._key,
        }
        connection = self._service.open()
        self._sock = connection.sock  # the connection itself forgets it once the head of the answer is there
        try:
            body = self._body(before, size, after)
            jobs = self._service.exchange(connection, "POST", "/api/add_job", headers, body, _SUBMIT_SECONDS)
        finally:
            self._sock = None
            connection.close()
        first = jobs[0] if isinstance(jobs, list) and jobs else None
        if not isinstance(first, dict) or not isinstance(first.get("id"), str):
            raise AddonError("the answer of the service is not understood: install the add-on that it offers")
        return str(first["id"])

    def _body(self, before: bytes, size: int, after: bytes) -> Iterator[bytes]:
        yield before
        sent = 0
        with self._file.open("rb") as file:
            while sent < size:
                if self._stop.is_set():
                    raise Cancelled("the upload was cancelled")
                piece = file.read(min(PIECE, size - sent))
                if not piece:
                    raise PackingFailed(f"{self._file} became shorter while it was sent")
                yield piece
                sent += len(piece)
                self._progress(sent, size)
        yield after


def _quoted(name: str) -> str:
    """A file name inside a quoted parameter, escaped as browsers do (WHATWG HTML, multipart/form-data)."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")
