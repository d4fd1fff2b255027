"""Jobs in parts through a whole node: parts are kept, put together once, and survive what goes wrong on the way."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import av
import imageio_ffmpeg
import pytest
from PIL import Image

from client.models import JobStatus
from engines.ffmpeg.splitting import lengths

if TYPE_CHECKING:
    from tests.render.conftest import Node, StartNode

FIXTURES = Path(__file__).parents[1] / "fixtures"
FRAMES = 325
LENGTHS = lengths(FRAMES, 25.0, range(0, FRAMES, 40))
PARTS = len(LENGTHS)


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """13 s of small moving pictures with sound."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    argv = ["-v", "error", "-f", "lavfi", "-i", "testsrc2=duration=13:size=96x64:rate=25", "-f", "lavfi"]
    argv += ["-i", "sine=duration=13", "-c:v", "libx264", "-g", "40", "-pix_fmt", "yuv420p", "-c:a", "aac", str(path)]
    subprocess.run([imageio_ffmpeg.get_ffmpeg_exe(), *argv], check=True)
    return path


def check(node: Node, job_id: str) -> None:
    """One video with every picture and the sound, and nothing of its parts."""
    job = node.job(job_id)
    assert (job.status, job.frames_done, job.file_count) == (JobStatus.COMPLETED, FRAMES, 1)
    (name,) = node.outputs(job_id)
    with av.open(str(node.parts.folders.output(job_id) / name)) as video:
        assert sum(1 for _ in video.decode(video=0)) == FRAMES
    with av.open(str(node.parts.folders.output(job_id) / name)) as video:
        assert sum(frame.samples for frame in video.decode(audio=0)) / 44100 == pytest.approx(13, abs=0.2)


async def test_an_encode_in_parts(start_node: StartNode, clip: Path) -> None:
    async with start_node(local_roots=[clip.parent], slots={"ffmpeg": 2}) as node:
        job = await node.submit(renderer="ffmpeg", local_path=str(clip), args={"split": True, "speed": "ultrafast"})
        assert job.total_frames == FRAMES
        job = await node.ended(job.id)
        assert (job.status, job.errors) == (JobStatus.COMPLETED, [])
        check(node, job.id)
        assert job.attempts == PARTS + 1
        said = await node.log(job.id)
        assert said.count("_part_") >= PARTS
        assert "ffconcat" in said
    # The parts are removed in the background, and the node waits for that when it stops.
    assert not node.parts.folders.parts(job.id).exists()
    assert not node.parts.folders.part_manifest(job.id).exists()


@pytest.mark.slow
async def test_a_restart_keeps_the_parts_that_are_there(start_node: StartNode, clip: Path) -> None:
    async with start_node(local_roots=[clip.parent]) as node:
        job = await node.submit(renderer="ffmpeg", local_path=str(clip), args={"split": True, "speed": "ultrafast"})
        await node.until(job.id, lambda now: now.frames_done > 0 or now.status.ended)
    kept = {path.name: path.stat().st_mtime_ns for path in node.parts.folders.parts(job.id).glob("*.mkv")}
    assert kept
    async with start_node(local_roots=[clip.parent], slots={"ffmpeg": 0}) as node:
        assert node.job(job.id).frames_done >= LENGTHS[0]
    async with start_node(local_roots=[clip.parent]) as node:
        job = await node.ended(job.id)
        assert job.errors == []
        check(node, job.id)


@pytest.mark.slow
async def test_a_part_that_does_not_fit_is_made_again(start_node: StartNode, clip: Path) -> None:
    async with start_node(local_roots=[clip.parent], slots={"ffmpeg": 1}) as node:
        job = await node.submit(renderer="ffmpeg", local_path=str(clip), args={"split": True, "speed": "ultrafast"})
        await node.until(job.id, lambda now: now.frames_done > 0 or now.status.ended)
        assert not node.job(job.id).status.ended
        notes = sorted(node.parts.folders.parts(job.id).glob("*.framemd5"))
        notes[0].write_text("\n".join(notes[0].read_text().splitlines()[:-1]))  # what follows it is not known
        job = await node.ended(job.id)
        assert any("does not go on where the one before it ends" in error for error in job.errors)
        check(node, job.id)


@pytest.mark.slow
async def test_what_cannot_be_put_together_says_so_and_can_be_tried_again(
    start_node: StartNode, clip: Path, tmp_path: Path
) -> None:
    mine = tmp_path / "mine" / "clip.mp4"
    mine.parent.mkdir()
    shutil.copy(clip, mine)
    async with start_node(local_roots=[mine.parent], slots={"ffmpeg": 1}) as node:
        job = await node.submit(renderer="ffmpeg", local_path=str(mine), args={"split": True, "speed": "ultrafast"})

        await node.until(job.id, lambda now: now.frames_done == FRAMES or now.status.ended)
        mine.rename(tmp_path / "elsewhere.mp4")
        job = await node.ended(job.id)
        if job.status is JobStatus.COMPLETED:
            pytest.skip("the join had opened the source before it was taken away")
        assert "cannot be put together" in job.reason
        assert len(list(node.parts.folders.parts(job.id).glob("*.mkv"))) == PARTS
        (tmp_path / "elsewhere.mp4").rename(mine)
        before = node.job(job.id).attempts
        await node.parts.jobs.retry(job.id)
        job = await node.ended(job.id)
        check(node, job.id)
        assert job.attempts == before + 1


async def test_one_part_for_another_node(start_node: StartNode, clip: Path) -> None:
    async with start_node(local_roots=[clip.parent]) as node:
        options = {"split": True, "speed": "ultrafast"}
        asked: dict[str, object] = {"renderer": "ffmpeg", "local_path": str(clip), "name": "x", "args": options}
        first, last = LENGTHS[0] + 1, LENGTHS[0] + LENGTHS[1]
        with pytest.raises(ValueError, match="only the node that puts the parts together"):
            await node.submit(**asked, part={"first": first})
        subjob = {"parent": "0" * 16, "attempt": "0-1", "node": "n" * 32, "address": "127.0.0.1:1"}
        asked["subjob"] = subjob
        other = f"node:{'n' * 32}"
        job = await node.submit(by=other, **asked, part={"first": first})
        assert (job.frames, job.total_frames) == (f"{first}-{last}", LENGTHS[1])
        job = await node.ended(job.id)
        assert (job.status, job.attempts) == (JobStatus.COMPLETED, 1)
        assert node.outputs(job.id) == [f"x_part_{first:06d}.framemd5", f"x_part_{first:06d}.mkv"]
        job = await node.ended((await node.submit(by=other, **asked, part={"first": 1})).id)
        assert node.outputs(job.id) == ["x_part_000001.framemd5", "x_part_000001.mkv", "x_sound_000001.mp4"]
        with pytest.raises(ValueError, match=f"no part that begins with frame {last}"):
            await node.submit(by=other, **asked, part={"first": last})
        with pytest.raises(ValueError, match="not rendered in parts"):
            await node.submit(by=other, **{**asked, "args": {"split": False}}, part={"first": 1})


@pytest.mark.slow
async def test_cancelled_while_it_is_put_together(start_node: StartNode, clip: Path) -> None:
    async with start_node(local_roots=[clip.parent]) as node:
        job = await node.submit(renderer="ffmpeg", local_path=str(clip), args={"split": True, "speed": "ultrafast"})
        await node.until(job.id, lambda now: "together" in now.reason or now.status.ended)
        await node.parts.jobs.cancel(job.id)
        assert node.job(job.id).status.ended
        await node.parts.jobs.retry(job.id)
        await node.ended(job.id)
        check(node, job.id)


@pytest.mark.slow
@pytest.mark.blender
@pytest.mark.skipif(shutil.which("blender") is None, reason="there is no blender on PATH")
async def test_a_still_in_parts(start_node: StartNode) -> None:
    async with start_node(local_roots=[FIXTURES]) as node:
        options = {"split": True, "samples": 24}
        path = str(FIXTURES / "cycles.blend")
        job = await node.submit(renderer="blender", local_path=path, frames="2", name="still", args=options)
        assert (job.frames, job.total_frames, job.done_frames) == ("2", 1, "")
        job = await node.ended(job.id)
        assert (job.status, job.done_frames, job.frames_done, job.errors) == (JobStatus.COMPLETED, "2", 1, [])
        assert node.outputs(job.id) == ["still_0002.png"]
        with Image.open(node.parts.folders.output(job.id) / "still_0002.png") as picture:
            assert picture.size == (job.width, job.height)
            assert len(picture.convert("RGB").getcolors(1 << 20) or ()) > 1
