"""Who changed what, from where: one line of JSON for every change that somebody asked for, in ``audit.jsonl``.

Lines are written on a thread of their own, so that no request waits for the disk; a service that is killed loses those
of the last moment. The file is for this user only and is bounded: before it grows past half of that,
it becomes ``audit.jsonl.1``, in place of the one before. No secret is ever in it.
"""

from __future__ import annotations

import asyncio
import os
import queue
import threading
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import orjson
import structlog

from app.access.identity import Identity

log = structlog.get_logger(__name__)

AUDIT_FILE: Final = "audit.jsonl"
_MAX_WAITING: Final = 20_000
"""Lines that may wait for the disk; more are counted, and the count is written."""
_HAND_OVER_SECONDS: Final = 0.05
"""Lines that come close together are handed over together: to wake the thread for each costs more than the line."""

Fact = str | int | float | bool | None | Sequence[str]


class Audit:
    """The audit file of one node. :meth:`note` is for the event loop's thread.

    Args:
        folder: where the file is.
        max_bytes: what it and the one before it may take together.
    """

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._path = folder / AUDIT_FILE
        self._half = max_bytes // 2
        self._lines: deque[bytes] = deque()  # that the thread has not taken yet
        self._wake: queue.SimpleQueue[bool] = queue.SimpleQueue()  # with whether it is to end
        self._timer: asyncio.TimerHandle | None = None
        self._thread: threading.Thread | None = None
        self._lost = 0  # changed on the event loop's thread only
        self._silent = False  # the last write failed, and that was said

    def open(self) -> None:
        """Start the thread."""
        self._thread = threading.Thread(target=self._run, name="audit-writer", daemon=True)
        self._thread.start()

    async def close(self) -> None:
        """Write what waits, end the thread."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._thread is not None:
            thread, self._thread = self._thread, None
            self._wake.put(True)
            await asyncio.to_thread(thread.join)

    def note(self, who: Identity, what: str, address: str, status: int | None, facts: Mapping[str, Fact]) -> None:
        """Write down one change.

        Args:
            who: who asked for it.
            what: the operation's name, as in the OpenAPI document.
            address: where the request came from.
            status: how it was answered; None: it was not, because the client left or the service has a fault.
            facts: further ones, such as the ids of jobs; never a secret.
        """
        if len(self._lines) >= _MAX_WAITING:
            self._lost += 1
            return
        line: dict[str, Fact] = {
            "at": datetime.now(UTC).isoformat(timespec="milliseconds"),
            "who": who.name,
            "token": who.id,
            "role": who.role.value,
            "kind": who.kind.value,
            "from": address,
            "what": what,
            **facts,
            "status": status,
        }
        if self._lost:
            line["lines_lost_before"], self._lost = self._lost, 0
        self._lines.append(orjson.dumps(line) + b"\n")
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_HAND_OVER_SECONDS, self._hand_over)

    def _hand_over(self) -> None:
        self._timer = None
        self._wake.put(False)

    # --- the thread ----------------------------------------------------------------------------------------------

    def _run(self) -> None:
        ends = False
        while not ends:
            ends = self._wake.get()
            lines: list[bytes] = []
            while self._lines:
                lines.append(self._lines.popleft())
            if lines:
                self._write(b"".join(lines))

    def _write(self, text: bytes) -> None:
        try:
            size = self._size()
            if size and size + len(text) > self._half:
                self._path.replace(self._path.with_name(f"{AUDIT_FILE}.1"))
            # Opened for every batch: whoever moves the file away, to keep it, gets a new one.
            with open(self._path, "ab", opener=_open_private) as file:
                file.write(text)
        except OSError as error:
            if not self._silent:
                log.error("the audit cannot be written", file=str(self._path), reason=str(error))
            self._silent = True
        else:
            self._silent = False

    def _size(self) -> int:
        try:
            return self._path.lstat().st_size
        except FileNotFoundError:
            return 0


def _open_private(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NOFOLLOW", 0), 0o600)
