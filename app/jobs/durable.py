"""What was uploaded survives a power cut from the moment in which its job is answered.

One sync when everything is written. Having the system write while an upload still streams in (``sync_file_range(2)``
after every buffer) was tried: the upload of 2 GB fell to 0.60 of a raw PUT, against 0.92 with one sync at the end.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Iterable
from pathlib import Path

from app.outputs.files import sync_folder


def settle_file(path: Path, folder: Path) -> None:
    """Move a file into a folder made for it, for good. For a thread.

    Raises:
        OSError: it cannot be written.
    """
    sync_file(path)
    folder.mkdir(mode=0o700)
    path.rename(folder / path.name)
    sync_folder(folder)
    sync_folder(folder.parent)


def settle_tree(files: Iterable[Path], root: Path, stop: threading.Event) -> None:
    """Write down for good a folder of ours with all its files, which ``files`` names. For a thread.

    One pass after the last file is written, not each file when it is: a journal takes them all down together.

    Raises:
        OSError: something cannot be written.
    """
    folders = {root}
    for path in files:
        if stop.is_set():
            return
        sync_file(path)
        folders.update(parent for parent in path.parents if parent.is_relative_to(root))
    for folder in sorted(folders):
        sync_folder(folder)
    sync_folder(root.parent)


def sync_file(path: Path) -> None:
    """Let the content of a file survive a power cut.

    Raises:
        OSError: it cannot be written.
    """
    # Windows syncs only what is open for writing.
    descriptor = os.open(path, os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0))
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
