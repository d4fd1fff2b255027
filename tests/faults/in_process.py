"""A node in the process of its test, the engine that misbehaves in every way, and what must hold afterwards.

Two engines are at it: the test pattern that comes with the service, and a third-party one that is found by its entry
point (``tests/support/rogue_plugin``), for what the pattern cannot do.
"""

from __future__ import annotations

import asyncio
import gc
import hashlib
import sys
import threading
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import psutil

from app.main import create_app
from app.render.environment import ATTEMPT_COOKIE
from app.settings import load_settings
from client.models import Job, JobStatus
from tests.render.conftest import Node
from tests.support.open_files import closed_again, open_now

PLUGIN = Path(__file__).resolve().parents[1] / "support" / "rogue_plugin"
SMALL: dict[str, object] = {"width": 64, "height": 48}
MIB = 1 << 20


def node_at(place: Path, **settings: object) -> AbstractAsyncContextManager[Node]:
    """A node on a folder; quick to retry and to kill."""

    @asynccontextmanager
    async def start() -> AsyncIterator[Node]:
        quick: dict[str, object] = {"term_seconds": 0.5, "retry_seconds": 0.05, "slots": {"rogue": 1}}
        async with create_app(load_settings(**{**quick, "data_dir": place, **settings})).running() as parts:
            assert "rogue" in parts.catalog.engines, parts.catalog.broken
            yield Node(parts)

    return start()


async def rogue(node: Node, way: str, count: int = 0, frames: str = "1-2", **args: object) -> Job:
    return await node.submit(renderer="rogue", frames=frames, args={"way": way, "count": count, **args})


def processes_of(job_id: str) -> list[int]:
    """Every process that carries the cookie of an attempt of this job."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(ATTEMPT_COOKIE, "").startswith(f"{job_id}-"):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


async def assert_clean(node: Node, job: Job) -> None:
    """No process is left, nothing of attempts, and the outputs are those that the manifest lists, byte for byte."""
    await node.parts.jobs.settled(job.id)
    assert processes_of(job.id) == []
    folders = node.parts.folders
    async with asyncio.timeout(60):  # scratch folders are removed soon after
        while left := list(folders.scratch.glob(f"*/{job.id}-*")):
            assert left
            await asyncio.sleep(0)
    output = folders.output(job.id)
    entries = node.parts.manifests.at(folders.manifest(job.id)).entries()
    assert node.outputs(job.id) == sorted(entry.name for entry in entries)
    for entry in entries:
        assert not (output / entry.name).is_symlink()
        assert hashlib.sha256((output / entry.name).read_bytes()).hexdigest() == entry.sha256
    assert len(entries) == node.job(job.id).file_count == node.job(job.id).frames_done


class Resources:
    """What this process, which runs the node, holds. Built after a first job, when everything lazy is there."""

    def __init__(self) -> None:
        gc.collect()
        self._open = open_now() if sys.platform == "linux" else Counter()
        self._threads = self._own_threads()
        if sys.platform == "linux":
            Path("/proc/self/clear_refs").write_text("5")  # proc(5): forget the peak so far
        self._memory = self._peak()

    async def back(self, *, memory: int = 64 * MIB) -> None:
        """Descriptors and threads come to be as before, and memory has never risen by more than so many bytes."""
        gc.collect()
        if sys.platform == "linux":
            await closed_again(self._open)
        async with asyncio.timeout(60):
            while not self._own_threads() <= self._threads:  # noqa: ASYNC110 - nobody tells of them
                await asyncio.sleep(0.01)
        assert self._peak() - self._memory < memory

    @staticmethod
    def _own_threads() -> set[str]:
        # Pools of workers begin one when it is needed, up to their size, and keep it.
        pools = ("asyncio_", "spawn_", "quick_", "worker_", "log-writer")
        return {thread.name for thread in threading.enumerate() if not thread.name.startswith(pools)}

    @staticmethod
    def _peak() -> int:
        if sys.platform != "linux":
            return 0
        line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024


async def warmed(node: Node) -> Resources:
    job = await node.ended((await rogue(node, "well")).id)
    assert job.status is JobStatus.COMPLETED, job.reason
    await node.parts.jobs.settled(job.id)
    return Resources()
