"""The few types an engine implements.

An engine turns a request into data (argv, environment, working folder, expected outputs) and turns output lines into
events. It never starts a process, never touches the store, never waits: the service's ``render`` room does that. The
built-in engines and those of other packages implement the same :class:`Engine` and are found the same way
(entry-point group ``zordon.engines``).

How a job meets its engine::

    find_candidates/version_argv/parse_version   what copies of the engine are there (the service runs the argv)
    inspect(project)                             what is in the project, in a worker process of the service
    plan(request)                                which frames and outputs that makes; refuses what cannot render
    choose(wish, installed, fetchable)           which version renders it, or which one has to be fetched first
    command(session, chunk)                      one process, a session with the project open
    feed(chunk) / finish()                       the line that gives it a chunk; the line that ends it
    parse(line)                                  one line of the engine's event stream -> events
    expected(session, chunk)                     the files the chunk must leave in its folder, and how to check them
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, JsonValue

from engines.forms import form_schema
from engines.frames import FrameSet
from engines.installs.release import Release


class EngineOptions(BaseModel):
    """Base of an engine's typed options (the ``args`` of a job). Unknown names are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Refusal(ValueError):
    """What was asked for cannot render. ``field`` is the wire field to mend, ``message`` a sentence for a person."""

    def __init__(self, field: str, message: str) -> None:
        super().__init__(message)
        self.field = field
        self.message = message

    def __reduce__(self) -> tuple[type[Refusal], tuple[str, str]]:
        """Inspection runs in a worker process, and what it refuses comes back pickled."""
        return type(self), (self.field, self.message)


# --- installed copies ---------------------------------------------------------------------------------------------


class InstallKind(StrEnum):
    """Where an installed copy comes from."""

    SYSTEM = "system"  # found on PATH or in a usual place; never touched
    MANAGED = "managed"  # under the data folder; ours to install and delete
    EMBEDDED = "embedded"  # comes with a Python dependency of the service
    CUSTOM = "custom"  # a build that the settings give a name of its own; never touched


@dataclass(frozen=True, slots=True)
class EngineCandidate:
    """A place where a copy of an engine may be. ``version`` is set where it is known without starting anything."""

    path: Path  # the executable, or the folder that holds the module (bpy)
    kind: InstallKind
    flavour: str = ""  # engine's own word for how it is driven, e.g. "binary" or "bpy"
    version: str | None = None


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """One installed copy of an engine."""

    engine: str
    version: str  # "3.4.1"; of a custom build its name, which begins with a letter
    path: Path
    kind: InstallKind
    system_os: str  # "linux", "macos", "windows"
    cpu: str  # "x64", "arm64"
    flavour: str = ""
    base: str = ""  # of a custom build: the version that the copy says it is

    @property
    def number(self) -> str:
        """The version that the copy really is, whatever it is called here: what it can do depends on this one."""
        return self.base or self.version


# --- projects ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class ProjectInfo:
    """What inspection found in a project. Every field is None or empty where the file does not say.

    Picklable: inspection runs in a worker process.
    """

    kind: str  # "blend", "video", "image_sequence", ...
    frames: str | None = None  # frame notation, the project's own range
    fps: float | None = None  # frames per second
    width: int | None = None  # pixels of the finished picture
    height: int | None = None
    duration: float | None = None  # seconds
    format_version: tuple[int, ...] | None = None  # of the program that wrote the file, e.g. (4, 5)
    scenes: tuple[str, ...] = ()
    cameras: tuple[str, ...] = ()
    view_layers: tuple[str, ...] = ()
    render_engine: str | None = None
    output_format: str | None = None
    missing_files: tuple[str, ...] = ()
    warnings: tuple[str, ...] = ()
    details: Mapping[str, JsonValue] = field(default_factory=dict)  # the engine's own; JSON


@dataclass(frozen=True, slots=True)
class PlanRequest:
    """What the user asked for, as far as an engine needs it."""

    project: Path | None
    info: ProjectInfo | None
    frames: FrameSet | None  # None: the project's own
    options: EngineOptions
    output_format: str | None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a job will do, settled at submit.

    It does not depend on the version that renders: that one may have to be fetched first, and the plan stays. What a
    version calls differently is the matter of :meth:`Engine.command`.
    """

    frames: FrameSet
    options: EngineOptions  # defaults filled in
    output_format: str | None
    divisible: bool = True  # False: all frames come from one process in one go (a video encode)
    width: int | None = None
    height: int | None = None
    fps: float | None = None
    warnings: tuple[str, ...] = ()
    colour: Mapping[str, str] = field(default_factory=dict)  # display/view/look/source for previews of linear pictures
    details: Mapping[str, JsonValue] = field(default_factory=dict)  # what command() and expected() need later; JSON


# --- choosing a version --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class VersionWish:
    """What decides which version renders a job. Kept with the job: the choice is made again when versions come and go.

    ``asked`` has passed :func:`engines.choosing.is_version`.
    """

    asked: str | None = None  # by the user: a whole version ("4.2.3") or its beginning ("4.2")
    saved_by: tuple[int, ...] | None = None  # version of the program that wrote the project, e.g. (4, 5)


@dataclass(frozen=True, slots=True)
class Fetchable:
    """What could be fetched of one engine for this machine."""

    releases: Sequence[Release] = ()  # newest first; of one version the best source first
    allowed: bool = True  # whether engines are fetched without a person asking for it (the setting auto_install)
    troubles: Mapping[str, str] = field(default_factory=dict)  # sources that could not be asked: why


@dataclass(frozen=True, slots=True)
class FoundVersion:
    """An installed copy renders the job."""

    version: EngineVersion
    reason: str  # why this copy: a sentence


@dataclass(frozen=True, slots=True)
class MissingVersion:
    """No installed copy renders the job; it waits."""

    version: str  # what it waits for: a whole version if ``fetch``, else what would do ("4.5"; "" for any)
    fetch: bool  # whether it is offered and to be fetched now
    reason: str  # what is missing, and why it does or does not come: a sentence


VersionChoice = FoundVersion | MissingVersion


# --- running -------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class SessionRequest:
    """What one engine process is opened for."""

    project: Path | None
    frames: FrameSet  # the whole job's
    version: EngineVersion
    options: EngineOptions
    output_format: str | None
    width: int | None
    height: int | None
    fps: float | None
    details: Mapping[str, JsonValue]
    folder: Path  # scratch folder of the session; the process starts in it
    name: str  # safe stem for output names, e.g. "shot_010"
    threads: int | None = None  # how many the process may use; None: all
    raw_arguments: tuple[str, ...] = ()  # only where the operator allows them
    addons: tuple[str, ...] = ()  # of the settings: names of modules, or absolute paths; only if Engine.takes_addons
    startup_scripts: tuple[Path, ...] = ()  # of the settings: run once, before the first frame; as for addons


@dataclass(frozen=True, slots=True)
class Command:
    """A process to start.

    ``environment`` is added to the service's scrubbed one. ``events`` says where :meth:`Engine.parse` reads:
    ``"pipe"`` (the process finds the file descriptor's number in ``ZORDON_EVENTS_FD``) or ``"stdout"``; whatever
    comes on stdout/stderr besides goes to the log. ``takes_chunks``: the process reads chunks as lines on stdin and
    may render several; otherwise it is started for one chunk and its exit ends the attempt.
    """

    argv: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)
    events: str = "pipe"
    takes_chunks: bool = True


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of frames given to one engine process at a time. One attempt at it has the id ``attempt``."""

    attempt: str
    frames: tuple[int, ...]
    folder: Path  # where its files must appear; exists and is empty


@dataclass(frozen=True, slots=True)
class PictureCheck:
    """A still picture: must decode completely. Sizes in pixels; None: not checked."""

    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class VideoCheck:
    """A video file: must decode from begin to end. None: not checked."""

    width: int | None = None
    height: int | None = None
    frames: int | None = None  # exact count
    frames_tolerance: int = 0
    duration: float | None = None  # seconds
    duration_tolerance: float = 0.1  # seconds
    audio: bool | None = None


@dataclass(frozen=True, slots=True)
class FileCheck:
    """Any other file: must exist and be at least this long."""

    minimum_bytes: int = 1


OutputCheck = PictureCheck | VideoCheck | FileCheck


@dataclass(frozen=True, slots=True)
class ExpectedOutput:
    """A file that an attempt must leave in its chunk's folder.

    ``frame`` is set where the file is the picture of one frame: it can then be taken as soon as the engine says that
    it is written. Files without a frame are taken when the chunk ends.
    """

    name: str  # plain name, the same in the chunk's folder and in output/
    check: OutputCheck
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """A tiny render that shows that a copy works on this machine: the command, and the file that it must leave."""

    argv: tuple[str, ...]
    expected: ExpectedOutput


# --- events --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Ready:
    """The project is open. ``colour``: see :attr:`Plan.colour`, as the engine itself knows it."""

    colour: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Progress:
    """Something moved. ``fraction`` is of the present frame (or of the whole chunk for an indivisible job), 0…1."""

    fraction: float | None = None
    frame: int | None = None
    note: str = ""  # "sample 12/64"


@dataclass(frozen=True, slots=True)
class FrameWritten:
    """The engine says that a frame's file is complete. It counts only after verification.

    ``name`` names the file in the chunk's folder where the engine chose another one than it was told.
    """

    frame: int
    name: str | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class ChunkDone:
    """The engine is through with the chunk of this attempt and could take another."""

    attempt: str


@dataclass(frozen=True, slots=True)
class EngineWarning:
    """Something a person should know; the job goes on."""

    message: str


class FailureCause(StrEnum):
    """Why an attempt failed; what a retry could mend depends on it."""

    CRASH = "engine_crash"
    ERROR = "engine_error"  # the engine itself said that it cannot
    MISSING_FRAME = "missing_frame"  # it said that all was well, but a file is missing
    BAD_FRAME = "bad_frame"  # the file does not decode or has the wrong size
    MISSING_ASSET = "missing_asset"
    BAD_OPTION = "bad_option"
    OUT_OF_MEMORY = "out_of_memory"
    DISK = "disk"
    STALL = "stall"
    MACHINE = "machine"  # the engine could not be started at all


@dataclass(frozen=True, slots=True)
class EngineFailed:
    """The engine cannot render this chunk (or, with ``frame``, only that frame of it and goes on)."""

    message: str
    cause: FailureCause = FailureCause.ERROR
    frame: int | None = None


EngineEvent = Ready | Progress | FrameWritten | ChunkDone | EngineWarning | EngineFailed


# --- the engine ----------------------------------------------------------------------------------------------------


class Engine(ABC):
    """One kind of render engine. Instances hold no state of any job and may be used from several threads."""

    name: ClassVar[str]
    """The word in ``renderer`` and in every route: lower case, no spaces."""
    title: ClassVar[str]
    """How a person writes it."""
    extensions: ClassVar[tuple[str, ...]]
    """File-name extensions of projects it opens, lower case with the dot, best first."""
    output_formats: ClassVar[tuple[str, ...]]
    options_model: ClassVar[type[EngineOptions]]
    needs_project: ClassVar[bool] = True
    default_slots: ClassVar[int] = 1
    """How many sessions of it one machine runs at a time unless the settings say otherwise."""
    takes_addons: ClassVar[bool] = False
    """Whether its sessions use ``addons`` and ``startup_scripts``; if not, settings that name some are refused."""

    # installed copies

    @abstractmethod
    def find_candidates(self, managed: Path) -> Sequence[EngineCandidate]:
        """Where copies may be: PATH, the usual places of this system, the folder ``managed`` (one folder a version).

        Looks at the file system only. Called in a thread.
        """

    @abstractmethod
    def version_argv(self, candidate: EngineCandidate) -> tuple[str, ...]:
        """The command that makes the copy print its version; run only where ``candidate.version`` is None."""

    @abstractmethod
    def parse_version(self, printed: str) -> str | None:
        """The version in what :meth:`version_argv` printed; None if it is not this engine."""

    @abstractmethod
    def help_argv(self, version: EngineVersion) -> tuple[str, ...]:
        """The command that makes the copy print its own help; ``()`` if it has none."""

    # projects

    def opens(self, filename: str) -> bool:
        """Whether a project of this name is for this engine."""
        return filename.lower().endswith(self.extensions) if self.extensions else False

    @abstractmethod
    def inspect(self, project: Path) -> ProjectInfo:
        """What is in the project. May take a second; called in a worker process of the service.

        Raises:
            Refusal: it is no project of this engine, is damaged, or can never render.
        """

    @abstractmethod
    def plan(self, request: PlanRequest) -> Plan:
        """Settle frames, options and outputs. Pure and quick.

        Raises:
            Refusal: it cannot render, and which field says so.
        """

    @abstractmethod
    def choose(
        self, wish: VersionWish, installed: Sequence[EngineVersion], fetchable: Fetchable | None
    ) -> VersionChoice:
        """Settle which version renders a job. Pure and quick; :mod:`engines.choosing` does it for most engines.

        Args:
            wish: what the job needs.
            installed: the copies on this machine, newest first.
            fetchable: what could be fetched; None: nobody has been asked yet. Then nothing is refused or fetched that
                the answer could change.

        Raises:
            Refusal: no version that there is or could be had would do.
        """

    # running

    @abstractmethod
    def command(self, session: SessionRequest, chunk: Chunk) -> Command:
        """The process that renders. ``session.folder`` exists; the engine may name files in it but not write them.

        ``chunk`` is the first one the process will have; an engine whose process takes chunks ignores it here and is
        asked for :meth:`feed`, any other puts it into the command.
        """

    def feed(self, chunk: Chunk) -> bytes:
        """The line, newline included, that gives a chunk to a process that takes them."""
        raise TypeError(f"{self.name} takes no chunks on stdin")

    def finish(self) -> bytes:
        """The line that asks such a process to end by itself."""
        raise TypeError(f"{self.name} takes no chunks on stdin")

    @abstractmethod
    def expected(self, session: SessionRequest, chunk: Chunk) -> Sequence[ExpectedOutput]:
        """The files that the chunk must leave. May be empty only for engines that make no files."""

    @abstractmethod
    def parse(self, line: str) -> Sequence[EngineEvent]:
        """What one line of the event stream says. Never raises: a line it does not know is ``()``."""

    def explain_exit(self, code: int, tail: Sequence[str]) -> EngineFailed | None:
        """What an exit code (negative: signal) and the last log lines mean; None: nothing beyond the plain fact."""
        return None

    # forms and facts

    def proof(self, version: EngineVersion, folder: Path) -> Proof | None:
        """A render of a second or two into ``folder``, which exists; None if there is nothing to prove."""
        return None

    def options_schema(
        self, version: str | None = None, facts: Mapping[str, JsonValue] | None = None
    ) -> dict[str, JsonValue]:
        """The JSON Schema of the typed options, for a form: see :mod:`engines.forms`. Pure and quick.

        Args:
            version: what this version does not have is left out (the real one, see :attr:`EngineVersion.number`).
                None: everything that a job may say, whichever version renders it.
            facts: what :meth:`parse_info` said of the copy; what that build lacks is left out as well.
        """
        return form_schema(self.options_model)

    def info_commands(self, version: EngineVersion) -> Sequence[tuple[str, ...]]:
        """The commands that print what :meth:`parse_info` reads (devices, encoders); none if there is nothing."""
        return ()

    def parse_info(self, printed: str) -> Mapping[str, JsonValue]:
        """System info of a copy, as JSON, from what the commands printed, one after the other."""
        return {}

    def colour_config(self, version: EngineVersion) -> Path | None:
        """The copy's OpenColorIO config, for previews of linear pictures; None if it has none."""
        return None
