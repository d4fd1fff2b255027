"""Hands the files of an attempt to the outputs room, and knows what every job has there."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

from app.jobs.folders import DataFolder
from app.jobs.record import JobRecord, Present
from app.outputs.delivery import deliver
from app.outputs.manifest import Made, Manifest, Manifests, frames_of
from app.outputs.rechecking import recheck
from app.outputs.unfinished import finish_moves
from app.outputs.verification import VerificationError
from app.outputs.workers import Workers
from engines.contract import Chunk, ExpectedOutput, FailureCause
from engines.frames import IndexSet

FEW = 100
"""So many files are looked at on the event loop: a millisecond."""


class Delivery:
    """Delivers the outputs of all jobs."""

    def __init__(
        self,
        folders: DataFolder,
        workers: Workers,
        manifests: Manifests,
        node: str = "",
        lend: Callable[[Path], None] | None = None,
    ) -> None:
        """Arguments beside the obvious:

        node: the name of this node, which is written down with every output.
        lend: lets the workers read the folder of an attempt, if they are another user. For a thread.
        """
        self._lend = lend
        self._folders = folders
        self._workers = workers
        self._manifests = manifests
        self._node = node
        self._held: dict[str, Manifest] = {}
        self._held_parts: dict[str, Manifest] = {}

    async def hold(self, record: JobRecord) -> None:
        """Have the manifests of a job at hand from now on. Comes before :meth:`deliver` and :meth:`file_count`."""
        job_id, folders = record.id, self._folders
        if job_id not in self._held:
            self._held[job_id] = await asyncio.to_thread(self._manifests.at, folders.manifest(job_id))
        if _keeps_parts(record) and job_id not in self._held_parts:
            self._held_parts[job_id] = await asyncio.to_thread(self._manifests.at, folders.part_manifest(job_id))

    async def release(self, job_id: str) -> None:
        """The job is not rendered just now: write its manifest down for good."""
        manifest, parts = self._held.pop(job_id, None), self._held_parts.pop(job_id, None)
        if manifest is not None and len(manifest):
            await asyncio.to_thread(manifest.sync, self._folders.output(job_id))
        if parts is not None and len(parts) and await asyncio.to_thread(self._folders.parts(job_id).is_dir):
            await asyncio.to_thread(parts.sync, self._folders.parts(job_id))

    async def deliver(
        self,
        record: JobRecord,
        chunk: Chunk,
        expected: Sequence[ExpectedOutput],
        seconds: float | None,
        *,
        assembled: bool = False,
        node: str = "",
    ) -> None:
        """Verify files of the chunk's folder, move them into the job's output folder, list them in its manifest. Of a
        job in parts, what is not yet ``assembled`` goes to its parts.

        Args:
            seconds: what one frame of them took, if that was measured.
            node: name of the node that rendered them, if it is another one.

        Raises:
            VerificationError: one of them cannot be counted, so none is.
        """
        if not expected:
            return
        made = Made(chunk.attempt, None if seconds is None else round(seconds, 3), node or self._node)
        manifest, output = self._held[record.id], self._folders.output(record.id)
        if _keeps_parts(record) and not assembled:
            manifest, output = self._held_parts[record.id], self._folders.parts(record.id)
        if self._lend is not None:
            try:
                await asyncio.to_thread(self._lend, chunk.folder)
            except OSError as error:
                raise VerificationError(FailureCause.DISK, f"outputs cannot be verified: {error}") from error
        await deliver(self._workers, chunk.folder, expected, manifest, output, made)

    def forget_parts(self, job_id: str) -> None:
        """The parts of a job are put together: what they were is not needed any more. For a thread."""
        self._manifests.forget(self._folders.part_manifest(job_id))
        self._folders.part_manifest(job_id).unlink(missing_ok=True)
        self._folders.discard([self._folders.parts(job_id)])

    def file_count(self, job_id: str) -> int:
        """How many outputs the job has."""
        return len(self._held[job_id])

    async def lost(self, record: JobRecord) -> IndexSet:
        """Forget the outputs that are not in the output folder any more: somebody took them out while it rendered.

        Returns:
            The positions of their frames; of an indivisible job all of them.
        """
        manifest, output = self._held[record.id], self._folders.output(record.id)
        if len(manifest) <= FEW:
            gone = manifest.missing(output)
        else:
            gone = await asyncio.to_thread(manifest.missing, output)
        if not gone:
            return IndexSet()
        manifest.forget(gone)
        frames = record.spec.frames
        return frames.positions(frames_of(gone)) if record.spec.divisible else frames.all_positions()

    async def recheck(self, record: JobRecord) -> Present:
        """Read every output of a job that has ended again; what is damaged counts no more and is moved aside.

        Raises:
            OSError: a damaged file cannot be moved aside.
        """
        folders = self._folders
        manifest = await asyncio.to_thread(self._manifests.at, folders.manifest(record.id))
        await asyncio.to_thread(recheck, manifest, folders.output(record.id), folders.damaged(record.id))
        found = _done(record, manifest)
        if not _keeps_parts(record) or found.assembled:
            return found
        parts = await asyncio.to_thread(self._manifests.at, folders.part_manifest(record.id))
        await asyncio.to_thread(recheck, parts, folders.parts(record.id), folders.damaged(record.id))
        return Present(_parts_done(record, parts), found.files)

    async def finish_moves(self, job_id: str) -> Manifest:
        """After a start: move what counts and is not in the output folder yet. Returns what counts."""
        folders = self._folders
        manifest = await asyncio.to_thread(self._manifests.at, folders.manifest(job_id))
        await asyncio.to_thread(finish_moves, manifest, folders.attempts, folders.output(job_id))
        return manifest

    async def reconcile(self, record: JobRecord) -> Present:
        """After a start: what really is in the output folder."""
        folders = self._folders
        manifest = await self.finish_moves(record.id)
        await asyncio.to_thread(manifest.reconcile, folders.output(record.id))
        found = _done(record, manifest)
        if not _keeps_parts(record) or found.assembled:
            return found
        parts = await asyncio.to_thread(self._manifests.at, folders.part_manifest(record.id))
        await asyncio.to_thread(finish_moves, parts, folders.attempts, folders.parts(record.id))
        await asyncio.to_thread(parts.reconcile, folders.parts(record.id))
        return Present(_parts_done(record, parts), found.files)


def _keeps_parts(record: JobRecord) -> bool:
    return bool(record.spec.parts) and record.spec.assembles


def _done(record: JobRecord, manifest: Manifest) -> Present:
    frames, entries = record.spec.frames, manifest.entries()
    if record.spec.divisible:
        return Present(frames.positions(frames_of(entries)), len(entries))
    # Frames of one file, or of one run, are there together or not at all; they are written down together.
    whole = manifest.whole
    return Present(frames.all_positions() if whole else IndexSet(), len(entries), _keeps_parts(record) and whole)


def _parts_done(record: JobRecord, manifest: Manifest) -> IndexSet:
    """The frames of the parts whose files are all there. They bear the part's first frame, and are as many of each."""
    frames, done = record.spec.frames, IndexSet()
    files = Counter(frames_of(manifest.entries()))
    for first, count in files.items():
        if first in frames and count == max(files.values()):
            done |= record.part_positions(frames.position(first))
    return done
