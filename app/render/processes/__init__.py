"""Engine processes: starting one, talking to it, and ending it with all that it started.

A process (this package) is kept apart from those who look after processes (:mod:`app.render.session`). What differs
between systems stands in a file each, behind :class:`EngineProcess`.
"""

from __future__ import annotations

import sys

from app.render.processes.interface import EngineProcess, Launch, LaunchError, Limits, RunAs

__all__ = [
    "EngineProcess",
    "Launch",
    "LaunchError",
    "Limits",
    "RunAs",
    "adopt_orphans",
    "boot_id",
    "end_leftovers",
    "launch",
]

if sys.platform == "win32":
    from app.render.processes.windows import adopt_orphans, boot_id, end_leftovers, launch
elif sys.platform == "linux":
    from app.render.processes.linux import adopt_orphans, boot_id, end_leftovers, launch
else:
    from app.render.processes.portable import adopt_orphans, boot_id, end_leftovers, launch
