"""What Linux and macOS have in common."""

from __future__ import annotations

import sys

if sys.platform != "win32":
    import fcntl
    import os

    def runs_as_root() -> bool:
        """See :mod:`app.node.platforms`."""
        return os.geteuid() == 0

    def try_lock(descriptor: int) -> bool:
        """See :mod:`app.node.platforms`."""
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True
