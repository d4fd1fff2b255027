"""What everyone who tells of the GPU can do, and the sum of what is seen only at moments."""

from __future__ import annotations

import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Protocol

_REMEMBERED = 1000
_LONGEST_SECONDS = 120.0
"""A share that was seen counts for no longer than this: nobody knows what was between two looks far apart."""


class GpuReader(Protocol):
    """One way to ask. For threads."""

    def seconds(self, pids: Sequence[int]) -> float | None:
        """How long the GPU has worked for a process tree so far, in seconds.

        Args:
            pids: the tree, its first process first.

        Returns:
            A number that only grows while the same processes live; None if it cannot be told.
        """


class Worked:
    """Adds up shares of time, each seen at a moment, by process tree."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._known: OrderedDict[int, tuple[float, float]] = OrderedDict()  # when it was looked, seconds so far

    def add(self, pid: int, share: float) -> float:
        """Take note that the GPU works for a tree just now.

        Args:
            pid: the first process of the tree.
            share: of one GPU, 0 to 1 (more if several work).

        Returns:
            Seconds so far: as if the share had been the same since the look before.
        """
        now = self._clock()
        with self._lock:
            before, seconds = self._known.pop(pid, (now, 0.0))
            seconds += share * min(now - before, _LONGEST_SECONDS)
            self._known[pid] = (now, seconds)
            while len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        return seconds
