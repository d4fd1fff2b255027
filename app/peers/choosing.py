"""Decides who gets which frames next: gathers what there is to know, and asks the arithmetic."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from app.jobs.chunking import next_chunk
from app.jobs.record import JobRecord
from app.jobs.sharing import Busy, Hand, Late, Takeover, Workforce, share, too_many, unfit
from app.peers.peer import Peer
from app.peers.remote import RemoteAttempt
from client.models import JobStatus
from engines.frames import IndexSet

if TYPE_CHECKING:
    from app.peers.lanes import Lanes

_RENDERED = (JobStatus.NOT_STARTED, JobStatus.RUNNING)


class Choosing:
    """Of the lanes that it belongs to."""

    def __init__(self, lanes: Lanes) -> None:
        self._lanes = lanes
        self._supervisor = lanes.supervisor
        self._jobs = lanes.supervisor.jobs
        self._out: dict[str, list[RemoteAttempt]] | None = None  # while it plans: what each node has
        self._late: dict[str, tuple[JobRecord, Late]] = {}  # by job, while it plans

    # --- for other nodes -----------------------------------------------------------------------------------------

    def plan(self) -> None:
        """Give whatever can be given now."""
        self._take_from_resting()
        self._out, self._late = {}, {}
        for remote in self._lanes.remotes.values():
            self._out.setdefault(remote.node, []).append(remote)
        try:
            self._plan()
        finally:
            self._out, self._late = None, {}

    def _plan(self) -> None:
        peers = self._lanes.peers.usable()
        gave = bool(peers)
        while gave:
            gave = False
            for peer in peers:
                for engine, slots in peer.brief.slots.items():
                    gave |= self._give(peer, engine, slots)
        for engine in self._supervisor.catalog.engines:
            if self._supervisor.free_slots(engine) and self.late_job(engine) is not None:
                self._supervisor.queue.wake(engine)

    def _take_from_resting(self) -> None:
        """A node that begins nothing keeps nothing that it has not begun."""
        for remote in list(self._lanes.remotes.values()):
            if remote.peer.brief.paused and not remote.begun:
                self._lanes.release(remote, f"{remote.peer.name} rests: {remote.peer.brief.paused_reason}")

    def _give(self, peer: Peer, engine: str, slots: int) -> bool:
        has = self._lanes.of_node(peer.id) if self._out is None else self._out.get(peer.id, ())
        out = [one for one in has if one.attempt in self._lanes.remotes and self._engine_of(one.job) == engine]
        waiting_there = sum(1 for one in out if not one.begun)
        if waiting_there >= slots or len(out) >= 2 * slots:
            return False
        jobs = [record for record in self._candidates(engine) if not self.why_not(record, peer)]
        for record in jobs:
            if positions := self._share_of(record, peer):
                self._begin(peer, record, positions, twice=False)
                return True
        if len(out) >= slots:
            return False  # only a slot that has nothing at all takes what others have
        for record in jobs:
            found = self._takeover(record, peer.id)
            if found is None:
                continue
            if found.whole:
                self._steal(record, found, peer.name)
                newest = self._jobs.live(record.id)
                positions = IndexSet() if newest is None else self._share_of(newest, peer)
                if newest is not None and positions:  # at once: or who has just lost it gets it again
                    self._begin(peer, newest, positions, twice=False)
                    return True
                continue
            self._begin(peer, record, found.positions, twice=True)
            return True
        return False

    def _begin(self, peer: Peer, record: JobRecord, positions: IndexSet, *, twice: bool) -> None:
        remote = self._lanes.begin(peer, record, positions, twice=twice)
        if self._out is not None:
            self._out.setdefault(peer.id, []).append(remote)

    def _candidates(self, engine: str) -> list[JobRecord]:
        """Jobs that may have frames to give, the most urgent one first. Forgets those that have not."""
        found: list[JobRecord] = []
        for job_id in list(self._lanes.offered):
            record = self._jobs.live(job_id)
            if record is None or not (record.state.running or record.status is JobStatus.NOT_STARTED):
                del self._lanes.offered[job_id]
            elif record.spec.engine == engine and record.status in _RENDERED and record.state.ending is None:
                found.append(record)
        return sorted(found, key=lambda record: (-record.spec.priority, record.spec.created, record.id))

    def why_not(self, record: JobRecord, peer: Peer) -> str:
        """Why a node gets nothing of a job; empty if it may."""
        spec = record.spec
        if peer.id in self._lanes.asking:
            return "it is just asked what it has"
        if spec.project_path is not None and self._lanes.bring is None:
            return "projects are not sent to other nodes"
        standing = self._lanes.standing.get(record.id, {}).get(peer.id)
        if standing is not None and standing.refusal:
            return standing.refusal
        if pause := self._lanes.troubles.pause(record.id, peer.id):
            return pause
        # A version that it lacks is fetched before its share begins, from here or from where this node would have it.
        fetchable = self._lanes.bring is not None
        return unfit(spec, peer.brief, fetchable=fetchable) or too_many(self._at_work(record), peer.id, spec.max_nodes)

    def _at_work(self, record: JobRecord) -> Iterator[str]:
        """Ids of the nodes that have frames of a job; empty: this one."""
        for chunk in record.state.running:
            remote = self._lanes.remotes.get(chunk.attempt)
            yield remote.node if remote is not None else ""

    def _share_of(self, record: JobRecord, peer: Peer) -> IndexSet:
        waiting = record.waiting_positions()
        if not record.spec.divisible:
            if not record.spec.parts and self._supervisor.free_slots(record.spec.engine) and self._local_slots(record):
                return IndexSet()  # in one run, and here is nearer than there
            return next_chunk(record, slots=1, chunk_seconds=1.0, max_frames=1)
        struck = record.state.strikes[0] if record.state.strikes else IndexSet()
        clean = waiting - struck
        if not clean:
            # Frames that have failed once are for this node, one by one, if it renders at all.
            return IndexSet() if self._local_slots(record) or not waiting else waiting.first_run(1)
        return clean.first(self._size(record, len(clean), peer.id))

    def _size(self, record: JobRecord, waiting: int, node: str) -> int:
        settings = self._supervisor.settings
        return share(
            waiting,
            Hand(node, self._pace(record, node)),
            Workforce.of(self._hands(record)),
            chunk_seconds=settings.chunk_seconds,
            max_frames=settings.max_chunk_frames,
        )

    def _hands(self, record: JobRecord) -> list[Hand]:
        hands = [Hand("", self._pace(record, ""))] * self._local_slots(record)
        for peer in self._lanes.peers.usable():
            if not self.why_not(record, peer):
                hands += [Hand(peer.id, self._pace(record, peer.id))] * peer.brief.slots.get(record.spec.engine, 0)
        return hands

    def _local_slots(self, record: JobRecord) -> int:
        if self._supervisor.queue.holds_back(record.spec):
            return 0
        return self._supervisor.catalog.slots(record.spec.engine)

    def _pace(self, record: JobRecord, node: str) -> float | None:
        work = self._supervisor.at_work(record.id)
        return None if work is None else work.median_of(node)

    def _engine_of(self, job_id: str) -> str:
        record = self._jobs.live(job_id)
        return "" if record is None else record.spec.engine

    # --- what others have ----------------------------------------------------------------------------------------

    def _takeover(self, record: JobRecord, node: str) -> Takeover | None:
        if record.waiting_positions() or not record.state.running or record.state.needs_space:
            return None
        known = self._late.get(record.id)
        if known is None or known[0] is not record:
            known = record, Late(self._busy(record), time.monotonic())
            if self._out is not None:
                self._late[record.id] = known
        return known[1].takeover(Hand(node, self._pace(record, node)))

    def _busy(self, record: JobRecord) -> Sequence[Busy]:
        now = time.monotonic()
        busy: list[Busy] = []
        whole = not record.spec.divisible
        for chunk in record.state.running:
            remote = self._lanes.remotes.get(chunk.attempt)
            node, since, begun = "", self._lanes.since.get(chunk.attempt, now), True
            if remote is not None:
                node, since, begun = remote.node, remote.since, remote.begun
            busy.append(Busy(chunk.attempt, node, chunk.positions, self._pace(record, node), since, begun, whole))
        return busy

    def _steal(self, record: JobRecord, found: Takeover, who: str) -> None:
        remote = self._lanes.remotes.get(found.attempt)
        if remote is not None:
            self._lanes.release(remote, f"{who} is free, and {remote.peer.name} had not begun it")

    def told(self, record: JobRecord) -> list[str]:
        """See :meth:`app.peers.lanes.Lanes.told`."""
        told: list[str] = []
        frames = record.spec.frames
        for peer in self._lanes.peers.all():
            has = [one for one in self._lanes.of_node(peer.id) if one.job == record.id]
            for one in has:
                does = "renders" if one.begun else "is about to render"
                told.append(f"{peer.name} {does} frames {frames.notation(one.wanted())[:200]}.")
            if not has and not peer.usable:
                told.append(f"{peer.name} does not help: {peer.reason or peer.state.value}.")
            elif not has and (why := self.why_not(record, peer)):
                told.append(f"{peer.name} does not help: {why}.")
        return told

    # --- for the slots of this node ------------------------------------------------------------------------------

    def local_share(self, record: JobRecord) -> int | None:
        """See :attr:`app.render.supervisor.Supervisor.share`."""
        if too_many(self._at_work(record), "", record.spec.max_nodes):
            return 0
        if not any(not self.why_not(record, peer) for peer in self._lanes.peers.usable()):
            return None
        waiting = record.waiting_positions()
        struck = record.state.strikes[0] if record.state.strikes else IndexSet()
        return self._size(record, max(1, len(waiting - struck)), "")

    def late_job(self, engine: str) -> JobRecord | None:
        """See :attr:`app.render.supervisor.Supervisor.late_job`."""
        if not self._lanes.remotes:
            return None
        for record in self._candidates(engine):
            if too_many(self._at_work(record), "", record.spec.max_nodes):
                continue
            version = self._supervisor.catalog.find(engine, record.spec.engine_version)
            if version is not None and self._local_slots(record) and self._takeover(record, "") is not None:
                return record
        return None

    def spare(self, record: JobRecord) -> IndexSet:
        """See :attr:`app.render.supervisor.Supervisor.spare`."""
        found = self._takeover(record, "")
        if found is None or too_many(self._at_work(record), "", record.spec.max_nodes):
            return IndexSet()
        if found.whole:
            self._steal(record, found, "this node")
            newest = self._jobs.live(record.id)
            return IndexSet() if newest is None else newest.waiting_positions() & found.positions
        return found.positions
