"""The scheduler past what one machine can hold: the real rules of a job and the real arithmetic of shares, around them
nodes that only take their time. A thousand nodes and a million frames; and the case of ``bench.makespan``, beside the
even split of the reference.

What is simulated is what is decided: who gets which frames when, deaths, takeovers. What a message, a process and a
file cost is a constant (:data:`app.jobs.sharing.HANDOVER_SECONDS`).
"""

from __future__ import annotations

import heapq
import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

import psutil

from app.jobs.events import AttemptEnded, AttemptReleased, AttemptStarted, FramesVerified, JobEvent, StopAttempts
from app.jobs.record import JobRecord, JobSpec, JobState
from app.jobs.sharing import HANDOVER_SECONDS, Busy, Hand, Late, Workforce, share
from app.jobs.transitions import initial_status, transition
from bench.figures import Figure, Options, Report, run
from bench.makespan import DIES, SLOWNESS, even
from client.models import JobStatus
from engines.frames import FrameSet, IndexSet

DEAD_AFTER = 9.0
"""Seconds until a dead node's frames go to others: four missed beats, and a little."""
LOOK_SECONDS = 0.5
CHUNK_SECONDS = 30.0
MAX_FRAMES = 50
_EACH_SHARE = 4
"""Messages that a share costs besides its frames: asked for, begun, ended, confirmed."""
TOLD_SECONDS = 2.0
"""Frames that come within so long are told of, and looked up, together; each is fetched by itself."""


@dataclass
class Share:
    """Frames that a node has."""

    attempt: str
    frames: list[int]  # not rendered yet
    given: float
    began: float | None = None  # when its first frame did
    last: float = 0.0  # when its last one came


@dataclass
class Node:
    """One slot somewhere."""

    number: int
    seconds: float  # that a frame takes
    known: float | None = None  # what was measured
    shares: list[Share] = field(default_factory=list)
    dead: bool = False

    @property
    def name(self) -> str:
        """Its id."""
        return str(self.number)


@dataclass
class Simulation:
    """One job on some nodes. ``times``: what the scheduler took for real, in seconds."""

    nodes: Sequence[Node]
    frames: int
    now: float = 0.0
    shares: int = 0
    messages: int = 0
    twice: int = 0
    spent: float = 0.0
    dies: tuple[int, int] | None = None  # which node, when so many frames are done
    died: float = 0.0
    _heap: list[tuple[float, int, str, int]] = field(default_factory=list)
    _number: int = 0
    _workforce: Workforce | None = None
    _counted: float = 0.0

    def __post_init__(self) -> None:
        spec = JobSpec("j", "j", "testpattern", "1", "", FrameSet.between(1, self.frames), True, 0.0)
        self.record = JobRecord(spec, JobState(*initial_status(spec)))
        self._owner: dict[str, tuple[Node, Share]] = {}

    def run(self) -> None:
        """To the end of the job."""
        for node in self.nodes:
            self._give(node)
        self._at(LOOK_SECONDS, "look", 0)
        while self.record.status is not JobStatus.COMPLETED:
            self.now, _, what, number = heapq.heappop(self._heap)
            node = self.nodes[number]
            if what == "frame" and not node.dead:
                self._frame(node, number)
            elif what == "found dead":
                for one in list(node.shares):
                    self._release(node, one)
            elif what == "look":
                self._look()
                self._at(LOOK_SECONDS, "look", 0)

    def _look(self) -> None:
        """Who has nothing takes of what others have, as the lanes look for it."""
        idle = [node for node in self.nodes if not node.shares and not node.dead]
        if not idle or self.record.waiting_positions():
            return
        began, spent = time.perf_counter(), self.spent
        late: Late | None = None
        for node in idle:
            late = late or self._late()
            found = late.takeover(Hand(node.name, node.known))
            if found is None:
                continue
            late = None
            if found.whole:
                self._release(*self._owner[found.attempt])
            if not node.shares:
                self._begin(node, found.positions, twice=not found.whole)
        self.spent = spent + time.perf_counter() - began

    def _at(self, seconds: float, what: str, number: int) -> None:
        self._number += 1
        heapq.heappush(self._heap, (self.now + seconds, self._number, what, number))

    def _apply(self, event: JobEvent) -> None:
        began = time.perf_counter()
        self.record, effects = transition(self.record, event)
        self.spent += time.perf_counter() - began
        for effect in effects:
            if isinstance(effect, StopAttempts):
                for attempt in effect.attempts:
                    if attempt in self._owner:
                        self._release(*self._owner[attempt])

    def _release(self, node: Node, one: Share) -> None:
        if self._owner.pop(one.attempt, None) is None:
            return
        node.shares.remove(one)
        self._apply(AttemptReleased(one.attempt, "released", self.now))
        self._go_on(node)

    # --- what a node does ------------------------------------------------------------------------------------------

    def _go_on(self, node: Node) -> None:
        """Begin the next share, if none is under way."""
        if node.shares and node.shares[0].began is None and not node.dead:
            node.shares[0].began = node.shares[0].last = self.now
            count = self._next_count(node, node.shares[0])
            self._at(node.seconds * count + HANDOVER_SECONDS / 2, "frame", node.number)
        if not node.dead:
            self._give(node)

    @staticmethod
    def _next_count(node: Node, one: Share) -> int:
        return min(len(one.frames), max(1, int(TOLD_SECONDS / node.seconds)))

    def _frame(self, node: Node, number: int) -> None:
        """A frame, or at a thousand nodes a whole share, is through."""
        if not node.shares or node.shares[0].began is None:
            return
        one = node.shares[0]
        number_of = self._next_count(node, one)
        came, one.frames = IndexSet.of(one.frames[:number_of]), one.frames[number_of:]
        node.known = node.seconds
        one.last = self.now
        self.messages += 2 + number_of
        before = len(self.record.state.done)
        self._apply(FramesVerified(one.attempt, came, before + number_of, node.seconds))
        self.twice += before == len(self.record.state.done)
        if self.dies is not None and len(self.record.state.done) >= self.dies[1]:
            dead, self.dies = self.nodes[self.dies[0]], None
            dead.dead, self.died = True, self.now
            self._at(DEAD_AFTER, "found dead", dead.number)
        if one.attempt not in self._owner:
            return
        if one.frames:
            self._at(node.seconds * self._next_count(node, one), "frame", number)
            return
        del self._owner[one.attempt]
        node.shares.remove(one)
        self._apply(AttemptEnded(one.attempt, self.now))
        self._go_on(node)

    # --- what the lanes do -----------------------------------------------------------------------------------------

    def _give(self, node: Node) -> None:
        began, spent = time.perf_counter(), self.spent
        while len(node.shares) < 2 and all(one.began is not None for one in node.shares):
            positions = self._next(node)
            if not positions:
                break
            self._begin(node, positions, twice=False)
        self.spent = spent + time.perf_counter() - began

    def _begin(self, node: Node, positions: IndexSet, *, twice: bool) -> None:
        left = positions - self.record.state.done if twice else positions & self.record.waiting_positions()
        if not left:
            return
        attempt = f"j-{self.record.state.attempts + 1}"
        self._apply(AttemptStarted(attempt, left, self.now, node=node.name, twice=twice))
        one = Share(attempt, list(left), self.now)
        node.shares.append(one)
        self._owner[attempt] = (node, one)
        self.shares += 1
        self.messages += _EACH_SHARE
        self._go_on(node)

    def _next(self, node: Node) -> IndexSet:
        waiting = self.record.waiting_positions()
        if not waiting:
            return waiting
        if self._workforce is None or self.now - self._counted > LOOK_SECONDS:
            self._workforce = Workforce.of([Hand(one.name, one.known) for one in self.nodes if not one.dead])
            self._counted = self.now
        everybody = self._workforce
        own = Hand(node.name, node.known)
        return waiting.first(share(len(waiting), own, everybody, chunk_seconds=CHUNK_SECONDS, max_frames=MAX_FRAMES))

    def _late(self) -> Late:
        busy = []
        for chunk in self.record.state.running:
            owner, one = self._owner[chunk.attempt]
            since = one.last if one.began is not None else one.given
            busy.append(Busy(one.attempt, owner.name, chunk.positions, owner.known, since, one.began is not None))
        return Late(busy, self.now)


def measure(options: Options, report: Report) -> None:
    """The case of ``bench.makespan``, then the large farm."""
    frames, seconds = 500, 2.0
    nodes = [Node(number, seconds * factor) for number, factor in enumerate(SLOWNESS)]
    case = Simulation(nodes, frames, dies=(DIES, frames // 2))
    case.run()
    everybody = sum(1 / node.seconds for node in nodes)
    ideal = case.died + (frames - everybody * case.died) / (everybody - 1 / nodes[DIES].seconds)
    goal, reached = "≤ 1.05 times the ideal", case.now <= 1.05 * ideal
    note = f"{case.shares} shares, {case.twice} frames twice; even split: {even(frames, seconds, case.died):.0f} s"
    report(Figure("500 chunks, 8 nodes, simulated", "s", case.now, ideal, "ideal", goal, reached, note))
    count, frames = (50, 5_000) if options.quick else (1_000, 1_000_000)
    chance = random.Random(5)
    large = [Node(number, chance.uniform(0.2, 2.0)) for number in range(count)]
    before = psutil.Process().memory_info().rss
    began = time.monotonic()
    farm = Simulation(large, frames)
    farm.run()
    took, grown = time.monotonic() - began, psutil.Process().memory_info().rss - before
    ideal = frames / sum(1 / node.seconds for node in large)
    what = f"{count} nodes, {frames:,} frames, simulated"
    report(Figure(what, "s", farm.now, ideal, "ideal", note=f"{farm.shares:,} shares; simulated in {took:.0f} s"))
    report(Figure("scheduler cost", "ms a chunk", 1000 * farm.spent / farm.shares, note="rules, shares, who is next"))
    report(Figure("messages", "/s", farm.messages / farm.now, note="all nodes together"))
    report(Figure("memory", "MB", grown / 1e6, note="of the simulation; the job's own record is less"))


if __name__ == "__main__":
    run("farm_simulation", "a thousand nodes, without them", measure)
