"""What inspection found in a project, as it travels from there to the plan and on to the command (JSON in between)."""

from __future__ import annotations

from fractions import Fraction

from pydantic import BaseModel, ConfigDict

DEFAULT_SEQUENCE_FPS = 25.0
"""Pictures a second of an image sequence for which nobody said otherwise."""


class AudioStream(BaseModel):
    """One sound track that FFmpeg can decode."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    index: int  # of the stream in its file
    codec: str
    channels: int
    rate: int  # samples per second
    begin: float  # seconds from the begin of the file
    end: float


class Source(BaseModel):
    """A video file or an image sequence. Frames of a video are numbered from 1, those of a sequence by their names."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: str  # "video" or "image_sequence"
    file: str  # "/"-separated, below the project if that is a folder, else beside it; of a sequence: its first picture
    container: str  # FFmpeg's name of the format
    codec: str
    pixel_format: str
    first: int
    last: int
    exact: bool = True  # whether the frames were counted for certain
    width: int  # pixels as they are decoded, rotation applied
    height: int
    duration: float | None = None  # seconds; the longest stream

    # an image sequence
    prefix: str = ""  # file name before the number
    digits: int = 0  # least digits of the number; 0: a single picture without a number
    suffix: str = ""  # file name after the number

    # a video
    video_index: int = 0
    fps_numerator: int = 0
    fps_denominator: int = 1
    constant_rate: bool = True
    time_base_numerator: int = 1
    time_base_denominator: int = 90_000
    start: float = 0.0  # seconds, in the file's own time, of what is called its begin below
    begin: float = 0.0  # seconds from the begin of the file to the first frame
    end: float = 0.0  # seconds from the begin of the file to the end of the last frame
    times: tuple[float, ...] = ()  # variable rate: when every `times_step`-th frame begins, seconds, and the end
    times_step: int = 1
    keys: tuple[int, ...] = ()  # frames that decode without the ones before, at most one a second; (): nobody knows
    audio: tuple[AudioStream, ...] = ()
    interlaced: bool = False

    @property
    def frame_count(self) -> int:
        """How many frames it has."""
        return self.last - self.first + 1

    @property
    def fps(self) -> Fraction:
        """Frames per second; of a variable rate the mean one. 0 for a sequence."""
        return Fraction(self.fps_numerator, self.fps_denominator)

    @property
    def is_rgb(self) -> bool:
        """Whether its pictures are stored as RGB (or grey, or with a palette) and not as YUV."""
        return self.pixel_format.startswith(
            ("rgb", "bgr", "gbr", "argb", "abgr", "0rgb", "0bgr", "pal8", "gray", "ya", "mono")
        )

    def begins(self, frame: int) -> float:
        """Seconds from the begin of the file at which a frame of a video begins; of the one after the last: the end."""
        at = frame - self.first
        if at >= self.frame_count:
            return self.end
        if self.times:
            sample, rest = divmod(at, self.times_step)
            after = min(sample + 1, len(self.times) - 1)
            span = min(self.times_step, self.frame_count - sample * self.times_step)
            return self.times[sample] + (self.times[after] - self.times[sample]) * rest / span
        return self.begin + float(at / self.fps)
