"""What has become of every frame of a job, a page at a time: for whoever draws them as cells.

A parent renders nothing itself; its frames are put together from those of its subjobs.
"""

from __future__ import annotations

import asyncio
import hashlib
from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from app.jobs.feed import Feed
from app.jobs.folders import DataFolder
from app.jobs.known import JobNotFound
from app.jobs.record import JobRecord, JobSpec
from app.jobs.running import RunningChunk
from app.jobs.service import JobService
from app.jobs.subjobs import ambiguous, subjobs_of
from app.outputs.collection import Share, collect, names_by_file
from app.outputs.kinds import is_video, is_visible
from app.outputs.manifest import Manifest, Manifests
from app.version import APP_VERSION
from client.models import FrameTimes, JobFrames, RunningFrames
from engines.frames import FrameSet, IndexSet

OfAttempt = Callable[[str, str], tuple[float, str]]
"""Of a job and an attempt: how far it is (frames), and what it does just now."""


@dataclass(frozen=True, slots=True)
class _Renderer:
    """A job that renders frames of the page itself: the job that was asked for, or a subjob of it."""

    record: JobRecord
    manifest: Manifest
    output: Path
    number: int  # among its parent's subjobs, counted from 1


class FrameReader:
    """Reads the frames of all jobs."""

    def __init__(
        self, jobs: JobService, feed: Feed, folders: DataFolder, manifests: Manifests, of_attempt: OfAttempt
    ) -> None:
        self._jobs = jobs
        self._feed = feed
        self._folders = folders
        self._manifests = manifests
        self._of_attempt = of_attempt

    async def tag(self, job_id: str, offset: int, limit: int) -> str:
        """Another text whenever :meth:`read` would answer something else; made of what is in memory.

        Raises:
            JobNotFound: there is no such job.
        """
        record = await self._jobs.record(job_id)
        digest = hashlib.blake2b(f"{APP_VERSION} {offset} {limit}".encode(), digest_size=12)
        for one in (job_id, *record.spec.children):
            digest.update(self._feed.job(one) or b"gone")
        return digest.hexdigest()

    async def read(self, job_id: str, offset: int, limit: int) -> JobFrames:
        """One page of a job's frames.

        Args:
            offset: position of the first frame, in the order of rendering.
            limit: how many frames the page has at most.

        Raises:
            JobNotFound: there is no such job.
        """
        record = await self._jobs.record(job_id)
        children = await subjobs_of(self._jobs, record)
        jobs = children if record.spec.children else {1: record}
        renderers = [
            _Renderer(one, await self._manifest(one.id), self._folders.output(one.id), number)
            for number, one in jobs.items()
        ]
        if job_id not in self._jobs:
            raise JobNotFound(job_id)
        return await asyncio.to_thread(self._page, record, renderers, offset, limit)

    async def _manifest(self, job_id: str) -> Manifest:
        path = self._folders.manifest(job_id)
        at_hand = self._manifests.at_hand(path)
        return at_hand if at_hand is not None else await asyncio.to_thread(self._manifests.at, path)

    # --- in a thread ---------------------------------------------------------------------------------------------

    def _page(self, record: JobRecord, renderers: Sequence[_Renderer], offset: int, limit: int) -> JobFrames:
        whole, total = record.spec.frames, len(record.spec.frames)
        positions = IndexSet.span(offset, min(total, offset + limit) - 1)
        shown = whole.frames_at(positions)
        page = _Page(whole, positions, shown)
        done, failed, running = IndexSet(), IndexSet(), IndexSet()
        at_work: list[RunningFrames] = []
        for renderer in renderers:
            state = renderer.record.state
            done |= page.of(renderer.record, state.done)
            failed |= page.of(renderer.record, state.failed)
            for chunk in state.running:
                if held := page.of(renderer.record, chunk.positions):
                    running |= held
                    at_work.append(self._running(renderer.record, chunk, whole.notation(held)))
        failed -= done
        waiting = positions - done - failed - running
        times, files = _outputs(renderers, whole.frames_at(done), len(record.spec.children) > 0)
        end = offset + limit
        return JobFrames(
            total=total,
            offset=offset,
            next_offset=end if end < total else None,
            frames=whole.notation(positions),
            waiting=whole.notation(waiting),
            running=at_work,
            done=whole.notation(done),
            failed=whole.notation(failed),
            times=times,
            files=files,
            video=_video(renderers) if not record.spec.children else None,
        )

    def _running(self, record: JobRecord, chunk: RunningChunk, frames: str) -> RunningFrames:
        fraction, current = self._of_attempt(record.id, chunk.attempt)
        of = 1 if record.spec.divisible else len(record.spec.frames)
        return RunningFrames(
            frames=frames,
            attempt=chunk.attempt,
            node=chunk.node or record.spec.hostname,
            since=None if chunk.began is None else datetime.fromtimestamp(chunk.began, UTC),
            percent=round(100.0 * min(1.0, fraction / of), 1),
            current=current,
        )


class _Page:
    """The frames of a page, and where the frames of other jobs are among them."""

    def __init__(self, whole: FrameSet, positions: IndexSet, shown: Sequence[int]) -> None:
        self._whole = whole
        self._positions = positions
        first = positions.spans[0][0] if positions else 0
        self._sorted = sorted(zip(shown, range(first, first + len(shown)), strict=True))
        self._numbers = [frame for frame, _ in self._sorted]

    def of(self, record: JobRecord, positions: IndexSet) -> IndexSet:
        """Positions on this page of the frames at some positions of a job."""
        frames = record.spec.frames
        if frames is self._whole:
            return positions & self._positions
        if not positions:
            return positions
        begin, end = bisect_left(self._numbers, frames.lowest), bisect_right(self._numbers, frames.highest)
        return IndexSet.of(
            place for frame, place in self._sorted[begin:end] if frame in frames and frames.position(frame) in positions
        )


def _outputs(renderers: Sequence[_Renderer], done: Sequence[int], collected: bool) -> tuple[FrameTimes, dict[int, str]]:
    """The times and the files of verified frames."""
    times, files = FrameTimes(frames=[], seconds=[], nodes=[]), {}
    names = _collected(renderers) if collected else {}
    sources = [(renderer, renderer.manifest.by_frame()) for renderer in renderers]
    for frame in done:
        entries = ((one, entry) for one, by_frame in sources for entry in by_frame.get(frame, ()))
        found = next(((one, entry) for one, entry in entries if is_visible(entry.name)), None)
        if found is None:
            continue
        renderer, entry = found
        times.frames.append(frame)
        times.seconds.append(entry.seconds)
        times.nodes.append(entry.node)
        files[frame] = names.get((renderer.output, entry.name), entry.name)
    return times, files


def _collected(renderers: Sequence[_Renderer]) -> dict[tuple[Path, str], str]:
    """The names by which a parent has the files of its subjobs."""
    marked = ambiguous(_specs(renderers))
    shares = [Share(one.manifest, one.output, one.number, one.record.id in marked) for one in renderers]
    return names_by_file(collect(shares))


def _specs(renderers: Iterable[_Renderer]) -> Iterator[JobSpec]:
    return (renderer.record.spec for renderer in renderers)


def _video(renderers: Sequence[_Renderer]) -> str | None:
    """The one file with all frames of a job that is rendered in one run."""
    return next(
        (
            entry.name
            for renderer in renderers
            if not renderer.record.spec.divisible
            for entry in renderer.manifest.entries()
            if is_video(entry.name) and entry.frame is None
        ),
        None,
    )
