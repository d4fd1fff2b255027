"""Starting an engine process on POSIX, in a thread and without copying the service's memory.

Not asyncio's subprocess: uvloop's own way forks on the loop, 88 ms each with 1 GB. On Linux it is the C library's
posix_spawn (:mod:`app.render.processes.spawn`); elsewhere, and for another user, ``subprocess.Popen``.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import subprocess
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from app.render.processes import spawn
from app.render.processes.interface import Launch, LaunchError, Limits, popen_user
from app.render.processes.shell import limited

Restrain = Callable[[int, Limits], None]
"""Sets limits on a process that has just been started."""

_spawner = ThreadPoolExecutor(max_workers=4, thread_name_prefix="spawn")


@dataclass(frozen=True, slots=True)
class Started:
    """A process that runs, and our ends of its pipes, all non-blocking."""

    pid: int
    popen: subprocess.Popen[bytes] | None  # who reaps it must tell this one, if there is one
    stdin: int
    output: int
    events: int


async def start_in_thread(launch: Launch, restrain: Restrain | None = None) -> Started:
    """Start a process without holding up the event loop.

    Args:
        launch: what to start.
        restrain: None: the limits are set by a shell that becomes the program.

    Raises:
        LaunchError: the program cannot be run.
    """
    pipes: list[tuple[int, int]] = []
    try:
        # Here and not in the thread, which would have to wait for the interpreter after every system call.
        pipes.extend(_pipe(child) for child in (0, 1, 1))
        (child_in, stdin), (output, child_out), (events, child_events) = pipes
        theirs = _Theirs(child_in, child_out, child_events)
        loop = asyncio.get_running_loop()
        pid, popen = await loop.run_in_executor(_spawner, _start, launch, theirs, restrain)
    except BaseException as error:
        for end in (end for pipe in pipes for end in pipe):
            os.close(end)
        if isinstance(error, OSError | ValueError):
            raise LaunchError(f"{launch.argv[0]} cannot be started: {error}") from error
        raise
    for end in (child_in, child_out, child_events):
        os.close(end)
    return Started(pid, popen, stdin, output, events)


@dataclass(frozen=True, slots=True)
class _Theirs:
    """The process's ends of its pipes."""

    stdin: int
    output: int
    events: int


def _pipe(child: int) -> tuple[int, int]:
    """A pipe of which one end, the first or the second, is for the process; ours does not block."""
    ends = list(os.pipe())
    os.set_blocking(ends[1 - child], False)
    if ends[child] < spawn.FIRST_FREE:  # the service was started without a descriptor 0, 1 or 2
        low, ends[child] = ends[child], fcntl.fcntl(ends[child], fcntl.F_DUPFD_CLOEXEC, spawn.FIRST_FREE)
        os.close(low)
    return ends[0], ends[1]


def _start(launch: Launch, theirs: _Theirs, restrain: Restrain | None) -> tuple[int, subprocess.Popen[bytes] | None]:
    """Prepare and start the process. For a thread: it returns once the program runs.

    Raises:
        OSError, ValueError: it cannot be started.
    """
    if launch.prepare is not None:
        launch.prepare()
    if restrain is None:
        popen = _popen(launch, limited(launch.argv, launch.limits), theirs)
        return popen.pid, popen
    if spawn.AVAILABLE and launch.run_as is None and os.sep in launch.argv[0]:
        pid, known = _spawn(launch, theirs), None
    else:
        known = _popen(launch, launch.argv, theirs)
        pid = known.pid
    restrain(pid, launch.limits)
    return pid, known


def _spawn(launch: Launch, theirs: _Theirs) -> int:
    descriptors = [theirs.stdin, theirs.output, theirs.output]
    environment = dict(launch.environment)
    if launch.events_on_stdout:
        descriptors[1] = theirs.events
    else:
        environment["ZORDON_EVENTS_FD"] = str(len(descriptors))
        descriptors.append(theirs.events)
    return spawn.spawn(launch.argv, environment, str(launch.folder), descriptors)


def _popen(launch: Launch, argv: tuple[str, ...], theirs: _Theirs) -> subprocess.Popen[bytes]:
    environment = dict(launch.environment)
    if not launch.events_on_stdout:
        environment["ZORDON_EVENTS_FD"] = str(theirs.events)
    return subprocess.Popen(
        argv,
        stdin=theirs.stdin,
        stdout=theirs.events if launch.events_on_stdout else theirs.output,
        stderr=theirs.output,
        cwd=launch.folder,
        env=environment,
        pass_fds=() if launch.events_on_stdout else (theirs.events,),
        start_new_session=True,
        bufsize=0,
        **popen_user(launch.run_as),
    )
