"""What counts as an output and what does not."""

from __future__ import annotations

import hashlib
import os
import pickle
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.outputs.verification import VerificationError, Verified, is_quick, verify
from engines.contract import ExpectedOutput, FailureCause, FileCheck, OutputCheck, PictureCheck, VideoCheck

Maker = Callable[..., Path]
Cut = Callable[[Path, int], Path]


def check(path: Path, wanted: OutputCheck | None = None, frame: int | None = None) -> Verified:
    return verify(path.parent, ExpectedOutput(path.name, wanted or PictureCheck(), frame))


def refused(path: Path, wanted: OutputCheck | None = None) -> VerificationError:
    with pytest.raises(VerificationError) as error:
        check(path, wanted)
    assert path.name[:40] in str(error.value)
    return error.value


def test_a_good_picture_is_described(picture: Maker) -> None:
    path = picture("shot_0007.png", 64, 36)
    data = path.read_bytes()
    assert check(path, PictureCheck(64, 36), 7) == Verified(
        name="shot_0007.png",
        size=len(data),
        sha256=hashlib.sha256(data).hexdigest(),
        crc32=zlib.crc32(data),
        width=64,
        height=36,
        mtime_ns=path.stat().st_mtime_ns,
        frame=7,
    )


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L", "LA", "P", "1"])
@pytest.mark.parametrize("width", [1, 7, 64, 641])
def test_every_kind_of_png_is_taken(picture: Maker, mode: str, width: int) -> None:
    assert check(picture("a.png", width, 36, mode)).width == width


def test_sixteen_bit_and_interlaced_png_are_taken(tmp_path: Path) -> None:
    deep = tmp_path / "deep.png"
    Image.fromarray(np.arange(40 * 30, dtype=np.uint16).reshape(30, 40)).save(deep)
    assert check(deep, PictureCheck(40, 30)).size == deep.stat().st_size
    # Pillow writes no interlaced PNG: one of 5x3 grey pixels, by hand, pass after pass.
    rows = [b"\0" + bytes(range(columns)) for columns in (1, 1, 1, 3, 2, 2, 5)]
    laced = tmp_path / "laced.png"
    laced.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + block(b"IHDR", (5).to_bytes(4) + (3).to_bytes(4) + b"\x08\x00\x00\x00\x01")
        + block(b"IDAT", zlib.compress(b"".join(rows)))
        + block(b"IEND", b"")
    )
    with Image.open(laced) as picture:
        picture.load()  # Pillow agrees that it is one
    assert check(laced, PictureCheck(5, 3)).width == 5


def block(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + kind + data + zlib.crc32(kind + data).to_bytes(4)


@pytest.mark.parametrize("lost", [1, 4, 12, 13, 20, 200])
def test_a_png_without_its_end_is_bad(picture: Maker, cut: Cut, lost: int) -> None:
    assert refused(cut(picture("a.png"), -lost)).cause is FailureCause.BAD_FRAME


@pytest.mark.parametrize("size", [0, 1, 8, 20, 33, 50])
def test_the_beginning_of_a_png_is_bad(picture: Maker, cut: Cut, size: int) -> None:
    assert refused(cut(picture("a.png"), size)).cause is FailureCause.BAD_FRAME


@pytest.mark.parametrize("at", [0, 9, 18, 25, 30, 60, -20, -5])
def test_one_wrong_byte_in_a_png_is_seen(picture: Maker, flip: Callable[..., Path], at: int) -> None:
    assert refused(flip(picture("a.png"), at, 0x10)).cause is FailureCause.BAD_FRAME


@pytest.mark.parametrize(
    "raw",
    [bytes(3 * 5), bytes(3 * 5 - 1), bytes(3 * 5 + 1), b"\x05" + bytes(3 * 5 - 1)],
    ids=["good", "too short", "too long", "unknown filter"],
)
def test_the_pixels_of_a_png_are_counted(tmp_path: Path, raw: bytes) -> None:
    path = tmp_path / "a.png"
    header = (4).to_bytes(4) + (3).to_bytes(4) + b"\x08\x00\x00\x00\x00"
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n" + block(b"IHDR", header) + block(b"IDAT", zlib.compress(raw)) + block(b"IEND", b"")
    )
    if raw == bytes(15):
        assert check(path).width == 4
    else:
        assert refused(path).cause is FailureCause.BAD_FRAME


@pytest.mark.parametrize("name", ["a.jpg", "a.tif", "a.webp", "a.bmp"])
def test_other_pictures_are_taken_whole_and_refused_cut(picture: Maker, cut: Cut, name: str) -> None:
    path = picture(name, 200, 100)
    assert check(path, PictureCheck(200, 100)).height == 100
    assert refused(cut(path, path.stat().st_size // 2)).cause is FailureCause.BAD_FRAME


def test_a_jpeg_without_its_last_two_bytes_is_bad(picture: Maker, cut: Cut) -> None:
    assert "too early" in refused(cut(picture("a.jpg"), -2)).message


def test_a_jpeg_with_something_behind_it_is_taken(picture: Maker) -> None:
    path = picture("a.jpg")
    path.write_bytes(path.read_bytes() + b"\0" * 7)
    assert check(path).width == 64


MULTILAYER = ("ViewLayer.Combined.R", "ViewLayer.Combined.G", "ViewLayer.Combined.B", "ViewLayer.Depth.Z")


@pytest.mark.parametrize("channels", [("R", "G", "B", "A"), MULTILAYER])
@pytest.mark.parametrize("tile", [0, 16])
def test_exr_is_taken_whole_and_refused_cut(
    exr: Maker, cut: Cut, flip: Callable[..., Path], channels: tuple[str, ...], tile: int
) -> None:
    path = exr("a.exr", channels, 96, 80, tile=tile, compression="zip")
    assert check(path, PictureCheck(96, 80)).width == 96
    whole = path.read_bytes()
    for size in (len(whole) - 1, len(whole) // 2, 100, 10):
        path.write_bytes(whole[:size])
        assert refused(path).cause is FailureCause.BAD_FRAME
    path.write_bytes(whole)
    assert refused(flip(path, len(whole) // 2)).cause is FailureCause.BAD_FRAME


def test_the_size_of_an_exr_is_that_of_its_frame(exr: Maker) -> None:
    path = exr("a.exr", width=20, height=10, frame=(0, 0, 64, 36))
    assert (check(path, PictureCheck(64, 36)).width, check(path).height) == (64, 36)


def test_the_wrong_size_is_bad(picture: Maker) -> None:
    error = refused(picture("a.png", 64, 36), PictureCheck(640, 360))
    assert error.cause is FailureCause.BAD_FRAME
    assert "64x36" in error.message
    assert "640x360" in error.message


def test_a_picture_that_is_none_is_bad(tmp_path: Path) -> None:
    path = tmp_path / "a.png"
    path.write_bytes(b"this is no picture at all")
    assert refused(path).cause is FailureCause.BAD_FRAME


def test_a_missing_file_is_missing(tmp_path: Path) -> None:
    assert refused(tmp_path / "a.png").cause is FailureCause.MISSING_FRAME


def test_links_folders_and_pipes_are_no_outputs(picture: Maker, tmp_path: Path) -> None:
    (tmp_path / "link.png").symlink_to(picture("real.png"))
    (tmp_path / "folder.png").mkdir()
    os.mkfifo(tmp_path / "pipe.png")
    for name in ("link.png", "folder.png", "pipe.png"):
        assert refused(tmp_path / name).cause is FailureCause.BAD_FRAME


@pytest.mark.parametrize("name", ["../a.png", "x/a.png", "a\0.png", "", "..", "a" * 300 + ".png", "con.png"])
def test_names_that_lead_elsewhere_are_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(VerificationError) as error:
        verify(tmp_path, ExpectedOutput(name, PictureCheck()))
    assert error.value.cause is FailureCause.BAD_FRAME


def test_any_other_file_needs_its_length_only(tmp_path: Path) -> None:
    path = tmp_path / "stats.csv"
    path.write_bytes(b"12345")
    assert check(path, FileCheck(5)).size == 5
    assert "at least 6" in refused(path, FileCheck(6)).message


def test_a_good_video_is_described(video: Maker) -> None:
    path = video("a.mp4", frames=50, fps=25, audio=True)
    found = check(path, VideoCheck(64, 36, frames=50, duration=2.0, audio=True))
    assert (found.width, found.height, found.frame) == (64, 36, None)


@pytest.mark.parametrize(
    ("wanted", "word"),
    [
        (VideoCheck(width=65), "wide"),
        (VideoCheck(height=37), "high"),
        (VideoCheck(frames=26), "frames"),
        (VideoCheck(frames=27, frames_tolerance=1), "frames"),
        (VideoCheck(duration=2.0), "lasts"),
        (VideoCheck(audio=True), "no sound"),
    ],
)
def test_a_video_that_differs_is_bad(video: Maker, wanted: VideoCheck, word: str) -> None:
    error = refused(video("a.mp4", frames=25), wanted)
    assert error.cause is FailureCause.BAD_FRAME
    assert word in error.message


def test_tolerances_are_tolerated(video: Maker) -> None:
    wanted = VideoCheck(frames=27, frames_tolerance=2, duration=1.2, duration_tolerance=0.3, audio=False)
    assert check(video("a.mp4", frames=25), wanted).size


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.ts"])
def test_half_a_video_is_bad(video: Maker, cut: Cut, name: str) -> None:
    path = video(name, frames=50)
    assert check(path, VideoCheck(frames=50)).size
    assert refused(cut(path, path.stat().st_size // 2), VideoCheck(frames=50)).cause is FailureCause.BAD_FRAME


def test_damage_in_the_middle_of_a_video_is_seen(video: Maker) -> None:
    path = video("a.mp4", frames=50)
    data = bytearray(path.read_bytes())
    for at in range(len(data) // 2, len(data) // 2 + 64):
        data[at] ^= 0x55
    path.write_bytes(data)
    assert refused(path, VideoCheck()).cause is FailureCause.BAD_FRAME


def test_small_png_is_quick_and_what_loads_libraries_is_not(picture: Maker, tmp_path: Path) -> None:
    picture("a.png")
    assert is_quick(tmp_path, ExpectedOutput("a.png", PictureCheck()))
    assert is_quick(tmp_path, ExpectedOutput("a.csv", FileCheck()))
    assert is_quick(tmp_path, ExpectedOutput("not there.png", PictureCheck()))
    assert not is_quick(tmp_path, ExpectedOutput("a.exr", PictureCheck()))
    assert not is_quick(tmp_path, ExpectedOutput("a.mp4", VideoCheck()))


def test_the_error_travels_between_processes() -> None:
    error = pickle.loads(pickle.dumps(VerificationError(FailureCause.DISK, "no space")))
    assert (error.cause, error.message, str(error)) == (FailureCause.DISK, "no space", "no space")
