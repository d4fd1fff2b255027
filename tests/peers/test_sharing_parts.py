"""A video and a still image on two nodes: each renders parts, one puts them together."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import av
import imageio_ffmpeg
import numpy
import OpenImageIO as oiio
import pytest

from client import RenderServerProxy
from client.models import AddJob, Job, JobStatus
from tests.peers.farm import farm_node, job_until, nodes_until

pytestmark = pytest.mark.slow

FIXTURES = Path(__file__).parents[1] / "fixtures"


async def shared(tmp_path: Path, project: Path, job: AddJob) -> tuple[Job, Path, str]:
    """The job of a project when it has ended on two nodes, its one file, and its log."""
    one_slot = {"ZORDON_SLOTS": '{"ffmpeg": 1, "blender": 1}'}
    async with (
        farm_node(tmp_path, "one", **one_slot) as one,
        farm_node(tmp_path, "two", one, **one_slot) as two,
    ):
        for node in (one, two):
            await nodes_until(node, lambda named: all(found.state == "online" for found in named.values()))
            await nodes_until(node, lambda named: len(named) == 2)
        made = (await one.create_job(job, project))[0]
        ended = await job_until(one, made.id, lambda now: now.status.ended)
        return ended, await fetched(one, ended, tmp_path), await one.get_job_logs(made.id)


async def fetched(node: RenderServerProxy, job: Job, folder: Path) -> Path:
    assert job.status is JobStatus.COMPLETED, (job.reason, job.errors)
    (name,) = await node.get_job_files(job.id)
    target = folder / name
    await node.download_job_file(job.id, name, target)
    return target


async def test_one_encode_on_two_nodes_is_cut_exactly(tmp_path: Path) -> None:
    clip = tmp_path / "clip.mp4"
    argv = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=duration=24:size=96x64:rate=25", "-f", "lavfi"]
    argv += ["-i", "sine=duration=24", "-c:v", "libx264", "-g", "40", "-pix_fmt", "yuv420p", "-c:a", "aac", str(clip)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *argv], check=True)
    # Lossless, so that every picture can be compared; long enough to be cut without being asked to.
    options = {"video_codec": "ffv1", "pixel_format": "bgra"}
    body = {"renderer": "ffmpeg", "name": "clip", "args": options, "output_format": "mkv"}
    job, result, log = await shared(tmp_path, clip, AddJob.model_validate(body))
    assert (job.frames_done, job.errors) == (600, [])
    assert "two gets frames" in log
    with av.open(str(clip)) as source, av.open(str(result)) as made:
        before = [frame.to_ndarray(format="bgra").tobytes() for frame in source.decode(video=0)]
        after = [frame.to_ndarray(format="bgra").tobytes() for frame in made.decode(video=0)]
    assert after == before
    with av.open(str(result)) as made:
        assert sum(frame.samples for frame in made.decode(audio=0)) / 44100 == pytest.approx(24, abs=0.2)


@pytest.mark.blender
@pytest.mark.skipif(shutil.which("blender") is None, reason="there is no blender on PATH")
async def test_one_still_on_two_nodes_has_no_seam(tmp_path: Path) -> None:
    project = FIXTURES / "cycles.blend"
    options = {"samples": 48, "resolution_percentage": 300}
    body = {"renderer": "blender", "name": "still", "frames": "2", "args": options}
    job, result, log = await shared(tmp_path, project, AddJob.model_validate(body))
    assert (job.frames, job.done_frames, job.errors) == ("2", "2", [])
    assert "two gets frames" in log
    async with farm_node(tmp_path, "alone") as alone:
        made = (await alone.create_job(AddJob.model_validate({**body, "name": "whole"}), project))[0]
        ended = await job_until(alone, made.id, lambda now: now.status.ended)
        whole = await fetched(alone, ended, tmp_path)
    pictures = [oiio.ImageBuf(str(path)).get_pixels(oiio.FLOAT)[..., :3] for path in (result, whole)]
    error = float(numpy.mean((pictures[0].astype(float) - pictures[1].astype(float)) ** 2))
    assert error == 0 or -10 * numpy.log10(error) > 45
