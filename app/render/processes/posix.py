"""An engine process on POSIX: own session and process group, pipes read on the event loop."""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import select
import signal
import sys
from collections.abc import Callable
from functools import cache

import psutil

from app.render.processes import proc
from app.render.processes.interface import EngineProcess, Launch, LineSplitter
from app.render.processes.starting import Started

_BLOCK = 1 << 16


class PosixProcess(EngineProcess):
    """See :class:`~app.render.processes.interface.EngineProcess`."""

    def __init__(self, launch: Launch, started: Started) -> None:
        self._launch = launch
        self._popen = started.popen
        self._started = 0.0
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._splitter = LineSplitter(launch.on_event)
        self._stdin: int | None = started.stdin
        self._unwritten = bytearray()
        self._killed: set[int] = set()  # descendants that were killed and may still be about to die
        self._pipes = {started.output: launch.on_output, started.events: self._splitter.feed}
        self.pid = started.pid
        for pipe in self._pipes:
            self._loop.add_reader(pipe, self._read, pipe)
        self._watch_exit()

    @property
    def started(self) -> float:
        # Asked of the system only when somebody wants to know: most processes of quick chunks are gone before.
        if not self._started and not self._exit.done():
            self._started = start_time(self.pid)
        return self._started

    # --- talking -------------------------------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        if self._stdin is None:
            return
        self._unwritten += data
        self._flush()

    def close_stdin(self) -> None:
        if self._stdin is not None:
            self._loop.remove_writer(self._stdin)
            os.close(self._stdin)
            self._stdin = None

    def _flush(self) -> None:
        assert self._stdin is not None
        try:
            while self._unwritten:
                del self._unwritten[: os.write(self._stdin, self._unwritten[:_BLOCK])]
        except BlockingIOError:
            self._loop.add_writer(self._stdin, self._flush)
            return
        except OSError:
            self._unwritten.clear()
            self.close_stdin()
            return
        self._loop.remove_writer(self._stdin)

    def _read(self, pipe: int) -> None:
        try:
            data = os.read(pipe, _BLOCK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._pipes[pipe](data)
        else:
            self._close(pipe)

    def _close(self, pipe: int) -> None:
        self._pipes.pop(pipe)
        self._loop.remove_reader(pipe)
        os.close(pipe)

    # --- ending --------------------------------------------------------------------------------------------------

    def _watch_exit(self) -> None:
        # A descriptor that becomes readable when the process has ended, before anybody has reaped it.
        if sys.platform == "linux":
            watched = os.pidfd_open(self.pid)
            close: Callable[[], None] = functools.partial(os.close, watched)
        else:
            queue = select.kqueue()
            watched, close = queue.fileno(), queue.close
            exit_of = select.kevent(self.pid, select.KQ_FILTER_PROC, select.KQ_EV_ADD, select.KQ_NOTE_EXIT)
            try:
                queue.control([exit_of], 0)
            except ProcessLookupError:  # it has ended already
                close()
                self._loop.call_soon(self._ended)
                return

        def readable() -> None:
            self._loop.remove_reader(watched)
            close()
            self._ended()

        self._loop.add_reader(watched, readable)

    def _ended(self) -> None:
        # Not reaped yet, so its number cannot belong to another group: kill what is left of the group first.
        self._signal_group(signal.SIGKILL)
        try:
            code = os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:  # a sweep of leftovers was quicker, and it kills
            code = -signal.SIGKILL
        if self._popen is not None:
            self._popen.returncode = code
        if not self._exit.done():
            self._exit.set_result(code)

    async def wait(self) -> int:
        return await asyncio.shield(self._exit)

    def _signal_group(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def terminate(self) -> None:
        if not self._exit.done():
            self._signal_group(signal.SIGTERM)

    def kill(self) -> None:
        if self._exit.done():
            return
        tree = descendants(self.pid)
        self._signal_group(signal.SIGKILL)
        for process in tree:
            with contextlib.suppress(psutil.Error):
                process.kill()
                self._killed.add(process.pid)

    def cpu_seconds(self) -> float:
        total = 0.0
        if self._exit.done():
            return total
        for pid in (*(process.pid for process in descendants(self.pid)), self.pid):
            with contextlib.suppress(psutil.Error):  # it may have ended, this very one too
                times = psutil.Process(pid).cpu_times()
                total += times.user + times.system
        return total

    async def sweep(self) -> int:
        found = await self._end_strangers()
        # A grandchild may hold the pipes' other end for ever: take what is there and do not wait for the end.
        for pipe in list(self._pipes):
            while pipe in self._pipes:
                try:
                    data = os.read(pipe, _BLOCK)
                except OSError:
                    data = b""
                if not data:
                    self._close(pipe)
                else:
                    self._pipes[pipe](data)
        self._splitter.finish()
        self.close_stdin()
        return found

    async def _end_strangers(self) -> int:
        """End descendants outside the process group. Overridden where the system lets us find them cheaply."""
        raise NotImplementedError


def descendants(pid: int) -> list[psutil.Process]:
    """Every descendant that can still be traced to ``pid`` by parenthood."""
    try:
        return psutil.Process(pid).children(recursive=True)
    except psutil.Error:
        return []


def start_time(pid: int) -> float:
    """When a process was started, in seconds since 1970; 0 if it is gone."""
    if sys.platform == "linux":
        try:
            stat = proc.read(f"/proc/{pid}/stat")
        except OSError:
            return 0.0
        return _boot_time() + int(stat.rpartition(b")")[2].split()[19]) / os.sysconf("SC_CLK_TCK")
    try:
        return psutil.Process(pid).create_time()
    except psutil.Error:
        return 0.0


@cache
def _boot_time() -> float:
    # Asked once: it follows the wall clock, and the start time of a process must not move while it lives.
    return psutil.boot_time()
