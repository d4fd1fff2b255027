"""After a crash: outputs that were verified and written down, and that the crash kept from their place."""

from __future__ import annotations

import os
from pathlib import Path

from app.outputs.files import hash_file, move, open_regular
from app.outputs.manifest import Entry, Manifest
from app.outputs.names import NameRefused, check_name


def finish_moves(manifest: Manifest, attempts: Path, output: Path) -> int:
    """Move what is still in the folder of its attempt into the output folder. Blocks; for a thread.

    Only the very file that was verified is moved, known by its hash.

    Args:
        manifest: what was written down.
        attempts: where the folders of the job's attempts are.
        output: the folder of the outputs.

    Returns:
        How many were moved.

    Raises:
        OSError: one cannot be moved.
    """
    moved = 0
    for entry in manifest.entries():
        folder = attempts / entry.attempt
        if _waits(folder, entry):
            output.mkdir(parents=True, exist_ok=True)
            move(folder, entry.name, output)
            moved += 1
    return moved


def _waits(folder: Path, entry: Entry) -> bool:
    try:
        check_name(entry.attempt)
        descriptor = open_regular(folder, entry.name)
    except (OSError, NameRefused):
        return False
    try:
        found = hash_file(descriptor)
    finally:
        os.close(descriptor)
    return (found.size, found.sha256) == (entry.size, entry.sha256)
