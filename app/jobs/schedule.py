"""Tells when the time of a scheduled job has come."""

from __future__ import annotations

import asyncio
import heapq
import time
from collections.abc import Callable

NAP_SECONDS = 30.0
"""The wall clock may be set while we wait for it: never wait for longer than this without a look at it."""
FEW = 1000
"""So many entries that count no more may lie among the others."""


class Schedule:
    """One timer for all scheduled jobs. For the event loop's thread."""

    def __init__(self, due: Callable[[str], None]) -> None:
        self._due = due
        self._starts: dict[str, float] = {}
        self._heap: list[tuple[float, str]] = []  # what counts no more is dropped when it comes up
        self._timer: asyncio.TimerHandle | None = None
        self._until = 0.0  # the start that the timer waits for

    def watch(self, job_id: str, start: float) -> None:
        """Call ``due`` when it is ``start`` (seconds since 1970), at once if that is past."""
        self.forget(job_id)
        if start <= time.time():
            self._due(job_id)
            return
        self._starts[job_id] = start
        if len(self._heap) > 2 * len(self._starts) + FEW:
            self._heap = [(at, waiting) for waiting, at in self._starts.items()]
            heapq.heapify(self._heap)
        else:
            heapq.heappush(self._heap, (start, job_id))
        if self._timer is None or start < self._until:
            self._wait()

    def forget(self, job_id: str) -> None:
        """The job does not wait any more."""
        self._starts.pop(job_id, None)

    def close(self) -> None:
        """Forget all of them."""
        self._starts.clear()
        self._heap.clear()
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _wait(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._heap:
            self._until = self._heap[0][0]
            left = max(self._until - time.time(), 0.0)
            self._timer = asyncio.get_running_loop().call_later(min(left, NAP_SECONDS), self._look)

    def _look(self) -> None:
        self._timer = None
        now = time.time()
        try:
            while self._heap and (self._heap[0][0] <= now or not self._counts(self._heap[0])):
                entry = heapq.heappop(self._heap)
                if self._counts(entry):
                    del self._starts[entry[1]]
                    self._due(entry[1])
        finally:
            self._wait()

    def _counts(self, entry: tuple[float, str]) -> bool:
        return self._starts.get(entry[1]) == entry[0]
