"""Limits on Linux: set on a process from outside, right after it was started (prlimit(2)), which costs microseconds.

Nothing of the engine's own has run by then but its loader, and what it starts inherits them.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Final

import psutil
import structlog

from app.render.processes.interface import Limits

log = structlog.get_logger(__name__)

GRACE_CPU_SECONDS: Final = 5
"""Between the signal that asks it to end (SIGXCPU) and the one that ends it."""
FIRST_TO_GO: Final = "500\n"
"""Added to how likely the kernel ends it when memory runs out (proc(5), oom_score_adj): the engine, not the service."""


if sys.platform == "linux":
    import resource

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
                psutil.Process(pid).ionice(psutil.IOPRIO_CLASS_BE, 7)
            Path(f"/proc/{pid}/oom_score_adj").write_text(FIRST_TO_GO, "ascii")
        except (ProcessLookupError, FileNotFoundError, psutil.NoSuchProcess):
            return  # it has ended already
        except (OSError, ValueError, psutil.Error) as error:
            log.warning("an engine runs without all its limits", pid=pid, reason=str(error))

    def _lower(pid: int, what: int, wanted: int | None, grace: int = 0) -> None:
        if wanted is None:
            return
        hard = resource.prlimit(pid, what)[1]
        most = wanted + grace
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.prlimit(pid, what, (min(wanted, most), most))
