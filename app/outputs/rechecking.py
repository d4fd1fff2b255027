"""Looking again at outputs that were verified once: is every file still the one that was counted?

Sizes are compared at every start; here the whole content is. A person asks for it, with "render what is missing or bad
again". What is another file than the manifest says is moved aside and never deleted: somebody may have retouched it.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from app.outputs.files import hash_file, open_regular
from app.outputs.manifest import Entry, Manifest


def recheck(manifest: Manifest, output: Path, aside: Path) -> tuple[Entry, ...]:
    """Read every output again and forget those that are not there or are damaged. Blocks; for a thread.

    Args:
        manifest: the list of what there should be.
        output: the folder of the outputs.
        aside: a folder on the same disk; damaged files are moved into it. Made when it is needed.

    Returns:
        The outputs that are as they were, sorted.

    Raises:
        OSError: a damaged file cannot be moved aside.
    """
    gone = manifest.missing(output)
    missing = {entry.name for entry in gone}
    for entry in manifest.entries():
        if entry.name not in missing and not _is_whole(output, entry):
            gone.append(entry)
    for entry in gone:
        _move_aside(output, entry.name, aside)
    manifest.forget(gone)
    return manifest.entries()


def _is_whole(output: Path, entry: Entry) -> bool:
    try:
        descriptor = open_regular(output, entry.name)
    except OSError:
        return False
    try:
        found = hash_file(descriptor)
    except OSError:  # the disk cannot read it
        return False
    finally:
        os.close(descriptor)
    return (found.size, found.sha256) == (entry.size, entry.sha256)


def _move_aside(output: Path, name: str, aside: Path) -> None:
    damaged = output / name
    if output.is_symlink() or not (damaged.exists() or damaged.is_symlink()):
        return
    aside.mkdir(exist_ok=True)
    target = aside / name
    if target.exists() or target.is_symlink():
        target = aside / f"{secrets.token_hex(4)}-{name}"
    damaged.rename(target)
