"""The way of a finished file: verified in the chunk's folder, synced, moved into the output folder by an atomic rename,
written down in the manifest. Only then it counts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from app.outputs.files import NotAFile, move, open_regular
from app.outputs.manifest import Entry, Manifest
from app.outputs.verification import VerificationError, Verified, is_quick, verify
from app.outputs.workers import WorkerCrashed, Workers
from engines.contract import ExpectedOutput, FailureCause


async def deliver(
    workers: Workers,
    folder: Path,
    expected: Sequence[ExpectedOutput],
    manifest: Manifest,
    output: Path,
    attempt: str,
) -> list[Entry]:
    """Take files of a chunk's folder over into a job's outputs, in order.

    Small PNGs are verified in a thread, everything else in a worker process. What was taken before a failure stays.

    Raises:
        VerificationError: a file is missing or bad (see :func:`app.outputs.verification.verify`), cannot be moved
            (DISK), or is such that even the worker process that looked at it died, twice (BAD_FRAME).
    """
    taken: list[Entry] = []
    for item in expected:
        entry = await workers.run_quick(_take_if_quick, folder, item, manifest, output, attempt)
        if entry is None:
            try:
                verified = await workers.run(verify, folder, item)
            except WorkerCrashed as error:
                raise VerificationError(FailureCause.BAD_FRAME, f"{item.name} cannot be looked at: {error}") from error
            entry = await workers.run_quick(place, folder, verified, manifest, output, attempt)
        taken.append(entry)
    return taken


def place(folder: Path, verified: Verified, manifest: Manifest, output: Path, attempt: str) -> Entry:
    """Sync a verified file, move it into the output folder and write it down. Blocks; for a thread.

    Raises:
        VerificationError: it was changed since (BAD_FRAME), or cannot be moved or written down (DISK).
    """
    entry = Entry.of(verified, attempt)
    try:
        descriptor = open_regular(folder, entry.name)
        try:
            now = os.fstat(descriptor)
            if (now.st_size, now.st_mtime_ns) != (entry.size, entry.mtime_ns):
                raise VerificationError(FailureCause.BAD_FRAME, f"{entry.name} was changed after it was verified")
            _sync(descriptor, folder / entry.name)
        finally:
            os.close(descriptor)
        output.mkdir(parents=True, exist_ok=True)
        move(folder, entry.name, output)
        manifest.add(entry)
    except NotAFile as error:
        raise VerificationError(FailureCause.BAD_FRAME, f"{entry.name} was changed after it was verified") from error
    except OSError as error:
        raise VerificationError(FailureCause.DISK, f"{entry.name} cannot be kept: {error}") from error
    return entry


def _take_if_quick(
    folder: Path, expected: ExpectedOutput, manifest: Manifest, output: Path, attempt: str
) -> Entry | None:
    if not is_quick(folder, expected):
        return None
    return place(folder, verify(folder, expected), manifest, output, attempt)


def _sync(descriptor: int, path: Path) -> None:
    if os.name == "posix":
        os.fsync(descriptor)
        return
    with path.open("r+b") as writable:  # Windows syncs only what is open for writing
        os.fsync(writable.fileno())
