"""The way of a finished file: verified in the chunk's folder, synced, written down in the manifest, moved into the
output folder by an atomic rename. Only then it counts."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from app.outputs.files import NotAFile, move, open_regular
from app.outputs.manifest import Entry, Made, Manifest
from app.outputs.verification import VerificationError, Verified, is_quick, verify
from app.outputs.workers import WorkerCrashed, Workers
from engines.contract import ExpectedOutput, FailureCause


async def deliver(
    workers: Workers,
    folder: Path,
    expected: Sequence[ExpectedOutput],
    manifest: Manifest,
    output: Path,
    made: Made,
) -> list[Entry]:
    """Take files of a chunk's folder over into a job's outputs, in order: all of them, or none.

    Small PNGs are verified in a thread, everything else in a worker process.

    Raises:
        VerificationError: a file is missing or bad (see :func:`app.outputs.verification.verify`), cannot be moved
            (DISK), or is such that even the worker process that looked at it died, twice (BAD_FRAME).
    """
    if len(expected) == 1:  # the ordinary way of a frame: into a thread once
        entry = await workers.run_quick(_take_if_quick, folder, expected[0], manifest, output, made)
        if entry is not None:
            return [entry]
    verified = [await _verified(workers, folder, item) for item in expected]
    return await workers.run_quick(place, folder, verified, manifest, output, made)


async def _verified(workers: Workers, folder: Path, item: ExpectedOutput) -> Verified:
    quick = await workers.run_quick(_verify_if_quick, folder, item)
    if quick is not None:
        return quick
    try:
        return await workers.run(verify, folder, item)
    except WorkerCrashed as error:
        raise VerificationError(FailureCause.BAD_FRAME, f"{item.name} cannot be looked at: {error}") from error


def place(folder: Path, verified: Sequence[Verified], manifest: Manifest, output: Path, made: Made) -> list[Entry]:
    """Sync verified files, write them down and move them into the output folder. Blocks; for a thread.

    Raises:
        VerificationError: one was changed since (BAD_FRAME), or cannot be moved or written down (DISK).
    """
    entries = [Entry.of(one, made) for one in verified]
    name = ""
    try:
        for entry in entries:
            name = entry.name
            _settle(folder, entry)
        output.mkdir(parents=True, exist_ok=True)
        with manifest.adding(*entries):
            for entry in entries:
                name = entry.name
                move(folder, entry.name, output)
    except NotAFile as error:
        raise VerificationError(FailureCause.BAD_FRAME, f"{name} was changed after it was verified") from error
    except OSError as error:
        raise VerificationError(FailureCause.DISK, f"{name} cannot be kept: {error}") from error
    return entries


def _settle(folder: Path, entry: Entry) -> None:
    """Let the content of a verified file survive a power cut, if it is still the one that was verified."""
    descriptor = open_regular(folder, entry.name)
    try:
        now = os.fstat(descriptor)
        if (now.st_size, now.st_mtime_ns) != (entry.size, entry.mtime_ns):
            raise VerificationError(FailureCause.BAD_FRAME, f"{entry.name} was changed after it was verified")
        _sync(descriptor, folder / entry.name)
    finally:
        os.close(descriptor)


def _take_if_quick(
    folder: Path, expected: ExpectedOutput, manifest: Manifest, output: Path, made: Made
) -> Entry | None:
    verified = _verify_if_quick(folder, expected)
    return None if verified is None else place(folder, [verified], manifest, output, made)[0]


def _verify_if_quick(folder: Path, expected: ExpectedOutput) -> Verified | None:
    return verify(folder, expected) if is_quick(folder, expected) else None


def _sync(descriptor: int, path: Path) -> None:
    if os.name == "posix":
        os.fsync(descriptor)
        return
    with path.open("r+b") as writable:  # Windows syncs only what is open for writing
        os.fsync(writable.fileno())
