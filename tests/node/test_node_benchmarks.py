"""The benchmarks: real processes, a real file, one at a time, and nothing left behind."""

from __future__ import annotations

import asyncio
import shutil
from pathlib import Path

import numpy as np
import psutil
import pytest

from app.jobs.errors import NoSpace
from app.jobs.folders import DataFolder
from app.node.benchmarks import BenchmarkRunning, Benchmarks
from app.node.cpu_work import RAYS, scene, unit
from app.settings import load_settings

MIB = 1 << 20


@pytest.fixture
def folders(tmp_path: Path) -> DataFolder:
    made = DataFolder(tmp_path / "data")
    made.prepare()
    return made


def benchmarks(folders: DataFolder, size: int = 4 * MIB, free: int = 0) -> Benchmarks:
    return Benchmarks(load_settings(data_dir=folders.root, benchmark_disk_bytes=size, min_free_bytes=free), folders)


def work_processes() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if _is_work(child)]


def _is_work(process: psutil.Process) -> bool:
    try:
        return "cpu_work" in " ".join(process.cmdline())
    except psutil.Error:  # a dead orphan that this process has adopted
        return False


async def until_working() -> None:
    while not work_processes():  # noqa: ASYNC110 - a process that begins sends no event
        await asyncio.sleep(0.01)


def test_a_unit_of_work_finds_the_nearest_sphere() -> None:
    directions, centres, squared = scene()
    distances = unit(directions, centres, squared)
    assert distances.shape == (RAYS,)
    hits = np.isfinite(distances)
    assert 0 < hits.sum() < RAYS
    points = (directions * np.where(hits, distances, 0)).T[hits]
    away = ((points[:, None, :] - centres[None]) ** 2).sum(axis=2) - squared
    assert np.abs(away).min(axis=1).max() < 1e-2  # every hit lies on a sphere
    assert away.min() > -1e-2 or (squared > (centres**2).sum(axis=1)).any()


async def test_the_cpu_score_is_work_a_second(folders: DataFolder) -> None:
    score = await benchmarks(folders).cpu(0.2)
    assert score > 1
    assert work_processes() == []


async def test_one_benchmark_at_a_time(folders: DataFolder) -> None:
    both = benchmarks(folders)
    running = asyncio.create_task(both.cpu(60.0))
    await until_working()
    for other in (both.cpu(0.1), both.disk()):
        with pytest.raises(BenchmarkRunning) as caught:
            await other
        assert caught.value.status == 503
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert work_processes() == []
    assert (await both.disk()).size == 4 * MIB


async def test_the_disk_benchmark_leaves_nothing(folders: DataFolder) -> None:
    told = await benchmarks(folders, 9 * MIB + 0).disk()
    assert told.size == 9 * MIB
    assert told.write_speed > 0
    assert told.read_speed > 0
    assert list(folders.uploads.iterdir()) == []


async def test_a_cancelled_disk_benchmark_leaves_nothing(folders: DataFolder) -> None:
    task = asyncio.create_task(benchmarks(folders, 2048 * MIB).disk())
    while not list(folders.uploads.iterdir()):  # noqa: ASYNC110 - nor does a file that appears
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert list(folders.uploads.iterdir()) == []


async def test_the_disk_benchmark_keeps_the_disk_free(folders: DataFolder) -> None:
    free = shutil.disk_usage(folders.root).free
    with pytest.raises(NoSpace, match="min_free_bytes"):
        await benchmarks(folders, 4 * MIB, free).disk()
    assert list(folders.uploads.iterdir()) == []
