"""Starting a program on Linux by the C library's own posix_spawn(3).

``subprocess.Popen`` holds the interpreter's lock until the new program runs, a third of a millisecond in which no other
thread of the service does anything, the event loop included. Called through ctypes, ``posix_spawn`` gives the lock away
meanwhile, and costs a third of the processor time. Like Popen it does not copy the service's memory (vfork).

Source: posix_spawn(3), and the manual of the GNU C library for what its names end in ``_np``.
"""

from __future__ import annotations

import ctypes
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from typing import Final

FIRST_FREE: Final = 4
"""The descriptors that a program gets must have at least this number here; see :func:`spawn`."""

_SIZE: Final = 1024  # of the C library's own structures: 80 and 336 bytes with glibc, about the same with musl
_SIGNALS: Final = 128  # bytes of a sigset_t
_SETSIGDEF: Final = 0x04
_SETSID: Final = 0x80
_NEEDED: Final = (
    "posix_spawn",
    "posix_spawn_file_actions_addchdir_np",
    "posix_spawn_file_actions_addclosefrom_np",
)


class _Spawner:
    """What is the same for every program: its own session, and the signals that Python ignores as they were."""

    def __init__(self) -> None:
        self._spawn = ctypes.CDLL(None).posix_spawn  # a CDLL gives the interpreter's lock away, a PyDLL keeps it
        self._c = ctypes.PyDLL(None)
        self._attributes = ctypes.create_string_buffer(_SIZE)
        signals = ctypes.create_string_buffer(_SIGNALS)
        self._c.sigemptyset(signals)
        for number in (signal.SIGPIPE, signal.SIGXFSZ):
            self._c.sigaddset(signals, int(number))
        self._c.posix_spawnattr_init(self._attributes)
        self._c.posix_spawnattr_setsigdefault(self._attributes, signals)
        self._c.posix_spawnattr_setflags(self._attributes, ctypes.c_short(_SETSIGDEF | _SETSID))

    def start(self, argv: Sequence[bytes], environment: Sequence[bytes], folder: bytes, fds: Sequence[int]) -> int:
        c, actions, pid = self._c, ctypes.create_string_buffer(_SIZE), ctypes.c_int()
        c.posix_spawn_file_actions_init(actions)
        try:
            for number, descriptor in enumerate(fds):
                _check(c.posix_spawn_file_actions_adddup2(actions, descriptor, number), argv[0])
            _check(c.posix_spawn_file_actions_addclosefrom_np(actions, len(fds)), argv[0])
            _check(c.posix_spawn_file_actions_addchdir_np(actions, folder), argv[0])
            _check(
                self._spawn(ctypes.byref(pid), argv[0], actions, self._attributes, _array(argv), _array(environment)),
                argv[0],
            )
        finally:
            c.posix_spawn_file_actions_destroy(actions)
        return pid.value


def _check(error: int, program: bytes) -> None:
    if error:
        raise OSError(error, os.strerror(error), os.fsdecode(program))


def _array(strings: Sequence[bytes]) -> ctypes.Array[ctypes.c_char_p]:
    return (ctypes.c_char_p * (len(strings) + 1))(*strings, None)


def _make_spawner() -> _Spawner | None:
    if sys.platform != "linux":
        return None
    library = ctypes.CDLL(None)
    return _Spawner() if all(hasattr(library, name) for name in _NEEDED) else None


_spawner = _make_spawner()
AVAILABLE: Final = _spawner is not None
"""Whether this C library can do all that is needed (glibc from 2.34 on)."""


def spawn(argv: Sequence[str], environment: Mapping[str, str], folder: str, descriptors: Sequence[int]) -> int:
    """Start a program, in a session of its own. For a thread: returns once it runs.

    Args:
        argv: the program's path (it is not searched for) and its arguments.
        environment: all of its environment.
        folder: its working folder.
        descriptors: what it has open, as its descriptors 0, 1, …; it has nothing else. None of them may have a number
            below :data:`FIRST_FREE` here, where it would be replaced before it is used.

    Returns:
        Its pid.

    Raises:
        OSError: it cannot be started.
        ValueError: there is a NUL in what it is given.
    """
    assert _spawner is not None, "see AVAILABLE"
    assert min(descriptors) >= FIRST_FREE >= len(descriptors)
    said = [os.fsencode(word) for word in argv]
    known = [os.fsencode(name) + b"=" + os.fsencode(value) for name, value in environment.items()]
    where = os.fsencode(folder)
    if any(b"\0" in text for text in (*said, *known, where)):
        raise ValueError("embedded null byte")
    return _spawner.start(said, known, where, descriptors)
