"""Pauses for what did not work out through nobody's fault: a broken line, a file that could not be written. Without
them a share would be given to the same node again at once, thousands of times."""

from __future__ import annotations

import time
from dataclasses import dataclass

LONGEST = 60.0
"""Seconds of the longest pause; the first one is two, each further one twice as long."""


@dataclass(frozen=True, slots=True)
class _Trouble:
    count: int
    reason: str
    until: float  # by time.monotonic()


class Troubles:
    """Of all jobs and nodes."""

    def __init__(self) -> None:
        self._known: dict[str, dict[str, _Trouble]] = {}

    def note(self, job: str, node: str, reason: str) -> None:
        """Something did not work out."""
        of_job = self._known.setdefault(job, {})
        before = of_job.get(node)
        count = 1 if before is None else before.count + 1
        pause = min(2.0**count, LONGEST)
        of_job[node] = _Trouble(count, reason, time.monotonic() + pause)

    def over(self, job: str, node: str) -> None:
        """It works again."""
        self._known.get(job, {}).pop(node, None)

    def forget(self, job: str) -> None:
        """The job has ended."""
        self._known.pop(job, None)

    def pause(self, job: str, node: str) -> str:
        """Why a node gets nothing of a job for a moment; empty if it may."""
        known = self._known.get(job, {}).get(node)
        if known is None or known.until <= time.monotonic():
            return ""
        return f"it is tried again in {known.until - time.monotonic():.0f} s: {known.reason}"
