"""Packing without Blender: real .blend files, changed byte by byte, read back by blender-asset-tracer."""

from __future__ import annotations

import gzip
import io
import os
import threading
import zipfile
from pathlib import Path

import pytest
import zstandard
from blender_asset_tracer import trace

from client.blender.zordon import blendfile
from client.blender.zordon.errors import Cancelled, PackingFailed
from client.blender.zordon.layout import Dependency, absolute, files_of, place_in_archive, relative
from client.blender.zordon.packing import Project, missing_of, pack

FIXTURES = Path(__file__).parents[1] / "fixtures"


def plain(name: str, folder: Path) -> Path:
    """A fixture without its compression."""
    packed = FIXTURES / name
    target = folder / name
    with blendfile.unpacked(packed, folder) as unpacked:
        target.write_bytes(unpacked.read_bytes())
    return target


def compressed_paths(file: Path, scratch: Path) -> list[blendfile.PathField]:
    """The paths of a file that is compressed."""
    with blendfile.unpacked(file, scratch) as unpacked:
        return blendfile.paths_in(unpacked)


def nobody(done: int, total: int) -> None:
    """Nobody looks."""


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/p/shot/tex/a.png", "tex/a.png"),
        ("/p/shot", "."),
        ("/p/shots/a.png", "_outside_project/p/shots/a.png"),
        ("/library/a.blend", "_outside_project/library/a.blend"),
    ],
)
def test_files_have_the_places_that_blender_asset_tracer_gives_them(path: str, place: str) -> None:
    assert place_in_archive(Path(path), Path("/p/shot")) == place


@pytest.mark.parametrize(
    ("place", "other", "path"),
    [
        ("tex/a.png", "shot.blend", "//tex/a.png"),
        ("a.png", "deep/er/b.blend", "//../../a.png"),
        ("_outside_project/x/a.png", "_outside_project/x/y/b.blend", "//../a.png"),
        ("x/x", "x/y.blend", "//x"),
    ],
)
def test_paths_from_one_file_to_another(place: str, other: str, path: str) -> None:
    assert relative(place, other) == path
    folder = Path("/somewhere")
    assert absolute(path, (folder / other).parent) == folder / place


def test_paths_of_other_systems_are_understood() -> None:
    assert absolute("//..\\tex\\a.png", Path("/p/shot")) == Path("/p/tex/a.png")
    assert absolute("/abs/./a.png", Path("/p")) == Path("/abs/a.png")


def test_what_is_written_as_one_is_many(tmp_path: Path) -> None:
    names = ["f_0001.png", "f_0002.png", "f_10.png", "f_0001.jpg", "g_0001.png", "t.1001.png", "t.1002.png", "t.x.png"]
    for name in names:
        (tmp_path / name).write_bytes(b"x")

    def found(name: str, *, series: bool = False) -> list[str]:
        return [path.name for path in files_of(Dependency("texture", tmp_path / name, series))]

    assert found("f_0001.png") == ["f_0001.png"]
    assert found("f_0001.png", series=True) == ["f_0001.png", "f_0002.png", "f_10.png"]
    assert found("f_0009.png", series=True) == ["f_0001.png", "f_0002.png", "f_10.png"]
    assert found("t.<UDIM>.png") == ["t.1001.png", "t.1002.png"]
    assert found("nothing.png") == []
    assert len(found("")) == len(names)
    gone = Dependency("texture", tmp_path / "no folder" / "a.<UDIM>.png")
    assert missing_of([gone, Dependency("texture", tmp_path / "g_0001.png")]) == [gone]


@pytest.mark.parametrize("name", ["missing_texture.blend", "missing_library.blend"])
def test_a_changed_path_is_what_blender_asset_tracer_reads(tmp_path: Path, name: str) -> None:
    file = plain(name, tmp_path)
    [field] = blendfile.paths_in(file)
    buffer = io.BytesIO()
    patches = blendfile.changes(file, lambda path: "//else/where.png")
    blendfile.write_changed(file, patches, buffer, lambda count: None)
    changed = tmp_path / "changed.blend"
    changed.write_bytes(buffer.getvalue())
    assert [usage.asset_path for usage in trace.deps(changed)] == [b"//else/where.png"]
    # Nothing else has moved.
    before, after = file.read_bytes(), changed.read_bytes()
    assert len(before) == len(after)
    assert before[: field.at] == after[: field.at]
    assert before[field.at + field.size :] == after[field.at + field.size :]


@pytest.mark.parametrize("name", sorted(path.name for path in FIXTURES.glob("*.blend")))
def test_every_path_of_every_file_is_found(tmp_path: Path, name: str) -> None:
    """Both forms of the file's head: from 5.0 on there is another one."""
    expected = sorted(os.fsencode(usage.asset_path) for usage in trace.deps(FIXTURES / name))
    assert sorted(os.fsencode(field.path) for field in blendfile.paths_in(plain(name, tmp_path))) == expected


def test_a_path_without_room_is_said(tmp_path: Path) -> None:
    with pytest.raises(PackingFailed, match="too long"):
        blendfile.changes(plain("missing_texture.blend", tmp_path), lambda path: "x" * 1024)


@pytest.mark.parametrize("compress", [gzip.compress, zstandard.ZstdCompressor().compress])
def test_compressed_files_are_read_and_damaged_ones_refused(tmp_path: Path, compress: object) -> None:
    assert callable(compress)
    raw = plain("workbench.blend", tmp_path).read_bytes()
    file = tmp_path / "compressed.blend"
    file.write_bytes(compress(raw))
    with blendfile.unpacked(file, tmp_path) as unpacked:
        assert unpacked.read_bytes() == raw
    assert not unpacked.exists()
    file.write_bytes(compress(raw)[:40_000])
    with pytest.raises(PackingFailed, match="cut off or damaged"):
        compressed_paths(file, tmp_path)
    file.write_bytes(b"no such thing")
    with pytest.raises(PackingFailed, match=r"no \.blend"):
        compressed_paths(file, tmp_path)


@pytest.mark.parametrize("length", [3, 12, 40, 5000, 200_000])
def test_a_file_that_is_cut_off_is_refused(tmp_path: Path, length: int) -> None:
    file = plain("missing_texture.blend", tmp_path)
    file.write_bytes(file.read_bytes()[:length])
    with pytest.raises(PackingFailed):
        blendfile.paths_in(file)


def packed_at(tmp_path: Path) -> tuple[Project, Path]:
    """A project whose texture lies elsewhere, and where its archive shall be."""
    folder, scratch = tmp_path / "shot", tmp_path / "scratch"
    folder.mkdir()
    scratch.mkdir()
    project = folder / "shot.blend"
    saved = plain("missing_texture.blend", scratch)
    (tmp_path / "tex").mkdir()
    (tmp_path / "tex" / "bricks.png").write_bytes(os.urandom(3 << 20))
    field = blendfile.paths_in(saved)[0]
    content = bytearray(saved.read_bytes())
    content[field.at : field.at + field.size] = b"//../tex/bricks.png".ljust(field.size, b"\0")
    saved.write_bytes(content)
    needed = (
        Dependency("texture", tmp_path / "tex" / "bricks.png"),
        Dependency("sound", tmp_path / "gone.wav", user="Music"),
    )
    return Project(project, saved, needed), scratch / "shot.zip"


def test_an_archive_opens_anywhere(tmp_path: Path) -> None:
    project, archive = packed_at(tmp_path)
    seen: list[tuple[int, int]] = []
    packed = pack(project, archive, lambda done, total: seen.append((done, total)), threading.Event())
    assert packed.missing == [project.dependencies[1]]
    assert packed.warnings == []
    assert seen[-1][0] == seen[-1][1]
    assert seen == sorted(seen)
    away = tmp_path / "away"
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        opened.extractall(away)
    [usage] = trace.deps(away / "shot.blend")
    found = Path(os.path.normpath(usage.abspath))
    assert found.is_relative_to(away / "_outside_project")
    assert found.read_bytes() == (tmp_path / "tex" / "bricks.png").read_bytes()


def test_packing_stops_when_it_is_told_to(tmp_path: Path) -> None:
    project, archive = packed_at(tmp_path)
    stop = threading.Event()
    with pytest.raises(Cancelled):
        pack(project, archive, lambda done, total: stop.set(), stop)


def test_a_compressed_library_is_packed_as_it_is_where_it_cannot_be_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Some distributions' Blender has no zstandard; that is what a None here stands for."""
    project, archive = packed_at(tmp_path)
    library = project.path.with_name("library.blend")
    library.write_bytes(zstandard.ZstdCompressor().compress(plain("workbench.blend", tmp_path).read_bytes()))
    project = Project(project.path, project.saved, (Dependency("linked file", library),))
    monkeypatch.setitem(__import__("sys").modules, "zstandard", None)
    packed = pack(project, archive, nobody, threading.Event())
    assert "library.blend is compressed" in packed.warnings[0]
    with zipfile.ZipFile(archive) as opened:
        assert opened.read("library.blend") == library.read_bytes()
