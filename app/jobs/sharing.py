"""Who gets how many frames of a job that several nodes render. Pure arithmetic.

Shares are sized by guided self-scheduling (Polychronopoulos and Kuck, 1987) for slots of unequal speed (Hummel et al.,
1996): each gets its own part, by speed, of half of what is left, so that shares shrink toward the end and all slots
come to it together. How fast a slot is was measured on this very job. What no arithmetic can know, a slot that becomes
slow or dies with the last frames, is mended by giving frames twice: the first to be through with one has it.

Here and in the rules a job is a set of *positions*; that they are frames matters to nobody in this module.
"""

from __future__ import annotations

import statistics
from bisect import insort
from collections.abc import Callable, Iterable, Mapping, Sequence
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
STARTS = 9.0
"""A share may take so many times as long as the engine takes to start for it, however short shares should be."""
LAST_STARTS = 3.0
"""And at least so many times, however little is left."""
PATIENCE_SECONDS = 5.0
"""So long a node may take to begin a share while it renders nothing else of the job."""
MAX_FAILURES = 2
"""Subjobs in a row that may fail on a node without a verified frame before it gets no more of the job."""


@dataclass(frozen=True, slots=True)
class Hand:
    """A slot that may render a job."""

    node: str  # id of the node; empty: this one
    seconds_per_frame: float | None = None  # median on this very job; None: nothing of it has come from there
    start_seconds: float = 0.0  # that every share costs there before its first frame is begun; median on this very job


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

    Where an engine takes long to start, shares are larger than they should be otherwise, so that it renders most of the
    time: up to :data:`STARTS` times as long as it starts while much is left, :data:`LAST_STARTS` times in the end.

    Args:
        waiting: frames that nobody has.
        all_hands: all slots that render the job or could, this one included.
        chunk_seconds: the longest that a share should take, if its start is short.
        max_frames: the most frames of a share, if its start is short.

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
    if not known:
        chunk_seconds = min(chunk_seconds, FIRST_SHARE * _least(all_hands.usual))
    worth_it = STARTS * own.start_seconds * speed
    most = max(min(chunk_seconds * speed, max_frames), worth_it)
    least = max(LEAST_SECONDS, LAST_STARTS * own.start_seconds) * speed
    guided = max(waiting * speed / (PARTS * max(all_hands.speed, speed)), least)
    return max(1, min(int(guided), int(most), waiting))


def _least(seconds: float) -> float:
    return max(seconds, 1e-3)


@dataclass(frozen=True, slots=True)
class Takeover:
    """Frames that a free slot should render although another one has them."""

    attempt: str  # whose they are
    positions: IndexSet
    whole: bool  # they are all that it has, and it has not begun: it need not keep them


@dataclass(slots=True, eq=False)
class _Candidate:
    """An attempt of which something may be taken."""

    busy: Busy
    alone: IndexSet  # what it has and no other
    wait: float  # seconds until its node begins it; 0 if it has
    count: int = 0  # of ``alone``
    bound: float = 0.0  # seconds until it is through with them: no slot saves more

    def left_with(self, alone: IndexSet, now: float) -> _Candidate:
        """The same with other frames alone."""
        self.alone, self.count = alone, len(alone)
        seconds = self.busy.seconds_per_frame
        if seconds is None:
            self.bound = float("inf")
        elif self.busy.begun:
            self.bound = _left(self.busy, alone, seconds, now)
        else:
            self.bound = self.wait + self.count * seconds
        return self


class Late:
    """What is under way of a job near its end, looked at once for all slots that are free: what has been taken of it is
    remembered. Those that take longest come first, so that who looks need not look at all of them.

    Args:
        busy: every attempt of the job that is under way.
        shared: positions that more than one of them has.
        now: by the clock of :attr:`Busy.since`.
    """

    def __init__(self, busy: Sequence[Busy], shared: IndexSet, now: float) -> None:
        self._now = now
        through: dict[str, float] = {}  # by node: seconds until it is through with something
        for one in busy:
            if one.begun and one.positions and one.seconds_per_frame is not None:
                left = _left(one, one.positions, one.seconds_per_frame, now)
                through[one.node] = min(left, through.get(one.node, left))
        begun: list[_Candidate] = []
        waiting: list[_Candidate] = []
        for one in busy:
            alone = one.positions - shared
            if not alone or (not one.begun and len(alone) < len(one.positions)):
                continue
            if one.begun:
                begun.append(_Candidate(one, alone, 0.0).left_with(alone, now))
                continue
            waited = max(now - one.since, 0.0)
            if one.node in through or waited >= PATIENCE_SECONDS:  # else it has only just been given: about to begin
                waiting.append(_Candidate(one, alone, through.get(one.node, waited)).left_with(alone, now))
        self._begun = sorted(begun, key=_longest_first)
        self._waiting = sorted(waiting, key=_longest_first)
        self._useless = (
            float("inf"),
            float("inf"),
        )  # a slot that takes so long, for a frame and to start, gets none
        self._useless_unknown = False  # nor does one of which nothing is known

    def takeover(self, idle: Hand) -> Takeover | None:
        """What a slot for which nothing is left should take of the others, if anything: what has not been begun, else
        the end of what would take longest without it. No frame is given to more than two."""
        pace = idle.seconds_per_frame
        useless = self._useless
        if self._useless_unknown if pace is None else pace >= useless[0] and idle.start_seconds >= useless[1]:
            return None
        if (found := self._best(self._waiting, idle, self._gain_of_waiting)) is not None:
            self._waiting.remove(found)
            return Takeover(found.busy.attempt, found.alone, True)
        if (found := self._best(self._begun, idle, self._gain_of_begun)) is not None:
            taken = found.alone.last(_part(found, idle))
            self._begun.remove(found)
            if alone := found.alone - taken:
                insort(self._begun, found.left_with(alone, self._now), key=_longest_first)
            return Takeover(found.busy.attempt, taken, False)
        if pace is None:
            self._useless_unknown = True
        else:
            self._useless = pace, idle.start_seconds
        return None

    def _best(
        self, candidates: Sequence[_Candidate], idle: Hand, gain_of: Callable[[_Candidate, Hand], float]
    ) -> _Candidate | None:
        """The one of which most is gained, in seconds, if anything is."""
        best, most = None, 0.0
        for one in candidates:
            if one.bound - HANDOVER_SECONDS - idle.start_seconds <= most:
                break
            if one.busy.node == idle.node or (one.busy.seconds_per_frame is None and idle.seconds_per_frame is None):
                continue  # or nobody knows anything: it may be about to end
            if (gain := gain_of(one, idle)) > most:
                best, most = one, gain
        return best

    def _gain_of_waiting(self, one: _Candidate, idle: Hand) -> float:
        theirs, mine = _paces(one, idle)
        return one.wait + one.count * theirs - mine - HANDOVER_SECONDS - idle.start_seconds

    def _gain_of_begun(self, one: _Candidate, idle: Hand) -> float:
        theirs, mine = _paces(one, idle)
        left = _left(one.busy, one.alone, theirs, self._now)
        return left - _part(one, idle) * mine - HANDOVER_SECONDS - idle.start_seconds


def _longest_first(one: _Candidate) -> float:
    return -one.bound


def _paces(one: _Candidate, idle: Hand) -> tuple[float, float]:
    """Seconds per frame of who has it and of who would take it; of whom nothing is known, the same as of the other."""
    theirs, mine = one.busy.seconds_per_frame, idle.seconds_per_frame
    if theirs is None:
        theirs = mine
    assert theirs is not None
    return theirs, theirs if mine is None else mine


def _part(one: _Candidate, idle: Hand) -> int:
    """How many of its frames another slot should take, so that both end together; of a part all."""
    if one.busy.whole:
        return one.count
    theirs, mine = _paces(one, idle)
    return max(1, min(one.count, int(one.count * theirs / (theirs + mine))))


def takeover(idle: Hand, busy: Sequence[Busy], now: float) -> Takeover | None:
    """See :meth:`Late.takeover`, for one slot."""
    return Late(busy, IndexSet.shared(one.positions for one in busy), now).takeover(idle)


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
