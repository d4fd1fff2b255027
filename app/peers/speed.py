"""How fast something comes: that of the last seconds."""

from __future__ import annotations

from collections import deque
from typing import Final

SECONDS: Final = 10.0
"""The speed is that of so many seconds before now."""
_STEP: Final = 0.25


class Speed:
    """Counts bytes; ``now`` is the monotonic clock in seconds."""

    def __init__(self) -> None:
        self._total = 0
        self._marks: deque[tuple[float, int]] = deque()  # when, and how many bytes there were then; oldest first

    def add(self, count: int, now: float) -> None:
        """So many bytes came just now."""
        if not self._marks or now - self._marks[-1][0] >= _STEP:
            self._marks.append((now, self._total))
            while len(self._marks) > 2 and now - self._marks[0][0] > SECONDS:
                self._marks.popleft()
        self._total += count

    def now(self, now: float) -> float | None:
        """Bytes per second; None where nothing has come lately."""
        if not self._marks:
            return None
        began, before = self._marks[0]
        return (self._total - before) / (now - began) if now > began and self._total > before else None
