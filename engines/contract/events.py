"""What an engine says while it renders, and why it fails."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


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
