"""A node that only exists in memory: the real rules of a job, and around them a model of everything that brings them
events. Slots, engine processes, the store, the disk, engine versions, people, power cuts.

The model does what :mod:`app.render.slot` and :mod:`app.jobs.service` do, one small action at a time, so that anything
may come between two of them. Nothing here knows a clock or chance: what happens next is chosen by whoever drives it.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import TypeVar

from app.jobs.chunking import next_chunk
from app.jobs.codec import record_from, spec_bytes, state_bytes
from app.jobs.events import (
    AttemptEnded,
    AttemptFailed,
    AttemptHeld,
    AttemptReleased,
    AttemptStarted,
    AwaitSpace,
    CancelAsked,
    CancelChildren,
    ChildEnded,
    Effect,
    EngineAwaited,
    EngineFound,
    EngineMissing,
    FrameFailed,
    FramesLost,
    FramesVerified,
    JobEvent,
    NeedEngine,
    Queue,
    Reconciled,
    RetryAsked,
    ScheduleDue,
    SpaceFound,
    StopAttempts,
    WarningNoted,
)
from app.jobs.record import JobRecord, JobSpec, JobState
from app.jobs.rules.settling import backoff
from app.jobs.transitions import initial_status, transition
from client.models import JobStatus
from engines.contract import FailureCause, MissingVersion
from engines.frames import FrameSet, IndexSet
from tests.proof.promises import check_change

T = TypeVar("T")
Choose = Callable[[int], int]
"""A number below the one that is given."""

SLOTS = 3
FRAMES = ("1", "1-3", "5-1", "1-10x3", "1-12", "7,3,5-6", "-2-2", "1-40")
VERSIONS = ("1", "2")
CAUSES = tuple(FailureCause)
_REMEMBERED = 24
_RENDERED = (JobStatus.NOT_STARTED, JobStatus.RUNNING)
_NOT_REPEATED = (AttemptStarted, Reconciled, RetryAsked, ChildEnded)
"""Events that are made from what is known at that very moment, and so cannot come late or twice."""


@dataclass
class Slot:
    """One slot, and the engine process in it."""

    job: str = ""
    attempt: str = ""
    left: IndexSet = field(default_factory=IndexSet)  # frames that the process has not come to
    delivered: IndexSet = field(default_factory=IndexSet)  # their files are there, and nobody knows yet
    begun: bool = False  # the attempt is stored; before that nothing is started
    stop: str = ""
    finished: tuple[str, AttemptEnded] | None = None  # as in app.render.slot


@dataclass
class Folder:
    """The output folder of a job and its manifest, as positions."""

    listed: IndexSet = field(default_factory=IndexSet)
    there: IndexSet = field(default_factory=IndexSet)


class ImaginedFarm:
    """One node.

    Args:
        choose: says what happens where anything may.
    """

    def __init__(self, choose: Choose) -> None:
        self.choose = choose
        self.newest: dict[str, JobRecord] = {}  # jobs that have not ended, or whose end is not stored
        self.stored: dict[str, JobRecord] = {}
        self.folders: dict[str, Folder] = {}
        self.story: deque[str] = deque(maxlen=60)
        self.events = 0
        self._attempts: set[str] = set()
        self._unsaved: list[tuple[str, JobRecord, tuple[Effect, ...]]] = []
        self._history: dict[str, deque[JobEvent]] = {}
        self._slots = [Slot() for _ in range(SLOTS)]
        self._queue: dict[str, None] = {}
        self._delayed: dict[str, None] = {}
        self._waiting_for_space: dict[str, None] = {}
        self._errands: deque[tuple[str, str]] = deque()  # subjobs that are to be cancelled, and why
        self._installed: list[str] = list(VERSIONS[:1])
        self._full = False
        self._now = 1000.0

    # --- what the service does -----------------------------------------------------------------------------------

    def apply(self, job: str, event: JobEvent) -> None:
        """As :meth:`app.jobs.service.JobService.apply`, and every promise is looked at."""
        before = self.newest.get(job)
        if before is None:
            return
        self.events += 1
        self.story.append(f"{job} {before.status}: {event}")
        record, effects = transition(before, event)
        check_change(before, event, record, effects)
        if isinstance(event, FramesLost):  # what was said of these frames before is not true any more
            self._history[job].clear()
        if not isinstance(event, _NOT_REPEATED):
            self._history[job].append(event)
        if record is not before:
            self.newest[job] = record
            self._unsaved.append((job, record, effects))

    def commit(self) -> None:
        """Store what has happened, then let the effects be known."""
        unsaved, self._unsaved = self._unsaved, []
        for job, record, effects in unsaved:
            self.stored[job] = record
            if record.ended and self.newest.get(job) is record:
                del self.newest[job]
            for effect in effects:
                self._tell(record, effect)

    def _tell(self, record: JobRecord, effect: Effect) -> None:
        if isinstance(effect, Queue):
            self._offer(record.id, delayed=bool(effect.backoff))
        elif isinstance(effect, AwaitSpace):
            self._waiting_for_space[record.id] = None
        elif isinstance(effect, StopAttempts):
            for slot in self._slots:
                if slot.attempt and slot.attempt in effect.attempts:
                    slot.stop = effect.reason
        elif isinstance(effect, CancelChildren):
            self._errands.extend((child, effect.reason) for child in effect.children)
        elif isinstance(effect, NeedEngine):
            self._check_engine(record.id)
        else:
            self._waiting_for_space.pop(record.id, None)
            assert not any(slot.job == record.id and slot.attempt for slot in self._slots), "an ended job has a process"
            if record.spec.parent is not None:
                self.apply(record.spec.parent, ChildEnded(record.id, effect.status, effect.reason, self._now))

    def _offer(self, job: str, *, delayed: bool = False) -> None:
        if not delayed:
            self._delayed.pop(job, None)
            self._queue[job] = None
        elif job not in self._queue:
            self._delayed[job] = None

    def _check_engine(self, job: str) -> None:
        """As :func:`app.render.awaiting.check_engine`."""
        record = self.newest.get(job)
        if record is None or record.ended or record.state.running:
            return
        waits = record.spec.missing is not None or record.status is JobStatus.CONFIGURING
        if not waits and record.spec.engine_version in self._installed:
            return
        if self._installed:
            self.apply(job, EngineFound(self._pick(self._installed), "it is installed"))
        elif record.status is not JobStatus.WAITING_FOR_SUBJOBS and not waits:
            fetch = bool(self.choose(2))
            self.apply(job, EngineMissing(MissingVersion(self._pick(VERSIONS), fetch, "it is gone")))
        elif record.status is not JobStatus.WAITING_FOR_SUBJOBS and self.choose(2):
            self.apply(job, EngineMissing(MissingVersion(self._pick(VERSIONS), True, "it is fetched")))

    # --- people --------------------------------------------------------------------------------------------------

    def submit(self) -> None:
        """Somebody submits a job, or one with subjobs."""
        number = len(self.stored) + len(self._history)
        job = f"j{number}"
        subjobs = 2 if self.choose(6) == 0 else 0
        children = tuple(f"{job}s{at}" for at in range(subjobs))
        self._submit(job, children, None)
        for child in children:
            self._submit(child, (), job)

    def _submit(self, job: str, children: tuple[str, ...], parent: str | None) -> None:
        missing = MissingVersion("1", False, "there is none") if not self._installed else None
        spec = JobSpec(
            id=job,
            name=job,
            engine="testpattern",
            engine_version="1" if missing is not None else self._pick(self._installed),
            engine_version_reason="",
            frames=FrameSet.parse(self._pick(FRAMES)),
            divisible=self.choose(5) > 0,
            created=self._now,
            scheduled_start=self._now + 50 if self.choose(5) == 0 else None,
            children=children,
            parent=parent,
            missing=missing,
        )
        status, reason = initial_status(spec)
        record = JobRecord(spec, JobState(status, reason))
        self.newest[job] = self.stored[job] = record
        self.folders[job] = Folder()
        self._history[job] = deque(maxlen=_REMEMBERED)
        if status is JobStatus.NOT_STARTED:
            self._offer(job)

    def cancel(self) -> None:
        """Somebody cancels any job."""
        self.apply(self._any_job(), CancelAsked(self._now))

    def retry(self) -> None:
        """Somebody wants what is missing rendered, as :meth:`app.jobs.service.JobService.retry`."""
        self._retry(self._any_job())

    def _retry(self, job: str) -> None:
        record = self.newest.get(job) or self.stored[job]
        if record.spec.children:
            for child in record.spec.children:
                self._retry(child)
            return
        if job in self.newest and not record.ended and record.state.ending is None:
            self.apply(job, RetryAsked(self._now))
            return
        self.commit()
        if job in self.newest:
            return  # it is still on its way to its end
        record, folder = self.stored[job], self.folders[job]
        folder.listed &= folder.there
        event = RetryAsked(self._now, *self._found(record, folder))
        if transition(record, event)[0] is record:
            return
        if record.spec.parent is not None:
            self._revive(record.spec.parent, RetryAsked(self._now, children=(job,)))
            self._tell_of_subjobs(record.spec.parent, besides=job)
        self._revive(job, event)
        if record.spec.parent is not None:
            parent = self.newest.get(record.spec.parent)
            assert self.newest[job].ended or (parent is not None and not parent.ended), "its parent does not go on"

    def _revive(self, job: str, event: RetryAsked) -> None:
        if job not in self.newest:
            if transition(self.stored[job], event)[0] is self.stored[job]:
                return
            self.newest[job] = self.stored[job]
        self.apply(job, event)

    def _tell_of_subjobs(self, parent: str, besides: str = "") -> None:
        record = self.newest[parent]
        for child in record.spec.children:
            status = self.stored[child].status
            if status.ended and child != besides and child not in record.state.children_ended:
                self.apply(parent, ChildEnded(child, status, "ended before", self._now))

    def note(self) -> None:
        """An engine warns."""
        self.apply(self._any_job(), WarningNoted(f"warning {self.choose(60)}"))

    # --- the machine ---------------------------------------------------------------------------------------------

    def repeat(self) -> None:
        """Something that was told is told again, however late."""
        job = self._any_job()
        if history := self._history[job]:
            self.apply(job, history[self.choose(len(history))])

    def pass_time(self) -> None:
        """Delays are over, schedules come due, errands are run."""
        self._now += 1 + self.choose(40)
        for job in list(self._delayed):
            self._offer(job)
        for job, record in list(self.newest.items()):
            start = record.spec.scheduled_start
            if record.status is JobStatus.SCHEDULED and start is not None and start <= self._now:
                self.apply(job, ScheduleDue())
        while self._errands:
            child, reason = self._errands.popleft()
            self.apply(child, CancelAsked(self._now, f"its parent was cancelled: {reason}"))
        if not self._full:
            for job in list(self._waiting_for_space):
                self.apply(job, SpaceFound())
                if job not in self.newest or not self.newest[job].state.needs_space:
                    del self._waiting_for_space[job]

    def change_engines(self) -> None:
        """A version is installed or removed, or news of one come."""
        version = self._pick(VERSIONS)
        if version in self._installed:
            self._installed.remove(version)
        elif self.choose(4):
            self._installed.append(version)
        else:
            self.apply(self._any_job(), EngineAwaited(f"news {self.choose(9)}"))
        for job in list(self.newest):
            self._check_engine(job)

    def change_disk(self) -> None:
        """The disk fills up, or has space again; or somebody takes outputs away."""
        if self.choose(3):
            self._full = not self._full
            return
        folder = self.folders[self._any_job()]
        if folder.there:
            lost = self._some_of(folder.there)
            folder.there -= lost
            self.story.append(f"somebody took {lost.spans}")

    def crash(self) -> None:
        """The power is cut, and the node starts again."""
        self.story.append("power cut")
        lost = {job for job, _, _ in self._unsaved}
        self._unsaved.clear()
        self._queue.clear()
        self._delayed.clear()
        self._waiting_for_space.clear()
        self._errands.clear()
        self._slots = [Slot() for _ in range(SLOTS)]
        for job in lost:  # what was never stored never happened
            self._history[job].clear()
        self.newest = {
            job: record_from(spec_bytes(record.spec), state_bytes(record))
            for job, record in self.stored.items()
            if not record.ended
        }
        for job, record in list(self.newest.items()):
            assert record == self.stored[job], "the store does not give back what it was given"
            if record.state.attempts:
                folder = self.folders[job]
                folder.listed &= folder.there
                self.apply(job, Reconciled(*self._found(record, folder), kept=self._kept(record)))
        for job in list(self.newest):
            self._tell_of_subjobs(job)
        self.commit()
        for job in list(self.newest):
            self._check_engine(job)
            if job in self.newest and self.newest[job].status in _RENDERED and self.newest[job].waiting_positions():
                self._offer(job)

    def _kept(self, record: JobRecord) -> tuple[str, ...]:
        """The attempts of a job that go on although this node was down: none, on a node that is alone."""
        return ()

    @staticmethod
    def _found(record: JobRecord, folder: Folder) -> tuple[IndexSet, int]:
        """What a look into the output folder says, as :class:`app.render.delivery.Delivery` has it."""
        if record.spec.divisible:
            return folder.listed, len(folder.listed)
        whole = bool(record.state.done) and len(folder.listed) >= record.state.file_count > 0
        return (record.spec.frames.all_positions() if whole else IndexSet()), len(folder.listed)

    # --- slots ---------------------------------------------------------------------------------------------------

    def work(self, *, well: bool = False) -> None:
        """One slot goes on. ``well``: nothing goes wrong in it."""
        slot = self._slots[self.choose(SLOTS)]
        if not slot.attempt:
            self._take(slot)
        elif not slot.begun:
            self.commit()
            slot.begun = True
            assert slot.attempt not in self._attempts, "an id of an attempt was used twice"
            self._attempts.add(slot.attempt)
        elif slot.delivered:
            files = len(self.folders[slot.job].listed)
            delivered, slot.delivered = slot.delivered, IndexSet()
            self.apply(slot.job, FramesVerified(slot.attempt, delivered, files, 0.5))
        elif slot.stop:
            self._over(slot, AttemptReleased(slot.attempt, slot.stop, self._now))
        elif not well and self.choose(4) == 0:
            self._go_wrong(slot)
        elif self._full:
            self._over(slot, AttemptHeld(slot.attempt, "the disk is full", self._now))
        else:
            self._render(slot)

    def _take(self, slot: Slot) -> None:
        record = None
        while self._queue and record is None:
            job = self._pick(list(self._queue))
            del self._queue[job]
            record = self.newest.get(job)
            if record is not None and (record.status not in _RENDERED or not record.waiting_positions()):
                record = None
        if record is None:
            self._report(slot)
            return
        job = record.id
        if record.spec.engine_version not in self._installed:
            self._check_engine(job)
            return
        positions = next_chunk(record, slots=SLOTS, chunk_seconds=2.0, max_frames=5)
        if not positions:
            return
        if record.spec.divisible:
            folder = self.folders[job]
            assert not positions & folder.listed & folder.there, "a frame that is there is rendered again"
        attempt = f"{job}-{record.state.attempts + 1}"
        started = AttemptStarted(attempt, positions, self._now)
        if slot.finished is not None and slot.finished[0] == job:
            self._report(slot, started)
        else:
            self.apply(job, started)
            self._report(slot)
        slot.job, slot.attempt, slot.left = job, attempt, positions
        slot.begun, slot.stop = False, ""
        newest = self.newest[job]
        if record.spec.divisible and not backoff(newest) and newest.waiting_positions():
            self._offer(job)

    def _render(self, slot: Slot) -> None:
        record, folder = self.newest[slot.job], self.folders[slot.job]
        if not record.spec.divisible:
            everything = record.spec.frames.all_positions()
            folder.listed, folder.there = everything, everything
            verified = FramesVerified(slot.attempt, everything, len(folder.listed), 0.5)
            self._succeed(slot, verified)
        elif slot.left:
            some = self._some_of(slot.left)
            slot.left -= some
            folder.listed |= some
            folder.there |= some
            slot.delivered = some
        else:
            self._succeed(slot, None)

    def _succeed(self, slot: Slot, verified: FramesVerified | None) -> None:
        job, attempt = slot.job, slot.attempt
        slot.attempt, slot.finished = "", (job, AttemptEnded(attempt, self._now, verified))
        record, folder = self.newest[job], self.folders[job]
        others = any(chunk.positions for chunk in record.state.running if chunk.attempt != attempt)
        lost = folder.listed - folder.there
        if record.spec.divisible and not record.waiting_positions() and not others and lost:
            folder.listed &= folder.there
            self.apply(job, FramesLost(attempt, lost, len(folder.listed)))
        newest = self.newest[job]
        if newest.waiting_positions() and not backoff(newest):
            self._offer(job)

    def _report(self, slot: Slot, then: AttemptStarted | None = None) -> None:
        if slot.finished is not None:
            (job, ended), slot.finished = slot.finished, None
            self.apply(job, replace(ended, then=then))

    def _go_wrong(self, slot: Slot) -> None:
        record = self.newest[slot.job]
        cause, message = self._pick(CAUSES), f"trouble {self.choose(70)}"
        if slot.left and record.spec.divisible and self.choose(2):
            position = self._some_of(slot.left).spans[0][0]
            slot.left -= IndexSet.span(position, position)
            self.apply(slot.job, FrameFailed(slot.attempt, position, cause, message, self._now))
            return
        blamed = self.choose(len(record.spec.frames)) if self.choose(3) else None
        self._over(slot, AttemptFailed(slot.attempt, cause, message, blamed, self._now))

    def _over(self, slot: Slot, event: AttemptFailed | AttemptReleased | AttemptHeld) -> None:
        slot.attempt = ""
        self.apply(slot.job, event)

    # --- the end -------------------------------------------------------------------------------------------------

    def calm_down(self) -> None:
        """No more faults: every job ends.

        Raises:
            AssertionError: one does not.
        """
        self.story.append("the faults stop")
        self._full = False
        if VERSIONS[0] not in self._installed:
            self._installed.append(VERSIONS[0])
        for _ in range(200 + 100 * len(self.newest)):
            if not self.newest:
                self._check_parents()
                return
            for job in list(self.newest):
                self._check_engine(job)
            self.pass_time()
            for _ in range(3 * SLOTS):
                self.work(well=True)
            self.commit()
        waits = {job: (str(record.status), record.state.reason) for job, record in self.newest.items()}
        raise AssertionError(f"the faults have stopped, and these jobs do not end: {waits}")

    def _check_parents(self) -> None:
        """How a parent has ended is how its subjobs have."""
        for record in self.stored.values():
            statuses = {self.stored[child].status for child in record.spec.children}
            if statuses and record.status is JobStatus.COMPLETED:
                assert statuses == {JobStatus.COMPLETED}, "a parent is completed, and its subjobs are not"
            if statuses and record.status is JobStatus.ERROR:
                assert JobStatus.ERROR in statuses, "a parent failed, and none of its subjobs"

    # --- choosing ------------------------------------------------------------------------------------------------

    def _any_job(self) -> str:
        """Mostly one that has not ended."""
        if self.newest and self.choose(8):
            return self._pick(list(self.newest))
        return self._pick(list(self.stored))

    def _some_of(self, positions: IndexSet) -> IndexSet:
        first, last = positions.spans[self.choose(len(positions.spans))]
        start = first + self.choose(last - first + 1)
        return IndexSet.span(start, min(last, start + self.choose(3)))

    def _pick(self, things: Sequence[T]) -> T:
        return things[self.choose(len(things))]
