"""What can happen to a job, and what must be done because of it. Plain values; the rules that connect them are in
:mod:`app.jobs.transitions`. Times (``at``) are seconds since 1970, given by whoever saw the event happen.
"""

from __future__ import annotations

from dataclasses import dataclass

from app.jobs.record import Pace
from client.models import JobStatus
from engines.contract import FailureCause, MissingVersion
from engines.frames import IndexSet

NONE_REFUSED = IndexSet()

# --- events --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ScheduleDue:
    """The time of ``scheduled_start`` has come."""


@dataclass(frozen=True, slots=True)
class EngineMissing:
    """No installed engine version renders the job, or not the one that did before."""

    missing: MissingVersion


@dataclass(frozen=True, slots=True)
class EngineAwaited:
    """Something new about the version that the job waits for: it is on its way, or why it did not come."""

    reason: str


@dataclass(frozen=True, slots=True)
class EngineFound:
    """An installed engine version renders the job from now on."""

    version: str
    reason: str  # why this one: a sentence


@dataclass(frozen=True, slots=True)
class AttemptStarted:
    """An attempt took a chunk, or (``assembles``) puts the parts of the job together and has no frame of its own.

    ``node``: name of the node that renders it, if it is another one. ``twice``: the chunk may have frames that other
    attempts have as well; whoever is through with a frame first takes it from the others.
    """

    attempt: str
    positions: IndexSet
    at: float
    assembles: bool = False
    node: str = ""
    twice: bool = False


@dataclass(frozen=True, slots=True)
class FramesVerified:
    """Frames of an attempt are verified and in the output folder. ``files``: how many outputs the job now has.

    ``seconds_per_frame``: the median of the job so far; ``pace``: how far they are apart. ``seconds``: what one of
    these frames took.
    """

    attempt: str
    positions: IndexSet
    files: int
    seconds_per_frame: float | None = None
    seconds: float | None = None
    pace: Pace | None = None


@dataclass(frozen=True, slots=True)
class AttemptEnded:
    """The engine is through with the attempt's chunk; every frame of it was verified.

    ``verified``: the last of its frames, where their verification was not reported by itself before.
    ``then``: the attempt that follows at once in the same slot, so that the job is never seen idle in between.
    ``files``: how many outputs the job has, where its parts were put together.
    """

    attempt: str
    at: float
    verified: FramesVerified | None = None
    then: AttemptStarted | None = None
    files: int | None = None


@dataclass(frozen=True, slots=True)
class FrameFailed:
    """The engine could not render one frame of the attempt, and goes on with the others."""

    attempt: str
    position: int
    cause: FailureCause
    message: str
    at: float


@dataclass(frozen=True, slots=True)
class AttemptFailed:
    """The attempt is over without all its frames. ``blamed``: the frame it was at; None: none in particular.

    ``refused``: frames of parts that do not go together with the others, and must be rendered again.
    """

    attempt: str
    cause: FailureCause
    message: str
    blamed: int | None
    at: float
    refused: IndexSet = NONE_REFUSED


@dataclass(frozen=True, slots=True)
class AttemptReleased:
    """The attempt was stopped by us (shutdown, cancel, crash of the service); its frames go back without blame."""

    attempt: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class AttemptHeld:
    """The attempt could not go on because the disk is full. That is nobody's fault: its frames go back without blame
    and wait until there is space."""

    attempt: str
    reason: str
    at: float


@dataclass(frozen=True, slots=True)
class FramesLost:
    """Outputs that were verified are not in the output folder any more, while the attempt still runs: somebody took
    them. ``files``: how many outputs are left."""

    attempt: str
    positions: IndexSet
    files: int


@dataclass(frozen=True, slots=True)
class SpaceFound:
    """There is space on the disk again."""


@dataclass(frozen=True, slots=True)
class Reconciled:
    """After a start: what really is in the output folder. Attempts of the time before are over, but for those ``kept``:
    other nodes go on with them.

    ``assembled``: whether the parts of the job are put together.
    """

    done: IndexSet
    files: int
    assembled: bool = False
    kept: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class WarningNoted:
    """Something a person should know."""

    message: str


@dataclass(frozen=True, slots=True)
class CancelAsked:
    """A person (or the parent) wants the job to stop."""

    at: float
    reason: str = "cancelled by request"


@dataclass(frozen=True, slots=True)
class RetryAsked:
    """A person wants the frames that are missing rendered (again), in a job that has ended or has given frames up.

    ``done``, ``files``: what really is in the output folder of a job that has ended, and how many outputs that makes;
    None: nobody has looked, and what is known stands. ``children``: subjobs that were brought back to life.
    ``assembled``: whether the parts of the job are put together.
    """

    at: float
    done: IndexSet | None = None
    files: int = 0
    children: tuple[str, ...] = ()
    assembled: bool = False


@dataclass(frozen=True, slots=True)
class JobEdited:
    """A person wants something of the job to be another thing; None: it stays."""

    name: str | None = None
    priority: int | None = None
    notes: str | None = None


@dataclass(frozen=True, slots=True)
class ChildEnded:
    """A subjob of this job reached its last state."""

    child: str
    status: JobStatus
    reason: str
    at: float


JobEvent = (
    ScheduleDue
    | EngineMissing
    | EngineAwaited
    | EngineFound
    | AttemptStarted
    | FramesVerified
    | AttemptEnded
    | FrameFailed
    | AttemptFailed
    | AttemptReleased
    | AttemptHeld
    | FramesLost
    | SpaceFound
    | Reconciled
    | WarningNoted
    | CancelAsked
    | RetryAsked
    | ChildEnded
    | JobEdited
)

# --- effects -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Queue:
    """Frames of the job are waiting; the queue should offer it.

    ``backoff``: 0 at once, else after a pause that doubles with each (1, 2, 4, … times ``retry_seconds``).
    """

    backoff: int = 0


@dataclass(frozen=True, slots=True)
class AwaitSpace:
    """Frames of the job are waiting for space on the disk; :class:`SpaceFound` must come when there is."""


@dataclass(frozen=True, slots=True)
class StopAttempts:
    """These attempts must end; nobody wants their frames any more."""

    attempts: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class CancelChildren:
    """The subjobs must be cancelled too."""

    children: tuple[str, ...]
    reason: str


@dataclass(frozen=True, slots=True)
class PriorityChanged:
    """The job has another place in the queue, and so have its subjobs."""

    priority: int


@dataclass(frozen=True, slots=True)
class Ended:
    """The job reached its last state."""

    status: JobStatus
    reason: str


@dataclass(frozen=True, slots=True)
class NeedEngine:
    """The job waits for an engine version: a whole one that is to be fetched, or what would do (``"4.5"``; ``""`` any).

    Told when the wait begins, when another version is waited for, and once after every start.
    """

    engine: str
    version: str
    fetch: bool  # False: a person has to install it, or the sources have to be asked again


Effect = Queue | AwaitSpace | StopAttempts | CancelChildren | PriorityChanged | Ended | NeedEngine
