"""Previews: what they look like, when they are made, when they are not made again."""

from __future__ import annotations

import asyncio
import os
import re
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.outputs.manifest import Entry, Made, Manifest
from app.outputs.moving import MAX_STILLS, make_smaller_video, make_video, thinned
from app.outputs.previews import Preview, Previews, PreviewSource
from app.outputs.stills import PreviewError, make_still, make_stills, shown_channels
from app.outputs.verification import verify
from app.outputs.videos import decode
from app.outputs.workers import Workers
from engines.contract import ExpectedOutput, FileCheck, OutputCheck, PictureCheck, VideoCheck

Maker = Callable[..., Path]
CONFIG = Path("/usr/share/blender/datafiles/colormanagement/config.ocio")
needs_config = pytest.mark.skipif(not CONFIG.exists(), reason="needs the OpenColorIO config of a Blender")


def shown(
    source: Path, size: str = "small", colour: dict[str, str] | None = None, config: Path | None = None
) -> np.ndarray:
    """The preview as pixels."""
    target = source.with_name("preview.jpg")
    make_still(source, size, target, colour or {}, config)
    assert not list(source.parent.glob("*.part"))
    with Image.open(target) as picture:
        assert (picture.format, picture.mode) == ("JPEG", "RGB")
        return np.asarray(picture).astype(int)


# --- stills ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("width", "height", "small", "big"),
    [
        (1920, 1080, (180, 320), (720, 1280)),
        (500, 1000, (320, 160), (1000, 500)),
        (64, 36, (36, 64), (36, 64)),
        (3000, 3, (1, 320), (1, 1280)),
    ],
)
def test_they_fit_and_are_never_enlarged(
    picture: Maker, width: int, height: int, small: tuple[int, int], big: tuple[int, int]
) -> None:
    path = picture("a.png", width, height)
    assert shown(path, "small").shape[:2] == small
    assert shown(path, "big").shape[:2] == big


def test_both_sizes_are_made_at_once(picture: Maker, tmp_path: Path) -> None:
    targets = {"small": tmp_path / "s.jpg", "big": tmp_path / "b.jpg"}
    make_stills(picture("a.png", 1000, 500), targets, {}, None)
    assert [Image.open(path).width for path in targets.values()] == [320, 1000]


@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.tif", "a.webp", "a.bmp", "a.gif"])
def test_pictures_for_the_screen_keep_their_colours(picture: Maker, name: str) -> None:
    path = picture(name, 64, 36)
    with Image.open(path) as original:
        wanted = np.asarray(original.convert("RGB")).astype(int)
    assert np.abs(shown(path) - wanted).mean() < 6


def test_sixteen_bits_keep_their_brightness(tmp_path: Path) -> None:
    ramp = np.linspace(0, 65535, 64 * 36).reshape(36, 64).astype(np.uint16)
    path = tmp_path / "a.png"
    Image.fromarray(ramp).save(path)
    assert np.abs(shown(path)[:, :, 1] - ramp / 257).max() < 6


def test_transparent_pictures_lie_on_a_dark_chequered_ground(exr: Maker, tmp_path: Path) -> None:
    pixels = np.zeros((64, 64, 4), dtype=np.float32)
    pixels[:, 32:] = (1, 0, 0, 1)
    png = tmp_path / "a.png"
    Image.fromarray((pixels * 255).astype(np.uint8)).save(png)
    for path in (png, exr("a.exr", width=64, height=64, pixels=pixels)):
        seen = shown(path)
        ground = seen[4:60, 4:24]
        assert 25 < ground.min() < ground.max() < 70
        assert ground.max() - ground.min() > 8
        assert np.abs(seen[:, 44:] - (254, 0, 0)).max() < 8


def test_linear_pictures_are_shown_in_srgb(exr: Maker) -> None:
    grey = np.full((36, 64, 3), 0.214, dtype=np.float32)
    path = exr("a.exr", ("R", "G", "B"), pixels=grey)
    assert np.abs(shown(path) - 127).max() <= 3
    assert np.abs(shown(path, config=Path("/nowhere/config.ocio"), colour={"view": "Filmic"}) - 127).max() <= 3


@needs_config
def test_the_engines_own_view_is_used(exr: Maker) -> None:
    path = exr("a.exr", ("R", "G", "B"), pixels=np.full((36, 64, 3), 4.0, dtype=np.float32))
    colour = {"display": "sRGB", "view": "Filmic", "source": "scene_linear"}
    plain, filmic = shown(path).mean(), shown(path, colour=colour, config=CONFIG).mean()
    assert plain > 250
    assert 200 < filmic < 245
    assert shown(path, colour={**colour, "source": "no such space"}, config=CONFIG).mean() == filmic
    assert shown(path, colour={**colour, "view": "no such view"}, config=CONFIG).mean() == plain
    darker = shown(path, colour={**colour, "exposure": "-2.0"}, config=CONFIG).mean()
    brighter = shown(path, colour={**colour, "gamma": "1.5"}, config=CONFIG).mean()
    assert darker < filmic < brighter


@needs_config
@pytest.mark.blender
@pytest.mark.slow
def test_an_exr_looks_like_the_png_that_blender_makes_of_it(tmp_path: Path) -> None:
    script = tmp_path / "both.py"
    script.write_text(
        "import bpy\n"
        "scene = bpy.context.scene\n"
        "scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 320, 180, 100\n"
        "print('VIEW', scene.view_settings.view_transform)\n"
        "for kind in ('PNG', 'OPEN_EXR', 'OPEN_EXR_MULTILAYER'):\n"
        "    scene.render.image_settings.file_format = kind\n"
        f"    scene.render.filepath = {str(tmp_path)!r} + '/' + kind\n"
        "    bpy.ops.render.render(write_still=True)\n"
    )
    project = Path(__file__).parents[1] / "fixtures" / "cycles.blend"
    printed = subprocess.run(
        ["blender", "-b", "--factory-startup", "--python-exit-code", "1", project, "--python", script],
        capture_output=True, text=True, check=True, env={**os.environ, "HOME": str(tmp_path)},
    ).stdout  # fmt: skip
    view = re.search(r"^VIEW (.*)$", printed, re.MULTILINE)
    assert view is not None
    wanted = shown(tmp_path / "PNG.png")
    assert wanted.std() > 10
    for name in ("OPEN_EXR.exr", "OPEN_EXR_MULTILAYER.exr"):
        seen = shown(tmp_path / name, colour={"display": "sRGB", "view": view[1]}, config=CONFIG)
        assert np.abs(seen - wanted).mean() < 1.5


@pytest.mark.parametrize(
    ("names", "channels"),
    [
        (["R", "G", "B", "A"], ["R", "G", "B", "A"]),
        (["B", "G", "R"], ["R", "G", "B"]),
        (
            ["L.Depth.Z", "L.Diffuse.R", "L.Diffuse.G", "L.Diffuse.B", "L.Combined.R", "L.Combined.G", "L.Combined.B"],
            ["L.Combined.R", "L.Combined.G", "L.Combined.B"],
        ),
        (["L.Diffuse.R", "L.Diffuse.G", "L.Diffuse.B", "R", "G", "B"], ["R", "G", "B"]),
        (["a.R", "a.G", "b.R", "b.G", "b.B"], ["b.R", "b.G", "b.B"]),
        (["Y"], ["Y"]),
        (["L.Depth.V"], ["L.Depth.V"]),
        (["N.X", "N.Y", "N.Z"], ["N.Y"]),
    ],
)
def test_the_layer_that_is_the_picture(names: list[str], channels: list[str]) -> None:
    assert shown_channels(names) == channels


def test_of_many_layers_the_combined_one_is_shown(exr: Maker) -> None:
    pixels = np.zeros((36, 64, 8), dtype=np.float32)
    pixels[:, :, 0:4] = (0, 1, 0, 1)  # some other layer, green
    pixels[:, :, 4:8] = (1, 0, 0, 1)
    names = tuple(f"V.{layer}.{letter}" for layer in ("AO", "Combined") for letter in "RGBA")
    assert np.abs(shown(exr("a.exr", names, pixels=pixels)) - (254, 0, 0)).max() < 8


def test_a_cropped_exr_is_shown_in_its_frame(exr: Maker) -> None:
    path = exr("a.exr", ("R", "G", "B"), 16, 16, pixels=np.ones((16, 16, 3), np.float32), frame=(0, 0, 64, 36))
    seen = shown(path)
    assert seen.shape[:2] == (36, 64)
    assert seen[:12, :12].min() > 240
    assert seen[22:, 22:].max() < 15


def test_values_that_are_no_numbers_do_no_harm(exr: Maker) -> None:
    pixels = np.full((36, 64, 3), np.nan, dtype=np.float32)
    pixels[:, 32:] = np.inf
    assert shown(exr("a.exr", ("R", "G", "B"), pixels=pixels)).shape == (36, 64, 3)


def test_a_video_shows_its_first_frame(video: Maker) -> None:
    assert shown(video("a.mp4", width=640, height=360)).shape == (180, 320, 3)


@pytest.mark.parametrize("name", ["a.png", "a.exr", "a.mp4", "a.dpx", "a.jpg"])
def test_what_does_not_decode_is_an_error_that_says_so(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_bytes(b"neither fish nor fowl")
    with pytest.raises(PreviewError, match=re.escape(name)):
        shown(path)


# --- videos ----------------------------------------------------------------------------------------------------------


def test_stills_become_a_small_video_that_starts_at_once(picture: Maker, exr: Maker, tmp_path: Path) -> None:
    stills = [picture(f"{number}.png", 801, 401) for number in range(9)] + [exr("9.exr", width=801, height=401)]
    target = tmp_path / "a.mp4"
    make_video(stills, 5.0, target, {})
    found = decode(target)
    assert (found.width, found.height, found.frames) == (640, 320, 10)
    assert found.picture_seconds == pytest.approx(2.0, abs=0.01)
    data = target.read_bytes()
    assert data.index(b"moov") < data.index(b"mdat")
    assert b"avc1" in data


def test_a_video_becomes_a_smaller_one(video: Maker, tmp_path: Path) -> None:
    target = tmp_path / "small.mp4"
    make_smaller_video(video("a.mp4", frames=20, fps=10, width=1280, height=720, audio=True), target)
    found = decode(target)
    assert (found.width, found.height, found.frames, found.audio) == (640, 360, 20, False)
    assert found.picture_seconds == pytest.approx(2.0, abs=0.01)


def test_a_tiny_picture_becomes_a_video_too(picture: Maker, tmp_path: Path) -> None:
    make_video([picture("a.png", 1, 1), picture("b.png", 5, 3)], 24.0, tmp_path / "a.mp4", {})
    assert decode(tmp_path / "a.mp4").frames == 2


def test_long_ones_are_thinned_and_last_as_long() -> None:
    for count in (1, MAX_STILLS, MAX_STILLS + 1, 10 * MAX_STILLS + 7):
        stills, fps = thinned(range(count), 24.0)
        assert len(stills) <= MAX_STILLS
        assert abs(len(stills) / fps - count / 24.0) < 1.0
    assert thinned([], 24.0) == ([], 24.0)


def test_no_pictures_make_no_video(tmp_path: Path) -> None:
    with pytest.raises(PreviewError):
        make_video([], 24.0, tmp_path / "a.mp4", {})
    assert not (tmp_path / "a.mp4").exists()


# --- previews of jobs ------------------------------------------------------------------------------------------------


class Counting(Workers):
    """Real workers that remember what they were asked for."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []
        self.first = asyncio.Event()

    async def run(self, function: Callable[..., object], *args: object, **kwargs: object) -> object:  # type: ignore[override]
        self.asked.append(function.__name__)
        self.first.set()
        return await super().run(function, *args, **kwargs)


@pytest.fixture
async def counting() -> AsyncIterator[Counting]:
    made = Counting()
    yield made
    await made.close()


@pytest.fixture
async def previews(counting: Counting) -> AsyncIterator[Previews]:
    made = Previews(counting, interval=0.0)
    yield made
    await made.close()


@pytest.fixture
def manifest(tmp_path: Path) -> Manifest:
    return Manifest(tmp_path / "manifest.jsonl")


def add(manifest: Manifest, path: Path, frame: int | None = None) -> None:
    check: OutputCheck = FileCheck()
    if path.suffix == ".png":
        check = PictureCheck()
    elif path.suffix == ".mp4":
        check = VideoCheck()
    manifest.add(Entry.of(verify(path.parent, ExpectedOutput(path.name, check, frame)), Made("attempt1")))


def source_of(manifest: Manifest, **facts: object) -> PreviewSource:
    folder = manifest.path.parent
    return PreviewSource(manifest, folder, folder / "previews", **facts)  # type: ignore[arg-type]


async def settled(previews: Previews) -> None:
    """Wait until nothing is being renewed any more."""
    while previews._following:
        await asyncio.gather(*previews._following.values())


def width_of(preview: Preview | None) -> int:
    assert preview is not None
    with Image.open(preview.path) as picture:
        return picture.width


async def test_nothing_to_show_is_none(previews: Previews, manifest: Manifest, tmp_path: Path) -> None:
    assert await previews.get(source_of(manifest)) is None
    (tmp_path / "stats.csv").write_bytes(b"1,2")
    add(manifest, tmp_path / "stats.csv")
    assert await previews.get(source_of(manifest), video_ok=True) is None
    assert await previews.video(source_of(manifest)) is None


async def test_many_who_ask_at_once_are_served_by_one_call(
    previews: Previews, counting: Counting, manifest: Manifest, picture: Maker
) -> None:
    add(manifest, picture("a_1.png", 1000, 500), 1)
    source = source_of(manifest)
    found = await asyncio.gather(*(previews.get(source, size) for size in ("small", "big") * 8))
    assert counting.asked in (["make_stills"], ["make_stills"] * 2)  # two sizes are two keys at most
    assert {width_of(preview) for preview in found} == {320, 1000}
    asked = len(counting.asked)
    again = await previews.get(source)
    assert again == found[0]
    assert len(counting.asked) == asked


async def test_a_running_job_shows_an_older_frame_rather_than_wait(
    previews: Previews, manifest: Manifest, picture: Maker
) -> None:
    add(manifest, picture("a_1.png", 100, 50), 1)
    source = source_of(manifest)
    first = await previews.get(source)
    add(manifest, picture("a_2.png", 200, 50), 2)
    assert await previews.get(source) == first
    await settled(previews)
    newer = await previews.get(source)
    assert newer is not None
    assert first is not None
    assert width_of(newer) == 200
    assert newer.key != first.key
    assert first.path.exists()  # someone may be about to open it


async def test_a_completed_job_shows_its_last_frame_at_once(
    previews: Previews, manifest: Manifest, picture: Maker
) -> None:
    add(manifest, picture("a_1.png", 100, 50), 1)
    await previews.get(source_of(manifest))
    add(manifest, picture("a_2.png", 200, 50), 2)
    assert width_of(await previews.get(source_of(manifest, complete=True))) == 200


async def test_noticing_makes_previews_without_anyone_asking(
    previews: Previews, counting: Counting, manifest: Manifest, picture: Maker
) -> None:
    for frame in range(1, 30):
        add(manifest, picture(f"a_{frame}.png", 40 + frame, 30), frame)
        previews.notice(source_of(manifest))
    await settled(previews)
    assert counting.asked.count("make_stills") < 5
    folder = manifest.path.parent / "previews"
    assert len(list(folder.glob("small-*.jpg"))) <= 2
    assert len(list(folder.glob("big-*.jpg"))) <= 2
    asked = len(counting.asked)
    assert width_of(await previews.get(source_of(manifest))) == 69
    assert len(counting.asked) == asked


async def test_the_video_comes_when_the_job_is_complete(
    previews: Previews, counting: Counting, manifest: Manifest, picture: Maker
) -> None:
    for frame in (10, 2, 1):
        add(manifest, picture(f"a_{frame}.png", 64, 36), frame)
    running, complete = source_of(manifest, fps=10.0), source_of(manifest, fps=10.0, complete=True)
    still = await previews.get(running, video_ok=True)
    assert still is not None
    assert still.media_type == "image/jpeg"
    assert "make_video" not in counting.asked
    still = await previews.get(complete, video_ok=True)
    assert still is not None
    assert still.media_type == "image/jpeg"
    await settled(previews)
    video = await previews.get(complete, video_ok=True)
    assert video is not None
    assert video.media_type == "video/mp4"
    assert decode(video.path).picture_seconds == pytest.approx(0.3, abs=0.01)
    assert counting.asked.count("make_video") == 1
    plain = await previews.get(complete)
    assert plain is not None
    assert plain.media_type == "image/jpeg"
    assert await previews.video(complete) == video


async def test_a_job_that_makes_a_video_has_previews_too(previews: Previews, manifest: Manifest, video: Maker) -> None:
    add(manifest, video("a.mp4", frames=10, width=800, height=400))
    source = source_of(manifest, complete=True)
    assert width_of(await previews.get(source)) == 320
    found = await previews.video(source)
    assert found is not None
    assert decode(found.path).width == 640


async def test_what_cannot_be_made_is_said_and_not_tried_again(
    previews: Previews, counting: Counting, manifest: Manifest, picture: Maker
) -> None:
    path = picture("a_1.png")
    add(manifest, path, 1)
    path.write_bytes(b"damaged by someone")
    for _ in range(3):
        with pytest.raises(PreviewError, match="a_1"):
            await previews.get(source_of(manifest))
    assert counting.asked == ["make_stills"]
    add(manifest, picture("a_2.png", 65), 2)
    assert width_of(await previews.get(source_of(manifest))) == 65


async def test_an_unknown_size_is_refused(previews: Previews, manifest: Manifest) -> None:
    with pytest.raises(ValueError, match="small"):
        await previews.get(source_of(manifest), "../etc")


async def test_a_deleted_job_is_let_go(previews: Previews, manifest: Manifest, picture: Maker) -> None:
    add(manifest, picture("a_1.png"), 1)
    source = source_of(manifest)
    previews.notice(source)
    waiting = asyncio.ensure_future(previews.get(source))
    await asyncio.sleep(0)
    await previews.forget(source.folder)
    assert not previews._following
    assert not previews._making
    await asyncio.gather(waiting, return_exceptions=True)


async def test_a_waiter_that_gives_up_does_not_take_the_others_with_it(
    previews: Previews, counting: Counting, manifest: Manifest, picture: Maker
) -> None:
    add(manifest, picture("a_1.png"), 1)
    source = source_of(manifest)
    impatient, patient = (asyncio.ensure_future(previews.get(source)) for _ in range(2))
    await counting.first.wait()
    impatient.cancel()
    assert width_of(await patient) == 64
