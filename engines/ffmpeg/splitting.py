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
"""A part has about so much of the video at least, in seconds: each begins with a whole picture, which costs space."""
LAST_SECONDS = 1.0
"""The same for the last parts, so that all nodes come to the end together."""
LARGEST = 1 / 12
"""A part has so much of the video at most, or twice of what it has at least: what a node that dies has done of it is
lost."""
ROUNDS = 2.0
"""Of what is left, one part in so many is given out in one round."""
MOST_HANDS = 16
"""More processes that encode at the same time are not planned for: the parts are short enough for them."""
FAR = 1.5
"""A part begins at most so many times as far behind a key picture as it is long: all until there is decoded for
nothing."""
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
    parts = lengths(output.frames, float(output.fps), [key - output.first for key in source.keys], sharers)
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


def lengths(frames: int, fps: float, keys: Sequence[int] = (), sharers: int = 2) -> tuple[int, ...]:
    """How long each part is. Each is its share of what is left, so that they become shorter and all nodes come to the
    end together (guided self-scheduling, Polychronopoulos and Kuck, 1987). Where the source has key pictures, a part
    begins with one if there is one near, and else is longer, if what is decoded only to get to its begin were much.

    Args:
        frames: of the whole.
        fps: frames per second.
        keys: frames that decode without those before, counted from 0, ascending; those outside of the whole do not
            matter. Empty: nothing is known of them, or all frames do.
        sharers: how many processes could encode at the same time.

    >>> lengths(1500, 25.0)
    (200, 200, 200, 200, 175, 132, 100, 100, 49, 36, 27, 25, 25, 31)
    >>> lengths(600, 25.0, range(0, 600, 45))
    (135, 135, 90, 90, 45, 27, 18, 25, 20, 15)
    >>> lengths(149, 25.0)
    (149,)
    """
    hands = min(max(sharers, 2), MOST_HANDS)
    least = max(1.0, PART_SECONDS * fps)
    if frames < 2 * least:
        return (frames,)
    cuts = [0]
    while True:
        begin = cuts[-1]
        step = _size(frames - begin, frames, hands, least)
        place = begin + math.ceil(step)
        at = bisect_right(keys, place)
        near = min(keys[max(0, at - 1) : at + 1], key=lambda key: abs(key - place), default=place)
        if begin < near and abs(near - place) < step / 2:
            place = near
        elif at and place - keys[at - 1] > FAR * max(step, least):
            place = begin + math.ceil(2 * step)
            if begin < near < place + step / 2:
                place = near
        if frames - place < step / 2:
            return tuple(end - begin for begin, end in pairwise((*cuts, frames)))
        cuts.append(place)


def _size(left: int, frames: int, hands: int, least: float) -> float:
    """Frames that the next part should have, of so many that are left."""
    few = left <= hands * least
    shortest = max(1.0, least * LAST_SECONDS / PART_SECONDS) if few else least
    return min(max(left / (ROUNDS * hands), shortest), max(2 * least, frames * LARGEST))
