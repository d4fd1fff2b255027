"""Engines that take more than there is: output without end, and memory until the kernel ends them."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from client.models import JobStatus
from tests.faults.in_process import MIB, PLUGIN, assert_clean, node_at, rogue, warmed

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes")]
GIB = 1 << 30


@pytest.fixture(autouse=True)
def _plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third-party engine is installed."""
    monkeypatch.syspath_prepend(str(PLUGIN))


@pytest.mark.parametrize(("way", "size"), [("long_line", GIB), ("long_event", GIB), ("much_log", 10 * GIB)])
async def test_gigabytes_of_output_take_no_memory(tmp_path: Path, way: str, size: int) -> None:
    async with node_at(tmp_path / "data", max_log_bytes=MIB) as node:
        resources = await warmed(node)
        job = await node.ended((await rogue(node, way, size, frames="1")).id)
        assert job.status is JobStatus.COMPLETED, job.reason
        await assert_clean(node, job)
        assert len((await node.log(job.id)).encode()) < 2 * MIB
        await resources.back()


@pytest.fixture
def small_memory() -> Iterator[Path]:
    """A control group with 64 MiB of memory and no swap, of whichever version the kernel has."""
    first, second = Path("/sys/fs/cgroup/memory"), Path("/sys/fs/cgroup")
    bounds = {"memory.limit_in_bytes": 64 * MIB, "memory.swappiness": 0}
    if not (first / "cgroup.procs").exists():
        first, bounds = second, {"memory.max": 64 * MIB, "memory.swap.max": 0}
    group = first / f"zordon-test-{os.getpid()}"
    try:
        group.mkdir()
        for name, value in bounds.items():
            if (group / name).exists() or name in ("memory.limit_in_bytes", "memory.max"):
                (group / name).write_text(str(value))
    except OSError as error:
        if group.exists():
            group.rmdir()
        pytest.skip(f"this machine lets nobody make a control group with a bound on memory: {error}")
    try:
        yield group
    finally:
        group.rmdir()


async def test_who_is_ended_by_the_kernel_for_want_of_memory_is_told_so(tmp_path: Path, small_memory: Path) -> None:
    """The real thing: the engine moves into a group with little memory and takes more."""
    async with node_at(tmp_path / "data") as node:
        job = await rogue(node, "eats_memory", 256 * MIB, frames="1", group=str(small_memory))
        ended = await node.ended(job.id)
        assert ended.status is JobStatus.ERROR, ended.reason
        assert any("memory" in error for error in ended.errors), ended.errors
        told = await node.parts.explaining.explain(job.id)
        assert (told.cause, told.frames) == ("out_of_memory", "1")
        assert any("slots" in advice for advice in told.help)
        await assert_clean(node, ended)
        assert (await node.ended((await rogue(node, "well")).id)).status is JobStatus.COMPLETED
