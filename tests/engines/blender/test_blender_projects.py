"""What inspection finds in .blend files, and what it refuses, without any Blender."""

from __future__ import annotations

import gzip
import pickle
import random
import struct
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

import pytest
import zstandard

from engines.contract import Refusal
from tests.support.blender_sessions import ENGINE, FIXTURES

DEMO = FIXTURES.parents[1] / "demo" / "demo.blend"


def unpacked(name: str) -> bytes:
    """A fixture's bytes without compression."""
    packed = (FIXTURES / f"{name}.blend").read_bytes()
    if packed[:2] == b"\x1f\x8b":
        return gzip.decompress(packed)
    with zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        return stream.read()


def refused(project: Path) -> str:
    with pytest.raises(Refusal) as caught:
        ENGINE.inspect(project)
    assert caught.value.field == "project"
    return caught.value.message


def test_a_project_says_what_it_renders() -> None:
    info = ENGINE.inspect(FIXTURES / "studio.blend")
    assert (info.kind, info.frames, info.fps, info.duration) == ("blend", "0-4x2", 30.0, 5 / 30)
    assert (info.width, info.height) == (32, 24)
    assert info.format_version == (3, 4)
    assert info.scenes == ("Main", "Second")
    assert info.cameras == ("Front", "Side")
    assert info.view_layers == ("ViewLayer", "Extra")
    assert (info.render_engine, info.output_format) == ("BLENDER_WORKBENCH", "FFMPEG")
    assert info.missing_files == ()
    assert info.details["active_scene"] == "Main"
    assert pickle.loads(pickle.dumps(info)) == info


def test_the_demo_is_small_and_complete() -> None:
    info = ENGINE.inspect(DEMO)
    assert info.frames == "1-48"
    assert info.missing_files == ()
    assert DEMO.stat().st_size < 300_000


@pytest.mark.parametrize(("name", "version"), [("saved_by_4_5", (4, 5)), ("saved_by_5_0", (5, 0))])
def test_newer_forms_of_the_file(name: str, version: tuple[int, int]) -> None:
    info = ENGINE.inspect(FIXTURES / f"{name}.blend")
    assert info.format_version == version
    assert (info.frames, info.width, info.height, info.cameras) == ("1-3", 64, 48, ("Camera",))


@pytest.mark.parametrize("pack", [bytes, gzip.compress, zstandard.ZstdCompressor().compress])
@pytest.mark.parametrize("name", ["workbench", "saved_by_5_0"])
def test_compressed_or_not_it_is_the_same(name: str, pack: object, tmp_path: Path) -> None:
    assert callable(pack)
    project = tmp_path / "project.blend"
    project.write_bytes(pack(unpacked(name)))
    assert ENGINE.inspect(project) == ENGINE.inspect(FIXTURES / f"{name}.blend")


def test_zstd_in_several_frames_as_blender_writes_it(tmp_path: Path) -> None:
    raw = unpacked("workbench")
    half = len(raw) // 2
    packer = zstandard.ZstdCompressor()
    project = tmp_path / "project.blend"
    project.write_bytes(packer.compress(raw[:half]) + packer.compress(raw[half:]))
    assert ENGINE.inspect(project) == ENGINE.inspect(FIXTURES / "workbench.blend")


def test_missing_files_are_named() -> None:
    assert ENGINE.inspect(FIXTURES / "missing_texture.blend").missing_files == ("//textures/bricks.png",)
    assert ENGINE.inspect(FIXTURES / "missing_library.blend").missing_files == ("//library_that_goes.blend",)


def test_files_that_are_there_are_not_missing(tmp_path: Path) -> None:
    project = tmp_path / "project.blend"
    project.write_bytes((FIXTURES / "missing_texture.blend").read_bytes())
    (tmp_path / "textures").mkdir()
    (tmp_path / "textures" / "bricks.png").touch()
    assert ENGINE.inspect(project).missing_files == ()


def test_a_cut_out_has_no_size_beforehand() -> None:
    info = ENGINE.inspect(FIXTURES / "cropped.blend")
    assert (info.width, info.height) == (None, None)


def test_no_camera_is_refused() -> None:
    message = refused(FIXTURES / "no_camera.blend")
    assert "no camera" in message
    assert "'Blind'" in message


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"", "empty"),
        (b"BLENDER", "cut off"),
        (b"BLENDER-v304", "cut off"),
        (b"BLENDER-v304" + b"\0" * 100, "cut off"),
        (b"BLENDER99-77v9900" + b"\0" * 100, "not known"),
        (b"PK\3\4 a zip", "no .blend"),
        (b"\x89PNG\r\n\x1a\n" + b"x" * 500, "no .blend"),
        # Without the time: the bytes name the test, and parallel runs must agree on its name.
        (gzip.compress(b"some text", mtime=0), "no .blend"),
        (gzip.compress(b"BLENDER-v304" * 50, mtime=0)[:40], "cut off"),
        (zstandard.ZstdCompressor().compress(b"some other text"), "no .blend"),
        (b"\x28\xb5\x2f\xfd" + b"\xff" * 60, "cut off"),
        (b"\x1f\x8b" + b"\xff" * 60, "cut off"),
        (b"BLENDER-v304" + struct.pack("<4siQii", b"DATA", -24, 1, 0, 1) * 3, "cut off"),
        (b"BLENDER-v304" + struct.pack("<4siQii", b"DATA", 1 << 30, 1, 0, 1) + b"ENDB", "cut off"),
        (b"BLENDER-v304ENDB" + b"\0" * 20, "no scene"),
        (b"BLENDER-v304" + struct.pack("<4siQii", b"SC", 4, 1, 0, 1) + b"1234ENDB" + b"\0" * 20, "cut off"),
    ],
)
def test_what_is_no_project_is_refused(content: bytes, word: str, tmp_path: Path) -> None:
    project = tmp_path / "project.blend"
    project.write_bytes(content)
    assert word in refused(project)


def test_a_folder_and_a_name_that_is_gone(tmp_path: Path) -> None:
    assert "not a file" in refused(tmp_path)
    assert "gone" in refused(tmp_path / "nowhere.blend")


@pytest.mark.parametrize("part", [0.02, 0.3, 0.7, 0.999])
@pytest.mark.parametrize("compressed", [True, False])
def test_every_cut_is_noticed(part: float, compressed: bool, tmp_path: Path) -> None:
    whole = (FIXTURES / "workbench.blend").read_bytes() if compressed else unpacked("workbench")
    project = tmp_path / "project.blend"
    project.write_bytes(whole[: int(len(whole) * part)])
    assert "cut off" in refused(project)


def test_damage_anywhere_is_an_answer_or_a_refusal(tmp_path: Path) -> None:
    """Random bytes written over a project: whatever comes, it comes soon and is no other error."""
    chance = random.Random(7)
    whole = unpacked("cycles")
    project = tmp_path / "project.blend"
    for _ in range(25):
        damaged = bytearray(whole)
        for _ in range(chance.choice((1, 20, 400))):
            damaged[chance.randrange(len(damaged))] = chance.randrange(256)
        project.write_bytes(damaged)
        with suppress(Refusal):
            assert ENGINE.inspect(project).kind == "blend"


def test_the_engine_is_imported_without_its_reader() -> None:
    """Every start of the service and of the command line imports the engine."""
    script = (
        "import sys, engines.blender\n"
        "print([name for name in sys.modules if 'blender_asset' in name or name == 'zstandard'])"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
