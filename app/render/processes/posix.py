"""An engine process on POSIX: own session and process group, pipes read on the event loop.

``subprocess.Popen`` in a thread, and not asyncio's subprocess: it starts children with vfork, which costs the same
however much memory the service has (uvloop's own way forks on the loop: 88 ms each with 1 GB), and leaves the choice
of the loop free.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TypedDict

import psutil

from app.render.processes.interface import EngineProcess, Launch, LaunchError, Limits, LineSplitter, RunAs
from app.render.processes.shell import limited

_BLOCK = 1 << 16
_spawner = ThreadPoolExecutor(max_workers=4, thread_name_prefix="spawn")


@dataclass(frozen=True, slots=True)
class Started:
    """A process that runs, and our ends of its pipes, all non-blocking."""

    popen: subprocess.Popen[bytes]
    stdin: int
    output: int
    events: int
    at: float  # seconds since 1970, as the system tells


class PosixProcess(EngineProcess):
    """See :class:`~app.render.processes.interface.EngineProcess`."""

    def __init__(self, launch: Launch, started: Started) -> None:
        self._launch = launch
        self._popen = started.popen
        self._loop = asyncio.get_running_loop()
        self._exit: asyncio.Future[int] = self._loop.create_future()
        self._splitter = LineSplitter(launch.on_event)
        self._stdin: int | None = started.stdin
        self._unwritten = bytearray()
        self._killed: set[int] = set()  # descendants that were killed and may still be about to die
        self._pipes = {started.output: launch.on_output, started.events: self._splitter.feed}
        self.pid = started.popen.pid
        self.started = started.at
        for pipe in self._pipes:
            self._loop.add_reader(pipe, self._read, pipe)
        self._watch_exit()

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
        for process in (*descendants(self.pid), psutil.Process(self.pid)):
            with contextlib.suppress(psutil.Error):
                times = process.cpu_times()
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
            stat = Path(f"/proc/{pid}/stat").read_bytes()
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


Restrain = Callable[[int, Limits], None]
"""Sets limits on a process that has just been started."""


def start_posix(launch: Launch, restrain: Restrain | None = None) -> Started:
    """Make the folders and start the process. For a thread: it returns once the program runs.

    Args:
        restrain: None: the limits are set by a shell that becomes the program.

    Raises:
        LaunchError: the program cannot be run.
    """
    opened: list[int] = []

    def pipe() -> tuple[int, int]:
        ends = os.pipe()
        opened.extend(ends)
        return ends

    try:
        for folder in launch.make_folders:
            folder.mkdir(parents=True, exist_ok=True)
        if launch.prepare is not None:
            launch.prepare()
        child_in, stdin = pipe()
        output, child_out = pipe()
        events, child_events = pipe()
        environment = dict(launch.environment)
        if not launch.events_on_stdout:
            environment["ZORDON_EVENTS_FD"] = str(child_events)
        popen = subprocess.Popen(
            launch.argv if restrain is not None else limited(launch.argv, launch.limits),
            stdin=child_in,
            stdout=child_events if launch.events_on_stdout else child_out,
            stderr=child_out,
            cwd=launch.folder,
            env=environment,
            pass_fds=() if launch.events_on_stdout else (child_events,),
            start_new_session=True,
            bufsize=0,
            **_user(launch.run_as),
        )
    except (OSError, ValueError) as error:
        for end in opened:
            os.close(end)
        raise LaunchError(f"{launch.argv[0]} cannot be started: {error}") from error
    if restrain is not None:
        restrain(popen.pid, launch.limits)
    for end in (child_in, child_out, child_events):
        os.close(end)
    for end in (stdin, output, events):
        os.set_blocking(end, False)
    return Started(popen, stdin, output, events, start_time(popen.pid))


class _User(TypedDict, total=False):
    user: int
    group: int
    extra_groups: list[int]


def _user(run_as: RunAs | None) -> _User:
    """What Popen is told of another user. Only if there is one: with it, Python forks, and vfork is quicker."""
    if run_as is None:
        return {}
    return {"user": run_as.uid, "group": run_as.gid, "extra_groups": list(run_as.groups)}


async def start_in_thread(launch: Launch, restrain: Restrain | None = None) -> Started:
    """:func:`start_posix` without holding up the event loop.

    Raises:
        LaunchError: see there.
    """
    return await asyncio.get_running_loop().run_in_executor(_spawner, start_posix, launch, restrain)
