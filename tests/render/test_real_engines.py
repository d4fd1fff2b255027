"""Real Blender and real FFmpeg through a whole node: submitted, rendered, verified, looked at."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING

import av
import psutil
import pytest
from PIL import Image

from app.render.environment import ATTEMPT_COOKIE
from client.models import JobStatus

if TYPE_CHECKING:
    from tests.render.conftest import Node, StartNode

ROOT = Path(__file__).parents[2]
FIXTURES = ROOT / "tests" / "fixtures"
LANTERNS = ROOT / "demo" / "lanterns.mp4"

needs_blender = pytest.mark.skipif(
    shutil.which("blender") is None, reason="there is no blender on PATH (scripts/test says how to get one)"
)


def session_pids(job_id: str) -> list[int]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(ATTEMPT_COOKIE, "").startswith(job_id):
                found.append(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.slow
@pytest.mark.blender
@needs_blender
async def test_blender_renders_what_its_own_command_line_renders(start_node: StartNode, tmp_path: Path) -> None:
    project = FIXTURES / "workbench.blend"
    process = await asyncio.create_subprocess_exec(
        *(
            "blender",
            "-b",
            str(project),
            "-o",
            str(tmp_path / "own_####"),
            "-F",
            "PNG",
            "-x",
            "1",
            "-s",
            "1",
            "-e",
            "3",
        ),
        "-a",
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 0
    async with start_node(local_roots=[FIXTURES]) as node:
        job = await node.submit(renderer="blender", local_path=str(project), frames="1-3", name="w")
        job = await node.ended(job.id)
        assert (job.status, job.reason, job.errors) == (JobStatus.COMPLETED, "all 3 frames are verified", [])
        assert await session_gone(job.id)
        for frame in (1, 2, 3):
            with (
                Image.open(node.parts.folders.output(job.id) / f"w_{frame:04d}.png") as ours,
                Image.open(tmp_path / f"own_{frame:04d}.png") as theirs,
            ):
                assert ours.size == theirs.size == (job.width, job.height)
                assert ours.convert("RGBA").tobytes() == theirs.convert("RGBA").tobytes()
                assert len(ours.convert("RGB").getcolors(1 << 20) or ()) > 1, "the picture is one flat colour"


@pytest.mark.slow
@pytest.mark.blender
@needs_blender
async def test_a_blender_that_is_killed_costs_one_attempt_and_no_finished_frame(start_node: StartNode) -> None:
    async with start_node(local_roots=[FIXTURES]) as node:
        job = await node.submit(renderer="blender", local_path=str(FIXTURES / "cycles.blend"), frames="1-6")
        await node.until(job.id, lambda now: now.frames_done >= 1 or now.status.ended)
        kept = {name: (node.parts.folders.output(job.id) / name).stat().st_mtime_ns for name in node.outputs(job.id)}
        for pid in session_pids(job.id):
            os.kill(pid, signal.SIGKILL)
        job = await node.ended(job.id)
        assert (job.status, job.frames_done) == (JobStatus.COMPLETED, 6)
        folder = node.parts.folders.output(job.id)
        assert {name: (folder / name).stat().st_mtime_ns for name in kept} == kept
        assert len(job.errors) <= 1


@pytest.mark.blender
@needs_blender
async def test_a_project_that_cannot_render_is_refused_before_it_is_queued(start_node: StartNode) -> None:
    async with start_node(local_roots=[FIXTURES]) as node:
        with pytest.raises(ValueError, match="camera"):
            await node.submit(renderer="blender", local_path=str(FIXTURES / "no_camera.blend"))
        assert node.parts.jobs.counts()["not_started"] == 0


@pytest.mark.blender
@needs_blender
async def test_a_missing_texture_is_a_warning_on_the_job(start_node: StartNode) -> None:
    async with start_node(local_roots=[FIXTURES]) as node:
        job = await node.submit(renderer="blender", local_path=str(FIXTURES / "missing_texture.blend"), frames="1")
        assert any("missing" in warning for warning in job.warnings), job.warnings
        await node.parts.jobs.cancel(job.id)


@pytest.mark.slow
async def test_ffmpeg_encodes_every_frame_and_the_sound(start_node: StartNode) -> None:
    async with start_node(local_roots=[LANTERNS.parent]) as node:
        job = await node.submit(renderer="ffmpeg", local_path=str(LANTERNS), args={"preset": "h264_web"})
        job = await node.ended(job.id)
        assert (job.status, job.errors, job.frames_done) == (JobStatus.COMPLETED, [], 96)
        (name,) = node.outputs(job.id)
        with av.open(str(node.parts.folders.output(job.id) / name)) as video:
            assert video.streams.video[0].codec_context.name == "h264"
            assert sum(1 for _ in video.decode(video=0)) == 96
        with av.open(str(node.parts.folders.output(job.id) / name)) as video:
            assert sum(frame.samples for frame in video.decode(audio=0)) > 44100
        assert "ffmpeg" in (await node.log(job.id)).splitlines()[0]


async def test_frames_of_a_video_come_out_as_pictures(start_node: StartNode) -> None:
    async with start_node(local_roots=[LANTERNS.parent]) as node:
        options = {"preset": "video_to_frames"}
        job = await node.submit(renderer="ffmpeg", local_path=str(LANTERNS), args=options, frames="1-41x10", name="f")
        job = await node.ended(job.id)
        assert (job.status, job.errors) == (JobStatus.COMPLETED, [])
        assert node.outputs(job.id) == ["f_0001.png", "f_0011.png", "f_0021.png", "f_0031.png", "f_0041.png"]


async def test_previews_follow_the_newest_frame_and_become_a_video(node: Node) -> None:
    job = await node.submit(frames="1-8", args={"width": 1600, "height": 900})
    await node.until(job.id, lambda now: now.frames_done >= 1)
    small = await node.parts.previews.get(job.id, "small", video_ok=False)
    big = await node.parts.previews.get(job.id, "big", video_ok=False)
    assert small is not None
    assert big is not None
    with Image.open(small.path) as picture:
        assert (picture.format, max(picture.size)) == ("JPEG", 320)
    with Image.open(big.path) as picture:
        assert max(picture.size) == 1280
    await node.ended(job.id)
    preview = await node.parts.previews.video(job.id)
    assert preview is not None
    assert preview == await node.parts.previews.get(job.id, "small", video_ok=True)
    assert preview.media_type == "video/mp4"
    with av.open(str(preview.path)) as video:
        assert sum(1 for _ in video.decode(video=0)) == 8


async def session_gone(job_id: str) -> bool:
    return session_pids(job_id) == []
