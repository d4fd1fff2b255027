"""The subjobs of a parent, as whoever shows the parent needs them: it renders nothing itself."""

from __future__ import annotations

from collections.abc import Iterable

from app.jobs.known import JobNotFound, KnownJobs
from app.jobs.record import JobRecord, JobSpec
from engines.frames import FrameSet


async def subjobs_of(jobs: KnownJobs, parent: JobRecord) -> dict[int, JobRecord]:
    """The subjobs that are still there by their number, counted from 1 in the order of the request."""
    found: dict[int, JobRecord] = {}
    for number, child in enumerate(parent.spec.children, 1):
        try:
            found[number] = await jobs.record(child)
        except JobNotFound:  # it was deleted by itself
            continue
    return found


def ambiguous(specs: Iterable[JobSpec]) -> set[str]:
    """The ids of those whose files may have the names of files of one before them. For a thread: it may look at every
    frame."""
    marked: set[str] = set()
    before: dict[str, list[JobSpec]] = {}
    for spec in specs:
        others = before.setdefault(spec.output_name.casefold(), [])
        if any(_may_meet(spec, other) for other in others):
            marked.add(spec.id)
        others.append(spec)
    return marked


def _may_meet(one: JobSpec, other: JobSpec) -> bool:
    """Whether two jobs with outputs of one stem may have a file of the same name."""
    if not (one.divisible and other.divisible):  # files that are not named after frames
        return True
    return _share_a_frame(one.frames, other.frames)


def _share_a_frame(one: FrameSet, other: FrameSet) -> bool:
    if one.highest < other.lowest or other.highest < one.lowest:
        return False
    return any(frame in other for frame in one)
