"""The imagined node with others around it, that render subjobs of its jobs: what they say comes late, twice, in any
order, or only when the attempt that asked for it is long over. As :mod:`app.peers.lanes` does it, without the network.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from app.jobs.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptReleased,
    AttemptStarted,
    Effect,
    FrameFailed,
    FramesVerified,
    StopAttempts,
)
from app.jobs.record import NO_FRAMES, JobRecord
from app.jobs.rules.settling import HOPELESS
from client.models import JobStatus
from engines.frames import IndexSet
from tests.proof.imagined_farm import CAUSES, Choose, ImaginedFarm

NODES = ("north", "south", "west")
MOST = 6
"""Subjobs at a time."""
_RENDERED = (JobStatus.NOT_STARTED, JobStatus.RUNNING)


@dataclass
class Subjob:
    """What another node has of a job."""

    job: str
    attempt: str  # that asked for it; perhaps not any more
    node: str
    left: IndexSet  # frames that it has not come to
    there: IndexSet = field(default_factory=IndexSet)  # rendered, and not fetched yet
    stored: bool = False  # whether the row of the subjob is
    stop: str = ""


class ImaginedNodes(ImaginedFarm):
    """This node, and others that help."""

    def __init__(self, choose: Choose) -> None:
        super().__init__(choose)
        self._subjobs: list[Subjob] = []
        self.twice = 0  # frames that came home although another attempt had brought them
        self.adopted = 0  # frames that came home when their attempt was over

    def commit(self) -> None:
        """See :meth:`ImaginedFarm.commit`."""
        unstored = [subjob for subjob in self._subjobs if not subjob.stored]
        super().commit()
        for subjob in unstored:
            subjob.stored = True

    def _tell(self, record: JobRecord, effect: Effect) -> None:
        super()._tell(record, effect)
        if isinstance(effect, StopAttempts):
            for subjob in self._subjobs:
                if subjob.attempt in effect.attempts and not subjob.stop:
                    subjob.stop = effect.reason

    def _kept(self, record: JobRecord) -> tuple[str, ...]:
        return tuple(subjob.attempt for subjob in self._subjobs if subjob.job == record.id and not subjob.stop)

    def crash(self) -> None:
        """See :meth:`ImaginedFarm.crash`: what others have of us goes on."""
        self._subjobs = [subjob for subjob in self._subjobs if subjob.stored]
        super().crash()

    # --- what the others do --------------------------------------------------------------------------------------

    def give(self) -> None:
        """A node gets frames: some that wait, or near the end some that another has."""
        if len(self._subjobs) >= MOST:
            return
        jobs = [
            record
            for record in self.newest.values()
            if record.status in _RENDERED and record.spec.divisible and record.state.ending is None
        ]
        if not jobs:
            return
        record = self._pick(jobs)
        waiting, twice = record.waiting_positions(), False
        if not waiting and not record.state.needs_space:
            waiting, twice = record.running_positions(), True
        if not waiting:
            return
        attempt, some = f"{record.id}-{record.state.attempts + 1}", self._some_of(waiting)
        node = self._pick(NODES)
        self.apply(record.id, AttemptStarted(attempt, some, self._now, node=node, twice=twice))
        self._subjobs.append(Subjob(record.id, attempt, node, some))

    def go_on_elsewhere(self) -> None:
        """Something happens to one subjob, or a word about it arrives."""
        if not self._subjobs:
            return
        subjob = self._pick(self._subjobs)
        if not subjob.stored:
            self.commit()
        elif subjob.stop:
            self._is_over(subjob, AttemptReleased(subjob.attempt, subjob.stop, self._now))
        elif subjob.left and self.choose(3):
            some = self._some_of(subjob.left)
            subjob.left -= some
            subjob.there |= some
        elif subjob.there:
            self._bring_home(subjob, self._some_of(subjob.there))
        elif not subjob.left:
            self._end(subjob)

    def trouble_elsewhere(self) -> None:
        """A node dies or fails; or one that was given up comes back with what it has."""
        if not self._subjobs:
            return
        subjob = self._pick(self._subjobs)
        if not subjob.stored:
            return
        what = self.choose(4)
        if what == 0:  # it does not answer: its attempt is over, and it goes on all the same
            self.apply(subjob.job, AttemptReleased(subjob.attempt, f"{subjob.node} does not answer", self._now))
        elif what == 1 and subjob.left:
            position = subjob.left.spans[0][0]
            subjob.left -= IndexSet.span(position, position)
            cause = self._pick([cause for cause in CAUSES if cause not in HOPELESS])
            self.apply(subjob.job, FrameFailed(subjob.attempt, position, cause, "trouble there", self._now))
        elif what == 2:
            cause = self._pick(CAUSES)
            self._is_over(subjob, AttemptFailed(subjob.attempt, cause, "trouble there", None, self._now))
        else:
            self._subjobs.remove(subjob)
            self.apply(subjob.job, AttemptReleased(subjob.attempt, f"{subjob.node} has left", self._now))

    def _bring_home(self, subjob: Subjob, some: IndexSet) -> None:
        """Frames are fetched, verified and moved into the output folder; whoever has asked for them, they count."""
        record = self.newest.get(subjob.job)
        subjob.there -= some
        if record is None or record.state.ending is not None or record.status not in _RENDERED:
            return  # nobody wants them now
        if self._full or record.state.needs_space:
            subjob.there |= some
            return
        self.twice += len(some & record.state.done)
        some -= record.state.done
        wanted = some & (record.waiting_positions() | record.running_positions())
        if not wanted:
            return
        folder = self.folders[subjob.job]
        folder.listed |= wanted
        folder.there |= wanted
        files = len(folder.listed)
        attempt = subjob.attempt
        own = record.state.running.positions(attempt)
        if mine := wanted & own:
            self.apply(subjob.job, FramesVerified(attempt, mine, files, 0.5))
        if others := wanted - own:
            self.adopted += len(others)
            fresh = f"{subjob.job}-{record.state.attempts + 1}"
            self.apply(subjob.job, AttemptStarted(fresh, others, self._now, node=subjob.node, twice=True))
            self.apply(subjob.job, AttemptEnded(fresh, self._now, FramesVerified(fresh, others, files, 0.5)))

    def _end(self, subjob: Subjob) -> None:
        self._subjobs.remove(subjob)
        record = self.newest.get(subjob.job)
        chunks = () if record is None else record.state.running
        left = next((chunk.positions for chunk in chunks if chunk.attempt == subjob.attempt), NO_FRAMES)
        if left:  # it said that it is through, and some of it never came
            self.apply(subjob.job, AttemptReleased(subjob.attempt, "some of it is missing", self._now))
        else:
            self.apply(subjob.job, AttemptEnded(subjob.attempt, self._now))

    def _is_over(self, subjob: Subjob, event: AttemptReleased | AttemptFailed) -> None:
        self._subjobs.remove(subjob)
        self.apply(subjob.job, event)

    # --- the end -------------------------------------------------------------------------------------------------

    def pass_time(self) -> None:
        """See :meth:`ImaginedFarm.pass_time`; and the others go on."""
        super().pass_time()
        for _ in range(len(self._subjobs)):
            self.go_on_elsewhere()
