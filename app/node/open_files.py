"""Says when the service has nearly no files left to open: the event loop turns new clients away then without a word."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import Final

import structlog

log = structlog.get_logger(__name__)

EVERY_SECONDS: Final = 1.0
_FULL: Final = 0.95
"""Share of the limit at which it is told."""
_COUNTED: Final = 4096
"""Up to such a limit open files are counted: a millisecond at most."""


class OpenFiles:
    """Looks once a second while it is started, and logs when they run out and when there are some again."""

    def __init__(self) -> None:
        self.short = False
        """Whether there were nearly none left at the last look."""
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to look, on the loop that runs. Does nothing on Windows, which has no such limit."""
        if sys.platform != "win32":
            self._timer = asyncio.get_running_loop().call_later(EVERY_SECONDS, self._look)

    def close(self) -> None:
        """Look no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        limit = _limit()
        short = _in_use(limit) >= limit * _FULL
        if short and not self.short:
            log.error(
                "nearly no open files are left: new clients are turned away, engines may not start",
                limit=limit,
                mend="raise the limit (ulimit -n; LimitNOFILE= of systemd)",
            )
        elif self.short and not short:
            log.warning("there are open files again", limit=limit)
        self.short = short
        self.start()


def _limit() -> int:
    import resource  # there is none on Windows

    limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return sys.maxsize if limit == resource.RLIM_INFINITY else limit


def _in_use(limit: int) -> int:
    """How many files are open. Where very many may be, counting them takes too long: it is the number that the next one
    would get then, which differs by the gaps between those that are open."""
    try:
        if limit <= _COUNTED:
            return len(list(Path("/dev/fd").iterdir())) - 1  # one is what reads this
        number = os.dup(0)
    except OSError:
        return sys.maxsize
    os.close(number)
    return number
