"""How many frames one chunk has. Pure arithmetic.

A chunk is a unit of handing out, not of losing work: every frame counts as soon as it is verified, so a chunk may be
long. It must be long enough that asking for the next one costs nothing, and short enough that several slots share the
end of a job and that a more urgent job gets its turn soon.
"""

from __future__ import annotations

from app.jobs.record import JobRecord
from engines.frames import IndexSet

FIRST_CHUNK = 4
"""Frames of a chunk while nobody knows how long a frame takes."""


def chunk_size(
    waiting: int, seconds_per_frame: float | None, *, slots: int, chunk_seconds: float, max_frames: int
) -> int:
    """Frames that the next chunk should have: ``chunk_seconds`` worth of them, never more than a fair share of what is
    left over ``slots``, at least one.

    >>> chunk_size(100, 1.0, slots=1, chunk_seconds=30, max_frames=50)
    30
    >>> chunk_size(10, 1.0, slots=4, chunk_seconds=30, max_frames=50)
    3
    """
    wanted = FIRST_CHUNK if seconds_per_frame is None else int(chunk_seconds / max(seconds_per_frame, 1e-3))
    fair = -(-waiting // max(slots, 1))
    return max(1, min(wanted, fair, max_frames))


def next_chunk(
    record: JobRecord, *, slots: int, chunk_seconds: float, max_frames: int, size: int | None = None
) -> IndexSet:
    """Positions of the chunk to render next; empty if no frame is waiting.

    ``size``: how many frames it should have, where somebody knows better (:mod:`app.jobs.sharing`); 0: it is not for
    this node now.

    An indivisible job is one chunk, or one a part. A frame that already failed an attempt goes alone, so that it takes
    no other with it and the blame is certain.
    """
    waiting = record.waiting_positions()
    if not waiting or size == 0:
        return IndexSet()
    if record.spec.parts:
        return _next_part(record, waiting)
    if not record.spec.divisible:
        return record.spec.frames.all_positions() if len(waiting) == len(record.spec.frames) else IndexSet()
    struck = record.state.strikes[0] if record.state.strikes else IndexSet()
    clean = waiting - struck
    if not clean:
        return waiting.first_run(1)
    if size is None:
        pace = record.state.seconds_per_frame
        size = chunk_size(len(clean), pace, slots=slots, chunk_seconds=chunk_seconds, max_frames=max_frames)
    return clean.first_run(size)


def _next_part(record: JobRecord, waiting: IndexSet) -> IndexSet:
    """The first part of which no frame is done or taken; those that have failed come last."""
    struck: IndexSet | None = None
    begin = 0
    for count in record.spec.parts:
        part = IndexSet.span(begin, begin + count - 1)
        begin += count
        if part - waiting:
            continue
        if not record.failures_at(part):
            return part
        struck = struck or part
    return struck or IndexSet()
