"""Cuts a chunk's frames into what Blender renders in one go."""

from __future__ import annotations

from collections.abc import Iterator


def runs_of(frames: list[int]) -> Iterator[range]:
    """The frames, in their order, as the longest rising runs with one step; frames below 0 alone."""
    at = 0
    while at < len(frames):
        first, end, step = frames[at], at + 1, 1
        if first >= 0 and end < len(frames) and frames[end] > first:
            step = frames[end] - first
            while end < len(frames) and frames[end] - frames[end - 1] == step:
                end += 1
        yield range(first, frames[end - 1] + 1, step)
        at = end
