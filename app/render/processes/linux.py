"""Linux: no descendant gets away.

The service makes itself the "child subreaper" (prctl(2), PR_SET_CHILD_SUBREAPER): a process whose parent dies becomes
our child, however often it forked and whatever session it made. So after an engine has ended, every child of ours in
a session that is not ours and not that of a live engine is a leftover; one read of ``/proc/<pid>/task/<pid>/children``
(proc(5)) finds it. Whose it is says the cookie in its environment. The same cookies are searched in all of ``/proc``
after a crash of the service, when the orphans have gone to init.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import signal
import time
from functools import cache
from pathlib import Path

from app.render.environment import ATTEMPT_COOKIE, STORE_COOKIE
from app.render.processes.interface import EngineProcess, Launch
from app.render.processes.posix import PosixProcess, start_in_thread, start_time
from app.render.processes.prlimit import restrain

_PR_SET_CHILD_SUBREAPER = 36
_ROUNDS = 50
_SETTLED_SECONDS = 2.0
"""A child this young may be one of our own that has not yet become its program."""
_live: set[int] = set()
"""Pids of engine processes that have not been reaped."""


def adopt_orphans() -> None:
    """Become the parent of every descendant whose own parent dies."""
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


@cache
def boot_id() -> str:
    """Changes with every boot of the machine."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


async def launch(wanted: Launch) -> EngineProcess:
    """Start an engine process.

    Raises:
        LaunchError: it cannot be started.
    """
    # What belongs to another user only root with all its capabilities may limit from outside.
    return LinuxProcess(wanted, await start_in_thread(wanted, restrain if wanted.run_as is None else None))


class LinuxProcess(PosixProcess):
    """An engine process on Linux."""

    def _watch_exit(self) -> None:
        _live.add(self.pid)
        super()._watch_exit()

    def _ended(self) -> None:
        super()._ended()
        _live.discard(self.pid)

    async def _end_strangers(self) -> int:
        if not self._strangers():
            return 0
        return await asyncio.to_thread(self._end_them)

    def _strangers(self) -> list[int]:
        children = _children(os.getpid())
        while True:
            found = self._strangers_among(children)
            seen, children = set(children), _children(os.getpid())
            # One that died while it was looked at has no cookie any more, and what it had started is ours only now.
            if found or seen.issuperset(children):
                return found

    def _strangers_among(self, children: list[int]) -> list[int]:
        own = os.getsid(0)
        found: list[int] = []
        for pid in children:
            if pid in _live:
                continue
            if pid in self._killed:  # on its way out it has neither cookies nor a session worth looking at
                found.append(pid)
                continue
            session = _session_of(pid)
            if session in (None, own):
                continue
            cookies = _cookies(pid)
            if cookies.get(ATTEMPT_COOKIE) == self._launch.session or session == self.pid:
                found.append(pid)
            elif not cookies and not _live and time.time() - start_time(pid) > _SETTLED_SECONDS:
                # A zombie, or one that scrubbed its environment: nobody's that lives, so a leftover of somebody's.
                found.append(pid)
        return found

    def _end_them(self) -> int:
        """Kill and reap, again and again: what a leftover had started becomes our child when it dies.

        Returns how many had to be killed.
        """
        ended: set[int] = set()
        for _ in range(_ROUNDS):
            strangers = self._strangers()
            if not strangers:
                break
            for pid in strangers:
                if not _is_zombie(pid):  # that one ended by itself, and only waits for being reaped
                    ended.add(pid)
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                _reap(pid)
        return len(ended)


def _reap(pid: int, seconds: float = 2.0) -> None:
    end = time.monotonic() + seconds
    with contextlib.suppress(ChildProcessError):
        while os.waitpid(pid, os.WNOHANG) == (0, 0) and time.monotonic() < end:
            time.sleep(0.002)  # in a thread; a killed process needs a moment to die


def _children(pid: int) -> list[int]:
    try:
        return [int(child) for child in _read(f"/proc/{pid}/task/{pid}/children").split()]
    except OSError:
        return []


def _read(path: str) -> bytes:
    # Not Path.read_bytes: this runs on the event loop after every attempt, and its layers cost five times as much.
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(file, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(file)


def _session_of(pid: int) -> int | None:
    stat = _stat(pid)
    return int(stat[3]) if stat else None


def _is_zombie(pid: int) -> bool:
    return _stat(pid)[:1] == [b"Z"]


def _stat(pid: int) -> list[bytes]:
    """The fields of proc(5) from the state on; none if the process is gone."""
    try:
        return _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return []


def _cookies(pid: int) -> dict[str, str]:
    try:
        environment = _read(f"/proc/{pid}/environ")
    except OSError:
        return {}
    pairs = (item.partition(b"=") for item in environment.split(b"\0") if item.startswith(b"ZORDON_"))
    return {name.decode("ascii", "replace"): value.decode("ascii", "replace") for name, _, value in pairs}


def end_leftovers(store: str, known: dict[int, float]) -> int:
    """After a crash of the service: end every process that carries the store's cookie, and those of ``known``
    (pid: start time, of this boot) that are still the same process.

    For a thread. Returns how many were ended.
    """
    ended: set[int] = set()
    for _ in range(_ROUNDS):
        leftovers = [
            pid
            for entry in Path("/proc").iterdir()
            if entry.name.isdigit() and (pid := int(entry.name)) != os.getpid() and _is_leftover(pid, store, known)
        ]
        if not leftovers:
            break
        for pid in leftovers:
            ended.add(pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            _reap(pid, 0.05)
        time.sleep(0.01)  # in a thread; let init reap what is not our child
    return len(ended)


def _is_leftover(pid: int, store: str, known: dict[int, float]) -> bool:
    cookies = _cookies(pid)
    if cookies.get(STORE_COOKIE) == store and ATTEMPT_COOKIE in cookies:
        return True
    # A recycled pid has another start time; a zombie has no environment and needs no killing.
    return pid in known and abs(start_time(pid) - known[pid]) < 0.05 and bool(cookies)
