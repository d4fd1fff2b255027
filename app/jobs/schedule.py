"""Tells when the time of a scheduled job has come."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

NAP_SECONDS = 30.0
"""The wall clock may be set while we wait for it: never wait for longer than this without a look at it."""


class Schedule:
    """One timer a scheduled job. For the event loop's thread."""

    def __init__(self, due: Callable[[str], None]) -> None:
        self._due = due
        self._timers: dict[str, asyncio.TimerHandle] = {}

    def watch(self, job_id: str, start: float) -> None:
        """Call ``due`` when it is ``start`` (seconds since 1970), at once if that is past."""
        self.forget(job_id)
        left = start - time.time()
        if left <= 0:
            self._due(job_id)
        else:
            loop = asyncio.get_running_loop()
            self._timers[job_id] = loop.call_later(min(left, NAP_SECONDS), self.watch, job_id, start)

    def forget(self, job_id: str) -> None:
        """The job does not wait any more."""
        timer = self._timers.pop(job_id, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Forget all of them."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
