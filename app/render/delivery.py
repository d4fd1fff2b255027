"""Hands the files of an attempt to the outputs room, and knows what every job has there."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from app.jobs.folders import DataFolder
from app.jobs.record import JobRecord
from app.outputs.delivery import deliver
from app.outputs.manifest import Made, Manifest, Manifests, frames_of
from app.outputs.rechecking import recheck
from app.outputs.unfinished import finish_moves
from app.outputs.workers import Workers
from engines.contract import Chunk, ExpectedOutput
from engines.frames import IndexSet

FEW = 100
"""So many files are looked at on the event loop: a millisecond."""


class Delivery:
    """Delivers the outputs of all jobs."""

    def __init__(self, folders: DataFolder, workers: Workers, manifests: Manifests, node: str = "") -> None:
        """``node``: the name of this node, which is written down with every output."""
        self._folders = folders
        self._workers = workers
        self._manifests = manifests
        self._node = node
        self._held: dict[str, Manifest] = {}

    async def hold(self, job_id: str) -> None:
        """Have the manifest of a job at hand from now on. Comes before :meth:`deliver` and :meth:`file_count`."""
        if job_id not in self._held:
            self._held[job_id] = await asyncio.to_thread(self._manifests.at, self._folders.manifest(job_id))

    async def release(self, job_id: str) -> None:
        """The job is not rendered just now: write its manifest down for good."""
        manifest = self._held.pop(job_id, None)
        if manifest is not None and len(manifest):
            await asyncio.to_thread(manifest.sync, self._folders.output(job_id))

    async def deliver(
        self, job_id: str, chunk: Chunk, expected: Sequence[ExpectedOutput], seconds: float | None
    ) -> None:
        """Verify files of the chunk's folder, move them into the job's output folder, list them in its manifest.

        Args:
            seconds: what one frame of them took, if that was measured.

        Raises:
            VerificationError: one of them cannot be counted, so none is.
        """
        if expected:
            output = self._folders.output(job_id)
            made = Made(chunk.attempt, None if seconds is None else round(seconds, 3), self._node)
            await deliver(self._workers, chunk.folder, expected, self._held[job_id], output, made)

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

    async def recheck(self, record: JobRecord) -> tuple[IndexSet, int]:
        """Read every output of a job that has ended again; what is damaged counts no more and is moved aside.

        Returns:
            The frames that are done, and the number of outputs.

        Raises:
            OSError: a damaged file cannot be moved aside.
        """
        folders = self._folders
        manifest = await asyncio.to_thread(self._manifests.at, folders.manifest(record.id))
        await asyncio.to_thread(recheck, manifest, folders.output(record.id), folders.damaged(record.id))
        return self._done(record, manifest)

    async def reconcile(self, record: JobRecord) -> tuple[IndexSet, int]:
        """After a start: what really is in the output folder.

        Returns:
            The frames that are done, and the number of outputs.
        """
        manifest = await asyncio.to_thread(self._manifests.at, self._folders.manifest(record.id))
        folders = self._folders
        await asyncio.to_thread(finish_moves, manifest, folders.attempts(record.id), folders.output(record.id))
        await asyncio.to_thread(manifest.reconcile, folders.output(record.id))
        return self._done(record, manifest)

    @staticmethod
    def _done(record: JobRecord, manifest: Manifest) -> tuple[IndexSet, int]:
        frames, entries = record.spec.frames, manifest.entries()
        if record.spec.divisible:
            return frames.positions(frames_of(entries)), len(entries)
        # Frames of one file, or of one run, are there together or not at all; they are written down together.
        return (frames.all_positions() if manifest.whole else IndexSet()), len(entries)
