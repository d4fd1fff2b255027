"""macOS and other POSIX systems: psutil instead of ``/proc``, and no subreaper.

A descendant that left both the process group and the tree (forked twice, own session) is found by its cookie; that
reads the environment of every process of this user, so it is done once per ended engine, in a thread.
"""

from __future__ import annotations

import asyncio
from functools import cache

import psutil

from app.render.environment import ATTEMPT_COOKIE
from app.render.processes.interface import EngineProcess, Launch
from app.render.processes.leftovers import end_cookie, end_leftovers
from app.render.processes.posix import PosixProcess
from app.render.processes.starting import start_in_thread

__all__ = ["adopt_orphans", "boot_id", "end_leftovers", "launch"]


def adopt_orphans() -> None:
    """Nothing to do here: orphans go to launchd and are found by their cookie."""


@cache
def boot_id() -> str:
    """Changes with every boot of the machine."""
    return f"{psutil.boot_time():.0f}"


async def launch(wanted: Launch) -> EngineProcess:
    """Start an engine process.

    Raises:
        LaunchError: it cannot be started.
    """
    return PortableProcess(wanted, await start_in_thread(wanted))


class PortableProcess(PosixProcess):
    """An engine process on a POSIX system without ``/proc``."""

    async def _end_strangers(self) -> int:
        return await asyncio.to_thread(end_cookie, ATTEMPT_COOKIE, self._launch.session)
