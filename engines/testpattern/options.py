"""What a test pattern can be told to do, and above all what it can be told to do wrong."""

from __future__ import annotations

from pydantic import Field, field_validator

from engines.contract import EngineOptions
from engines.forms import group
from engines.frames import FrameSet, FrameSetError

MAX_RUNS = 1000
"""The most separate runs of frames in one option: they go to the process on its command line."""


class TestPatternOptions(EngineOptions):
    """The ``args`` of a test pattern job. Frame sets are written like those of a job: ``3``, ``1-10x2``, ``1,4-6``."""

    __test__ = False  # pytest takes every class whose name begins with "Test" for a collection of tests

    seconds_per_frame: float = Field(
        0.0,
        ge=0,
        le=3600,
        title="Seconds a frame",
        description="How long one frame takes, in seconds.",
        json_schema_extra=group("Load"),
    )
    width: int = Field(320, ge=1, le=7680, title="Width", description="Pixels.", json_schema_extra=group("Load"))
    height: int = Field(180, ge=1, le=4320, title="Height", description="Pixels.", json_schema_extra=group("Load"))
    fail_frames: str | None = Field(
        None,
        max_length=1000,
        title="Frames that fail",
        description="Frames that it says it cannot render.",
        json_schema_extra=group("Trouble"),
    )
    crash_frames: str | None = Field(
        None,
        max_length=1000,
        title="Frames that crash",
        description="Frames at which the process aborts.",
        json_schema_extra=group("Trouble"),
    )
    broken_frames: str | None = Field(
        None,
        max_length=1000,
        title="Broken frames",
        description="Frames written as truncated files.",
        json_schema_extra=group("Trouble"),
    )
    missing_frames: str | None = Field(
        None,
        max_length=1000,
        title="Missing frames",
        description="Frames said to be written that are not.",
        json_schema_extra=group("Trouble"),
    )
    hang_at: int | None = Field(
        None,
        title="Frame to hang at",
        description="Frame at which it stops for ever, without a word.",
        json_schema_extra=group("Trouble"),
    )
    ignore_term: bool = Field(
        False,
        title="Ignore TERM",
        description="Do not end when asked to (SIGTERM).",
        json_schema_extra=group("Trouble"),
    )
    grandchildren: int = Field(
        0,
        ge=0,
        le=32,
        title="Grandchildren",
        description="Processes that it leaves behind, forked twice, each in its own session, for 300 s.",
        json_schema_extra=group("Trouble"),
    )
    noise_bytes: int = Field(
        0,
        ge=0,
        le=16 << 20,
        title="Noise, bytes",
        description="Bytes of noise printed with every frame.",
        json_schema_extra=group("Load"),
    )

    @field_validator("fail_frames", "crash_frames", "broken_frames", "missing_frames")
    @classmethod
    def _readable(cls, value: str | None) -> str | None:
        if value is not None:
            frames_of(value)
        return value


def frames_of(notation: str) -> FrameSet:
    """The frames of one option.

    Raises:
        FrameSetError: it does not parse or falls apart into more than :data:`MAX_RUNS` runs.
    """
    frames = FrameSet.parse(notation)
    if len(frames.runs) > MAX_RUNS:
        raise FrameSetError(f"{notation[:60]!r} is more than {MAX_RUNS} separate runs of frames; write fewer")
    return frames
