"""Who gets how many frames of a job that several nodes render. Pure arithmetic.

Shares are sized by guided self-scheduling (Polychronopoulos and Kuck, 1987) for slots of unequal speed (Hummel et al.,
1996): each gets its own part, by speed, of half of what is left, so that shares shrink toward the end and all slots
come to it together. How fast a slot is was measured on this very job. What no arithmetic can know, a slot that becomes
slow or dies with the last frames, is mended by giving frames twice: the first to be through with one has it.

Here and in the rules a job is a set of *positions*; that they are frames matters to nobody in this module.
"""

from __future__ import annotations

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from app.jobs.record import JobSpec
from engines.frames import IndexSet

PARTS = 2.0
"""Of what is left, one part in so many is given out in one round: more rounds even out more, and cost more."""
FIRST_SHARE = 2
"""Frames that a slot gets while nobody knows how long one takes."""
LEAST_SECONDS = 1.0
"""A share is worth so long, if there is that much: below, handing it over costs more than it evens out."""
HANDOVER_SECONDS = 0.5
"""What giving a share to another node costs, in seconds: a request, a process, a file that comes home."""
PATIENCE_SECONDS = 5.0
"""So long a node may take to begin a share while it renders nothing else of the job."""
MAX_FAILURES = 2
"""Subjobs in a row that may fail on a node without a verified frame before it gets no more of the job."""


@dataclass(frozen=True, slots=True)
class Hand:
    """A slot that may render a job."""

    node: str  # id of the node; empty: this one
    seconds_per_frame: float | None = None  # median on this very job; None: nothing of it has come from there


@dataclass(frozen=True, slots=True)
class Busy:
    """An attempt that is under way somewhere. Times in seconds, of one clock."""

    attempt: str
    node: str
    positions: IndexSet  # not verified yet
    seconds_per_frame: float | None
    since: float  # when its last frame came, or it was given out
    begun: bool = True  # False: it waits on its node for a slot
    whole: bool = False  # a part: none of its frames is there before all are


class Brief(Protocol):
    """What a node says of itself; :class:`client.models.NodeBrief` does."""

    @property
    def slots(self) -> Mapping[str, int]:
        """Processes at a time, by engine."""

    @property
    def engines(self) -> Mapping[str, Sequence[str]]:
        """Installed versions by engine."""

    @property
    def tags(self) -> Sequence[str]:
        """What it is good for."""

    @property
    def memory_total(self) -> int:
        """Bytes."""

    @property
    def paused(self) -> bool:
        """Whether it begins nothing."""

    @property
    def paused_reason(self) -> str:
        """Why."""


@dataclass(frozen=True, slots=True)
class Workforce:
    """All slots that render a job or could, in short."""

    hands: int
    speed: float  # frames per second, together; slots of unknown speed count as the usual one
    usual: float | None  # median seconds that a frame takes

    @staticmethod
    def of(hands: Sequence[Hand]) -> Workforce:
        """Of these slots."""
        known = [hand.seconds_per_frame for hand in hands if hand.seconds_per_frame is not None]
        if not known:
            return Workforce(len(hands), 0.0, None)
        usual = statistics.median(known)
        speed = sum(1 / _least(seconds) for seconds in known) + (len(hands) - len(known)) / _least(usual)
        return Workforce(len(hands), speed, usual)


def share(waiting: int, own: Hand, all_hands: Workforce, *, chunk_seconds: float, max_frames: int) -> int:
    """Frames that this slot should get next; at least one.

    Args:
        waiting: frames that nobody has.
        all_hands: all slots that render the job or could, this one included.
        chunk_seconds: the longest that a share should take.
        max_frames: the most frames of a share.

    >>> fast, slow = Hand("a", 1.0), Hand("b", 4.0)
    >>> share(100, fast, Workforce.of([fast, slow]), chunk_seconds=1000, max_frames=1000)
    40
    >>> share(100, slow, Workforce.of([fast, slow]), chunk_seconds=1000, max_frames=1000)
    10
    """
    if all_hands.usual is None:
        return max(1, min(FIRST_SHARE, max_frames, -(-waiting // max(all_hands.hands, 1))))
    known = own.seconds_per_frame is not None
    speed = 1 / _least(own.seconds_per_frame if own.seconds_per_frame is not None else all_hands.usual)
    seconds = chunk_seconds if known else min(chunk_seconds, FIRST_SHARE * _least(all_hands.usual))
    guided = max(waiting * speed / (PARTS * max(all_hands.speed, speed)), LEAST_SECONDS * speed)
    return max(1, min(int(guided), int(seconds * speed), max_frames, waiting))


def _least(seconds: float) -> float:
    return max(seconds, 1e-3)


@dataclass(frozen=True, slots=True)
class Takeover:
    """Frames that a free slot should render although another one has them."""

    attempt: str  # whose they are
    positions: IndexSet
    whole: bool  # they are all that it has, and it has not begun: it need not keep them


class Late:
    """What is under way of a job near its end, looked at once for all slots that are free.

    Args:
        busy: every attempt of the job that is under way.
        now: by the clock of :attr:`Busy.since`.
    """

    def __init__(self, busy: Sequence[Busy], now: float) -> None:
        self._now = now
        seen = Counter(position for one in busy for position in _looked_at(one))
        before: dict[str, float] = {}  # by node: until it is through with something
        for one in busy:
            if one.begun and one.positions and one.seconds_per_frame is not None:
                left = _left(one, one.positions, one.seconds_per_frame, now)
                before[one.node] = min(left, before.get(one.node, left))
        self._candidates: list[tuple[Busy, IndexSet, float | None]] = []
        for one in busy:
            alone = one.positions
            if any(seen[position] > 1 for position in _looked_at(one)):
                if not one.begun:
                    continue
                alone = IndexSet.of(position for position in one.positions if seen[position] == 1)
            if alone:
                self._candidates.append((one, alone, before.get(one.node)))
        self._useless = float("inf")  # a slot that takes so long for a frame, or longer, finds nothing

    def takeover(self, idle: Hand) -> Takeover | None:
        """What a slot for which nothing is left should take of the others, if anything: what has not been begun, else
        the end of what would take longest without it. No frame is given to more than two."""
        if idle.seconds_per_frame is not None and idle.seconds_per_frame >= self._useless:
            return None
        best: tuple[bool, float, Takeover] | None = None
        for one, alone, before in self._candidates:
            theirs = one.seconds_per_frame if one.seconds_per_frame is not None else idle.seconds_per_frame
            if one.node == idle.node or theirs is None:  # or nobody knows anything: it may be about to end
                continue
            mine = idle.seconds_per_frame if idle.seconds_per_frame is not None else theirs
            if one.begun:
                number = max(1, min(len(alone), int(len(alone) * theirs / (theirs + mine))))
                if one.whole:
                    number = len(alone)
                gain = _left(one, alone, theirs, self._now) - number * mine - HANDOVER_SECONDS
                if gain > 0 and (best is None or (False, gain) > best[:2]):
                    best = (False, gain, Takeover(one.attempt, alone.last(number), False))
                continue
            waited = max(self._now - one.since, 0.0)
            if before is None and waited < PATIENCE_SECONDS:
                continue  # it has only just been given, and is about to begin
            gain = (waited if before is None else before) + len(alone) * theirs - mine - HANDOVER_SECONDS
            if gain > 0 and (best is None or (True, gain) > best[:2]):
                best = (True, gain, Takeover(one.attempt, alone, True))
        if best is None:
            if idle.seconds_per_frame is not None:
                self._useless = idle.seconds_per_frame
            return None
        return best[2]


_LOOKED_AT = 10_000
"""Attempts with more frames than this are not looked at frame by frame; near the end none has."""


def _looked_at(one: Busy) -> Iterable[int]:
    return one.positions if len(one.positions) <= _LOOKED_AT else ()


def takeover(idle: Hand, busy: Sequence[Busy], now: float) -> Takeover | None:
    """See :meth:`Late.takeover`, for one slot."""
    return Late(busy, now).takeover(idle)


def _left(one: Busy, positions: IndexSet, seconds: float, now: float) -> float:
    """Seconds until an attempt is through with these frames of it. Of one that takes longer than usual, nothing better
    is known than that it takes as long again."""
    at_once = len(positions) if one.whole else 1
    return (len(positions) - at_once) * seconds + abs(at_once * seconds - max(now - one.since, 0.0))


@dataclass(frozen=True, slots=True)
class Standing:
    """How a node has done with one job so far."""

    failures: int = 0  # subjobs in a row that failed without a frame
    last: str = ""  # what the last of them said

    def with_frame(self) -> Standing:
        """A frame of it was verified."""
        return Standing() if self.failures < MAX_FAILURES else self

    def with_failure(self, message: str) -> Standing:
        """A subjob failed there."""
        return Standing(self.failures + 1, message)

    @property
    def refusal(self) -> str:
        """Why it gets no more of the job; empty if it does."""
        if self.failures < MAX_FAILURES:
            return ""
        return f"it failed {self.failures} times in a row, the last time: {self.last}"


def unfit(spec: JobSpec, node: Brief, *, fetchable: bool = False) -> str:
    """Why a node cannot have frames of a job; empty if it can.

    Args:
        fetchable: whether it can have the engine version from us.
    """
    if not spec.enable_split_jobs:
        return "the job is not to be split (enable_split_jobs)"
    if node.paused:
        return node.paused_reason or "it is paused"
    if lacking := [tag for tag in spec.tags if tag not in node.tags]:
        return f"it has not the tags {', '.join(lacking)}"
    if spec.memory_bytes is not None and spec.memory_bytes > node.memory_total:
        return f"it has {node.memory_total:,} bytes of memory, and {spec.memory_bytes:,} are needed"
    if node.slots.get(spec.engine, 0) < 1:
        return f"it has no slot for {spec.engine}"
    if spec.engine_version not in node.engines.get(spec.engine, ()) and not fetchable:
        return f"it has no {spec.engine} {spec.engine_version}"
    return ""


def too_many(at_work: Iterable[str], node: str, most: int | None) -> str:
    """Why one more node would be too many; empty if it is not.

    Args:
        at_work: ids of the nodes that have frames of the job, this node's empty one included if it has.
        most: ``max_nodes`` of the job.
    """
    nodes = set(at_work)
    if most is None or node in nodes or len(nodes) < most:
        return ""
    return f"{len(nodes)} nodes have it already, and {most} are allowed (max_nodes)"
