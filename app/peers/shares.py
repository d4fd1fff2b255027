"""What has become of the shares that other nodes have, as events of their jobs: frames come home, a share ends, fails,
is let go. Who gets one is decided in :mod:`app.peers.lanes`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine

import structlog

from app.jobs import queries
from app.jobs.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptHeld,
    AttemptReleased,
    AttemptStarted,
    FrameFailed,
    FramesVerified,
    WarningNoted,
)
from app.jobs.queries import SubjobRow
from app.jobs.record import JobRecord
from app.jobs.sharing import Standing
from app.peers.outcomes import Broke, Came, Outcome, Short
from app.peers.peer import Peer
from app.peers.registry import Peers
from app.peers.remote import Bring, RemoteAttempt
from app.peers.troubles import Troubles
from app.peers.updates import NODE_TROUBLE, causes, frames_of
from app.render.supervisor import Supervisor
from client.errors import ZordonError
from client.models import JobStatus, SubjobUpdate
from engines.contract import FailureCause
from engines.frames import IndexSet

log = structlog.get_logger(__name__)


class Shares:
    """The shares that are out.

    Attributes:
        bring: brings projects and engine versions to other nodes; None: jobs with a project stay here.
        remotes: by attempt.
    """

    def __init__(self, supervisor: Supervisor, peers: Peers) -> None:
        self.bring: Bring | None = None
        self.remotes: dict[str, RemoteAttempt] = {}  # by attempt
        self._of_node: dict[str, dict[str, RemoteAttempt]] = {}  # by node and attempt
        self.since: dict[str, float] = {}  # when an attempt's last frame came, or it began, by time.monotonic()
        self.standing: dict[str, dict[str, Standing]] = {}  # by job and node
        self.troubles = Troubles()
        self.supervisor = supervisor
        self.peers = peers
        self._jobs = supervisor.jobs
        self._loose: dict[str, SubjobRow] = {}  # attempts that are over, and what their nodes have may be of use
        self._tasks: set[asyncio.Task[None]] = set()
        self._wake = asyncio.Event()

    # --- following ---------------------------------------------------------------------------------------------------

    def _spawn(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.critical("a part of the lanes died", task=task.get_name(), exc_info=error)

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
        self._of_node.setdefault(remote.node, {})[remote.attempt] = remote
        self._spawn(self._run(remote, committed), f"subjob of {remote.attempt}")

    async def _run(self, remote: RemoteAttempt, committed: asyncio.Future[None]) -> None:
        try:
            outcome = await remote.run(committed)
            if self.remotes.get(remote.attempt) is remote:
                self._conclude(remote, outcome)
        finally:
            remote.work.attempt_over(remote.attempt)
            self.supervisor.discard(self.supervisor.folders.attempt(remote.attempt))
            await self.supervisor.leave(remote.job)
            self._may_have_room(remote.node)

    # --- what comes back -----------------------------------------------------------------------------------------

    def _home(self, remote: RemoteAttempt, positions: IndexSet, seconds: float | None) -> None:
        """Frames are verified here, and in the output folder."""
        record = self._jobs.live(remote.job)
        if record is None:
            return
        if positions & record.state.running.positions(remote.attempt):
            self._jobs.apply(remote.job, _verified_event(remote, remote.attempt, positions, seconds))
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
        ended = AttemptEnded(fresh, now, _verified_event(remote, fresh, positions, seconds))
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
            for other in self.of_node(remote.node):
                if other.job == remote.job and other is not remote and not other.begun:
                    self.release(other, story)

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
            of_node = self._of_node[remote.node]
            del of_node[remote.attempt]
            if not of_node:
                del self._of_node[remote.node]
        self.since.pop(remote.attempt, None)
        self._may_have_room(remote.node)

    def _may_have_room(self, node: str) -> None:
        """A node may take something now."""
        self._wake.set()

    def of_node(self, node_id: str) -> list[RemoteAttempt]:
        """What a node has."""
        return list(self._of_node.get(node_id, {}).values())


def _verified_event(remote: RemoteAttempt, attempt: str, positions: IndexSet, seconds: float | None) -> FramesVerified:
    """What is told of frames that have come home: of the attempt itself, or of one that takes them over."""
    work = remote.work
    median = work.frame_took(seconds, remote.node)
    files = remote.supervisor.delivery.file_count(remote.job)
    return FramesVerified(attempt, positions, files, median, seconds, work.pace)
