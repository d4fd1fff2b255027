"""Gives shares of this node's jobs to other nodes, and takes them back: the slots that are not ours.

Whoever is free gets the next share of the most urgent job that it can render, few at a time: for each slot one that
runs and one that waits. The arithmetic is in :mod:`app.jobs.sharing`, who gets what in :mod:`app.peers.choosing`, one
share's life in :mod:`app.peers.remote`. Each is written down in the table ``subjobs``, in the commit of the attempt.
What no row speaks of is not wanted: a node that tells of such a subjob is told so, and forgets it. So a subjob is
cancelled everywhere, also on a node that was away.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from typing import Final

import structlog

from app.jobs import queries
from app.jobs.events import (
    AttemptEnded,
    AttemptReleased,
    AttemptStarted,
    Effect,
    Ended,
    FramesVerified,
    JobEvent,
    Queue,
    StopAttempts,
)
from app.jobs.queries import SubjobRow
from app.jobs.record import JobRecord
from app.jobs.store import Store
from app.peers.choosing import LOOK_SECONDS, Choosing
from app.peers.own_ground import OwnGround
from app.peers.peer import Peer, PeerChange
from app.peers.registry import Peers
from app.peers.remote import RemoteAttempt
from app.peers.shares import Shares
from app.peers.updates import frames_of, job_of, update_from
from app.render.supervisor import Supervisor
from client.errors import JobNotFound, ZordonError
from client.models import JobStatus, NodeState, SubjobAnswer, SubjobUpdate
from engines.frames import IndexSet

log = structlog.get_logger(__name__)

PLAN_SECONDS: Final = 0.02
"""The least time between two looks at who could have more."""
REST: Final = 4.0
"""So many times as long as such a look takes nothing is looked at after it: there are other things to do."""
RETURN_SECONDS: Final = 12.0
"""After our restart, nodes that have shares of ours get so long to be reached."""
_GONE: Final = {
    NodeState.AWAY: "does not answer",
    NodeState.LEFT: "has left",
    NodeState.REFUSED: "is not used any more",
}
_MAY_RETURN: Final = (NodeState.AWAY, NodeState.LEFT)
_NOT_WANTED: Final = SubjobAnswer(known=False)


class Lanes(Shares):
    """The lanes of this node. For the event loop's thread; :meth:`load` it, :meth:`start` it, :meth:`close` it."""

    def __init__(self, store: Store, supervisor: Supervisor, peers: Peers) -> None:
        super().__init__(supervisor, peers)
        self.offered: dict[str, None] = {}  # ids of jobs that may have frames to give
        self._store = store
        self._returning: dict[str, SubjobRow] = {}  # attempts of the time before, whose nodes are not reached yet
        self.asking: set[str] = set()  # ids of nodes that are back and are asked what they have
        self._closing = False
        self._choosing = Choosing(OwnGround(self))
        self._jobs.on_effect(self._effect)
        self._jobs.on_event(self._event)
        peers.on_change(self._peer_changed)
        peers.on_beat(lambda node, beat: self._choosing.look_at(node))  # it may rest now, or have more slots
        supervisor.share = self._choosing.local_share
        supervisor.spare = self._choosing.spare
        supervisor.late_job = self._choosing.late_job

    # --- its life ----------------------------------------------------------------------------------------------------

    async def load(self) -> frozenset[str]:
        """Read which shares are out. Returns the attempts that go on."""
        for row in await self._store.read(queries.load_subjobs):
            if self._jobs.live(row.job) is None:
                self._jobs.note(queries.end_subjob(row.attempt))
            else:
                (self._loose if row.loose else self._returning)[row.attempt] = row
        return frozenset(self._returning)

    def start(self) -> None:
        """Begin to give."""
        for record in self._jobs.live_records():
            if record.status in (JobStatus.NOT_STARTED, JobStatus.RUNNING):
                self.offered[record.id] = None
            useless = record.state.ending is not None
            for chunk in record.state.running:
                if chunk.attempt in self._returning and (useless or not chunk.positions):
                    self._release_row(self._returning.pop(chunk.attempt), "its frames are not wanted any more")
        self._spawn(self._plan_always(), "lanes")
        if self._returning:
            self._spawn(self._await_return(), "returning subjobs")

    async def close(self) -> None:
        """Follow nothing any more. What is out stays out: the next start takes it up."""
        self._closing = True
        for task in self._tasks:
            task.cancel()
        while self._tasks:
            await asyncio.gather(*self._tasks, return_exceptions=True)

    # --- giving ------------------------------------------------------------------------------------------------------

    async def _plan_always(self) -> None:
        took = 0.0
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS if self.offered else None):
                    await self._wake.wait()
            except TimeoutError:
                pass
            await asyncio.sleep(max(PLAN_SECONDS, REST * took))  # what happens together is looked at together
            self._wake.clear()
            if self._closing:
                return
            began = time.monotonic()
            self._choosing.plan()
            took = time.monotonic() - began

    def _may_have_room(self, node: str) -> None:
        self._choosing.look_at(node)
        super()._may_have_room(node)

    def _offer(self, record: JobRecord) -> None:
        """A job may have frames to give."""
        if record.id not in self.offered:
            self.offered[record.id] = None
            self._choosing.look_at_all()

    def begin(self, peer: Peer, record: JobRecord, positions: IndexSet, *, twice: bool) -> RemoteAttempt:
        """Give frames to a node."""
        attempt, now = f"{record.id}-{record.state.attempts + 1}", time.time()
        notation = record.spec.frames.notation(positions)
        row = SubjobRow(attempt, record.id, peer.id, peer.name, notation)
        started = AttemptStarted(attempt, positions, now, node=peer.name, twice=twice)
        begin = queries.begin_attempt(attempt, record.id, attempt, notation, now)
        committed = self._jobs.apply(record.id, started, begin, queries.begin_subjob(row))
        remote = self._remote(row, peer, positions)
        again = " again, so that the first of two counts" if twice else ""
        remote.work.log.say(f"attempt {attempt}: {peer.name} gets frames {notation}{again}")
        self._follow(remote, committed)
        return remote

    # --- what nodes tell ---------------------------------------------------------------------------------------------

    def heard(self, job_id: str, node_id: str, update: SubjobUpdate) -> SubjobAnswer:
        """A node tells of a subjob.

        Args:
            job_id: the parent.
            node_id: who says so.
        """
        attempt = update.attempt or ""
        remote = self.remotes.get(attempt) or self._by_subjob(node_id, update.id)
        record = self._jobs.live(job_id)
        if record is None:
            return _NOT_WANTED
        if remote is None:
            remote = self._take_up(record, attempt, node_id, update)
            if remote is None:
                # It cannot be taken up just now: its node has not been greeted again, or there is no space for it here.
                row = self._loose.get(attempt) or self._returning.get(attempt)
                waits = row is not None and row.node == node_id and record.state.ending is None
                return SubjobAnswer(wanted=row.frames, known=True) if row is not None and waits else _NOT_WANTED
        if remote.node != node_id or remote.job != job_id:
            return _NOT_WANTED
        if remote.subjob is None:
            remote.subjob = update.id
            self._named(remote)
        begun = remote.begun
        remote.heard(update)
        if remote.begun and not begun:
            self._may_have_room(node_id)
        self._jobs.progress(job_id, remote.work.progress(remote.attempt, *remote.progress()))
        return SubjobAnswer(wanted=record.spec.frames.notation(remote.wanted()), known=True)

    def _by_subjob(self, node_id: str, subjob: str) -> RemoteAttempt | None:
        return next((one for one in self.of_node(node_id) if one.subjob == subjob), None)

    def _take_up(self, record: JobRecord, attempt: str, node_id: str, update: SubjobUpdate) -> RemoteAttempt | None:
        """A node that was given up, or is new to us since our start, tells of a subjob: take it up again."""
        peer = self.peers.get(node_id)
        if peer is None or not peer.usable:
            return None
        if (row := self._returning.get(attempt)) is not None and row.node == node_id:
            return self._resume(self._returning.pop(attempt), peer)
        row = self._loose.get(attempt)
        if row is None or row.node != node_id or record.state.ending is not None or record.state.needs_space:
            return None
        # What it has is worth more than what others only have begun; what it has not, only if nobody has it.
        waiting = record.waiting_positions()
        wanted = frames_of(record, update.done_frames) & (waiting | record.running_positions())
        if not update.status.ended:
            wanted |= frames_of(record, row.frames) & waiting
        del self._loose[attempt]
        if not wanted:
            self._jobs.note(queries.end_subjob(attempt))
            return None
        fresh, now = f"{record.id}-{record.state.attempts + 1}", time.time()
        notation = record.spec.frames.notation(wanted)
        renewed = SubjobRow(fresh, record.id, node_id, peer.name, notation, update.id)
        committed = self._jobs.apply(
            record.id,
            AttemptStarted(fresh, wanted, now, node=peer.name, twice=True),
            queries.begin_attempt(fresh, record.id, fresh, notation, now),
            queries.end_subjob(attempt),
            queries.begin_subjob(renewed),
        )
        remote = self._remote(renewed, peer, wanted)
        remote.work.log.say(f"attempt {fresh} takes over what {peer.name} has of attempt {attempt}: frames {notation}")
        self._follow(remote, committed)
        return remote

    def _resume(self, row: SubjobRow, peer: Peer) -> RemoteAttempt | None:
        record = self._jobs.live(row.job)
        if record is None or record.state.running.get(row.attempt) is None:
            self._jobs.note(queries.end_subjob(row.attempt))
            return None
        remote = self._remote(row, peer, frames_of(record, row.frames))
        remote.work.log.say(f"attempt {row.attempt} on {peer.name} is taken up again")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        self._follow(remote, done)
        return remote

    async def _ask_what_it_has(self, peer: Peer, rows: Sequence[SubjobRow]) -> None:
        """A node that was given up is back: hear of its subjobs before it gets anything new."""
        try:
            for row in rows:
                if row.subjob is None or row.attempt not in self._loose:
                    continue
                try:
                    job = await job_of(peer.client, row.subjob)
                except JobNotFound:
                    self._loose.pop(row.attempt, None)
                    self._jobs.note(queries.end_subjob(row.attempt))
                    continue
                self.heard(row.job, peer.id, update_from(job, row.attempt, 0))
        except ZordonError as error:
            log.info("a node cannot be asked what it has", node=peer.name, reason=str(error))
        finally:
            self.asking.discard(peer.id)
            self._may_have_room(peer.id)

    async def _await_return(self) -> None:
        """Nodes that are not there in time after our start count as away."""
        await asyncio.sleep(RETURN_SECONDS)
        while self._returning:
            _, row = self._returning.popitem()
            self._loose[row.attempt] = row
            self._release_row(row, f"{row.name} does not answer since our restart", loose=True)

    # --- what happens around -----------------------------------------------------------------------------------------

    def told(self, record: JobRecord) -> list[str]:
        """What other nodes have of a job, and why others have nothing, a sentence each."""
        told: list[str] = []
        for peer in self.peers.all():
            has = [one for one in self.of_node(peer.id) if one.job == record.id]
            for one in has:
                does = "renders" if one.begun else "is about to render"
                told.append(f"{peer.name} {does} frames {record.spec.frames.notation(one.wanted())[:200]}.")
            if not has and not peer.usable:
                told.append(f"{peer.name} does not help: {peer.reason or peer.state.value}.")
            elif not has and (why := self._choosing.why_not(record, peer)):
                told.append(f"{peer.name} does not help: {why}.")
        return told

    def _effect(self, record: JobRecord, effect: Effect) -> None:
        if isinstance(effect, Queue):
            self._offer(record)
            self._wake.set()
        elif isinstance(effect, StopAttempts):
            for attempt in effect.attempts:
                if (remote := self.remotes.get(attempt)) is not None:
                    self.release(remote, effect.reason)
                elif (row := self._returning.pop(attempt, None)) is not None:
                    self._release_row(row, effect.reason)
        elif isinstance(effect, Ended):
            self.offered.pop(record.id, None)
            self._choosing.forget(record.id)
            self.standing.pop(record.id, None)
            self.troubles.forget(record.id)
            for attempt in [one for one, row in self._loose.items() if row.job == record.id]:
                del self._loose[attempt]
            self._jobs.note(queries.end_subjobs_of(record.id))

    def _event(self, record: JobRecord, event: JobEvent) -> None:
        if isinstance(event, AttemptStarted | FramesVerified):
            self.since[event.attempt] = time.monotonic()
        elif isinstance(event, AttemptEnded | AttemptReleased):
            self.since.pop(event.attempt, None)
            if isinstance(event, AttemptEnded) and event.then is not None:
                self.since[event.then.attempt] = time.monotonic()
        if record.state.running:
            self._offer(record)

    def _peer_changed(self, change: PeerChange) -> None:
        if change.state is NodeState.ONLINE:
            peer = self.peers.get(change.node_id)
            for row in [row for row in self._returning.values() if row.node == change.node_id]:
                if peer is not None:
                    del self._returning[row.attempt]
                    self._resume(row, peer)
            loose = [row for row in self._loose.values() if row.node == change.node_id]
            if peer is not None and loose:
                self.asking.add(change.node_id)
                self._spawn(self._ask_what_it_has(peer, loose), f"ask {peer.name} what it has")
            self._may_have_room(change.node_id)
            return
        for remote in self.of_node(change.node_id):
            self.release(remote, f"{remote.peer.name} {_GONE[change.state]}", loose=change.state in _MAY_RETURN)
