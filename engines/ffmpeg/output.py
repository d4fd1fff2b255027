"""What an FFmpeg job will make: settled at submit, carried to command() and expected() as JSON in a plan's details."""

from __future__ import annotations

from collections.abc import Mapping
from fractions import Fraction
from typing import Literal

from pydantic import BaseModel, ConfigDict, JsonValue

from engines.ffmpeg.options import VideoCodec
from engines.ffmpeg.source import Source


class Output(BaseModel):
    """The result of a job. A frame set chooses frames of the *source*; ``frames`` is how many the result has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["video", "gif", "pictures"]
    format: str  # output format, which is also the file-name extension
    codec: VideoCodec | None = None  # of a video
    width: int  # pixels
    height: int
    scaled: bool = False  # whether the picture is scaled to that size
    trimmed_to_even: bool = False  # whether an odd last row or column is cut off to come to that size
    fps_numerator: int
    fps_denominator: int = 1
    converts_rate: bool = False  # whether frames are dropped or repeated to come to that rate
    constant_rate: bool = True
    cut: bool = False  # whether only a part of a video's frames is wanted
    begin: float = 0.0  # seconds from the begin of the source to the first and to the end of the last frame
    end: float = 0.0
    frames: int = 0
    frames_tolerance: int = 0
    duration: float = 0.0  # seconds
    duration_tolerance: float = 0.1
    audio: tuple[int, ...] = ()  # stream indexes of the sound tracks that go in
    first: int = 1  # frame of the source that the result begins with
    parts: tuple[int, ...] = ()  # how many frames each part has; empty: it is made in one go

    @property
    def fps(self) -> Fraction:
        """Frames per second of the result; of a variable rate the mean one."""
        return Fraction(self.fps_numerator, self.fps_denominator)


class Details(BaseModel):
    """A plan's details: all that command() and expected() need beside the options."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    source: Source
    output: Output

    @staticmethod
    def read(details: Mapping[str, JsonValue]) -> Details:
        """From the JSON of a plan or a session.

        Raises:
            pydantic.ValidationError: it is not what a plan of this engine wrote.
        """
        return Details.model_validate(dict(details))

    def json_details(self) -> dict[str, JsonValue]:
        """As the JSON of a plan."""
        details: dict[str, JsonValue] = self.model_dump(mode="json", exclude_defaults=True)
        return details
