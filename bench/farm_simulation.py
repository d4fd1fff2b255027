"""The scheduler past what one machine can hold: the real rules of a job and the real choice of who gets what, around
them nodes that only take their time. A thousand nodes and a million frames; and the case of ``bench.makespan``, beside
the even split of the reference.

What is simulated is what is decided: who gets which frames when, deaths, takeovers. What a message, a process and a
file cost is a constant (:data:`app.jobs.sharing.HANDOVER_SECONDS`).
"""

from __future__ import annotations

import heapq
import random
import statistics
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field

import psutil

from app.jobs.codec import state_bytes, wire_bytes
from app.jobs.events import AttemptEnded, AttemptReleased, AttemptStarted, FramesVerified, JobEvent, StopAttempts
from app.jobs.record import JobRecord, JobSpec, JobState
from app.jobs.sharing import HANDOVER_SECONDS
from app.jobs.transitions import initial_status, transition
from app.peers.choosing import LOOK_SECONDS, Choosing
from app.peers.lanes import PLAN_SECONDS
from bench.figures import Figure, Options, Report, run
from bench.makespan import DIES, SLOWNESS, even
from client.models import JobStatus, NodeBrief
from engines.frames import FrameSet, IndexSet

DEAD_AFTER = 9.0
"""Seconds until a dead node's frames go to others: four missed beats, and a little."""
EVERY = 500
_ENGINE, _VERSION = "testpattern", "1"
_EACH_SHARE = 4
"""Messages that a share costs besides its frames: asked for, begun, ended, confirmed."""
TOLD_SECONDS = 2.0
"""Frames that come within so long are told of, and looked up, together; each is fetched by itself."""


@dataclass(eq=False)
class Share:
    """Frames that a node has."""

    attempt: str
    job: str
    node: str
    left: IndexSet  # not rendered yet
    since: float  # when it was given, or its last frame came
    begun: bool = False


@dataclass(eq=False)
class Node:
    """One slot somewhere."""

    id: str
    seconds: float  # that a frame takes
    brief: NodeBrief
    known: float | None = None  # what was measured
    shares: list[Share] = field(default_factory=list)
    dead: bool = False
    lost: bool = False  # and known to be

    @staticmethod
    def of(number: int, seconds: float) -> Node:
        """The node of a number."""
        brief = NodeBrief(id=str(number), name=f"n{number}", port=1, slots={_ENGINE: 1}, engines={_ENGINE: [_VERSION]})
        return Node(str(number), seconds, brief)

    @property
    def name(self) -> str:
        """For people."""
        return self.brief.name


class Simulation:
    """One job on some nodes: what :class:`app.peers.choosing.Choosing` sees of the farm.

    Attributes:
        spent: what the scheduler took for real, in seconds of a processor.
        changes: of the job.
        start_seconds: what an engine takes to start for a share.
        stored: what it took to write down and show every :data:`EVERY`-th change, each in seconds and bytes.
    """

    chunk_seconds = 30.0
    max_frames = 50

    def __init__(
        self,
        nodes: Sequence[Node],
        frames: int,
        dies: tuple[int, int] | None = None,
        start_seconds: float = HANDOVER_SECONDS / 2,
    ) -> None:
        spec = JobSpec("j", "j", _ENGINE, _VERSION, "", FrameSet.between(1, frames), True, 0.0)
        self.record = JobRecord(spec, JobState(*initial_status(spec)))
        self.offered: dict[str, None] = {"j": None}
        self.nodes = nodes
        self.time = self.spent = self.died = 0.0
        self.shares = self.messages = self.twice = self.changes = self.done = 0
        self.stored: list[tuple[float, int]] = []
        self.start_seconds = start_seconds
        self._dies = dies  # which node, when so many frames are done
        self._by_id = {node.id: node for node in nodes}
        self._helpers = list(nodes)
        self._out: dict[str, Share] = {}
        self._heap: list[tuple[float, int, str, str]] = []
        self._number = 0
        self._planned = False
        self._choosing = Choosing(self)

    def run(self) -> None:
        """To the end of the job."""
        self._plan_soon()
        self._at(LOOK_SECONDS, "look", "")
        while self.record.status is not JobStatus.COMPLETED:
            self.time, _, what, which = heapq.heappop(self._heap)
            if what == "frames" and which in self._out:
                self._frames(self._out[which])
            elif what == "found dead":
                self._found_dead(self._by_id[which])
            elif what == "plan":
                self._planned = False
                began = time.process_time()
                self._choosing.plan()
                self.spent += time.process_time() - began
            elif what == "look":
                self._plan_soon()
                self._at(LOOK_SECONDS, "look", "")

    def _at(self, seconds: float, what: str, which: str) -> None:
        self._number += 1
        heapq.heappush(self._heap, (self.time + seconds, self._number, what, which))

    def _plan_soon(self) -> None:
        if not self._planned:
            self._planned = True
            self._at(PLAN_SECONDS, "plan", "")

    def _apply(self, event: JobEvent, *, timed: bool) -> None:
        before, began = self.record, time.process_time()
        self.record, effects = transition(self.record, event)
        if timed:
            self.spent += time.process_time() - began
        self.changes += 1
        if self.changes % EVERY == 0:
            self._store(before)
        for effect in effects:
            if isinstance(effect, StopAttempts):
                for attempt in effect.attempts:
                    self._release(attempt, timed=timed)

    def _store(self, before: JobRecord) -> None:
        state_bytes(before)  # as the service has, at the change before
        began = time.process_time()
        size = len(state_bytes(self.record)) + len(wire_bytes(self.record))
        self.stored.append((time.process_time() - began, size))

    # --- what a node does ------------------------------------------------------------------------------------------

    def _go_on(self, node: Node) -> None:
        """Begin the next share, if none is under way."""
        if node.shares and not node.shares[0].begun and not node.dead:
            one = node.shares[0]
            one.begun, one.since = True, self.time
            self._at(node.seconds * self._next_count(node, one) + self.start_seconds, "frames", one.attempt)
        self._choosing.look_at(node.id)
        self._plan_soon()

    @staticmethod
    def _next_count(node: Node, one: Share) -> int:
        return min(len(one.left), max(1, int(TOLD_SECONDS / node.seconds)))

    def _frames(self, one: Share) -> None:
        """Some frames are through."""
        node = self._by_id[one.node]
        if node.dead:
            return
        came = one.left.first(self._next_count(node, one))
        one.left, one.since, node.known = one.left - came, self.time, node.seconds
        self.messages += 2 + len(came)
        fresh = came & self.record.state.running.positions(one.attempt)
        self.done += len(fresh)
        self.twice += len(came) - len(fresh)
        self._apply(FramesVerified(one.attempt, came, self.done, node.seconds), timed=True)
        if self._dies is not None and self.done >= self._dies[1]:
            dead, self._dies = self.nodes[self._dies[0]], None
            dead.dead, self.died = True, self.time
            self._at(DEAD_AFTER, "found dead", dead.id)
        if one.left:
            self._at(node.seconds * self._next_count(node, one), "frames", one.attempt)
        elif self._out.pop(one.attempt, None) is not None:
            node.shares.remove(one)
            self._apply(AttemptEnded(one.attempt, self.time), timed=True)
            self._go_on(node)

    def _release(self, attempt: str, *, timed: bool) -> None:
        one = self._out.pop(attempt, None)
        if one is not None:
            node = self._by_id[one.node]
            node.shares.remove(one)
            self._apply(AttemptReleased(attempt, "released", self.time), timed=timed)
            self._go_on(node)

    def _found_dead(self, node: Node) -> None:
        node.lost = True
        self._helpers.remove(node)
        for one in list(node.shares):
            self._release(one.attempt, timed=True)

    # --- what is chosen from (see app.peers.ground) ----------------------------------------------------------------

    def now(self) -> float:
        """Seconds."""
        return self.time

    def live(self, job: str) -> JobRecord | None:
        """The one job."""
        return self.record

    def helpers(self) -> Sequence[Node]:
        """Nodes that are not known to be dead."""
        return self._helpers

    def helper(self, node: str) -> Node | None:
        """One of them."""
        found = self._by_id[node]
        return None if found.lost else found

    def given(self) -> Mapping[str, Share]:
        """What is out."""
        return self._out

    def given_to(self, node: str) -> Collection[Share]:
        """What a node has."""
        return self._by_id[node].shares

    def engines(self) -> Collection[str]:
        """None here: who gives does not render."""
        return ()

    def own_slots(self, record: JobRecord) -> int:
        """None."""
        return 0

    def own_free_slots(self, engine: str) -> int:
        """None."""
        return 0

    def wake_own(self, engine: str) -> None:
        """Nobody is there to wake."""

    def own_since(self, attempt: str) -> float:
        """Never asked."""
        return self.time

    def pace(self, job: str, node: str) -> float | None:
        """What was measured."""
        return self._by_id[node].known if node else None

    def start(self, job: str, node: str) -> float:
        """What was measured: it is the same everywhere, and known with the first frame."""
        return self.start_seconds if node and self._by_id[node].known is not None else 0.0

    def refusal(self, record: JobRecord, node: str) -> str:
        """Nothing fails here."""
        return ""

    def fetchable(self) -> bool:
        """All have the engine."""
        return False

    def give(self, node: str, record: JobRecord, positions: IndexSet, *, twice: bool) -> None:
        """Begin an attempt; its time is the planner's."""
        attempt = f"j-{self.record.state.attempts + 1}"
        self._apply(AttemptStarted(attempt, positions, self.time, node=node, twice=twice), timed=False)
        one = Share(attempt, record.id, node, positions, self.time)
        self._out[attempt] = one
        self._by_id[node].shares.append(one)
        self.shares += 1
        self.messages += _EACH_SHARE
        self._go_on(self._by_id[node])

    def take_back(self, attempt: str, reason: str) -> None:
        """End one; its time is the planner's."""
        self._release(attempt, timed=False)


def measure(options: Options, report: Report) -> None:
    """The case of ``bench.makespan``, then the large farm."""
    frames, seconds = 500, 2.0
    nodes = [Node.of(number, seconds * factor) for number, factor in enumerate(SLOWNESS)]
    case = Simulation(nodes, frames, dies=(DIES, frames // 2))
    case.run()
    everybody = sum(1 / node.seconds for node in nodes)
    ideal = case.died + (frames - everybody * case.died) / (everybody - 1 / nodes[DIES].seconds)
    goal, reached = "≤ 1.05 times the ideal", case.time <= 1.05 * ideal
    note = f"{case.shares} shares, {case.twice} frames twice; even split: {even(frames, seconds, case.died):.0f} s"
    report(Figure("500 chunks, 8 nodes, simulated", "s", case.time, ideal, "ideal", goal, reached, note))
    count, frames = (50, 5_000) if options.quick else (1_000, 1_000_000)
    chance = random.Random(5)
    large = [Node.of(number, chance.uniform(0.2, 2.0)) for number in range(count)]
    before = psutil.Process().memory_info().rss
    began = time.monotonic()
    farm = Simulation(large, frames)
    farm.run()
    took, grown = time.monotonic() - began, psutil.Process().memory_info().rss - before
    ideal = frames / sum(1 / node.seconds for node in large)
    what = f"{count} nodes, {frames:,} frames, simulated"
    report(Figure(what, "s", farm.time, ideal, "ideal", note=f"{farm.shares:,} shares; simulated in {took:.0f} s"))
    each = 1000 * farm.spent / farm.shares
    note = f"rules, shares, who is next; {1000 * farm.spent / frames:.3f} ms a frame"
    report(Figure("scheduler cost", "ms a share", each, goal="< 1", reached=each < 1, note=note))
    if farm.stored:
        seconds, sizes = zip(*farm.stored, strict=True)
        size = statistics.median(sizes) / 1000
        note = f"{size:.0f} KB; {farm.changes:,} changes, of which those of one commit are written together"
        report(Figure("a change, to be stored and shown", "ms", 1000 * statistics.median(seconds), note=note))
    report(Figure("messages", "/s", farm.messages / farm.time, note="all nodes together; beats are not among them"))
    report(Figure("memory", "MB", grown / 1e6, note="of the simulation; the job's own record is less"))


if __name__ == "__main__":
    run("farm_simulation", "a thousand nodes, without them", measure)
