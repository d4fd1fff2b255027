"""What a process is started for, what it is given, and which files it must leave."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from pydantic import JsonValue

from engines.contract.copies import EngineVersion
from engines.contract.projects import EngineOptions
from engines.frames import FrameSet


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
    autoexec: bool = False  # whether the operator lets projects run scripts of their own


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
    files: Mapping[str, str] = field(default_factory=dict)  # text by plain name: put into the session's folder before


@dataclass(frozen=True, slots=True)
class Chunk:
    """A run of frames given to one engine process at a time. One attempt at it has the id ``attempt``."""

    attempt: str
    frames: tuple[int, ...]
    folder: Path  # where its files must appear; exists and is empty
    failures: int = 0  # how many attempts at these frames have failed before


@dataclass(frozen=True, slots=True)
class PictureCheck:
    """A still picture: must decode completely. Sizes in pixels; None: not checked."""

    width: int | None = None
    height: int | None = None


@dataclass(frozen=True, slots=True)
class VideoCheck:
    """A video file: must decode from begin to end, or be read to its end if ``decode`` is False (what is in it was
    decoded before). None: not checked."""

    width: int | None = None
    height: int | None = None
    frames: int | None = None  # exact count
    frames_tolerance: int = 0
    duration: float | None = None  # seconds
    duration_tolerance: float = 0.1  # seconds
    audio: bool | None = None
    decode: bool = True


@dataclass(frozen=True, slots=True)
class FileCheck:
    """Any other file: must exist and be at least this long."""

    minimum_bytes: int = 1


OutputCheck = PictureCheck | VideoCheck | FileCheck


@dataclass(frozen=True, slots=True)
class ExpectedOutput:
    """A file that an attempt must leave in its chunk's folder.

    ``frame`` is set where the file is the picture of one frame: it can then be taken as soon as the engine says that
    it is written. Files without a frame are taken when the chunk ends. Every file of a part of a job (see
    :attr:`engines.contract.Plan.parts`) has the first frame of that part, and every part has as many files.
    """

    name: str  # plain name, the same in the chunk's folder and in output/
    check: OutputCheck
    frame: int | None = None


@dataclass(frozen=True, slots=True)
class Proof:
    """A tiny render that shows that a copy works on this machine: the command, and the file that it must leave."""

    argv: tuple[str, ...]
    expected: ExpectedOutput
