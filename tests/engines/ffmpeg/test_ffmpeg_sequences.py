"""Image sequences as input: all of it, a part, every kind of picture; and the colours of the result."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio
import pytest
from PIL import Image

from engines.contract import EngineVersion, FailureCause
from engines.ffmpeg import FFmpegEngine


def test_whole_sequence(render, pictures: Path, version: EngineVersion) -> None:
    done = render(pictures / "shot_0005.png", version=version, preset="sequence_to_video", fps=10)
    done.check()
    assert done.plan.frames.notation() == "5-14"
    assert (done.expected[0].check.frames, done.expected[0].check.duration) == (10, 1.0)
    assert done.expected[0].check.audio is False


def test_sequence_without_a_rate_is_shown_at_25(render, pictures: Path) -> None:
    done = render(pictures, speed="ultrafast")
    done.check()
    assert done.plan.fps == 25.0


@pytest.mark.parametrize("output_format", ["mkv", "gif"])
def test_part_of_a_sequence(render, frames_of, pictures: Path, version: EngineVersion, output_format: str) -> None:
    options = {"video_codec": "ffv1", "pixel_format": "bgra"} if output_format == "mkv" else {}
    done = render(pictures, version=version, frames="7-10", output_format=output_format, **options)
    done.check()
    assert done.expected[0].check.frames == 4
    if output_format == "mkv":
        wanted = [
            np.asarray(Image.open(pictures / f"shot_{number:04d}.png").convert("RGB")).tobytes()
            for number in range(7, 11)
        ]
        assert frames_of(done.only) == wanted


def test_pictures_of_a_sequence_keep_their_numbers(render, pictures: Path, version: EngineVersion) -> None:
    done = render(pictures, version=version, frames="6,8-14x2", output_format="png", scale=0.5)
    done.check()
    assert [item.frame for item in done.expected] == [6, 8, 10, 12, 14]


def test_picture_that_goes_missing_meanwhile_fails(render, pictures: Path, tmp_path: Path) -> None:
    folder = tmp_path / "going"
    folder.mkdir()
    for path in pictures.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    done = render(folder, speed="ultrafast", meanwhile=(folder / "shot_0009.png").unlink)
    # FFmpeg calls that a success: only the count tells.
    with av.open(str(done.only)) as container:
        assert sum(1 for _ in container.decode(video=0)) == 4
    assert done.expected[0].check.frames == 10
    assert done.expected[0].check.frames_tolerance == 0


def test_cut_off_picture_fails(render, pictures: Path, tmp_path: Path, version: EngineVersion) -> None:
    folder = tmp_path / "cut"
    folder.mkdir()
    for path in pictures.iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    broken = folder / "shot_0009.png"
    broken.write_bytes(broken.read_bytes()[:200])
    done = render(folder, version=version, speed="ultrafast")
    assert done.code != 0
    failure = FFmpegEngine().explain_exit(done.code, done.log)
    assert failure is not None
    assert failure.cause is FailureCause.ERROR


@pytest.mark.parametrize("extension", ["jpg", "tif", "bmp", "tga", "webp", "png"])
def test_kinds_of_pictures(render, tmp_path: Path, version: EngineVersion, extension: str) -> None:
    for number in range(1, 4):
        Image.new("RGB", (64, 48), (number * 60, 40, 90)).save(tmp_path / f"kind.{number:03d}.{extension}")
    render(tmp_path, version=version, speed="ultrafast").check()
    render(tmp_path, version=version, output_format="jpg").check()


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "I;16"])
def test_depths_of_pictures(render, tmp_path: Path, version: EngineVersion, mode: str) -> None:
    for number in range(1, 4):
        Image.new(mode, (65, 49)).save(tmp_path / f"depth_{number}.png")
    render(tmp_path, version=version, speed="ultrafast").check()
    render(tmp_path, version=version, output_format="gif").check()


def test_colours_of_pictures_survive(render, tmp_path: Path, version: EngineVersion) -> None:
    colour = (200, 40, 90)
    for number in range(1, 4):
        Image.new("RGB", (64, 48), colour).save(tmp_path / f"pink_{number}.png")
    done = render(tmp_path, version=version, video_codec="h264", crf=4, speed="ultrafast")
    done.check()
    with av.open(str(done.only)) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (1, 1)  # BT.709, limited: what players assume of HD
        shown = frame.to_ndarray(format="rgb24")[20, 20]
    assert np.abs(shown.astype(int) - colour).max() <= 4


def test_linear_exr_is_shown_as_srgb(render, tmp_path: Path, version: EngineVersion) -> None:
    for number in range(1, 3):
        picture = oiio.ImageBuf(oiio.ImageSpec(64, 48, 3, oiio.HALF))
        oiio.ImageBufAlgo.fill(picture, (0.5, 0.2, 0.1))
        assert picture.write(str(tmp_path / f"linear_{number}.exr"))
    done = render(tmp_path, version=version, output_format="png")
    done.check()
    with Image.open(done.folder / "out_0001.png") as picture:
        assert picture.convert("RGB").getpixel((5, 5)) == (188, 124, 89)
    render(tmp_path, version=version, output_format="jpg").check()
    render(tmp_path, version=version, speed="ultrafast").check()
