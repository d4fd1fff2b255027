"""How many processes the kernel has ended for want of memory: one of the signs by which a failure is explained.

Wanted at every start of an engine, so the counters are kept open: they are files of the kernel's own in memory, and
reading one again takes some ten microseconds, less than handing it to a thread.
"""

from __future__ import annotations

import os
import re
import time
from pathlib import Path

_COUNTED = re.compile(rb"^oom_kill (\d+)$", re.MULTILINE)
_MOST = 1 << 16
RECENT_SECONDS = 0.5
"""How old a count may be from which an attempt begins to count. What was ended in that time before it counts as if it
had been meanwhile, which matters only if the attempt itself was killed by somebody else then."""


class OomKills:
    """The counters of this machine and of the container that the service is in. Close it with :meth:`close`.

    Source: proc(5) ``/proc/vmstat`` and the kernel's cgroup-v2.rst, ``memory.events``.
    """

    def __init__(self) -> None:
        self._counters = [counter for path in _paths() if (counter := _opened(path)) is not None]
        self._last: int | None = None
        self._last_at = -RECENT_SECONDS

    def count(self) -> int | None:
        """How many there were since the boot; None where the system does not tell. Never waits for a disk."""
        known = [count for counter in self._counters if (count := _read(counter)) is not None]
        self._last, self._last_at = sum(known) if known else None, time.monotonic()
        return self._last

    def recent(self) -> int | None:
        """How many there were :data:`RECENT_SECONDS` ago or later."""
        return self.count() if time.monotonic() - self._last_at > RECENT_SECONDS else self._last

    def close(self) -> None:
        """Close the counters: :meth:`count` tells nothing any more."""
        while self._counters:
            os.close(self._counters.pop())


def _paths() -> list[Path]:
    paths = [Path("/proc/vmstat")]
    try:
        own = Path("/proc/self/cgroup").read_text()
    except OSError:
        own = ""
    for line in own.splitlines():
        if line.startswith("0::/"):
            paths.append(Path("/sys/fs/cgroup") / line[4:] / "memory.events")
    return paths


def _opened(path: Path) -> int | None:
    try:
        return os.open(path, os.O_RDONLY | getattr(os, "O_CLOEXEC", 0))
    except OSError:
        return None


def _read(counter: int) -> int | None:
    try:
        match = _COUNTED.search(os.pread(counter, _MOST, 0))
    except OSError:  # the container's counter, if the service was moved to another one
        return None
    return int(match[1]) if match else None
