"""Whether a video decodes from begin to end and is what was asked for. For a worker process: loads PyAV."""

from __future__ import annotations

import os
import sys
from dataclasses import dataclass
from pathlib import Path

from app.outputs.png import BadPicture
from engines.contract import VideoCheck

THREADS_VARIABLE = "ZORDON_WORKER_THREADS"
"""In the environment of a worker process: how many threads may decode a video there, if not as many as there are
processors."""


@dataclass(slots=True)
class Decoded:
    """What was really in the file."""

    width: int | None = None
    height: int | None = None
    frames: int = 0
    picture_seconds: float = 0.0  # from the first picture to the end of the last
    seconds: float = 0.0  # of the longest stream
    audio: bool = False


def check_video(path: Path, check: VideoCheck) -> Decoded:
    """Decode a whole video and compare it with what was asked for.

    Raises:
        BadPicture: it does not decode, ends too early, or differs; the message says in what.
    """
    found = decode(path) if check.decode else count(path)
    for what, wanted, seen in (("wide", check.width, found.width), ("high", check.height, found.height)):
        if wanted is not None and seen != wanted:
            raise BadPicture(f"it is {seen} pixels {what}, not {wanted}")
    if check.frames is not None and abs(found.frames - check.frames) > check.frames_tolerance:
        raise BadPicture(f"it has {found.frames} frames, not {check.frames}")
    if check.duration is not None:
        off = min(abs(seconds - check.duration) for seconds in (found.picture_seconds, found.seconds))
        if off > check.duration_tolerance:
            raise BadPicture(f"it lasts {found.seconds:.3f} s, not {check.duration:.3f} s")
    if check.audio is not None and found.audio != check.audio:
        raise BadPicture("it has no sound" if check.audio else "it has sound, and should have none")
    return found


def decode(path: Path) -> Decoded:
    """Decode every picture and every sound of a file, and say what there was.

    Raises:
        BadPicture: something does not decode, or there is nothing in it.
    """
    import av

    _check_end(path)
    found = Decoded()
    spans: dict[int, _Span] = {}
    picture_span, threads = _Span(), _threads()
    try:
        with av.open(str(path)) as container:
            pictures = [stream for stream in container.streams.video if not stream.disposition & _COVER][:1]
            streams = [*pictures, *container.streams.audio]
            if not streams:
                raise BadPicture("there are neither pictures nor sound in it")
            for stream in streams:
                # Frames in parallel, said outright: PyAV left to itself decodes on one core, for nearly twice as long.
                stream.codec_context.thread_type = "FRAME"
                stream.codec_context.thread_count = threads
                # explode: without it FFmpeg hides what it could not decode behind the picture before. The filter that
                # smooths blocks is a sixth of the time of decoding H.264, and nobody looks at these pictures.
                stream.codec_context.options = {"err_detect": "explode", "skip_loop_filter": "all"}
            for packet in container.demux(*streams):
                if packet.is_corrupt:
                    raise BadPicture(f"a packet of stream {packet.stream.index} is damaged")
                for frame in packet.decode():
                    if isinstance(frame, av.VideoFrame):
                        if frame.is_corrupt:
                            raise BadPicture(f"the picture at {frame.time} s is damaged")
                        found.frames += 1
                        found.width, found.height = frame.width, frame.height
                        rate = pictures[0].average_rate
                        picture_span.add(frame.time, 1.0 / float(rate) if rate else 0.0)
                    elif isinstance(frame, av.AudioFrame):
                        found.audio = True
                        span = spans.setdefault(packet.stream.index, _Span())
                        span.add(frame.time, frame.samples / frame.sample_rate)
    except BadPicture:
        raise
    except (av.FFmpegError, OSError, ValueError) as error:
        raise BadPicture(f"it does not decode: {error}") from error
    if pictures and not found.frames:
        raise BadPicture("no picture in it decodes")
    found.picture_seconds = picture_span.seconds
    found.seconds = max(span.seconds for span in (picture_span, *spans.values()))
    return found


def count(path: Path) -> Decoded:
    """Read every packet of a file whose pictures were decoded before they were put into it, and say what there is.

    Raises:
        BadPicture: it cannot be read to its end, a packet is damaged, or there is nothing in it.
    """
    import av

    found = Decoded()
    spans: dict[int, _Span] = {}
    picture_span = _Span()
    try:
        with av.open(str(path)) as container:
            pictures = [stream for stream in container.streams.video if not stream.disposition & _COVER][:1]
            streams = [*pictures, *container.streams.audio]
            if not pictures:
                raise BadPicture("there are no pictures in it")
            spans[pictures[0].index] = picture_span
            found.width, found.height = pictures[0].width, pictures[0].height
            found.audio = bool(container.streams.audio)
            for packet in container.demux(*streams):
                if packet.is_corrupt:
                    raise BadPicture(f"a packet of stream {packet.stream.index} is damaged")
                if not packet.size or packet.time_base is None or packet.is_discard:
                    continue
                found.frames += packet.stream is pictures[0]
                begin = None if packet.pts is None else float(packet.pts * packet.time_base)
                span = spans.setdefault(packet.stream.index, _Span())
                span.add(begin, float((packet.duration or 0) * packet.time_base))
    except (av.FFmpegError, OSError, ValueError) as error:
        raise BadPicture(f"it cannot be read: {error}") from error
    if not found.frames:
        raise BadPicture("there is no picture in it")
    found.picture_seconds = picture_span.seconds
    found.seconds = max(span.seconds for span in spans.values())
    return found


def _check_end(path: Path) -> None:
    """GIF alone says where it ends and decodes just as well without."""
    with path.open("rb") as file:
        if file.read(4) == b"GIF8":
            file.seek(-1, os.SEEK_END)
            if file.read(1) != b";":
                raise BadPicture("the file ends too early")


def _threads() -> int:
    """As many as there are processors for this process, or as few as the node allows its engines."""
    if allowed := os.environ.get(THREADS_VARIABLE):
        return min(int(allowed), _MOST_THREADS)
    there = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 2
    return min(there, _MOST_THREADS)


_MOST_THREADS = 8
_COVER = 0x0400  # AV_DISPOSITION_ATTACHED_PIC: the cover of an album, no video


class _Span:
    """From the beginning of the first to the end of the last of a stream's frames, in seconds."""

    def __init__(self) -> None:
        self._begin: float | None = None
        self._end = 0.0

    def add(self, time: float | None, length: float) -> None:
        begin = self._end if time is None else time
        self._begin = begin if self._begin is None else min(self._begin, begin)
        self._end = max(self._end, begin + length)

    @property
    def seconds(self) -> float:
        return self._end - (self._begin or 0.0)
