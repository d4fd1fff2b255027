"""One project on its way from other nodes: what has come, what is in the way, and what clients see of it."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Final

from app.installs.retries import Trouble
from app.installs.source import SourceError
from app.peers.peer import Peer
from app.peers.speed import Speed
from client.errors import NotFound, RequestRefused, ZordonError
from client.models import Fetch

BAD: Final = 1000
"""So many failures count as one content that was damaged."""
FRESH_SECONDS: Final = 30.0
"""So long a failure that nobody has been told of is worth telling."""

Sources = Callable[[], Sequence[Peer]]
"""The nodes that have a project and can be asked now, best first."""


class TreeFetch:
    """One project on its way, or at its end.

    Attributes:
        tree_id: which one.
        sources: who has it.
        failures: how often each node did not deliver, by its id.
        from_nodes: contents that come just now, by the name of the node.
    """

    def __init__(self, tree_id: str, sources: Sources) -> None:
        self.tree_id = tree_id
        self.sources = sources
        self.failures: Counter[str] = Counter()
        self.from_nodes: Counter[str] = Counter()
        self.task: asyncio.Task[None] | None = None
        self.complete = False
        self.failed = False
        self.reason = "it is being asked what belongs to the project"
        self.bytes_done = 0
        self.bytes_total = 0
        self._speed = Speed()
        self._trouble = ""
        self._told = False
        self._ended = 0.0

    def begin(self, size: int, count: int) -> None:
        """So much is missing."""
        self.bytes_total = size
        self.reason = f"{count} files of the project are coming"

    def arrived(self, count: int) -> None:
        """So many bytes more are here; less than none if some were not worth anything."""
        self.bytes_done += count
        self._trouble = ""
        self._speed.add(count, time.monotonic())

    def trouble(self, peer: Peer, error: ZordonError) -> SourceError:
        """A node did not deliver. What may help is to ask again, perhaps somebody else."""
        self.failures[peer.id] += 1
        self._trouble = f"{peer.name}: {error}"
        refused = isinstance(error, RequestRefused) and not isinstance(error, NotFound)
        if refused and len(self.sources()) < 2:
            return SourceError(self._trouble)
        return Trouble(self._trouble)

    def has_another(self, peer: Peer | None) -> bool:
        """Whether somebody else than this node, which sent what is damaged, may have the project whole."""
        if peer is not None:
            self.failures[peer.id] += BAD
        return any(self.failures[other.id] < BAD for other in self.sources())

    def end(self, reason: str) -> None:
        """It has come, or did not: then why."""
        self.complete, self.failed = not reason, bool(reason)
        self.reason = reason or "the project is here"
        self._ended = time.monotonic()

    def tell(self) -> None:
        """Somebody is told how it is: of a failure once, then it may be tried again."""
        self._told = self.failed

    def may_begin_anew(self, now: float) -> bool:
        """Whether it failed, and that is known or long ago (monotonic seconds)."""
        return self.failed and (self._told or now - self._ended > FRESH_SECONDS)

    @property
    def sentence(self) -> str:
        """What is going on, for people."""
        return f"{self.reason}; trying again: {self._trouble}" if self._trouble and not self.failed else self.reason

    def wire(self) -> Fetch:
        """As clients see it."""
        ended = self.complete or self.failed
        speed = None if ended else self._speed.now(time.monotonic())
        left = self.bytes_total - self.bytes_done
        return Fetch(
            tree=self.tree_id,
            state="complete" if self.complete else "failed" if self.failed else "fetching",
            reason=self.sentence,
            sources=sorted(name for name, count in self.from_nodes.items() if count > 0),
            bytes_done=self.bytes_done,
            bytes_total=self.bytes_total,
            bytes_per_second=speed,
            eta_seconds=round(left / speed, 1) if speed else None,
        )
