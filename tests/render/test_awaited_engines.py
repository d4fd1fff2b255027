"""A job waits for its engine version through a restart, renders with it once it is there, and says which it was."""

from __future__ import annotations

import asyncio
import os
import shlex
import shutil
import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from app.render.awaiting import check_engines
from client.models import JobStatus
from engines.contract import MissingVersion

if TYPE_CHECKING:
    from tests.render.conftest import Node, StartNode

PROGRAM = shutil.which("ffmpeg")
pytestmark = [
    pytest.mark.skipif(PROGRAM is None, reason="no FFmpeg on PATH"),
    pytest.mark.skipif(sys.platform == "win32", reason="shell scripts stand for other versions of FFmpeg"),
]


async def put(node: Node, version: str, first: str = ":", *, look: bool = True) -> Path:
    """The system's FFmpeg as a managed copy that calls itself by another version, and does something else ``first``;
    then everybody has a ``look``, as after every install."""
    folder = node.parts.folders.engines / "ffmpeg" / version
    folder.mkdir(parents=True)
    program = folder / "ffmpeg"
    told = f'[ "$1" = -version ] && echo "ffmpeg version {version} Copyright" && exit'
    program.write_text(f'#!/bin/sh\n{told}\n{first}\nexec "{PROGRAM}" "$@"\n')
    program.chmod(0o755)
    if look:
        await node.parts.catalog.refresh()
        check_engines(node.parts.jobs, node.parts.catalog)
    return folder


@pytest.fixture
def pictures(tmp_path: Path) -> Path:
    """Four pictures of a sequence."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    for number in range(1, 5):
        Image.new("RGB", (64, 48), (number * 40, 80, 120)).save(folder / f"shot_{number:04d}.png")
    return folder


async def test_it_waits_renders_and_says_with_what(start_node: StartNode, tmp_path: Path, pictures: Path) -> None:
    settings: dict[str, object] = {"auto_install": False, "local_roots": [tmp_path]}
    async with start_node(**settings) as node:
        job = await node.submit(renderer="ffmpeg", engine_version="77.1", local_path=str(pictures))
        assert (job.status, job.engine_version) == (JobStatus.CONFIGURING, "77.1")
        assert "zordon engines install ffmpeg 77.1" in job.reason
        other = await node.ended((await node.submit(frames="1", args={"width": 64, "height": 48})).id)
        assert other.status is JobStatus.COMPLETED, "nobody else waits"
    async with start_node(**settings) as node:
        assert node.job(job.id).status is JobStatus.CONFIGURING
        await put(node, "77.1.2")
        job = await node.ended(job.id)
        assert (job.status, job.engine_version, job.frames_done) == (JobStatus.COMPLETED, "77.1.2", 4)
        assert job.engine_version_reason == "FFmpeg 77.1 was asked for."
        assert str(node.parts.folders.engines / "ffmpeg" / "77.1.2" / "ffmpeg") in await node.log(job.id)


async def test_a_copy_that_is_gone_when_the_job_is_taken_up(
    start_node: StartNode, tmp_path: Path, pictures: Path
) -> None:
    gate = tmp_path / "gate"
    os.mkfifo(gate)
    async with start_node(auto_install=False, local_roots=[tmp_path], slots={"ffmpeg": 1}) as node:
        await put(node, "66.1", f"cat {shlex.quote(str(gate))} > /dev/null")
        gone = await put(node, "77.1.2")
        body = {"renderer": "ffmpeg", "local_path": str(pictures)}
        first = await node.submit(engine_version="66.1", **body)
        await node.until(first.id, lambda job: job.status is JobStatus.RUNNING)
        job = await node.submit(engine_version="77.1", **body)
        assert (job.status, job.engine_version) == (JobStatus.NOT_STARTED, "77.1.2")
        shutil.rmtree(gone)
        await put(node, "77.1.3", look=False)
        await node.parts.catalog.refresh()
        await asyncio.to_thread(gate.write_bytes, b"go on")
        assert (await node.ended(first.id)).status is JobStatus.COMPLETED
        job = await node.ended(job.id)
        assert (job.status, job.engine_version) == (JobStatus.COMPLETED, "77.1.3")
        assert "77.1.2, chosen before, is not installed any more" in job.engine_version_reason


async def test_a_version_that_comes_while_the_job_is_stored_is_seen(
    start_node: StartNode, tmp_path: Path, pictures: Path
) -> None:
    async with start_node(auto_install=False, local_roots=[tmp_path]) as node:
        await put(node, "77.1.2")
        first = await node.submit(renderer="ffmpeg", engine_version="77.1", local_path=str(pictures))
        settled = (await node.parts.jobs.record(first.id)).spec
        missing = MissingVersion("77.1", False, "it was not there when it was looked for")
        late = replace(settled, id="00000000000000aa", engine_version="77.1", missing=missing)
        await node.parts.jobs.submit([late])
        job = await node.ended(late.id)
        assert (job.status, job.engine_version) == (JobStatus.COMPLETED, "77.1.2")
