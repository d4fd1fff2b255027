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
import select
import signal
import time
from functools import cache
from pathlib import Path

import structlog

from app.render.environment import ATTEMPT_COOKIE, STORE_COOKIE
from app.render.processes import proc
from app.render.processes.interface import EngineProcess, Launch
from app.render.processes.posix import PosixProcess, start_time
from app.render.processes.prlimit import restrain
from app.render.processes.starting import start_in_thread

log = structlog.get_logger(__name__)

_PR_SET_CHILD_SUBREAPER = 36
_SWEEP_SECONDS = 20.0
"""The longest sweep: for processes that fork faster than they are killed, or cannot die."""
_SETTLED_SECONDS = 2.0
"""A child this young may be one of our own that has not yet become its program; and who shows no environment for so
long has none."""
_BLANK_SECONDS = 0.25
"""At start, processes that show no environment are given so long to show one: they may not be ours at all."""
_REMEMBERED = 1000
_live: set[int] = set()
"""Pids of engine processes that have not been reaped."""
_nameless: dict[int, float] = {}
"""Children that have no environment at all, with their start times: no session can be told to be theirs."""


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
        strangers, unsettled = self._strangers()
        if not strangers and not unsettled:
            return 0
        return await asyncio.to_thread(self._end_them)

    def _strangers(self) -> tuple[list[int], list[int]]:
        """Those of our children that are leftovers of this session, and those of which that cannot be told yet."""
        children = proc.children(os.getpid())
        while True:
            strangers, unsettled = self._strangers_among(children)
            seen, children = set(children), proc.children(os.getpid())
            # What one that died meanwhile had started is ours only now.
            if strangers or seen.issuperset(children):
                return strangers, unsettled

    def _strangers_among(self, children: list[int]) -> tuple[list[int], list[int]]:
        own = os.getsid(0)
        strangers: list[int] = []
        unsettled: list[int] = []
        for pid in children:
            if pid in _live:
                continue
            if pid in self._killed:  # on its way out it has neither cookies nor a session worth looking at
                strangers.append(pid)
                continue
            session = proc.session_of(pid)
            if session in (None, own):
                continue
            seen, cookies = proc.cookies(pid)
            if cookies.get(ATTEMPT_COOKIE) == self._launch.session or session == self.pid:
                strangers.append(pid)
            elif not cookies and _outlived_its_session(pid):
                # A zombie, or one that scrubbed its environment: nobody's that lives, so a leftover of somebody's.
                strangers.append(pid)
            elif seen is proc.Seen.EXITING or (seen is proc.Seen.BLANK and _nameless.get(pid) != start_time(pid)):
                unsettled.append(pid)
        return strangers, unsettled

    def _end_them(self) -> int:
        """Kill and reap, again and again: what a leftover had started becomes our child when it dies.

        Returns how many had to be killed.
        """
        ended: set[int] = set()
        end, blank_since = time.monotonic() + _SWEEP_SECONDS, dict[int, float]()
        while time.monotonic() < end:
            strangers, unsettled = self._strangers()
            if not strangers and not unsettled:
                return len(ended)
            for pid in strangers:
                if not proc.is_zombie(pid):  # that one ended by itself, and only waits for being reaped
                    ended.add(pid)
                with contextlib.suppress(ProcessLookupError, PermissionError):
                    os.kill(pid, signal.SIGKILL)
                _reap(pid)
            if not strangers:
                _give_time_to(unsettled, blank_since)
        log.error("what an engine left behind could not be ended", session=self._launch.session, tried=len(ended))
        return len(ended)


def _outlived_its_session(pid: int) -> bool:
    """Whether an orphan that does not show whose it is can belong to no engine that lives: it is older than all of
    them. So it is no later found than when those end that lived when it was started."""
    born = start_time(pid)
    return time.time() - born > _SETTLED_SECONDS and all(born < start_time(live) for live in tuple(_live))


def _give_time_to(unsettled: list[int], since: dict[int, float]) -> None:
    """Wait a moment (in a thread) for processes that show no environment; who never does is remembered as nameless."""
    now = time.monotonic()
    for pid in unsettled:
        if proc.cookies(pid)[0] is proc.Seen.BLANK and now - since.setdefault(pid, now) > _SETTLED_SECONDS:
            _nameless[pid] = start_time(pid)
    while len(_nameless) > _REMEMBERED:
        del _nameless[next(iter(_nameless))]
    _pause(0.002)


def _pause(seconds: float) -> None:
    """For a thread. By a descriptor's time-out: no wall clock that somebody has set has a part in it."""
    select.select((), (), (), seconds)


def _reap(pid: int, seconds: float = 2.0) -> None:
    end = time.monotonic() + seconds
    with contextlib.suppress(ChildProcessError):
        while not _reaped(pid) and time.monotonic() < end:
            _pause(0.002)  # a killed process needs a moment to die


def _reaped(pid: int) -> bool:
    with proc.reaping:
        return os.waitpid(pid, os.WNOHANG) != (0, 0)


def end_leftovers(store: str, known: dict[int, float]) -> int:
    """After a crash of the service: end every process that carries the store's cookie, and those of ``known``
    (pid: start time, of this boot) that are still the same process.

    For a thread. Returns how many were ended.
    """
    ended: set[int] = set()
    blank_until, end = 0.0, time.monotonic() + _SWEEP_SECONDS
    while (now := time.monotonic()) < end:
        leftovers, unsettled = _leftovers(store, known)
        if leftovers or not blank_until:
            blank_until = now + _BLANK_SECONDS
        if not leftovers and not (unsettled and now < blank_until):
            return len(ended)
        for pid in leftovers:
            ended.add(pid)
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.kill(pid, signal.SIGKILL)
            _reap(pid, 0.05)
        _pause(0.01)  # let init reap what is not our child
    log.error("what an earlier run of the service left behind could not be ended", tried=len(ended))
    return len(ended)


def _leftovers(store: str, known: dict[int, float]) -> tuple[list[int], bool]:
    """The leftovers that can be seen, and whether there is a process of which that cannot be told yet."""
    found: list[int] = []
    unsettled = False
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit() or (pid := int(entry.name)) == os.getpid():
            continue
        seen, cookies = proc.cookies(pid)
        unsettled = unsettled or seen is proc.Seen.BLANK  # what one that exits has started can be seen itself
        if cookies.get(STORE_COOKIE) == store and ATTEMPT_COOKIE in cookies:
            found.append(pid)
        elif pid in known and abs(start_time(pid) - known[pid]) < 0.05 and cookies:
            # A recycled pid has another start time; a zombie has no environment and needs no killing.
            found.append(pid)
    return found, unsettled
