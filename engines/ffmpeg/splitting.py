"""Which encodes may be cut into parts, and where: settled at submit, the same on every machine. Pure arithmetic.

A cut is exact only where a frame of the result depends on its own frame of the source and on nothing before it: filters
that look at neighbours, a changed frame rate or a bitrate that is kept over the whole video make one part know of the
other. Such an encode runs whole, and says why.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections.abc import Sequence
from itertools import pairwise

from engines.ffmpeg.choices import Choice
from engines.ffmpeg.output import Output
from engines.ffmpeg.source import Source

PART_SECONDS = 4.0
"""A part has about so much of the video at least, in seconds, and half of it near the end: each begins with a whole
picture, which costs space."""
MOST_PARTS = 48
"""The most parts of one encode, but for those that are cut in two near the end."""
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
    parts = lengths(output.frames, float(output.fps), [key - output.first for key in source.keys])
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


def lengths(frames: int, fps: float, keys: Sequence[int] = ()) -> tuple[int, ...]:
    """How long each part is: all alike, but for the last quarter of the video, whose parts are half as long, so that
    all nodes come to the end together. Where the source has key pictures, a part begins with one if there is one near,
    and else is made longer, if what is decoded only to get to its begin were more than a part.

    Args:
        frames: of the whole.
        fps: frames per second.
        keys: frames that decode without those before, counted from 0, ascending; those outside of the whole do not
            matter. Empty: nothing is known of them, or all frames do.

    >>> lengths(1500, 25.0)
    (100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 100, 50, 50, 50, 50, 50, 50)
    >>> lengths(600, 25.0, range(0, 600, 45))
    (90, 90, 135, 90, 90, 45, 60)
    >>> lengths(150, 25.0)
    (150,)
    """
    least = max(1, round(PART_SECONDS * fps))
    count = max(1, min(MOST_PARTS, frames // least))
    size = frames / count
    cuts = [0]
    places = _places(frames, count)
    for number, (place, step) in enumerate(places):
        at = bisect_right(keys, place)
        near = min(keys[max(0, at - 1) : at + 1], key=lambda key: abs(key - place), default=place)
        if abs(near - place) < step / 2:
            place = near
        elif at and place - keys[at - 1] > size:
            following = places[number + 1][0] if number + 1 < len(places) else frames
            if following - cuts[-1] < 2 * step:
                continue
        if place - cuts[-1] >= step / 2 and frames - place >= step / 2:
            cuts.append(place)
    return tuple(end - begin for begin, end in pairwise((*cuts, frames)))


def _places(frames: int, count: int) -> list[tuple[int, float]]:
    """Where parts would begin if no place were better than another, and how long each is before it."""
    size, halved = frames / count, count // 4
    whole = count - halved if halved else count - 1
    long = [(math.ceil(number * size), size) for number in range(1, whole + 1)]
    return [*long, *((math.ceil(frames - number * size / 2), size / 2) for number in range(2 * halved - 1, 0, -1))]
