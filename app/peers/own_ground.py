"""The farm as the lanes of this node see it, for :mod:`app.peers.choosing`."""

from __future__ import annotations

import time
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from app.jobs.record import JobRecord
from app.peers.peer import Peer
from app.peers.remote import RemoteAttempt
from engines.frames import IndexSet

if TYPE_CHECKING:
    from app.peers.lanes import Lanes


class OwnGround:
    """See :class:`app.peers.ground.Ground`."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._supervisor = lanes.supervisor
        self.chunk_seconds = lanes.supervisor.settings.chunk_seconds
        self.max_frames = lanes.supervisor.settings.max_chunk_frames
        self.offered = lanes.offered

    def now(self) -> float:
        """Seconds."""
        return time.monotonic()

    def live(self, job: str) -> JobRecord | None:
        """The newest record of a job that has not ended."""
        return self._supervisor.jobs.live(job)

    def helpers(self) -> Sequence[Peer]:
        """The nodes that can be asked for something now."""
        return self._lanes.peers.usable()

    def helper(self, node: str) -> Peer | None:
        """One of them."""
        peer = self._lanes.peers.get(node)
        return peer if peer is not None and peer.usable else None

    def given(self) -> Mapping[str, RemoteAttempt]:
        """What is out, by attempt."""
        return self._lanes.remotes

    def given_to(self, node: str) -> Collection[RemoteAttempt]:
        """What a node has."""
        return self._lanes.of_node(node)

    def engines(self) -> Collection[str]:
        """The engines that this node has."""
        return self._supervisor.catalog.engines

    def own_slots(self, record: JobRecord) -> int:
        """Slots of this node that may render a job."""
        spec, catalog = record.spec, self._supervisor.catalog
        if self._supervisor.queue.holds_back(spec) or catalog.find(spec.engine, spec.engine_version) is None:
            return 0
        return catalog.slots(spec.engine)

    def own_free_slots(self, engine: str) -> int:
        """Slots of this node that render nothing."""
        return self._supervisor.free_slots(engine)

    def wake_own(self, engine: str) -> None:
        """Have the slots of this node look for work, also at what others have."""
        self._supervisor.queue.wake(engine)

    def own_since(self, attempt: str) -> float:
        """When the last frame of an attempt of this node came, or it began."""
        return self._lanes.since.get(attempt, self.now())

    def pace(self, job: str, node: str) -> float | None:
        """Seconds that a frame of a job takes on a node."""
        work = self._supervisor.at_work(job)
        return None if work is None else work.median_of(node)

    def start(self, job: str, node: str) -> float:
        """Seconds that a share costs on a node before its first frame is begun."""
        work = self._supervisor.at_work(job)
        return 0.0 if work is None else work.start_of(node)

    def refusal(self, record: JobRecord, node: str) -> str:
        """Why a node gets nothing of a job for what has happened so far."""
        if node in self._lanes.asking:
            return "it is just asked what it has"
        if record.spec.project_path is not None and self._lanes.bring is None:
            return "projects are not sent to other nodes"
        standing = self._lanes.standing.get(record.id, {}).get(node)
        if standing is not None and standing.refusal:
            return standing.refusal
        return self._lanes.troubles.pause(record.id, node)

    def fetchable(self) -> bool:
        """Whether a node can have an engine version that it lacks."""
        return self._lanes.bring is not None

    def give(self, node: str, record: JobRecord, positions: IndexSet, *, twice: bool) -> None:
        """Begin an attempt of another node."""
        if (peer := self.helper(node)) is not None:
            self._lanes.begin(peer, record, positions, twice=twice)

    def take_back(self, attempt: str, reason: str) -> None:
        """End an attempt of another node, without blame."""
        if (remote := self._lanes.remotes.get(attempt)) is not None:
            self._lanes.release(remote, reason)
