"""Leftovers of engines on systems without ``/proc``: found by the cookie in their environment, through psutil."""

from __future__ import annotations

import contextlib

import psutil

from app.render.environment import STORE_COOKIE

_ROUNDS = 20


def end_cookie(name: str, value: str) -> int:
    """End every process that has this variable in its environment. For a thread. Returns how many there were."""
    ended: set[int] = set()
    for _ in range(_ROUNDS):
        found = 0
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error, OSError):
                if process.pid not in ended and process.environ().get(name) == value:
                    process.kill()
                    ended.add(process.pid)
                    found += 1
        if not found:
            break
    return len(ended)


def end_leftovers(store: str, known: dict[int, float]) -> int:
    """After a crash of the service: see :func:`app.render.processes.linux.end_leftovers`."""
    ended = end_cookie(STORE_COOKIE, store)
    for pid, started in known.items():
        with contextlib.suppress(psutil.Error):
            process = psutil.Process(pid)
            if abs(process.create_time() - started) < 0.05:
                process.kill()
                ended += 1
    return ended
