"""Limits on Linux: set on a process from outside, right after it was started (prlimit(2)), which costs microseconds.

Nothing of the engine's own has run by then but its loader, and what it starts inherits them. psutil could do most of
this, but reads ``/proc`` each time to be sure whose number it has; a process of ours that nobody has reaped is itself.
"""

from __future__ import annotations

import os
import platform
import sys
from typing import Final

import structlog

from app.render.processes.interface import Limits

log = structlog.get_logger(__name__)

GRACE_CPU_SECONDS: Final = 5
"""Between the signal that asks it to end (SIGXCPU) and the one that ends it."""
FIRST_TO_GO: Final = b"500\n"
"""Added to how likely the kernel ends it when memory runs out (proc(5), oom_score_adj): the engine, not the service."""


_IOPRIO_SET: Final = {"x86_64": 251, "aarch64": 30}.get(platform.machine())
"""The number of the system call ioprio_set(2), for which the C library has no name. On other machines the kernel takes
the disk's share from ``nice``, as it does for all whose priority nobody has set."""
_LAST_OF_ALL: Final = 2 << 13 | 7  # IOPRIO_CLASS_BE, and of its eight levels the one that waits for the others


if sys.platform == "linux":
    import ctypes
    import resource

    _libc = ctypes.CDLL(None)

    def restrain(pid: int, limits: Limits) -> None:
        """Set limits on a process that we have just started. What the system refuses is logged."""
        try:
            if not limits.core_dumps:
                resource.prlimit(pid, resource.RLIMIT_CORE, (0, 0))
            _lower(pid, resource.RLIMIT_DATA, limits.memory_bytes)
            _lower(pid, resource.RLIMIT_FSIZE, limits.file_bytes)
            _lower(pid, resource.RLIMIT_NOFILE, limits.open_files)
            _lower(pid, resource.RLIMIT_CPU, limits.cpu_seconds, GRACE_CPU_SECONDS)
            if limits.nice:
                os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, 0) + limits.nice)
                if _IOPRIO_SET is not None:
                    _libc.syscall(_IOPRIO_SET, 1, pid, _LAST_OF_ALL)  # 1: of a process
            _write(f"/proc/{pid}/oom_score_adj", FIRST_TO_GO)
        except (ProcessLookupError, FileNotFoundError):
            return  # it has ended already
        except (OSError, ValueError) as error:
            log.warning("an engine runs without all its limits", pid=pid, reason=str(error))

    def _write(path: str, text: bytes) -> None:
        file = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(file, text)
        finally:
            os.close(file)

    def _lower(pid: int, what: int, wanted: int | None, grace: int = 0) -> None:
        if wanted is None:
            return
        hard = resource.prlimit(pid, what)[1]
        most = wanted + grace
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.prlimit(pid, what, (min(wanted, most), most))
