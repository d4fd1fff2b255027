"""How fast this machine is: its processor and the disk of the data folder. One benchmark at a time, off the event loop.

The CPU score is units of work a second, all cores together; :mod:`app.node.cpu_work` says what a unit is. The same
machine gives the same score, twice the score renders about twice as fast.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import shutil
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import psutil

from app.jobs.errors import NoSpace, RequestError
from app.jobs.folders import DataFolder
from app.jobs.threads import in_thread
from app.settings import Settings
from client.models import DiskBenchmark

CPU_SECONDS: Final = 10.0
PIECE: Final = 4 << 20
"""What the disk benchmark writes and reads at a time, in bytes."""
READY_SECONDS: Final = 60.0
"""How long the processes of the CPU benchmark have to start, in seconds."""
_WORK: Final = Path(__file__).with_name("cpu_work.py")


class BenchmarkRunning(RequestError):
    """One benchmark at a time."""

    status = 503

    def __init__(self) -> None:
        super().__init__("a benchmark is running on this node; ask again when it has ended")


class BenchmarkFailed(RequestError):
    """The benchmark could not be run; the message says why."""

    status = 500


class Benchmarks:
    """The benchmarks of this node."""

    def __init__(self, settings: Settings, folders: DataFolder) -> None:
        self._settings = settings
        self._folders = folders
        self._running = False

    async def cpu(self, seconds: float = CPU_SECONDS) -> float:
        """The CPU score: units of work a second, all cores together.

        If it is cancelled, no process of it is left.

        Raises:
            BenchmarkRunning: another one is running.
            BenchmarkFailed: its processes cannot be started.
        """
        with self._alone():
            return await _cpu_score(seconds, _cores())

    async def disk(self) -> DiskBenchmark:
        """Write and read speed of the data folder's disk, with a file of ``benchmark_disk_bytes`` that is removed.

        Raises:
            BenchmarkRunning: another one is running.
            NoSpace: the disk has no room for the file.
            BenchmarkFailed: the disk cannot be written or read.
        """
        with self._alone():
            size, keep = self._settings.benchmark_disk_bytes, self._settings.min_free_bytes
            free = (await asyncio.to_thread(shutil.disk_usage, self._folders.uploads)).free
            if free - size < keep:
                raise NoSpace(
                    f"the disk of the data folder has {free} bytes free; the benchmark needs {size} and {keep} must "
                    "stay free (min_free_bytes)"
                )
            path = self._folders.uploads / f"benchmark-{secrets.token_hex(8)}"
            try:
                return await in_thread(lambda stop: _disk_speed(path, size, stop))
            except OSError as error:
                raise BenchmarkFailed(f"the disk benchmark failed: {error.strerror}") from error

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self._running:
            raise BenchmarkRunning
        self._running = True
        try:
            yield
        finally:
            self._running = False


def _cores() -> int:
    """How many cores this process may use."""
    if sys.platform == "linux":
        return len(os.sched_getaffinity(0))
    return psutil.cpu_count() or 1


async def _cpu_score(seconds: float, cores: int) -> float:
    processes: list[asyncio.subprocess.Process] = []
    pipe = asyncio.subprocess.PIPE
    try:
        for _ in range(cores):
            argv = (sys.executable, "-I", str(_WORK), str(seconds))
            processes.append(
                await asyncio.create_subprocess_exec(
                    *argv,
                    stdin=pipe,
                    stdout=pipe,
                    stderr=asyncio.subprocess.DEVNULL,
                    # Known as ours to whoever looks for leftovers of engines.
                    env={**os.environ, "ZORDON_WORKER": "1"},
                    start_new_session=True,
                )
            )
        async with asyncio.timeout(READY_SECONDS):
            for process in processes:
                await _line(process)
        for process in processes:
            assert process.stdin is not None
            process.stdin.write(b"go\n")
        async with asyncio.timeout(seconds + READY_SECONDS):
            done = [(await _line(process)).split() for process in processes]
        return round(sum(float(units) / float(spent) for units, spent in done), 1)
    except (OSError, TimeoutError, ValueError) as error:
        raise BenchmarkFailed(f"the CPU benchmark failed: {error or 'it did not answer in time'}") from error
    finally:
        await asyncio.shield(asyncio.create_task(_end(processes)))


async def _line(process: asyncio.subprocess.Process) -> bytes:
    assert process.stdout is not None
    line = await process.stdout.readline()
    if not line:
        raise ValueError("a process of it ended early")
    return line


async def _end(processes: list[asyncio.subprocess.Process]) -> None:
    for process in processes:
        if process.stdin is not None:
            process.stdin.close()
        if process.returncode is None:
            try:
                process.kill()
            except ProcessLookupError:
                continue
    for process in processes:
        await process.wait()


def _disk_speed(path: Path, size: int, stop: threading.Event) -> DiskBenchmark:
    """Write, sync, forget, read. Data is random: a disk that compresses gets nothing for free."""
    piece = os.urandom(min(PIECE, size))
    flags = os.O_CREAT | os.O_EXCL | os.O_RDWR | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags, 0o600)
    try:
        begun, written = time.perf_counter(), 0
        while written < size and not stop.is_set():
            written += os.write(descriptor, piece[: size - written])
        os.fsync(descriptor)
        writing = time.perf_counter() - begun
        if sys.platform == "linux":
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        os.lseek(descriptor, 0, os.SEEK_SET)
        begun, read = time.perf_counter(), 0
        while not stop.is_set() and (got := len(os.read(descriptor, PIECE))):
            read += got
        reading = time.perf_counter() - begun
    finally:
        os.close(descriptor)
        path.unlink()
    return DiskBenchmark(
        write_speed=round(written / 1e6 / max(writing, 1e-9), 1),
        read_speed=round(read / 1e6 / max(reading, 1e-9), 1),
        size=written,
    )
