"""Idempotency-Keys: a repeated submit gets the jobs of the first one instead of making them again.

The keys themselves are rows of the store, written in the transaction of their jobs; here they are in memory.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


class KeyReused(ValueError):
    """An Idempotency-Key came again with another body, or its jobs are gone."""


class IdempotencyKeys:
    """Keys that were used, and those whose first use is under way. For the event loop's thread."""

    def __init__(self) -> None:
        self._used: dict[str, tuple[str, tuple[str, ...]]] = {}  # key: hash of the body, ids of the jobs
        self._under_way: dict[str, asyncio.Future[None]] = {}

    def load(self, used: Mapping[str, tuple[str, Sequence[str]]]) -> None:
        """Keys of the time before the start."""
        self._used.update({key: (body, tuple(jobs)) for key, (body, jobs) in used.items()})

    async def jobs_of(self, key: str, body: str) -> tuple[str, ...] | None:
        """The jobs of an earlier use, once that is over; None if this is the first.

        Raises:
            KeyReused: it was used for another body.
        """
        while (pending := self._under_way.get(key)) is not None:
            await pending
        if key not in self._used:
            return None
        known, jobs = self._used[key]
        if known != body:
            raise KeyReused("this Idempotency-Key was used for another request; use a new one for new jobs")
        return jobs

    @contextmanager
    def use(self, key: str) -> Iterator[None]:
        """The first use is under way: repeats wait for its end."""
        pending = self._under_way[key] = asyncio.get_running_loop().create_future()
        try:
            yield
        finally:
            del self._under_way[key]
            pending.set_result(None)

    def committed(self, key: str, body: str, jobs: Sequence[str]) -> None:
        """The jobs of a key are in the store."""
        self._used[key] = (body, tuple(jobs))
