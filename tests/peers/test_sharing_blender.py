"""One Blender job on two nodes: its pictures are those that one node alone makes."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy
import pytest
from PIL import Image

from client import RenderServerProxy
from client.models import AddJob, Job, JobStatus
from tests.peers.farm import farm_node, job_until, nodes_until
from tests.peers.test_sharing_jobs import rendered_by

FIXTURES = Path(__file__).parents[1] / "fixtures"
FRAMES = "1-24"

pytestmark = [
    pytest.mark.slow,
    pytest.mark.blender,
    pytest.mark.skipif(shutil.which("blender") is None, reason="there is no blender on PATH"),
]


async def rendered(node: RenderServerProxy, folder: Path, *, split: bool) -> tuple[Job, list[Path]]:
    """The pictures of the job, fetched in order."""
    job = AddJob(renderer="blender", name="shot", frames=FRAMES, enable_split_jobs=split, output_format="PNG")
    made = (await node.create_job(job, FIXTURES / "cycles.blend"))[0]
    done = await job_until(node, made.id, lambda job: job.status.ended)
    assert done.status is JobStatus.COMPLETED, done.reason
    folder.mkdir()
    return done, [await node.download_job_file(done.id, name, folder) for name in await node.get_job_files(done.id)]


def pixels(path: Path) -> numpy.ndarray:
    with Image.open(path) as picture:
        return numpy.asarray(picture)


async def test_the_pictures_of_two_nodes_are_those_of_one(tmp_path: Path) -> None:
    one_slot = {"ZORDON_SLOTS": '{"blender": 1}', "ZORDON_ENGINE_THREADS": "1"}
    async with (
        farm_node(tmp_path, "first", **one_slot) as first,
        farm_node(tmp_path, "second", first, **one_slot),
    ):
        await nodes_until(first, lambda nodes: "second" in nodes and nodes["second"].state == "online")
        _, alone = await rendered(first, tmp_path / "alone", split=False)
        job, together = await rendered(first, tmp_path / "together", split=True)
        by = await rendered_by(first, job)
        assert set(by) == {"first", "second"}, by
        assert [path.name for path in together] == [path.name for path in alone]
        assert len(together) == 24
        for one, other in zip(alone, together, strict=True):
            assert (pixels(one) == pixels(other)).all(), f"{one.name} is another picture"
