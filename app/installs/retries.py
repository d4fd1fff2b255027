"""How often and when a server in trouble is asked again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from typing import Final

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception

from app.installs.source import SourceError


@dataclass(frozen=True, slots=True)
class Patience:
    """How long a server may be in trouble."""

    stall: float = 60.0  # seconds without a byte after which a connection counts as broken
    connect: float = 15.0  # seconds to connect
    tries: int = 6  # so many in a row that bring nothing new
    first_wait: float = 0.5  # seconds before the second try; doubles with every one that brings nothing
    longest_wait: float = 60.0  # seconds, also for what a server asks for by Retry-After


PATIENCE: Final = Patience()


class Trouble(SourceError):
    """Transient, with the wait that the server asked for (seconds)."""

    def __init__(self, message: str, wait: float = 0.0) -> None:
        super().__init__(message, transient=True)
        self.wait = wait


class Retries:
    """When to try again: tries are counted from the last one that got further than all before."""

    def __init__(self, patience: Patience) -> None:
        self._patience = patience
        self._fruitless = 0
        self._best = 0

    def reached(self, have: int) -> None:
        """So many bytes are there now."""
        if have > self._best:
            self._best, self._fruitless = have, 0

    def again(self) -> AsyncRetrying:
        """The tries; waits between them, raises the last one's error."""
        return AsyncRetrying(retry=retry_if_exception(_is_transient), stop=self._stop, wait=self._wait, reraise=True)

    def _stop(self, state: RetryCallState) -> bool:
        self._fruitless += 1
        return self._fruitless >= self._patience.tries or _asked_wait(state) > self._patience.longest_wait

    def _wait(self, state: RetryCallState) -> float:
        grown = self._patience.first_wait * 2.0 ** min(self._fruitless - 1, 30)
        # Not all at once: the machines of a farm lose a server in the same moment.
        return max(_asked_wait(state), min(self._patience.longest_wait, grown) * random.uniform(0.5, 1.0))


def _is_transient(error: BaseException) -> bool:
    return isinstance(error, SourceError) and error.transient


def _asked_wait(state: RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome is not None else None
    return error.wait if isinstance(error, Trouble) else 0.0
