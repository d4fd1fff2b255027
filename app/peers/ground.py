"""What :mod:`app.peers.choosing` has to know of the farm, and what it does to it: the lanes; or a thousand nodes
that are only imagined (``bench.farm_simulation``).
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Protocol

from app.jobs.record import JobRecord
from app.jobs.sharing import Brief
from engines.frames import IndexSet


class Helper(Protocol):
    """Another node; :class:`app.peers.peer.Peer` is one."""

    @property
    def id(self) -> str:
        """Never that of another one."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def brief(self) -> Brief:
        """What it says of itself."""


class Given(Protocol):
    """A share that another node has; :class:`app.peers.remote.RemoteAttempt` is one."""

    @property
    def attempt(self) -> str:
        """Its id."""

    @property
    def job(self) -> str:
        """Id of the job."""

    @property
    def node(self) -> str:
        """Id of the node."""

    @property
    def begun(self) -> bool:
        """Whether a frame of it is being rendered there."""

    @property
    def since(self) -> float:
        """When it was given, or its last frame came, by :meth:`Ground.now`."""


class Ground(Protocol):
    """Where shares are given."""

    chunk_seconds: float
    """The longest that a share should take."""
    max_frames: int
    """The most frames of a share."""
    offered: dict[str, None]
    """Ids of the jobs that may have frames to give."""

    def now(self) -> float:
        """Seconds, by a clock that never goes back."""

    def live(self, job: str) -> JobRecord | None:
        """The newest record of a job that has not ended."""

    def helpers(self) -> Sequence[Helper]:
        """The nodes that can be asked for something now."""

    def helper(self, node: str) -> Helper | None:
        """One of them."""

    def given(self) -> Mapping[str, Given]:
        """What is out, by attempt."""

    def given_to(self, node: str) -> Collection[Given]:
        """What a node has."""

    def engines(self) -> Collection[str]:
        """The engines that this node has."""

    def own_slots(self, record: JobRecord) -> int:
        """Slots of this node that may render a job."""

    def own_free_slots(self, engine: str) -> int:
        """Slots of this node that render nothing."""

    def wake_own(self, engine: str) -> None:
        """Have the slots of this node look for work, also at what others have."""

    def own_since(self, attempt: str) -> float:
        """When the last frame of an attempt of this node came, or it began."""

    def pace(self, job: str, node: str) -> float | None:
        """Seconds that a frame of a job takes on a node (empty: this one); None: none has come from there."""

    def start(self, job: str, node: str) -> float:
        """Seconds that a share of a job costs on a node (empty: this one) before its first frame is begun."""

    def refusal(self, record: JobRecord, node: str) -> str:
        """Why a node gets nothing of a job for what has happened so far; empty if it may."""

    def fetchable(self) -> bool:
        """Whether a node can have an engine version that it lacks."""

    def give(self, node: str, record: JobRecord, positions: IndexSet, *, twice: bool) -> None:
        """Begin an attempt of another node."""

    def take_back(self, attempt: str, reason: str) -> None:
        """End an attempt of another node, without blame; its frames wait again."""
