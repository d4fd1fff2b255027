"""Decides who gets which frames next: gathers what there is to know, and asks the arithmetic.

Only nodes that may have room are looked at: those of which something was told since the last plan, and those that had
room and found nothing. Everybody is looked at now and then, for what nobody has told.
"""

from __future__ import annotations

from collections.abc import Iterator

from app.jobs.chunking import next_chunk
from app.jobs.record import JobRecord
from app.jobs.sharing import Busy, Hand, Late, Takeover, Workforce, share, too_many, unfit
from app.peers.ground import Ground, Helper
from client.models import JobStatus
from engines.frames import IndexSet

LOOK_SECONDS = 0.5
"""So often it is looked at least, while shares are out; and the hands of a large farm are counted."""
EVERYBODY_SECONDS = 5.0
"""So often everybody is looked at: for what nobody has told."""
FEW_HANDS = 64
"""So many hands are counted anew for every share."""
_RENDERED = (JobStatus.NOT_STARTED, JobStatus.RUNNING)


def _may_be_given(record: JobRecord) -> bool:
    return record.status in _RENDERED and record.state.ending is None


class Choosing:
    """Of the ground that it is given."""

    def __init__(self, ground: Ground) -> None:
        self._ground = ground
        self._near: dict[str, None] | None = None  # ids of the nodes that may have room; None: all
        self._looked = float("-inf")  # when everybody was looked at
        self._workforces: dict[str, tuple[float, Workforce]] = {}  # by job, and when they were counted
        self._candidates_of: dict[str, list[str]] | None = None  # ids of jobs by engine, while it plans
        self._late: dict[str, Late] | None = None  # by job, while it plans

    # --- for other nodes -----------------------------------------------------------------------------------------

    def look_at(self, node: str) -> None:
        """A node may have room now."""
        if self._near is not None:
            self._near[node] = None

    def look_at_all(self) -> None:
        """There may be something for everybody now."""
        self._near = None

    def forget(self, job: str) -> None:
        """A job has ended."""
        self._workforces.pop(job, None)

    def plan(self) -> None:
        """Give whatever can be given now."""
        ground, now = self._ground, self._ground.now()
        if self._near is None or now - self._looked >= EVERYBODY_SECONDS:
            self._looked = now
            helpers = list(ground.helpers())
        else:
            helpers = [helper for node in self._near if (helper := ground.helper(node)) is not None]
        self._take_from_resting(helpers)
        self._candidates_of, self._late, self._near = self._by_engine(), {}, {}
        try:
            self._plan(helpers)
        finally:
            self._candidates_of = self._late = None

    def _plan(self, helpers: list[Helper]) -> None:
        served = helpers  # one share for each, then one more for each
        while served:
            served = [helper for helper in served if self._serve(helper)]
        for engine in self._ground.engines():
            if self._ground.own_free_slots(engine) and self.late_job(engine) is not None:
                self._ground.wake_own(engine)

    def _take_from_resting(self, helpers: list[Helper]) -> None:
        """A node that begins nothing keeps nothing that it has not begun."""
        for helper in helpers:
            if helper.brief.paused:
                for given in list(self._ground.given_to(helper.id)):
                    if not given.begun:
                        self._ground.take_back(given.attempt, f"{helper.name} rests: {helper.brief.paused_reason}")

    def _serve(self, helper: Helper) -> bool:
        """Whether it got something, for one of its engines at least."""
        got = False
        for engine, slots in helper.brief.slots.items():
            if self._candidates(engine):
                got |= self._give(helper, engine, slots)
        return got

    def _give(self, helper: Helper, engine: str, slots: int) -> bool:
        out = [one for one in self._ground.given_to(helper.id) if self._engine_of(one.job) == engine]
        waiting_there = sum(1 for one in out if not one.begun)
        if waiting_there >= slots or len(out) >= 2 * slots:
            return False
        self.look_at(helper.id)  # at the next plan, whatever it gets now
        for record in self._live(engine):
            if not record.waiting_positions() or self.why_not(record, helper):
                continue
            if positions := self._share_of(record, helper.id):
                self._ground.give(helper.id, record, positions, twice=False)
                return True
        if len(out) >= slots:
            return False  # only a slot that has nothing at all takes what others have
        for record in self._live(engine):
            if record.waiting_positions() or self.why_not(record, helper):
                continue
            found = self._takeover(record, helper.id)
            if found is None:
                continue
            if not found.whole:
                self._ground.give(helper.id, record, found.positions, twice=True)
                return True
            self._steal(found, helper.name)
            newest = self._ground.live(record.id)
            positions = IndexSet() if newest is None else self._share_of(newest, helper.id)
            if newest is not None and positions:  # at once: or who has just lost it gets it again
                self._ground.give(helper.id, newest, positions, twice=False)
                return True
        return False

    def _candidates(self, engine: str) -> list[str]:
        """Ids of the jobs that may have frames to give, the most urgent one first. Forgets those that have not."""
        by_engine = self._candidates_of if self._candidates_of is not None else self._by_engine()
        return by_engine.get(engine, [])

    def _by_engine(self) -> dict[str, list[str]]:
        found: list[JobRecord] = []
        for job_id in list(self._ground.offered):
            record = self._ground.live(job_id)
            if record is None or not (record.state.running or record.status is JobStatus.NOT_STARTED):
                del self._ground.offered[job_id]
            elif _may_be_given(record):
                found.append(record)
        by_engine: dict[str, list[str]] = {}
        for record in sorted(found, key=lambda record: (-record.spec.priority, record.spec.created, record.id)):
            by_engine.setdefault(record.spec.engine, []).append(record.id)
        return by_engine

    def _live(self, engine: str) -> Iterator[JobRecord]:
        """The candidates as they are at this moment."""
        for job_id in self._candidates(engine):
            record = self._ground.live(job_id)
            if record is not None and _may_be_given(record):
                yield record

    def why_not(self, record: JobRecord, helper: Helper) -> str:
        """Why a node gets nothing of a job; empty if it may."""
        if refusal := self._ground.refusal(record, helper.id):
            return refusal
        # A version that it lacks is fetched before its share begins, from here or from where this node would have it.
        if lacking := unfit(record.spec, helper.brief, fetchable=self._ground.fetchable()):
            return lacking
        return self._too_many(record, helper.id)

    def _too_many(self, record: JobRecord, node: str) -> str:
        most = record.spec.max_nodes
        return "" if most is None else too_many(self._at_work(record), node, most)

    def _at_work(self, record: JobRecord) -> Iterator[str]:
        """Ids of the nodes that have frames of a job; empty: this one."""
        out = self._ground.given()
        for chunk in record.state.running:
            given = out.get(chunk.attempt)
            yield given.node if given is not None else ""

    def _share_of(self, record: JobRecord, node: str) -> IndexSet:
        waiting, own_slots = record.waiting_positions(), self._ground.own_slots(record)
        if not record.spec.divisible:
            if not record.spec.parts and self._ground.own_free_slots(record.spec.engine) and own_slots:
                return IndexSet()  # in one run, and here is nearer than there
            return next_chunk(record, slots=1, chunk_seconds=1.0, max_frames=1)
        struck = record.state.strikes[0] if record.state.strikes else IndexSet()
        clean = waiting - struck
        if not clean:
            # Frames that have failed once are for this node, one by one, if it renders at all.
            return IndexSet() if own_slots or not waiting else waiting.first_run(1)
        return clean.first(self._size(record, len(clean), node))

    def _size(self, record: JobRecord, waiting: int, node: str) -> int:
        ground = self._ground
        return share(
            waiting,
            self._hand(record, node),
            self._workforce(record),
            chunk_seconds=ground.chunk_seconds,
            max_frames=ground.max_frames,
        )

    def _workforce(self, record: JobRecord) -> Workforce:
        now = self._ground.now()
        at, known = self._workforces.get(record.id, (now, None))
        if known is None or known.hands <= FEW_HANDS or now - at >= LOOK_SECONDS:
            known = Workforce.of(self._hands(record))
            self._workforces[record.id] = now, known
        return known

    def _hand(self, record: JobRecord, node: str) -> Hand:
        return Hand(node, self._ground.pace(record.id, node), self._ground.start(record.id, node))

    def _hands(self, record: JobRecord) -> list[Hand]:
        hands = [self._hand(record, "")] * self._ground.own_slots(record)
        for helper in self._ground.helpers():
            slots = helper.brief.slots.get(record.spec.engine, 0)
            if slots and not self.why_not(record, helper):
                hands += [self._hand(record, helper.id)] * slots
        return hands

    def _engine_of(self, job_id: str) -> str:
        record = self._ground.live(job_id)
        return "" if record is None else record.spec.engine

    # --- what others have ----------------------------------------------------------------------------------------

    def _takeover(self, record: JobRecord, node: str) -> Takeover | None:
        if record.waiting_positions() or not record.state.running or record.state.needs_space:
            return None
        late = None if self._late is None else self._late.get(record.id)
        if late is None:
            late = Late(self._busy(record), record.state.running.shared, self._ground.now())
            if self._late is not None:
                self._late[record.id] = late
        return late.takeover(self._hand(record, node))

    def _busy(self, record: JobRecord) -> list[Busy]:
        out, pace = self._ground.given(), self._ground.pace
        busy: list[Busy] = []
        whole = not record.spec.divisible
        for chunk in record.state.running:
            given = out.get(chunk.attempt)
            node, since, begun = "", 0.0, True
            if given is None:
                since = self._ground.own_since(chunk.attempt)
            else:
                node, since, begun = given.node, given.since, given.begun
            busy.append(Busy(chunk.attempt, node, chunk.positions, pace(record.id, node), since, begun, whole))
        return busy

    def _steal(self, found: Takeover, who: str) -> None:
        if (given := self._ground.given().get(found.attempt)) is not None:
            helper = self._ground.helper(given.node)
            whose = helper.name if helper is not None else given.node
            self._ground.take_back(found.attempt, f"{who} is free, and {whose} had not begun it")

    # --- for the slots of this node ------------------------------------------------------------------------------

    def local_share(self, record: JobRecord) -> int | None:
        """See :attr:`app.render.supervisor.Supervisor.share`."""
        if self._too_many(record, ""):
            return 0
        if not any(not self.why_not(record, helper) for helper in self._ground.helpers()):
            return None
        waiting = record.waiting_positions()
        struck = record.state.strikes[0] if record.state.strikes else IndexSet()
        return self._size(record, max(1, len(waiting - struck)), "")

    def late_job(self, engine: str) -> JobRecord | None:
        """See :attr:`app.render.supervisor.Supervisor.late_job`."""
        if not self._ground.given():
            return None
        for record in self._live(engine):
            may = self._ground.own_slots(record) and not self._too_many(record, "")
            if may and self._takeover(record, "") is not None:
                return record
        return None

    def spare(self, record: JobRecord) -> IndexSet:
        """See :attr:`app.render.supervisor.Supervisor.spare`."""
        found = self._takeover(record, "")
        if found is None or self._too_many(record, ""):
            return IndexSet()
        if found.whole:
            self._steal(found, "this node")
            newest = self._ground.live(record.id)
            return IndexSet() if newest is None else newest.waiting_positions() & found.positions
        return found.positions
