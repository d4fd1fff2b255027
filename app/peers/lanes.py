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
from collections.abc import Callable, Coroutine, Iterator
from typing import Final

import structlog

from app.jobs import queries
from app.jobs.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptHeld,
    AttemptReleased,
    AttemptStarted,
    Effect,
    Ended,
    FrameFailed,
    FramesVerified,
    JobEvent,
    Queue,
    StopAttempts,
    WarningNoted,
)
from app.jobs.queries import SubjobRow
from app.jobs.record import JobRecord
from app.jobs.sharing import Standing
from app.jobs.store import Store
from app.peers.choosing import Choosing
from app.peers.peer import Peer, PeerChange
from app.peers.registry import Peers
from app.peers.remote import (
    NODE_TROUBLE,
    Bring,
    Broke,
    Came,
    Outcome,
    RemoteAttempt,
    Short,
    causes,
    frames_of,
    verified_event,
)
from app.peers.troubles import Troubles
from app.render.supervisor import Supervisor
from client.errors import ZordonError
from client.models import JobStatus, NodeState, SubjobAnswer, SubjobUpdate
from engines.contract import FailureCause
from engines.frames import IndexSet

log = structlog.get_logger(__name__)

LOOK_SECONDS: Final = 0.5
"""So often it is looked whether something should be rendered twice, while shares are out."""
RETURN_SECONDS: Final = 12.0
"""After our restart, nodes that have shares of ours get so long to be reached."""
_GONE: Final = {
    NodeState.AWAY: "does not answer",
    NodeState.LEFT: "has left",
    NodeState.REFUSED: "is not used any more",
}
_MAY_RETURN: Final = (NodeState.AWAY, NodeState.LEFT)
_NOT_WANTED: Final = SubjobAnswer(known=False)


class Lanes:
    """The shares that are out. For the event loop's thread; :meth:`load` it, :meth:`start` it, :meth:`close` it.

    Attributes:
        bring: brings projects and engine versions to other nodes; None: jobs with a project stay here.
    """

    def __init__(self, store: Store, supervisor: Supervisor, peers: Peers) -> None:
        self.bring: Bring | None = None
        self.remotes: dict[str, RemoteAttempt] = {}  # by attempt
        self.offered: dict[str, None] = {}  # ids of jobs that may have frames to give
        self.since: dict[str, float] = {}  # when an attempt's last frame came, or it began, by time.monotonic()
        self.standing: dict[str, dict[str, Standing]] = {}  # by job and node
        self.troubles = Troubles()
        self.supervisor = supervisor
        self.peers = peers
        self._jobs = supervisor.jobs
        self._store = store
        self._returning: dict[str, SubjobRow] = {}  # attempts of the time before, whose nodes are not reached yet
        self._loose: dict[str, SubjobRow] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()
        self._closing = False
        self._choosing = Choosing(self)
        self._jobs.on_effect(self._effect)
        self._jobs.on_event(self._event)
        peers.on_change(self._peer_changed)
        supervisor.share = self._choosing.local_share
        supervisor.spare = self._choosing.spare
        supervisor.late_job = self._choosing.late_job

    # --- its life ------------------------------------------------------------------------------------------------

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

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("a part of the lanes died", task=task.get_name(), exc_info=error)

    # --- giving --------------------------------------------------------------------------------------------------

    async def _plan_always(self) -> None:
        while True:
            try:
                async with asyncio.timeout(LOOK_SECONDS if self.offered else None):
                    await self._wake.wait()
            except TimeoutError:
                pass
            self._wake.clear()
            if self._closing:
                return
            self._choosing.plan()

    def begin(self, peer: Peer, record: JobRecord, positions: IndexSet, *, twice: bool) -> None:
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

    def _remote(self, row: SubjobRow, peer: Peer, positions: IndexSet) -> RemoteAttempt:
        own = self.peers.own
        return RemoteAttempt(
            row.attempt,
            row.job,
            peer,
            positions,
            self.supervisor.enter(row.job),
            self.supervisor,
            self._bring,
            self._home,
            {"parent": row.job, "attempt": row.attempt, "node": own.id, "address": ""},
            row.subjob,
            named=self._named,
        )

    async def _bring(self, record: JobRecord, peer: Peer) -> str | None:
        return None if self.bring is None else await self.bring(record, peer)

    def _named(self, remote: RemoteAttempt) -> None:
        if remote.subjob is not None:
            self._jobs.note(queries.name_subjob(remote.attempt, remote.subjob))
            where = f"{remote.peer.brief.scheme}://{remote.peer.address}/api/jobs/{remote.subjob}/logs"
            remote.work.log.say(
                f"attempt {remote.attempt} is job {remote.subjob} on {remote.peer.name}; its log: {where}"
            )

    def _follow(self, remote: RemoteAttempt, committed: asyncio.Future[None]) -> None:
        self.remotes[remote.attempt] = remote
        self._spawn(self._run(remote, committed), f"subjob of {remote.attempt}")

    async def _run(self, remote: RemoteAttempt, committed: asyncio.Future[None]) -> None:
        try:
            outcome = await remote.run(committed)
            if self.remotes.get(remote.attempt) is remote:
                self._conclude(remote, outcome)
        finally:
            remote.work.attempt_over(remote.attempt)
            self.supervisor.discard(self.supervisor.folders.attempt(remote.job, remote.attempt))
            await self.supervisor.leave(remote.job)
            self._wake.set()

    # --- what comes back -----------------------------------------------------------------------------------------

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
                waits = attempt in self._loose and record.state.needs_space
                return SubjobAnswer(wanted=update.done_frames, known=True) if waits else _NOT_WANTED
        if remote.node != node_id or remote.job != job_id:
            return _NOT_WANTED
        if remote.subjob is None:
            remote.subjob = update.id
            self._named(remote)
        begun = remote.begun
        remote.heard(update)
        if remote.begun and not begun:
            self._wake.set()
        self._jobs.progress(job_id, remote.work.progress(remote.attempt, *remote.progress()))
        return SubjobAnswer(wanted=record.spec.frames.notation(remote.wanted()), known=True)

    def _by_subjob(self, node_id: str, subjob: str) -> RemoteAttempt | None:
        found = (one for one in self.remotes.values() if one.subjob == subjob and one.node == node_id)
        return next(found, None)

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
        chunks = () if record is None else record.state.running
        positions = next((chunk.positions for chunk in chunks if chunk.attempt == row.attempt), None)
        if positions is None:
            self._jobs.note(queries.end_subjob(row.attempt))
            return None
        assert record is not None
        remote = self._remote(row, peer, frames_of(record, row.frames))
        remote.work.log.say(f"attempt {row.attempt} on {peer.name} is taken up again")
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        done.set_result(None)
        self._follow(remote, done)
        return remote

    async def _await_return(self) -> None:
        """Nodes that are not there in time after our start count as away."""
        await asyncio.sleep(RETURN_SECONDS)
        while self._returning:
            _, row = self._returning.popitem()
            self._loose[row.attempt] = row
            self._release_row(row, f"{row.name} does not answer since our restart", loose=True)

    def _home(self, remote: RemoteAttempt, positions: IndexSet, seconds: float | None) -> None:
        """Frames are verified here, and in the output folder."""
        record = self._jobs.live(remote.job)
        if record is None:
            return
        chunk = next((one.positions for one in record.state.running if one.attempt == remote.attempt), IndexSet())
        if positions & chunk:
            self._jobs.apply(remote.job, verified_event(remote, remote.attempt, positions, seconds))
        elif record.state.ending is None and not record.state.needs_space:
            # The attempt was given up while its file was on the way: another takes it over, as long as it is wanted.
            wanted = positions & (record.waiting_positions() | record.running_positions())
            if wanted:
                self._adopt(remote, record, wanted, seconds)
        self.supervisor.space.progressed(remote.job)
        version = self.supervisor.catalog.find(record.spec.engine, record.spec.engine_version)
        if self.supervisor.on_frames is not None and version is not None:
            self.supervisor.on_frames(record, version, remote.work.colour)
        self._note(remote, Standing.with_frame)
        self.troubles.over(remote.job, remote.node)

    def _adopt(self, remote: RemoteAttempt, record: JobRecord, positions: IndexSet, seconds: float | None) -> None:
        fresh, now = f"{record.id}-{record.state.attempts + 1}", time.time()
        notation = record.spec.frames.notation(positions)
        begin = queries.begin_attempt(fresh, record.id, fresh, notation, now)
        self._jobs.apply(record.id, AttemptStarted(fresh, positions, now, node=remote.peer.name, twice=True), begin)
        ended = AttemptEnded(fresh, now, verified_event(remote, fresh, positions, seconds))
        self._jobs.apply(record.id, ended, queries.end_attempt(fresh, now, "succeeded", ""))

    def _note(self, remote: RemoteAttempt, change: Callable[[Standing], Standing]) -> None:
        """How a node does with a job has changed."""
        of_job = self.standing.setdefault(remote.job, {})
        before = of_job.get(remote.node, Standing())
        after = of_job[remote.node] = change(before)
        if after.refusal and not before.refusal:
            story = f"{remote.peer.name} gets no more of it: {after.refusal}"
            remote.work.log.say(story)
            self._jobs.apply(remote.job, WarningNoted(story))

    def _conclude(self, remote: RemoteAttempt, outcome: Outcome) -> None:
        if isinstance(outcome, Came):
            self._came(remote, outcome.update)
        elif isinstance(outcome, Broke):
            if outcome.fault:
                self._note(remote, lambda standing: standing.with_failure(outcome.reason))
            else:
                self.troubles.note(remote.job, remote.node, outcome.reason)
            self.release(remote, f"{remote.peer.name}: {outcome.reason}")
        elif isinstance(outcome, Short):
            now, reason = time.time(), outcome.reason
            remote.work.log.say(f"attempt {remote.attempt} waits for space on the disk: {reason}")
            end = queries.end_attempt(remote.attempt, now, FailureCause.DISK.value, reason)
            held = AttemptHeld(remote.attempt, reason, now)
            self._jobs.apply(remote.job, held, end, queries.end_subjob(remote.attempt))
            self._forget(remote)

    def _came(self, remote: RemoteAttempt, update: SubjobUpdate) -> None:
        record, now, left = self._jobs.live(remote.job), time.time(), remote.wanted()
        if record is None:
            self._forget(remote)
            return
        story = f"{remote.peer.name}: it is complete there, and {len(left)} frames of it are missing"
        if update.status is JobStatus.CANCELLED:
            story = f"it was cancelled on {remote.peer.name}"
        elif update.status is JobStatus.ERROR:
            cause, message = causes(update)
            story = f"{remote.peer.name}: {message}"
            if cause.value not in NODE_TROUBLE and not record.spec.divisible:
                self._failed(remote, cause, story)
                return
            if cause.value not in NODE_TROUBLE:
                for position in frames_of(record, update.failed_frames) & left:
                    self._jobs.apply(remote.job, FrameFailed(remote.attempt, position, cause, story, now))
                left = remote.wanted()
        if left or update.status is JobStatus.ERROR:
            if not remote.frames_home:
                self._note(remote, lambda standing: standing.with_failure(story))
            remote.work.log.say(f"attempt {remote.attempt} failed: {story}")
        if left:
            self.release(remote, story)
            return
        end = queries.end_attempt(remote.attempt, now, "succeeded", "")
        self._jobs.apply(remote.job, AttemptEnded(remote.attempt, now), end, queries.end_subjob(remote.attempt))
        self._forget(remote)

    def _failed(self, remote: RemoteAttempt, cause: FailureCause, story: str) -> None:
        """A job, or a part of one, that is there whole or not at all has failed there."""
        now = time.time()
        self._note(remote, lambda standing: standing.with_failure(story))
        remote.work.log.say(f"attempt {remote.attempt} failed: {story}")
        self._forget(remote)
        end = queries.end_attempt(remote.attempt, now, cause.value, story)
        failed = AttemptFailed(remote.attempt, cause, story, None, now)
        self._jobs.apply(remote.job, failed, end, queries.end_subjob(remote.attempt))

    # --- taking back ---------------------------------------------------------------------------------------------

    def release(self, remote: RemoteAttempt, reason: str, *, loose: bool = False) -> None:
        """The attempt is over, without blame for its frames.

        Args:
            loose: whether what its node has may still be of use.
        """
        self._forget(remote)
        remote.work.log.say(f"attempt {remote.attempt} is over: {reason}")
        notation = self._notation(remote)
        row = SubjobRow(remote.attempt, remote.job, remote.node, remote.peer.name, notation, remote.subjob)
        if loose:
            self._loose[remote.attempt] = row
        self._release_row(row, reason, loose=loose)
        remote.let_go()
        if not loose and remote.subjob is not None and remote.peer.usable:
            self._spawn(self._cancel_there(remote.peer, remote.subjob), f"cancel {remote.subjob}")

    def _notation(self, remote: RemoteAttempt) -> str:
        record = self._jobs.live(remote.job)
        return "" if record is None else record.spec.frames.notation(remote.positions)

    def _release_row(self, row: SubjobRow, reason: str, *, loose: bool = False) -> None:
        now = time.time()
        end = queries.end_attempt(row.attempt, now, "released", reason)
        kept = queries.loosen_subjob(row.attempt) if loose else queries.end_subjob(row.attempt)
        self._jobs.apply(row.job, AttemptReleased(row.attempt, reason, now), end, kept)

    async def _cancel_there(self, peer: Peer, subjob: str) -> None:
        """Tell a node at once what it would hear with its next word of the subjob."""
        try:
            await peer.client.post(f"/api/jobs/{subjob}/cancel", params={"confirm": "true"})
        except ZordonError as error:
            log.info("a subjob is not cancelled yet", node=peer.name, subjob=subjob, reason=str(error))

    def _forget(self, remote: RemoteAttempt) -> None:
        if self.remotes.get(remote.attempt) is remote:
            del self.remotes[remote.attempt]
        self.since.pop(remote.attempt, None)
        self._wake.set()

    def of_node(self, node_id: str) -> Iterator[RemoteAttempt]:
        """What a node has."""
        return (one for one in list(self.remotes.values()) if one.node == node_id)

    def told(self, record: JobRecord) -> list[str]:
        """What other nodes have of a job, and why others have nothing, a sentence each."""
        return self._choosing.told(record)

    # --- what happens around -------------------------------------------------------------------------------------

    def _effect(self, record: JobRecord, effect: Effect) -> None:
        if isinstance(effect, Queue):
            self.offered[record.id] = None
            self._wake.set()
        elif isinstance(effect, StopAttempts):
            for attempt in effect.attempts:
                if (remote := self.remotes.get(attempt)) is not None:
                    self.release(remote, effect.reason)
                elif (row := self._returning.pop(attempt, None)) is not None:
                    self._release_row(row, effect.reason)
        elif isinstance(effect, Ended):
            self.offered.pop(record.id, None)
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
            self.offered[record.id] = None

    def _peer_changed(self, change: PeerChange) -> None:
        if change.state is NodeState.ONLINE:
            peer = self.peers.get(change.node_id)
            for row in [row for row in self._returning.values() if row.node == change.node_id]:
                if peer is not None:
                    del self._returning[row.attempt]
                    self._resume(row, peer)
            self._wake.set()
            return
        for remote in self.of_node(change.node_id):
            self.release(remote, f"{remote.peer.name} {_GONE[change.state]}", loose=change.state in _MAY_RETURN)
