"""Projects on their way between real services: once, by content, and the pictures are the same there."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from pathlib import Path

import pytest
from PIL import Image
from pydantic import TypeAdapter

from client import RenderServerProxy
from client.connection import read
from client.models import Fetch, Job, JobStatus
from tests.peers.farm import farm_node
from tests.peers.parent import Parent, parent_node
from tests.support.studio_project import make_studio_project

pytestmark = pytest.mark.slow

JOBS = TypeAdapter(list[Job])


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the project. Its absolute paths lead there."""
    if shutil.which("blender") is None:
        pytest.skip("there is no blender on PATH (scripts/test says how to get one)")
    root = tmp_path_factory.mktemp("studio") / "studio"
    make_studio_project(root)
    return root


async def fetches(parent: Parent, name: str) -> list[Fetch]:
    peer = await parent.peer(name)
    answer = await peer.client.get("/api/nodes")
    return [Fetch.model_validate(one) for one in answer.json()["fetches"]]


async def ended(node: RenderServerProxy, job_id: str) -> Job:
    """A job, once it has ended."""
    token = None
    async with asyncio.timeout(120):
        while not (job := await node.get_job(job_id)).status.ended:
            told = await node.long_poll_delta(token)
            token = told.token if told is not None else token
    return job


def pixels(path: Path) -> bytes:
    with Image.open(path) as picture:
        return picture.convert("RGBA").tobytes()


@pytest.mark.slow
@pytest.mark.blender
async def test_another_machine_renders_the_same_without_the_original(studio: Path, tmp_path: Path) -> None:
    async with (
        farm_node(tmp_path, "other") as other,
        parent_node(tmp_path / "parent", other, local_roots=[studio.parent]) as parent,
    ):
        record = await parent.submit(
            renderer="blender", local_path=str(studio / "shots" / "shot.blend"), name="s", enable_split_jobs=False
        )
        ours = await parent.ended(record.id)
        assert ours.status is JobStatus.COMPLETED, ours.reason
        peer = await parent.peer("other")
        tree = await parent.bring(record, peer)
        hidden = studio.with_name("hidden")
        studio.rename(hidden)
        try:
            body = {"renderer": "blender", "project_tree": tree, "name": "s", "frames": record.spec.frames.notation()}
            made = read(JOBS, await peer.client.post("/api/add_job", body))[0]
            theirs = await ended(other, made.id)
        finally:
            hidden.rename(studio)
        assert theirs.status is JobStatus.COMPLETED, theirs.reason
        assert theirs.warnings == ours.warnings
        for frame in (1, 2, 3):
            one = parent.parts.folders.output(record.id) / f"s_{frame:04d}.png"
            two = tmp_path / "other" / "jobs" / made.id / "output" / f"s_{frame:04d}.png"
            assert pixels(one) == pixels(two), frame
        with Image.open(one) as picture:
            colours = {picture.convert("RGB").getpixel((x, 10)) for x in (15, 30, 45)}
        assert len(colours) == 3, "the table, the box and the flame have colours of their own"


async def test_only_what_has_changed_is_sent(tmp_path: Path) -> None:
    shot = tmp_path / "shot"
    shot.mkdir()
    for number in range(1, 7):
        Image.frombytes("RGB", (400, 300), os.urandom(360_000)).save(shot / f"a_{number}.png")
    async with (
        farm_node(tmp_path, "other") as other,
        parent_node(tmp_path / "parent", other, local_roots=[tmp_path]) as parent,
    ):
        peer = await parent.peer("other")

        async def bring() -> str | None:
            job = await parent.submit(
                renderer="ffmpeg", local_path=str(shot / "a_1.png"), name="v", enable_split_jobs=False
            )
            return await parent.bring(job, peer)

        first = await bring()
        assert await bring() == first
        changed = shot / "a_3.png"
        Image.frombytes("RGB", (400, 300), os.urandom(360_000)).save(changed)
        second = await bring()
        assert second != first
        came = {fetch.tree: fetch for fetch in await fetches(parent, "other")}
        assert first is not None
        assert second is not None
        assert came[first].bytes_total > 6 * 300_000
        assert came[second].bytes_done == came[second].bytes_total == changed.stat().st_size
        blobs = tmp_path / "other" / "content" / "blobs"
        assert {path.name for path in blobs.glob("??/*")} >= {hashlib.sha256(changed.read_bytes()).hexdigest()}
