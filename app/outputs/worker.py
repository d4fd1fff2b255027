"""The process side of :mod:`app.outputs.workers`: takes calls on stdin, answers on stdout, dies with the service.

Run as ``python -c "from app.outputs.worker import main; main()"``. Calls and answers are pickles with their length in
front, between a process and its own child: nothing from outside ever gets onto these pipes.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import pkgutil
import queue
import signal
import sys
import threading
from collections.abc import Sequence
from typing import IO, NamedTuple

NICENESS = 5
"""Verification and previews give way to the service, and the service to nobody."""

_PR_SET_PDEATHSIG = 1


def read_message(stream: IO[bytes]) -> bytes:
    """One message; empty at the end of the stream, or if it ends within the message."""
    header = stream.read(8)
    if len(header) < 8:
        return b""
    length = int.from_bytes(header)
    data = stream.read(length)
    return data if len(data) == length else b""


def write_message(stream: IO[bytes], data: bytes) -> None:
    """Send one message; it must not be empty.

    Raises:
        OSError: the other side is gone.
    """
    stream.write(len(data).to_bytes(8) + data)
    stream.flush()


class WorkerUser(NamedTuple):
    """Whom a worker becomes (POSIX; the service is root then)."""

    uid: int
    gid: int
    groups: tuple[int, ...]

    def text(self) -> str:
        """As it stands in the environment of the worker."""
        return ",".join(map(str, (self.uid, self.gid, *self.groups)))

    @staticmethod
    def read(text: str) -> WorkerUser:
        """What :meth:`text` has written."""
        uid, gid, *groups = map(int, text.split(","))
        return WorkerUser(uid, gid, tuple(groups))


READERS = (
    "av",
    "OpenImageIO",
    "PIL.Image",
    "PIL.JpegImagePlugin",
    "app.outputs.verification",
    "app.outputs.pictures",
    "app.outputs.videos",
    "blender_asset_tracer.blendfile",
    "blender_asset_tracer.trace",
    "engines.blender.packing",
    "engines.ffmpeg.engine",
    "engines.testpattern.engine",
)
"""Loaded, with all that is in them, before a worker becomes another user: Zordon may be installed where that user sees
nothing, these load parts of themselves only when a file needs them, and the second call may be about another one."""


def main() -> None:
    """Answer calls until stdin ends."""
    _die_with_parent()
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what a library prints must not get between the answers
    calls: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    threading.Thread(target=_listen, args=(calls,), daemon=True).start()
    user = os.environ.pop("ZORDON_WORKER_USER", "")
    while True:
        call = calls.get()
        if user:
            _become(WorkerUser.read(user), call)
            user = ""
        write_message(answers, _answer(call))


def load(modules: Sequence[str]) -> None:
    """Import modules, so that the call that needs them finds them loaded.

    Raises:
        ImportError: there is no such module.
    """
    for module in modules:
        importlib.import_module(module)


def _answer(call: bytes) -> bytes:
    try:
        function, arguments, options = pickle.loads(call)
        return pickle.dumps((True, function(*arguments, **options)))
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the caller's: it is raised again over there
        try:
            data = pickle.dumps((False, error))
            pickle.loads(data)
        except Exception:  # noqa: BLE001 - an error that cannot travel goes as its text
            return pickle.dumps((False, RuntimeError(f"{type(error).__name__}: {error}")))
        return data


def _become(user: WorkerUser, call: bytes) -> None:
    """Become another user for good, with everything loaded that the first call needs."""
    with contextlib.suppress(Exception):
        pickle.loads(call)  # loads the module of its function; what is wrong with it, the call itself tells
    for name in READERS:
        with contextlib.suppress(ImportError):
            package = importlib.import_module(name)
            for part in pkgutil.walk_packages(getattr(package, "__path__", ()), f"{name}."):
                if not part.name.endswith("__main__"):
                    importlib.import_module(part.name)
    if sys.platform != "win32":
        os.setgroups(user.groups)
        os.setgid(user.gid)
        os.setuid(user.uid)
        _killed_with_parent()  # to become another user takes that back (prctl(2))


def _listen(calls: queue.SimpleQueue[bytes]) -> None:
    """Read calls in a thread of its own, so that the end of the service ends a worker in the middle of its work too."""
    while call := read_message(sys.stdin.buffer):
        calls.put(call)
    os._exit(0)


def _die_with_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the service; it ends us
    if hasattr(os, "nice"):
        os.nice(NICENESS)
    _killed_with_parent()


def _killed_with_parent() -> None:
    if sys.platform == "linux":
        import ctypes

        # The end of stdin is noticed only when a library lets go of the interpreter; this always works.
        parent = os.getppid()
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
        if os.getppid() != parent:
            os._exit(0)
