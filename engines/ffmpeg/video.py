"""Reading a video with PyAV: what is in it, how many frames, when each one begins.

The frames are counted by reading the packets of the whole file (about 80 ms for a few minutes of video). In containers
and codecs where a packet is not always one picture they are counted by decoding, as long as that takes seconds only.

Containers come from a list: FFmpeg also opens playlists, which name other files and addresses, under any file name.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import closing
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING

from engines.contract import Refusal
from engines.ffmpeg.source import AudioStream, Source
from engines.ffmpeg.timing import GRID_TOLERANCE, LOOSE_TOLERANCE, frame_rate, key_frames, samples

if TYPE_CHECKING:
    from av import VideoFrame
    from av.container import InputContainer
    from av.video.stream import VideoStream

CONTAINERS = (
    "mov",
    "matroska",
    "avi",
    "mxf",
    "mpegts",
    "mpeg",
    "gif",
    "flv",
    "asf",
    "ogg",
    "dv",
    "ivf",
    "yuv4mpegpipe",
)
"""FFmpeg's names of the containers that are opened."""

DECODED_PIXELS = 1_500_000_000
"""Pixels that inspection decodes at most to count frames: 720 frames of 1080p, a few seconds of work."""

_COUNTED_BY_PACKETS = ("mov", "matroska", "mxf", "gif", "ivf", "yuv4mpegpipe")
_UNSHOWN_PACKETS = ("vp8",)  # its packets may hold reference pictures that are never shown
_SAY_THEIR_DURATION = ("matroska", "mxf")  # in a header; of others it is estimated from what is there
_LOOSE_TIMES = ("avi",)  # it has no times of its own: those of reordered frames are off by a frame
_OPEN_OPTIONS = {"protocol_whitelist": "file,pipe", "format_whitelist": ",".join(CONTAINERS)}


@dataclass(slots=True)
class _Read:
    """What one pass over the packets found."""

    ticks: list[int] = field(default_factory=list)  # when each frame of the video begins, in its time base
    keys: set[int] = field(default_factory=set)  # those of the ones that decode by themselves
    packets: int = 0  # of the video, those that are not to be shown included
    last_duration: int = 0  # of the frame that begins last, in ticks; 0: unknown
    spans: dict[int, tuple[float, float]] = field(
        default_factory=dict
    )  # begin and end of each stream, in its file's time
    damaged: bool = False


def read_video(path: Path) -> tuple[Source, list[str]]:
    """What is in a video file, and warnings for a person.

    Raises:
        Refusal: it is no video in one of :data:`CONTAINERS`, has no picture, is damaged or cut off.
    """
    import av

    try:
        with av.open(f"file:{path.absolute()}", options=_OPEN_OPTIONS, metadata_errors="replace") as container:
            return _read(path, container)
    except av.ArgumentError as error:  # what FFmpeg says to a container that is not on the list
        raise Refusal("project", f"{path.name} is no video of a kind that is opened here") from error
    except (av.FFmpegError, OSError) as error:
        raise Refusal("project", f"{path.name} is no video that can be read: {sentence(error)}") from error


def sentence(error: Exception) -> str:
    """What went wrong, in FFmpeg's or the system's words, without an error number and a file name."""
    import av

    text = error.strerror if isinstance(error, (av.FFmpegError, OSError)) and error.strerror else str(error)
    return text[0].lower() + text[1:] if text else type(error).__name__


def _read(path: Path, container: InputContainer) -> tuple[Source, list[str]]:
    warnings: list[str] = []
    pictures = [
        video for video in container.streams.video if not video.disposition & type(video.disposition).attached_pic
    ]
    if not pictures:
        raise Refusal("project", f"{path.name} has no moving picture in it")
    video = max(pictures, key=lambda stream: (stream.width or 0) * (stream.height or 0))
    if len(pictures) > 1:
        warnings.append(f"{path.name} has {len(pictures)} pictures in it; the largest one is used")
    container_name = container.format.name.split(",")[0]
    time_base = video.time_base or Fraction(1, 90_000)

    read = _packets(container, video, time_base)
    _refuse_cut_off(path, container, container_name, video, read, warnings)
    audio = _audio(container, read, warnings)
    first, exact = _first_frame(path, video), True
    if container_name not in _COUNTED_BY_PACKETS or video.codec_context.name in _UNSHOWN_PACKETS:
        exact = len(read.ticks) * first.width * first.height <= DECODED_PIXELS
        if exact:
            read.ticks, read.keys = _decoded(path, video, time_base), set()
        else:
            warnings.append("the frames were counted from the file's packets; the exact count may differ by a few")
    if not read.ticks:
        raise Refusal("project", f"{path.name} has no picture that can be decoded")

    stated = [rate for rate in (video.average_rate, video.base_rate, video.guessed_rate) if rate]
    tolerance = LOOSE_TOLERANCE if container_name in _LOOSE_TIMES else GRID_TOLERANCE
    fps, constant = frame_rate(stated, read.ticks, time_base, tolerance)
    if not constant:
        warnings.append(f"the frame rate varies; on average it is {float(fps):.3f} frames a second")
    if first.interlaced:
        warnings.append("the video is interlaced; turn on deinterlace unless the result is to be interlaced too")
    start = _start(container)
    last_duration = 1 / fps if constant or not read.last_duration else read.last_duration * time_base
    begins = [float(tick * time_base) - start for tick in (read.ticks[0], read.ticks[-1])]
    end = begins[1] + float(last_duration)
    times, step = ((), 1) if constant else samples(read.ticks, time_base, start, end)
    source = Source(
        kind="video",
        file=path.name,
        container=container_name,
        codec=video.codec_context.name,
        pixel_format=first.pixel_format,
        first=1,
        last=len(read.ticks),
        exact=exact,
        width=first.width,
        height=first.height,
        duration=max(end, *(stream.end for stream in audio)) if audio else end,
        video_index=video.index,
        fps_numerator=fps.numerator,
        fps_denominator=fps.denominator,
        constant_rate=constant,
        time_base_numerator=time_base.numerator,
        time_base_denominator=time_base.denominator,
        start=start,
        begin=begins[0],
        end=end,
        times=times,
        times_step=step,
        keys=tuple(1 + at for at in key_frames(read.ticks, read.keys, time_base, fps)) if constant else (),
        audio=audio,
        interlaced=first.interlaced,
    )
    return source, warnings


def _start(container: InputContainer) -> float:
    """Seconds in the file's own time that FFmpeg calls its begin."""
    return (container.start_time or 0) / 1_000_000


def _audio(container: InputContainer, read: _Read, warnings: list[str]) -> tuple[AudioStream, ...]:
    found = []
    start = _start(container)
    for stream in container.streams.audio:
        context = stream.codec_context
        span = read.spans.get(stream.index)
        if context is None or not context.sample_rate or not context.channels or span is None:
            warnings.append(f"sound track {stream.index} has nothing in it that can be decoded; it is left out")
            continue
        found.append(
            AudioStream(
                index=stream.index,
                codec=context.name,
                channels=context.channels,
                rate=context.sample_rate,
                begin=span[0] - start,
                end=span[1] - start,
            )
        )
    return tuple(found)


def _packets(container: InputContainer, video: VideoStream, time_base: Fraction) -> _Read:
    read = _Read()
    last = None
    tick_of_guess = 1 / (_guess(video) * time_base)
    for packet in container.demux():
        if not packet.size or packet.time_base is None:
            continue
        tick = packet.pts if packet.pts is not None else packet.dts
        duration = packet.duration or 0
        if tick is not None:
            begin, end = float(tick * packet.time_base), float((tick + duration) * packet.time_base)
            known = read.spans.get(packet.stream.index, (begin, end))
            read.spans[packet.stream.index] = (min(known[0], begin), max(known[1], end))
        if packet.stream.index != video.index:
            continue
        read.packets += 1
        read.damaged |= packet.is_corrupt
        if packet.is_discard:
            continue
        if tick is None:  # raw streams know no times; the count is what matters then
            tick = round(len(read.ticks) * tick_of_guess)
        read.ticks.append(tick)
        if packet.is_keyframe:
            read.keys.add(tick)
        if last is None or tick >= last:
            last, read.last_duration = tick, duration
    read.ticks.sort()
    return read


def _refuse_cut_off(
    path: Path, container: InputContainer, name: str, video: VideoStream, read: _Read, warnings: list[str]
) -> None:
    """Refuse a file whose end is missing; warn of one where it may be.

    Raises:
        Refusal: it is.
    """
    if name == "mov" and video.frames > read.packets:
        raise Refusal(
            "project", f"{path.name} is cut off: it should have {video.frames} frames, and {read.packets} are in it"
        )
    if name in _SAY_THEIR_DURATION and container.duration is not None:
        promised = container.duration / 1_000_000
        there = max((end for _, end in read.spans.values()), default=0.0) - _start(container)
        if promised - there > max(1.0, promised / 50):
            raise Refusal(
                "project", f"{path.name} is cut off: it should last {promised:.1f} s, and ends after {there:.1f} s"
            )
        if promised - there > 0.05:
            warnings.append(f"{path.name} ends {promised - there:.2f} s before its header says; its end may be missing")
    if read.damaged:
        raise Refusal("project", f"{path.name} is damaged or cut off: at least one frame in it is incomplete")


@dataclass(frozen=True, slots=True)
class _First:
    width: int
    height: int
    pixel_format: str
    interlaced: bool


def _first_frame(path: Path, video: VideoStream) -> _First:
    """The first frame as FFmpeg shows it: turned upright if the file says so."""
    with closing(_frames(path, video)) as frames:
        frame = next(frames, None)
    if frame is None:
        raise Refusal("project", f"{path.name} has no picture that can be decoded")
    upright = frame.rotation % 180 == 0
    width, height = (frame.width, frame.height) if upright else (frame.height, frame.width)
    return _First(width, height, frame.format.name, bool(frame.interlaced_frame))


def _decoded(path: Path, video: VideoStream, time_base: Fraction) -> list[int]:
    """When each frame begins, by decoding all of them."""
    tick_of_guess = 1 / (_guess(video) * time_base)
    with closing(_frames(path, video)) as frames:
        return sorted(
            frame.pts if frame.pts is not None else round(number * tick_of_guess) for number, frame in enumerate(frames)
        )


def _frames(path: Path, video: VideoStream) -> Generator[VideoFrame, None, None]:
    """The decoded frames of a freshly opened file; not every container can be rewound after it was read."""
    import av

    with av.open(f"file:{path.absolute()}", options=_OPEN_OPTIONS, metadata_errors="replace") as container:
        stream = container.streams.video[[other.index for other in container.streams.video].index(video.index)]
        stream.thread_type = "AUTO"
        yield from container.decode(stream)


def _guess(video: VideoStream) -> Fraction:
    return video.average_rate or video.guessed_rate or Fraction(25)
