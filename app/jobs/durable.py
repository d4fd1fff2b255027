"""What was uploaded survives a power cut from the moment in which its job is answered.

Syncing costs what is not on the disk yet. So the system is told to begin writing while an upload still streams in,
where there is a way to say so (Linux: ``sync_file_range(2)``, which promises nothing); the sync at the end, which does
promise, finds little left to do.
"""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Callable, Iterable
from pathlib import Path

from app.outputs.files import sync_folder

_WRITE = 2  # SYNC_FILE_RANGE_WRITE


def _begin() -> Callable[[int, int, int], None]:
    """``sync_file_range`` of the C library, or nothing at all."""
    if sys.platform == "linux":
        import ctypes

        found = getattr(ctypes.CDLL(None), "sync_file_range", None)
        if found is not None:
            found.argtypes = (ctypes.c_int, ctypes.c_int64, ctypes.c_int64, ctypes.c_uint)

            def begin(descriptor: int, start: int, count: int) -> None:
                found(descriptor, start, count, _WRITE)  # a refusal costs time at the end, nothing else

            return begin
    return lambda descriptor, start, count: None


begin_writing = _begin()
"""Have the bytes of an open file from ``start`` on written to the disk soon; ``count`` 0: to its end. For a thread."""


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
