"""What Linux tells of processes, read from ``/proc`` (proc(5)).

A process shows its environment only between two moments: while it becomes another program (execve(2)) its new memory
has none yet, and once it is about to exit its memory is gone, though it is no zombie yet and its children are still its
own. Whoever looks for a cookie then sees nothing, which is not the same as there being none.
"""

from __future__ import annotations

import enum
import os
import threading
from pathlib import Path
from typing import Final

_EXITING: Final = 0x4
"""The kernel's PF_EXITING, in the flags of ``/proc/<pid>/stat``."""
_KERNEL_THREAD: Final = 0x200000
"""The kernel's PF_KTHREAD."""
_DEAD: Final = (b"Z", b"X")
_AT_WORK: Final = (b"R", b"D")

reaping: Final = threading.Lock()
"""Held while children are listed and while one is reaped: a child that goes while the kernel lists them makes it leave
out another one (proc(5), ``/proc/<pid>/task/<tid>/children``)."""


class Seen(enum.Enum):
    """How much of a process can be seen."""

    GONE = enum.auto()  # a zombie at most: what it had started has got a new parent
    EXITING = enum.auto()  # its environment is gone, its children are still its own
    BLANK = enum.auto()  # no environment: it becomes another program at this moment, or never had one
    SHOWN = enum.auto()


def children(pid: int) -> list[int]:
    """The children of a process's first thread, in the order in which they came. Orphans that come to a subreaper
    become those of its first thread."""
    try:
        with reaping:
            return [int(child) for child in read(f"/proc/{pid}/task/{pid}/children").split()]
    except OSError:
        return []


def read(path: str) -> bytes:
    """A whole file.

    Raises:
        OSError: it cannot be read, or the process is gone.
    """
    # Not Path.read_bytes: this runs on the event loop after every attempt, and its layers cost five times as much.
    file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while part := os.read(file, 1 << 16):
            parts.append(part)
        return b"".join(parts)
    finally:
        os.close(file)


def session_of(pid: int) -> int | None:
    """The session that it belongs to; None if it is gone."""
    stat = _stat(pid)
    return int(stat[3]) if stat else None


def is_zombie(pid: int) -> bool:
    """Whether it has ended and waits for being reaped."""
    return _stat(pid)[:1] == [b"Z"]


def cookies(pid: int) -> tuple[Seen, dict[str, str]]:
    """The service's own variables in the environment of a process. One that is not ours to read counts as shown."""
    try:
        environment = _environment(pid)
    except PermissionError:
        return Seen.SHOWN, {}
    if not environment:
        stat = _stat(pid)
        if not stat or stat[0] in _DEAD:
            return Seen.GONE, {}
        flags = int(stat[6])
        if flags & _EXITING:
            return Seen.EXITING, {}
        # Who sleeps is not about to become another program: it has none, as a kernel thread has none.
        blank = stat[0] in _AT_WORK and not flags & _KERNEL_THREAD
        return (Seen.BLANK if blank else Seen.SHOWN), {}
    pairs = (item.partition(b"=") for item in environment.split(b"\0") if item.startswith(b"ZORDON_"))
    return Seen.SHOWN, {name.decode("ascii", "replace"): value.decode("ascii", "replace") for name, _, value in pairs}


def _environment(pid: int) -> bytes:
    environment = _shown(f"/proc/{pid}/environ")
    if environment or not is_zombie(pid):
        return environment
    # The first thread of a process may have ended while others go on; then it is no zombie though it looks like one.
    try:
        threads = list(Path(f"/proc/{pid}/task").iterdir())
    except OSError:
        return b""
    return next((found for thread in threads if (found := _shown(f"{thread}/environ"))), b"")


def _shown(path: str) -> bytes:
    """An environment as the kernel shows it.

    Raises:
        PermissionError: it is none of our business.
    """
    try:
        return read(path)
    except PermissionError:
        raise
    except OSError:
        return b""  # its memory is gone; newer kernels say ESRCH then, although it is still there


def _stat(pid: int) -> list[bytes]:
    """The fields of proc(5) from the state on; none if the process is gone."""
    try:
        return read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    except OSError:
        return []
