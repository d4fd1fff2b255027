"""Who renders next: the highest priority, then the oldest job, of those that have frames waiting and that this node
may render.

One heap an engine; an entry that has nothing to render any more, or whose job has got another place, is dropped when it
comes up, so that cancelling and finishing cost nothing here. What this node does not render is put aside until it does.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable

from app.jobs.record import JobRecord, JobSpec
from client.models import JobStatus

Entry = tuple[int, float, str]
"""Minus the priority, seconds since 1970 of the submit, id."""

TAKEN_BACK = "was taken back when its node came to rest; waits for a free slot"
"""Why an attempt is ended when a node is to begin nothing new: afterwards the reason of its job."""
_RENDERED = (JobStatus.NOT_STARTED, JobStatus.RUNNING)
"""A job that was offered may have lost its engine since, or wait for its time again."""


class RenderQueue:
    """Jobs with waiting frames, by engine. For the event loop's thread."""

    def __init__(self, live: Callable[[str], JobRecord | None]) -> None:
        self._live = live
        self._held_back: Callable[[JobSpec], str] = lambda spec: ""
        self._resting: Callable[[], str] = str
        self._heaps: dict[str, list[Entry]] = {}
        self._queued: dict[str, Entry] = {}
        self._aside: dict[str, None] = {}  # jobs that this node does not render as it is now
        self._delayed: dict[str, asyncio.TimerHandle] = {}
        self._ready: dict[str, asyncio.Event] = {}

    def hold_back_with(self, resting: Callable[[], str], held_back: Callable[[JobSpec], str]) -> None:
        """Give what says why this node begins nothing at all, or nothing of one job; empty: it does.
        :meth:`look_again` when it says something else."""
        self._resting, self._held_back = resting, held_back

    @property
    def resting(self) -> str:
        """Why this node begins nothing; empty if it does."""
        return self._resting()

    def holds_back(self, spec: JobSpec) -> bool:
        """Whether this node begins nothing of a job now."""
        return bool(self._resting() or self._held_back(spec))

    def look_again(self) -> None:
        """What holds jobs back is another thing now."""
        aside, self._aside = self._aside, {}
        for job_id in aside:
            if (record := self._live(job_id)) is not None:
                self.offer(record)
        for event in self._ready.values():
            event.set()

    def reorder(self, record: JobRecord) -> None:
        """The priority of this job is another one now."""
        if record.id in self._queued:
            self._push(record)  # the earlier entry is dropped when it comes up

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
        self._push(record)
        self._event(record.spec.engine).set()

    def take(self, engine: str) -> JobRecord | None:
        """The job that is next, or None. It leaves the queue; who takes only a part of its frames offers it again."""
        heap = self._heaps.get(engine)
        while heap and not self._resting():
            entry = heapq.heappop(heap)
            job_id = entry[2]
            if self._queued.get(job_id) != entry:
                continue
            del self._queued[job_id]
            record = self._live(job_id)
            if record is None or record.status not in _RENDERED:
                continue
            if not (record.waiting_positions() or record.needs_assembly):
                continue
            if not self._held_back(record.spec):
                return record
            self._aside[job_id] = None
        return None

    def wake(self, engine: str) -> None:
        """Have the slots of an engine look for work again, also elsewhere."""
        self._event(engine).set()

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

    def _push(self, record: JobRecord) -> None:
        entry = (-record.spec.priority, record.spec.created, record.id)
        self._queued[record.id] = entry
        heapq.heappush(self._heaps.setdefault(record.spec.engine, []), entry)

    def _due(self, job_id: str) -> None:
        self._delayed.pop(job_id, None)
        record = self._live(job_id)
        if record is not None:
            self.offer(record)

    def _event(self, engine: str) -> asyncio.Event:
        return self._ready.setdefault(engine, asyncio.Event())
