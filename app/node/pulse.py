"""How late the event loop is: whatever blocks it holds up every client, and nothing else shows that as clearly."""

from __future__ import annotations

import asyncio
from typing import Final

from prometheus_client import Histogram

EVERY_SECONDS: Final = 0.5
_BUCKETS: Final = (0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)


class Pulse:
    """Beats on the event loop while it is started, and measures how late each beat is, in seconds."""

    def __init__(self) -> None:
        self.lag = Histogram(
            "zordon_event_loop_lag_seconds",
            "How late the event loop comes to what is due, measured twice a second.",
            buckets=_BUCKETS,
            registry=None,
        )
        self.last = 0.0
        """How late the last beat was, in seconds."""
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin to beat on the loop that runs."""
        loop = asyncio.get_running_loop()
        due = loop.time() + EVERY_SECONDS
        self._timer = loop.call_at(due, self._beat, loop, due)

    def close(self) -> None:
        """Beat no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _beat(self, loop: asyncio.AbstractEventLoop, due: float) -> None:
        self.last = max(0.0, loop.time() - due)
        self.lag.observe(self.last)
        self.start()
