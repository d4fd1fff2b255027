"""The job list of a node, kept up to date in the background.

A :class:`JobCache` follows the long-poll with ``delta=true``: what is asked of it costs no request, and it survives
restarts of the node, whose first answer is then the full list again.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import MappingProxyType, TracebackType
from typing import Final, Self, TypeVar

from .connection import worth_repeating
from .errors import ServerError, Timeout, ZordonError
from .models import Job, JobDelta
from .proxy import RenderServerProxy

T = TypeVar("T")
Jobs = Mapping[str, Job]

_LONGEST_WAIT: Final = 5.0


class JobCache:
    """The jobs of ``node``, by id, in the order in which they were created.

    An async context manager: entering fetches the list (and raises if that fails), leaving ends the background task.

    Attributes:
        stale_since: since when the node has not answered (UTC); None while it does.
        error: why, as long as it does not; after a refusal (a wrong token, say) the cache follows no more.
    """

    def __init__(self, node: RenderServerProxy) -> None:
        self._node = node
        self._jobs: dict[str, Job] = {}
        self._token: str | None = None
        self._changed = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.stale_since: datetime | None = None
        self.error: ZordonError | None = None

    @property
    def jobs(self) -> Jobs:
        """A live, read-only view."""
        return MappingProxyType(self._jobs)

    async def __aenter__(self) -> Self:
        self._apply(await self._node.get_jobs_delta())
        self._task = asyncio.create_task(self._follow(), name="zordon-job-cache")
        # Whoever waits must learn that nothing more will come, whatever ended the task.
        self._task.add_done_callback(lambda _: self._wake())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def wait_for(self, predicate: Callable[[Jobs], T], timeout: float | None = None) -> T:
        """The first true value of ``predicate(jobs)``, asked now and after every change, a broken connection included.

        Args:
            timeout: seconds; None: without end.

        Raises:
            Timeout: it did not become true in time.
            ZordonError: the node refused, so that the list will not change any more.
        """
        try:
            async with asyncio.timeout(timeout):
                while not (value := predicate(self.jobs)):
                    if self._task is None or self._task.cancelled():
                        raise ZordonError("the job cache is closed")
                    if self._task.done():
                        self._task.result()
                    await self._changed.wait()
                return value
        except TimeoutError as error:
            raise Timeout(f"what was waited for did not happen within {timeout} seconds") from error

    async def _follow(self) -> None:
        failures = 0
        while True:
            try:
                delta = await self._node.long_poll_delta(self._token)
            except ZordonError as error:
                self.error = error
                self.stale_since = self.stale_since or datetime.now(UTC)
                if not (worth_repeating(error) or isinstance(error, ServerError)):
                    raise
                self._wake()
                failures += 1
                await asyncio.sleep(min(_LONGEST_WAIT, 0.1 * 2 ** min(failures, 8)) * random.uniform(0.5, 1.0))
                continue
            recovered = self.stale_since is not None
            failures, self.error, self.stale_since = 0, None, None
            if delta is not None:
                self._apply(delta)
            elif recovered:
                self._wake()

    def _apply(self, delta: JobDelta) -> None:
        if delta.full:
            self._jobs.clear()
        for gone in delta.gone:
            self._jobs.pop(gone, None)
        for job in delta.jobs:
            self._jobs[job.id] = job
        self._token = delta.token
        self._wake()

    def _wake(self) -> None:
        woken, self._changed = self._changed, asyncio.Event()
        woken.set()
