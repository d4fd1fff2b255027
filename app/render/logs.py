"""The log of a job: one file, bounded, readable while it grows.

What the engine prints is kept until the file has its size, and while the disk has more space than the service needs to
store what happens; what the service itself says about a job (the command line, how attempts ended) is always kept.
Bytes that are no UTF-8 and control characters never reach the file. Disk writes are made by one thread for all logs;
the event loop only hands text over.
"""

from __future__ import annotations

import asyncio
import codecs
import re
import shlex
import shutil
import subprocess
import sys
from collections import deque
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import structlog

log = structlog.get_logger(__name__)

TAIL_LINES = 40
"""Last lines of the engine's output that are kept in memory to explain a failure."""
_FLUSH_SECONDS = 0.1
_FLUSH_CHARACTERS = 1 << 16
_TAIL_BYTES = 1 << 12
LEFT_FREE_BYTES = 8 << 20
"""Engines do not fill so much of the disk with what they print: without it no change of a job could be stored, not even
that it has ended."""
_FULL = "the disk is nearly full"
_CONTROL = dict.fromkeys((*range(9), 11, 12, *range(14, 32), *range(127, 160))) | {13: "\n"}
"""C1 characters too: some terminals take U+009B for the beginning of a command."""
_ESCAPES = re.compile(r"(?:\x1b\[|\x9b)[0-?]*[ -/]*[@-~]|\x1b[\]PX^_][^\x07\x1b\n]*(?:\x07|\x1b\\)?|\x1b.")
"""What a terminal would obey (ECMA-48): colours, titles, links."""


class Line(NamedTuple):
    """Text for a log."""

    text: str
    own: bool  # whether the service says it, and no engine


class LogWriter:
    """The thread that writes all logs."""

    def __init__(self, max_bytes: int) -> None:
        self.max_bytes = max_bytes
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix="log-writer")
        self._short: set[Path] = set()  # what engines print is left out there, for want of space; for the thread only

    def begin(self, path: Path) -> asyncio.Future[None]:
        """Make the folder of a log."""
        return asyncio.get_running_loop().run_in_executor(self._executor, _begin, path)

    def append(self, path: Path, lines: Sequence[Line]) -> asyncio.Future[None]:
        """Append lines to a file, after everything handed over before."""
        return asyncio.get_running_loop().run_in_executor(self._executor, self._append, path, lines)

    async def close(self) -> None:
        """Write what waits and end the thread."""
        await asyncio.to_thread(self._executor.shutdown)

    def _append(self, path: Path, lines: Sequence[Line]) -> None:
        try:
            if shutil.disk_usage(path.parent).free >= LEFT_FREE_BYTES:
                self._short.discard(path)
            else:
                left_out = any(not line.own for line in lines)
                lines = [line for line in lines if line.own]
                if left_out and path not in self._short:
                    self._short.add(path)
                    lines.append(Line(_own(f"{_FULL}; what the engine prints is left out until it is not"), own=True))
                    log.error("a job's log leaves out what the engine prints", job=path.parent.name, reason=_FULL)
            with path.open("a", encoding="utf-8", errors="replace", newline="\n") as file:
                file.write("".join(line.text for line in lines))
        except OSError as error:
            log.error("a job's log cannot be written", job=path.parent.name, reason=str(error))


def _begin(path: Path) -> None:
    try:
        path.parent.mkdir(mode=0o700, exist_ok=True)
    except OSError as error:  # whoever renders will meet it too, and can say so
        log.error("a job's log cannot be begun", job=path.parent.name, reason=str(error))


class JobLog:
    """One job's log. Methods are for the event loop's thread and never wait, but for :meth:`flush`."""

    def __init__(self, path: Path, writer: LogWriter, written: int = 0) -> None:
        self._path = path
        self._writer = writer
        self._size = written
        self._full = False
        self._pending: list[Line] = []
        self._pending_size = 0
        self._timer: asyncio.TimerHandle | None = None
        self._last = writer.begin(path)
        self._in_line = False  # whether the engine's last line has no end yet

    def voice(self) -> Voice:
        """What one session of the job prints."""
        return Voice(self)

    def say(self, text: str) -> None:
        """A line of the service's own."""
        self._own_line(_own(text))

    def command(self, line: str) -> None:
        """The command line of a session, alone on its line so that it can be copied as it stands."""
        self._own_line(f"{line}\n")

    @property
    def full(self) -> bool:
        """Whether nothing more that an engine prints is kept."""
        return self._full

    def engine(self, text: str, size: int) -> None:
        """Text that an engine printed, made harmless, and how many bytes it was."""
        if self._full or not text:
            return
        self._size += size
        if self._size > self._writer.max_bytes:
            self._full = True
            self.say(f"the engine printed more than {self._writer.max_bytes} bytes; the rest of its output is left out")
            return
        self._in_line = not text.endswith("\n")
        self._add(Line(text, own=False))

    def _own_line(self, line: str) -> None:
        self._add(Line(f"{chr(10) if self._in_line else ''}{line}", own=True))
        self._in_line = False

    async def flush(self) -> None:
        """Wait until everything said so far is in the file."""
        self._write()
        await self._last

    def _add(self, line: Line) -> None:
        self._pending.append(line)
        self._pending_size += len(line.text)
        if self._pending_size > _FLUSH_CHARACTERS:
            self._write()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_FLUSH_SECONDS, self._write)

    def _write(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._pending:
            lines, self._pending = self._pending, []
            self._pending_size = 0
            self._last = self._writer.append(self._path, lines)


def _own(text: str) -> str:
    stamp = datetime.now(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return f"[zordon {stamp}] {text.translate(_CONTROL)}\n"


def in_short(text: str, longest: int = 1000) -> str:
    """Text from an engine as a sentence of ours: one line, bounded, with nothing in it that a terminal would obey."""
    text = _ESCAPES.sub("", text[: 4 * longest]).translate(_CONTROL)
    text = " ".join(text.split())
    return text if len(text) <= longest else f"{text[:longest]}…"


class Voice:
    """What one session prints: made harmless for whoever reads it in a terminal, and its last lines kept."""

    def __init__(self, log: JobLog) -> None:
        self._log = log
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._partial = ""
        self.tail: deque[str] = deque(maxlen=TAIL_LINES)

    def hear(self, data: bytes) -> None:
        """Bytes that it printed, cut anywhere."""
        size = len(data)
        if self._log.full:
            data = data[-_TAIL_BYTES:]  # an engine that prints without end must not keep the service busy
        text = _ESCAPES.sub("", self._decoder.decode(data)).translate(_CONTROL)
        *lines, rest = (self._partial + text).split("\n")
        self.tail.extend(line[:1000] for line in lines if line.strip())
        self._partial = rest[-1000:]
        self._log.engine(text, size)


def command_line(argv: Sequence[str], environment: Mapping[str, str]) -> str:
    """A command as a person would paste it into a terminal, with the variables that the engine asked for."""
    if sys.platform == "win32":
        return subprocess.list2cmdline(argv)
    return "".join(f"{name}={shlex.quote(value)} " for name, value in environment.items()) + shlex.join(argv)
