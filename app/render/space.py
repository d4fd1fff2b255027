"""Space on the disk of the data folder: how much there is, and who waits for it.

A full disk is nobody's fault and no retry mends it: jobs that met one wait here, without a strike, until enough of it
is free again.
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable
from pathlib import Path

import structlog

from app.render.causes import FULL_BYTES

log = structlog.get_logger(__name__)

FIRST_SECONDS = 2.0
"""How long a job waits at least."""
MAX_HOLDS = 5
"""So often there may have been space and a job fills the disk all the same, without a frame: then it is its fault."""
LONGEST_SECONDS = 60.0
"""How long at most, once there is space: the wait doubles each time that there was space and it failed all the same."""


class Space:
    """The disk of one folder. For the event loop's thread.

    Args:
        folder: on the disk that is meant.
        keep_free: the setting ``min_free_bytes``; so much must be free before a job that waits goes on.
        found: called with the id of a job that waited, when there is space. Returns whether it waits no more.
    """

    def __init__(self, folder: Path, keep_free: int, found: Callable[[str], bool]) -> None:
        self.needed = max(keep_free, FULL_BYTES)
        self._folder = folder
        self._found = found
        self._waiting: dict[str, float] = {}  # id: not before, on the loop's clock
        self._times: dict[str, int] = {}  # id: how often it has waited
        self._task: asyncio.Task[None] | None = None

    async def free(self) -> int | None:
        """Free bytes; None if the disk cannot be asked."""
        return await asyncio.to_thread(_free, self._folder)

    def wait(self, job_id: str) -> None:
        """A job cannot go on before there is space."""
        loop = asyncio.get_running_loop()
        times = self._times[job_id] = self._times.get(job_id, 0) + 1
        self._waiting[job_id] = loop.time() + min(FIRST_SECONDS * 2 ** (times - 1), LONGEST_SECONDS)
        if self._task is None or self._task.done():
            self._task = loop.create_task(self._watch(), name="free space")

    def may_wait(self, job_id: str) -> bool:
        """Whether a job may wait (again): it is not the one that fills the disk."""
        return self._times.get(job_id, 0) < MAX_HOLDS

    def is_short(self, free: int | None, job_id: str) -> bool:
        """Whether so few bytes are free (None: it cannot be told) that this job has to wait, and may."""
        return free is not None and free < self.needed and self.may_wait(job_id)

    def progressed(self, job_id: str) -> None:
        """The job has a new output."""
        self._times.pop(job_id, None)

    def forget(self, job_id: str) -> None:
        """The job has ended."""
        self._waiting.pop(job_id, None)
        self._times.pop(job_id, None)

    async def close(self) -> None:
        """Nobody waits any more."""
        self._waiting.clear()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _watch(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            await asyncio.sleep(max(min(self._waiting.values()) - loop.time(), FIRST_SECONDS / 4))
            free = await self.free()
            if free is None or free < self.needed:
                continue
            for job_id, not_before in list(self._waiting.items()):
                if not_before <= loop.time() and self._found(job_id):
                    self._waiting.pop(job_id, None)
                    log.info("there is space on the disk again; a job goes on", job=job_id, free=free)


def _free(folder: Path) -> int | None:
    try:
        return shutil.disk_usage(folder).free
    except OSError as error:
        log.warning("the free space of the data folder cannot be told", reason=str(error))
        return None
