"""How busy this machine was over the last minutes: a ring of samples, so that it never grows."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final

import psutil

from app.node.status import CpuMeter
from client.models import NodeLoad

EVERY_SECONDS: Final = 5.0
SAMPLES: Final = 120
"""Ten minutes."""


class LoadRing:
    """Takes a sample every five seconds while it is started."""

    def __init__(self) -> None:
        self._meter = CpuMeter()
        self._samples: deque[tuple[float, float, float]] = deque(maxlen=SAMPLES)
        self._timer: asyncio.TimerHandle | None = None

    def start(self) -> None:
        """Begin on the loop that runs."""
        self._timer = asyncio.get_running_loop().call_later(EVERY_SECONDS, self._beat)

    def close(self) -> None:
        """Take no more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def take(self) -> None:
        """Take a sample now."""
        self._samples.append((time.time(), self._meter.percent(), psutil.virtual_memory().percent))

    def load(self) -> NodeLoad:
        """What was seen, the oldest first."""
        return NodeLoad(
            interval=EVERY_SECONDS,
            times=[datetime.fromtimestamp(at, UTC) for at, _, _ in self._samples],
            cpu_percent=[cpu for _, cpu, _ in self._samples],
            memory_percent=[memory for _, _, memory in self._samples],
            memory_total=psutil.virtual_memory().total,
        )

    def _beat(self) -> None:
        self.take()
        self.start()
