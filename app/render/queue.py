"""Who renders next: the highest priority, then the oldest job, of those that have frames waiting.

One heap an engine; an entry that has nothing to render any more is dropped when it comes up, so that cancelling and
finishing cost nothing here.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from app.jobs.record import JobRecord
from client.models import JobStatus

Entry = tuple[int, float, str]
"""Minus the priority, seconds since 1970 of the submit, id."""

_RENDERED = (JobStatus.NOT_STARTED, JobStatus.RUNNING)
"""A job that was offered may have lost its engine since, or wait for its time again."""


class RenderQueue:
    """Jobs with waiting frames, by engine. For the event loop's thread."""

    def __init__(self, live: Callable[[str], JobRecord | None]) -> None:
        self._live = live
        self._heaps: dict[str, list[Entry]] = {}
        self._queued: set[str] = set()
        self._delayed: dict[str, asyncio.TimerHandle] = {}
        self._ready: dict[str, asyncio.Event] = {}

    def offer(self, record: JobRecord, delay: float = 0.0) -> None:
        """Frames of this job are waiting, or will be in ``delay`` seconds (the shortest delay counts)."""
        if delay > 0:
            if record.id not in self._delayed and record.id not in self._queued:
                loop = asyncio.get_running_loop()
                self._delayed[record.id] = loop.call_later(delay, self._due, record.id)
            return
        if (timer := self._delayed.pop(record.id, None)) is not None:
            timer.cancel()
        if record.id in self._queued:
            return
        self._queued.add(record.id)
        entry = (-record.spec.priority, record.spec.created, record.id)
        heapq.heappush(self._heaps.setdefault(record.spec.engine, []), entry)
        self._event(record.spec.engine).set()

    def take(self, engine: str) -> JobRecord | None:
        """The job that is next, or None. It leaves the queue; who takes only a part of its frames offers it again."""
        heap = self._heaps.get(engine)
        while heap:
            job_id = heapq.heappop(heap)[2]
            self._queued.discard(job_id)
            record = self._live(job_id)
            if record is not None and record.status in _RENDERED and record.waiting_positions():
                return record
        return None

    async def wait(self, engine: str) -> None:
        """Wait until a job was offered for this engine."""
        event = self._event(engine)
        await event.wait()
        event.clear()

    def close(self) -> None:
        """Drop the timers."""
        for timer in self._delayed.values():
            timer.cancel()
        self._delayed.clear()

    def _due(self, job_id: str) -> None:
        self._delayed.pop(job_id, None)
        record = self._live(job_id)
        if record is not None:
            self.offer(record)

    def _event(self, engine: str) -> asyncio.Event:
        return self._ready.setdefault(engine, asyncio.Event())
