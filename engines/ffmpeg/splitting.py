"""Which encodes may be cut into parts, and where: settled at submit, the same on every machine. Pure arithmetic.

A cut is exact only where a frame of the result depends on its own frame of the source and on nothing before it: filters
that look at neighbours, a changed frame rate or a bitrate that is kept over the whole video make one part know of the
other. Such an encode runs whole, and says why.
"""

from __future__ import annotations

from engines.ffmpeg.choices import Choice
from engines.ffmpeg.output import Output
from engines.ffmpeg.source import Source

PART_SECONDS = 4.0
"""A part has at least so much of the video, in seconds: each begins with a whole picture, which costs space."""
MOST_PARTS = 48
"""The most parts of one encode."""
LONG_SECONDS = 20.0
"""From this length on, in seconds, an encode is cut without being asked to, if there is somebody to help."""


def parts_of(choice: Choice, source: Source, output: Output, sharers: int) -> tuple[tuple[int, ...], str]:
    """How many frames each part has, in their order, and, if there are none though there should be, why.

    Args:
        sharers: how many processes could encode at the same time.
    """
    asked = choice.options.split
    if asked is False or (asked is None and (sharers < 2 or output.duration < LONG_SECONDS)):
        return (), ""
    reason = why_whole(choice, source, output)
    if reason:
        return (), f"it is encoded in one piece: {reason}"
    parts = lengths(output.frames, float(output.fps))
    if len(parts) < 2:
        return (), f"it is encoded in one piece: {output.duration:.1f} s are too short for parts" if asked else ""
    return parts, ""


def why_whole(choice: Choice, source: Source, output: Output) -> str:
    """Why an encode cannot be cut exactly; ``""`` if it can."""
    options = choice.options
    if output.kind != "video":
        return "only videos are made in parts"
    if output.converts_rate:
        return "its frame rate is converted, so that its frames are not those of the source"
    if source.kind == "video" and not (source.constant_rate and source.exact):
        return "the frame rate of the source varies, or its frames could not be counted for certain"
    if options.deinterlace:
        return "deinterlacing looks at the pictures before and after"
    if options.denoise is not None:
        return "removing noise looks at the pictures before"
    if options.video_bitrate is not None:
        return "a bitrate is kept over the whole video; a quality (crf) can be kept in parts"
    return ""


def lengths(frames: int, fps: float) -> tuple[int, ...]:
    """Parts of nearly the same length, none shorter than :data:`PART_SECONDS` unless it is the only one.

    >>> lengths(1500, 25.0)
    (100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100)
    >>> lengths(150, 25.0)
    (150,)
    """
    least = max(1, round(PART_SECONDS * fps))
    count = max(1, min(MOST_PARTS, frames // least))
    base, longer = divmod(frames, count)
    return tuple(base + 1 if number < longer else base for number in range(count))
