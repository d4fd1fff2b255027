"""Buffers on the way of an upload to its file.

A thread that writes a buffer competes with the event loop for the interpreter, once for every system call it makes.
Few large writes are no way out: Linux answers them with large pages of memory, which a virtual machine has to fetch
from its host (measured: 1.5 to 2.8 s of CPU time a GB instead of 0.4). So under Linux a buffer is a file in memory that
the kernel itself copies to the disk, 64 KiB at a time, in one system call for all of it; an upload then has a third of
the context switches. Elsewhere it is plain memory, written in pieces.

A full buffer goes past the kernel's cache where the disk allows that (``O_DIRECT``, see open(2)): an upload must be on
the disk before its job is answered, and is there at once that way. Writing 1 GB and then syncing it took two to five
times as long. The rest of a file, and so every small one, goes through the cache, where its engine finds it again.
"""

from __future__ import annotations

import errno
import mmap
import os
import sys
from typing import Final

WRITE: Final = 252 << 10
"""How much of plain memory is written at a time, in bytes; on purpose no power of two (aligned: larger pages)."""
DIRECT_WRITES: Final[int] = getattr(os, "O_DIRECT", 0)
"""What a file must be opened with for :meth:`Buffer.write_directly`; 0 where there is no such thing."""
ALIGNED: Final = 4096
"""Where in a file such a write may begin: at a multiple of so many bytes."""
_NOT_HERE: Final = (errno.EINVAL, errno.ENOSYS, errno.EPERM, errno.EOPNOTSUPP)


def write_through_cache(descriptor: int) -> None:
    """Have a file that was opened with :data:`DIRECT_WRITES` written like any other from now on."""
    if sys.platform == "linux":
        import fcntl

        fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) & ~DIRECT_WRITES)


def write_past_cache(descriptor: int) -> bool:
    """Have a file that was opened like any other written as with :data:`DIRECT_WRITES` from now on. Returns whether
    its disk lets us."""
    if sys.platform == "linux":
        import fcntl

        try:
            fcntl.fcntl(descriptor, fcntl.F_SETFL, fcntl.fcntl(descriptor, fcntl.F_GETFL) | DIRECT_WRITES)
        except OSError as error:
            if error.errno not in _NOT_HERE:
                raise
        else:
            return True
    return False


class Buffer:
    """Memory of a fixed size that can be written to a file.

    Attributes:
        view: the memory; write into it.
    """

    def __init__(self, size: int) -> None:
        self._memory: mmap.mmap | None = None
        self._descriptor = -1
        self.view = self._map(size)

    def write(self, target: int, count: int, done: int = 0) -> None:
        """Append the first ``count`` bytes to an open file, but for ``done`` of them. For a thread.

        Raises:
            OSError: they cannot be written.
        """
        if sys.platform == "linux":
            while done < count and self._descriptor >= 0:
                try:
                    sent = os.sendfile(target, self._descriptor, done, count - done)
                except OSError as error:
                    if error.errno not in _NOT_HERE:
                        raise
                    sent = 0
                if not sent:
                    self._close_file()  # this target cannot take it that way
                done += sent
        while done < count:
            done += os.write(target, self.view[done : min(count, done + WRITE)])

    def write_directly(self, target: int, count: int) -> int:
        """Append to a file that is open with :data:`DIRECT_WRITES`, past the cache. For a thread.

        Args:
            target: the open file.
            count: how much; a multiple of 4096.

        Returns:
            The bytes that are written: less than ``count`` if this disk refuses the rest that way.

        Raises:
            OSError: they cannot be written.
        """
        done = 0
        while done < count:
            try:
                with self.view[done:count] as left:
                    done += os.write(target, left)
            except OSError as error:
                if error.errno not in _NOT_HERE:
                    raise
                break
            if done % ALIGNED:
                break
        return done

    def close(self) -> None:
        """Give the memory back."""
        self.view.release()
        if self._memory is not None:
            self._memory.close()
            self._memory = None
        self._close_file()

    def _map(self, size: int) -> memoryview:
        if sys.platform == "linux":
            try:
                self._descriptor = os.memfd_create("upload", os.MFD_CLOEXEC)
                os.ftruncate(self._descriptor, size)
                self._memory = mmap.mmap(self._descriptor, size)
            except OSError:  # forbidden here, by a sandbox perhaps
                self._close_file()
            else:
                return memoryview(self._memory)
        return memoryview(bytearray(size))

    def _close_file(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
