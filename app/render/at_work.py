"""What the slots that work for one job share while they do: its log, how long its frames took, its progress."""

from __future__ import annotations

import asyncio
import math
import statistics
from collections import deque
from dataclasses import dataclass, field

from app.jobs.codec import JobProgress
from app.jobs.record import Pace
from app.render.logs import JobLog

TIMINGS = 64
"""Frames whose times are remembered for the median."""
STARTS = 8
"""Starts whose times are remembered for the same, by node."""
_MOST_TOLD = 300
"""Characters of what is told of the attempts that are under way."""


@dataclass(slots=True)
class JobAtWork:
    """One job that has sessions."""

    log: JobLog
    sessions: int = 0  # slots that work for it
    colour: dict[str, str] = field(default_factory=dict)  # as the engine itself says; see Plan.colour
    quiet: asyncio.Event = field(default_factory=asyncio.Event)
    seconds: deque[float] = field(default_factory=lambda: deque(maxlen=TIMINGS))
    _of_node: dict[str, deque[float]] = field(default_factory=dict)
    _starts: dict[str, deque[float]] = field(default_factory=dict)  # seconds, by node
    _medians: dict[str, float] = field(default_factory=dict)  # of those, until the next frame comes
    _progress: dict[str, tuple[float, str]] = field(default_factory=dict)  # by attempt
    _partial: float = 0.0  # the sum of their fractions

    def frame_took(self, seconds: float | None, node: str = "") -> float | None:
        """Note the time of a frame, in seconds, and the id of the node that rendered it; empty: this one. Returns the
        median so far."""
        if seconds is not None:
            self.seconds.append(seconds)
            self._of_node.setdefault(node, deque(maxlen=TIMINGS)).append(seconds)
            self._medians.pop(node, None)
        return self.median

    def median_of(self, node: str) -> float | None:
        """Seconds that a frame took on one node."""
        if node not in self._medians:
            seconds = self._of_node.get(node)
            if not seconds:
                return None
            self._medians[node] = statistics.median(seconds)
        return self._medians[node]

    def start_took(self, seconds: float, node: str) -> None:
        """Note what passed on a node from the begin of a share until its first frame was begun, in seconds."""
        self._starts.setdefault(node, deque(maxlen=STARTS)).append(seconds)

    def start_of(self, node: str) -> float:
        """Seconds that passes there as a rule; 0 while nobody knows."""
        starts = self._starts.get(node)
        return statistics.median(starts) if starts else 0.0

    @property
    def median(self) -> float | None:
        """Seconds that a frame took, of those remembered."""
        return round(statistics.median(self.seconds), 4) if self.seconds else None

    @property
    def pace(self) -> Pace | None:
        """How far those remembered are apart."""
        if not self.seconds:
            return None
        count = len(self.seconds)
        mean = sum(self.seconds) / count
        # Not statistics.stdev: it is exact, and takes a hundred times as long.
        squares = sum((seconds - mean) ** 2 for seconds in self.seconds)
        return Pace(round(mean, 4), round(math.sqrt(squares / max(1, count - 1)), 4), count)

    def of_attempt(self, attempt: str) -> tuple[float, str]:
        """How far an attempt is (frames), and what it does just now."""
        return self._progress.get(attempt, (0.0, ""))

    def progress(self, attempt: str, fraction: float, current: str) -> JobProgress:
        """Note how far an attempt is (frames). Returns the progress of the job."""
        self._partial += fraction - self.of_attempt(attempt)[0]
        self._progress[attempt] = (fraction, current)
        return JobProgress(self._partial, self._current())

    def _current(self) -> str:
        """What the first of the attempts do: there may be thousands."""
        told, length = list[str](), 0
        for _, current in self._progress.values():
            if current:
                told.append(current)
                length += len(current) + 2
            if length > _MOST_TOLD:
                break
        return "; ".join(told)[:_MOST_TOLD]

    def attempt_over(self, attempt: str) -> None:
        """Forget the progress of an attempt."""
        self._partial -= self.of_attempt(attempt)[0]
        self._progress.pop(attempt, None)
        if not self._progress:
            self._partial = 0.0
