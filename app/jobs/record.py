"""What a job is, as plain immutable data: what was settled when it was submitted (:class:`JobSpec`), of which only the
engine version and what a person edits may change afterwards, and what changes while it lives (:class:`JobState`). Pure:
nothing here knows a clock, a disk or a network.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from pydantic import JsonValue

from app.jobs.running import NOBODY, Running
from client.models import JobStatus
from engines.contract import MissingVersion, VersionWish
from engines.frames import FrameSet, IndexSet

NO_FRAMES = IndexSet()
NO_WISH = VersionWish()
_PLACES = frozenset({"done", "failed", "running"})
"""The fields of the state that say where a frame is."""


@dataclass(frozen=True, slots=True)
class Origin:
    """Whose share of frames a job is, where its parent is on another node."""

    parent: str  # id of the job there
    attempt: str  # of that job
    node: str  # id of its node
    address: str = ""  # host:port of that node, when it asked


@dataclass(frozen=True, slots=True)
class JobSpec:
    """What was settled when the job was submitted. Times are seconds since 1970, UTC.

    While ``missing`` is set the job waits for an engine version, and ``engine_version`` says for which.
    """

    id: str
    name: str
    engine: str
    engine_version: str
    engine_version_reason: str
    frames: FrameSet
    divisible: bool
    created: float
    project: str | None = None  # file name, for people
    project_path: str | None = None  # "project/…" inside the job's folder, or absolute for a local_path
    output_name: str = "output"  # stem of the outputs' file names
    options: Mapping[str, JsonValue] = field(default_factory=dict)
    raw_arguments: tuple[str, ...] = ()  # for the engine's command as they are, where the operator allows them
    output_format: str | None = None
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    colour: Mapping[str, str] = field(default_factory=dict)
    details: Mapping[str, JsonValue] = field(default_factory=dict)
    priority: int = 50
    notes: str = ""
    enable_split_jobs: bool = True
    tags: tuple[str, ...] = ()  # that a node must have to render it
    max_nodes: int | None = None  # that may render it at a time
    memory_bytes: int | None = None  # that a node must have to render it
    scheduled_start: float | None = None
    parent: str | None = None
    origin: Origin | None = None
    children: tuple[str, ...] = ()
    hostname: str = ""
    submitted_by: str = ""  # id of the token that it came with
    warnings: tuple[str, ...] = ()
    wish: VersionWish = NO_WISH  # what decides which version renders it
    missing: MissingVersion | None = None  # None: the version is settled
    parts: tuple[int, ...] = ()  # how many frames each part has; empty: it is not rendered in parts
    assembles: bool = True  # whether its parts are put together here; a subjob renders one of them for its parent
    still: int | None = None  # the one frame that the parts make; ``frames`` are then the numbers of the parts
    part_failures: int = 0  # of a subjob: how many attempts at its part have failed before


@dataclass(frozen=True, slots=True)
class Present:
    """What is in the output folder of a job: the positions of the frames that are done, the number of outputs, and
    whether its parts are put together."""

    done: IndexSet
    files: int
    assembled: bool = False


@dataclass(frozen=True, slots=True)
class Pace:
    """How long the frames of a job took that were measured last, in seconds."""

    mean: float
    deviation: float  # of a sample; 0 if it has only one frame
    count: int


@dataclass(frozen=True, slots=True)
class JobState:
    """What changes while a job lives."""

    status: JobStatus
    reason: str
    done: IndexSet = NO_FRAMES
    failed: IndexSet = NO_FRAMES
    running: Running = NOBODY
    strikes: tuple[IndexSet, ...] = ()  # strikes[k]: frames that were to blame for at least k+1 failed attempts
    fruitless: int = 0  # failed attempts in a row without one verified frame
    cause: str = ""  # a FailureCause: of what failed last
    needs_space: bool = False  # its frames wait until there is space on the disk
    attempts: int = 0
    ending: JobStatus | None = None  # the last state it will have as soon as no attempt is alive
    ending_reason: str = ""
    seconds_per_frame: float | None = None
    pace: Pace | None = None
    started: float | None = None
    ended: float | None = None
    file_count: int = 0
    assembled: bool = False  # whether its parts are put together
    assembly_failures: int = 0  # failed attempts at that, in a row
    warnings: tuple[str, ...] = ()
    errors: tuple[str, ...] = ()
    children_ended: Mapping[str, str] = field(default_factory=dict)  # id of an ended child: its status


@dataclass(frozen=True)
class JobRecord:
    """One job. A new one is made for every change; see :mod:`app.jobs.transitions`.

    ``counted``: :attr:`free`, where whoever made it knew that already.
    """

    spec: JobSpec
    state: JobState
    counted: IndexSet | None = field(default=None, repr=False, compare=False)

    @property
    def id(self) -> str:
        """The job's id."""
        return self.spec.id

    @property
    def status(self) -> JobStatus:
        """The job's present status."""
        return self.state.status

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to it by itself."""
        return self.state.status.ended

    def running_positions(self) -> IndexSet:
        """Positions of the frames that some attempt has now."""
        return self.state.running.held

    def waiting_positions(self) -> IndexSet:
        """Positions of the frames that nobody renders, has rendered or has given up; none if the job is ending or
        waits for space on the disk."""
        idle = self.state.ending is not None or self.state.needs_space
        return NO_FRAMES if idle else self.free

    @cached_property
    def free(self) -> IndexSet:
        """Positions of the frames that are nowhere: with no attempt, not done and not given up."""
        if self.counted is not None:
            return self.counted
        return self.spec.frames.all_positions() - self.state.done - self.state.failed - self.state.running.held

    @cached_property
    def done_notation(self) -> str:
        """The frames that are done, in the field's notation."""
        return self.spec.frames.notation(self.state.done)

    @property
    def needs_assembly(self) -> bool:
        """Whether all its parts are there and nobody has put them together or is doing so."""
        spec, state = self.spec, self.state
        if not spec.parts or not spec.assembles or state.assembled or state.running:
            return False
        idle = state.ending is None and not state.needs_space
        return idle and not state.failed and len(state.done) == len(spec.frames)

    def part_positions(self, first: int) -> IndexSet:
        """The positions of the part that begins at a position.

        Raises:
            ValueError: none does.
        """
        begin = 0
        for count in self.spec.parts:
            if begin == first:
                return IndexSet.span(begin, begin + count - 1)
            begin += count
        raise ValueError(f"no part of job {self.id} begins at position {first}")

    def failures_at(self, positions: IndexSet) -> int:
        """How many attempts that had one of these frames have failed."""
        return self.spec.part_failures + sum(1 for struck in self.state.strikes if struck & positions)

    def with_version(self, version: str, reason: str, missing: MissingVersion | None = None) -> JobRecord:
        """A copy with another engine version, or with one that it waits for."""
        spec = replace(self.spec, engine_version=version, engine_version_reason=reason, missing=missing)
        return JobRecord(spec, self.state)

    def with_spec(self, **changes: object) -> JobRecord:
        """A copy with some fields of its spec replaced."""
        return JobRecord(replace(self.spec, **changes), self.state)  # type: ignore[arg-type]  # names checked by tests

    def with_state(self, *, free: IndexSet | None = None, **changes: object) -> JobRecord:
        """A copy with some fields of its state replaced.

        Args:
            free: what is :attr:`free` then, where that is known: it need not be counted over all frames.
        """
        if free is None and not _PLACES & changes.keys():
            free = self.__dict__.get("free", self.counted)
        return JobRecord(self.spec, replace(self.state, **changes), free)  # type: ignore[arg-type]  # names checked by tests
