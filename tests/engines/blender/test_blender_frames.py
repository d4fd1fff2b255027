"""Real sessions in real Blenders: the frames come out where and as they should."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy
import OpenImageIO as oiio
import pytest
from PIL import Image

from engines.contract import (
    Chunk,
    ChunkDone,
    EngineFailed,
    EngineVersion,
    EngineWarning,
    FrameWritten,
    PictureCheck,
    Progress,
    Ready,
)
from tests.support.blender_sessions import ENGINE, FIXTURES, Driven, Started

pytestmark = [pytest.mark.blender, pytest.mark.slow]


def pixels(path: Path) -> numpy.ndarray:
    with Image.open(path) as picture:
        return numpy.asarray(picture.convert("RGBA"))


def check_expected(driven: Driven, chunk: Chunk) -> None:
    """Exactly the expected files are there, and each is what its check says."""
    expected = ENGINE.expected(driven.request, chunk)
    assert sorted(item.name for item in expected) == sorted(path.name for path in chunk.folder.iterdir())
    assert [item.frame for item in expected] == list(chunk.frames)
    for item in expected:
        assert isinstance(item.check, PictureCheck)
        picture = oiio.ImageBuf(str(chunk.folder / item.name))
        assert picture.read(force=True), picture.geterror()
        if item.check.width is not None:
            assert (picture.spec().width, picture.spec().height) == (item.check.width, item.check.height)


def test_a_session_renders_chunk_after_chunk_and_tells_everything(blender: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "cycles.blend", blender)
    opening = driven.ready()
    ready = opening[-1]
    assert isinstance(ready, Ready)
    assert ready.colour["view"] == "Filmic"
    assert ready.colour["display"] == "sRGB"
    assert not [event for event in opening if isinstance(event, EngineFailed | EngineWarning)]
    for frames in ((1, 2), (3,)):
        chunk, events = driven.rendered(*frames)
        assert events[-1] == ChunkDone(chunk.attempt)
        written = [event for event in events if isinstance(event, FrameWritten)]
        assert tuple(event.frame for event in written) == frames
        assert all(event.seconds is not None and event.seconds > 0 for event in written)
        assert {event.frame for event in events if isinstance(event, Progress)} == set(frames)
        check_expected(driven, chunk)
    assert driven.finish() == 0
    assert list(driven.request.folder.iterdir()) == []


@pytest.mark.parametrize("project", ["cycles", "workbench"])
def test_frames_are_the_pixels_of_one_animation_render(
    project: str, program: EngineVersion, start: Started, tmp_path: Path
) -> None:
    file = FIXTURES / f"{project}.blend"
    argv = [str(program.path), "-b", "--factory-startup", str(file), "-o", f"{tmp_path}/whole_####", "-a"]
    subprocess.run(argv, check=True, capture_output=True)
    driven = start(file, program)
    last, _ = driven.rendered(3)
    first, _ = driven.rendered(1, 2)
    assert driven.finish() == 0
    for chunk in (last, first):
        for frame in chunk.frames:
            ours = pixels(chunk.folder / f"shot_{frame:04d}.png")
            assert numpy.array_equal(ours, pixels(tmp_path / f"whole_{frame:04d}.png"))
    moved = pixels(first.folder / "shot_0001.png") != pixels(last.folder / "shot_0003.png")
    assert moved.any(), "the frames are all the same: this test could not fail"


def test_the_end_of_stdin_ends_the_session(blender: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "cycles.blend", blender)
    chunk = driven.give(2)
    assert driven.hang_up() == 0
    assert (chunk.folder / "shot_0002.png").exists()


def test_a_session_that_nobody_hears_ends(blender: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "cycles.blend", blender)
    driven.ready()
    driven.stop_listening()
    driven.give(1, 2, 3)
    assert driven.process.wait() == 72
    failed = ENGINE.explain_exit(72, [])
    assert failed is not None
    assert "listening" in failed.message


def test_negative_frames_and_the_last_ones(blender: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "cycles.blend", blender, frames="-5,-1048574,1048574")
    chunk, events = driven.rendered(-5, -1048574, 1048574)
    assert events[-1] == ChunkDone(chunk.attempt)
    names = {path.name for path in chunk.folder.iterdir()}
    assert names == {"shot_-0005.png", "shot_-1048574.png", "shot_1048574.png"}
    check_expected(driven, chunk)
    with Image.open(chunk.folder / "shot_-0005.png") as picture:
        assert int(picture.info["Frame"]) == -5
    assert driven.finish() == 0


@pytest.mark.parametrize("output_format", ENGINE.output_formats)
def test_every_format(output_format: str, blender: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "cycles.blend", blender, output_format=output_format)
    chunk, events = driven.rendered(2)
    assert events[-1] == ChunkDone(chunk.attempt), driven.tail()
    check_expected(driven, chunk)
    picture = oiio.ImageInput.open(str(next(chunk.folder.iterdir())))
    assert picture is not None
    kinds = {"OPEN_EXR": "openexr", "OPEN_EXR_MULTILAYER": "openexr"}
    assert picture.format_name() == kinds.get(output_format, output_format.lower())
    if output_format == "OPEN_EXR_MULTILAYER":
        assert any("Combined" in channel for channel in picture.spec().channelnames)
    picture.close()


def test_names_that_blender_would_read_something_into(blender: EngineVersion, start: Started, tmp_path: Path) -> None:
    strange = tmp_path / "a#b {name} %d ü"
    strange.mkdir()
    project = strange / "-it's {a} ##.blend"
    project.write_bytes((FIXTURES / "cycles.blend").read_bytes())
    driven = start(project, blender, name="-s#_{frame}")
    folder = strange / "out ## {blend_name}"
    folder.mkdir()
    chunk = Chunk("one", (7,), folder)
    assert driven.process.stdin is not None
    driven.process.stdin.write(ENGINE.feed(chunk))
    assert driven.finish() == 0, driven.tail()
    check_expected(driven, chunk)
    assert [path.name for path in folder.iterdir()] == ["-s#_{frame}_0007.png"]
