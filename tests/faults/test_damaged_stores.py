"""The store is damaged, gone, or in use; the folder cannot be written: told in a sentence, and nothing is destroyed."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.faults.conftest import Serve, ended, submit
from tests.faults.tmpfs import mounted
from tests.faults.victim import Died, Place, Victim

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, mounts a tmpfs")]


def _cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def _scribble(path: Path) -> None:
    """Every page but the first becomes noise."""
    data = path.read_bytes()
    path.write_bytes(data[:4096] + random.Random(1).randbytes(len(data) - 4096))


DAMAGES: dict[str, Callable[[Path], object]] = {
    "gone": lambda path: path.unlink(),
    "empty": lambda path: path.write_bytes(b""),
    "noise": lambda path: path.write_bytes(random.Random(1).randbytes(8192)),
    "cut": _cut,
    "scribbled": _scribble,
}


def _files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
async def test_a_damaged_store_is_told_and_costs_nothing(
    damage: Callable[[Path], object], place: Place, serve: Serve
) -> None:
    async with serve() as (victim, node):
        job = await ended(node, (await submit(node)).id)
        victim.process.terminate()
        assert await victim.gone() == 0
    database = place.data / "zordon.db"
    whole, outputs = database.read_bytes(), _files(place.data / "jobs")
    assert any(name.endswith(".png") for name in outputs)
    damage(database)
    for _ in range(2):  # the first start must not make the second one forget
        with pytest.raises(Died) as died:
            async with serve():
                pass
        assert "Traceback" not in str(died.value)
        assert "backup" in str(died.value)
        assert _files(place.data / "jobs") == outputs
    database.write_bytes(whole)
    async with serve() as (_, node):
        assert (await node.get_job(job.id)).frames_done == 4
        assert len(await node.get_job_files(job.id)) == 4


async def test_a_second_service_on_the_folder_is_refused(place: Place, serve: Serve) -> None:
    async with serve() as (first, node):
        job = await submit(node, "1-20", seconds_per_frame=0.05)
        second = await Victim.spawn(place)
        with pytest.raises(Died, match=f"in use by another Zordon \\(process {first.pid}\\)"):
            await second.ready()
        assert await second.gone() != 0
        assert (await ended(node, job.id)).frames_done == 20


async def test_a_read_only_folder_is_told(place: Place, serve: Serve) -> None:
    with mounted(place.data, "16m") as disk:
        async with serve() as (_, node):
            await ended(node, (await submit(node)).id)
        disk.read_only()
        with pytest.raises(Died, match="cannot be written: Read-only file system") as died:
            async with serve():
                pass
        assert "Traceback" not in str(died.value)
