"""Trees of real projects: what belongs to them, whatever it is called and wherever it lies."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from PIL import Image

from app.content.checkout import checkout
from app.content.projects import NotPacked, ProjectTrees
from app.content.store import ContentStore
from app.jobs.folders import DataFolder
from engines.blender import BlenderEngine
from engines.contract import Engine
from engines.ffmpeg import FFmpegEngine
from tests.support.project_specs import spec_of

FIXTURES = Path(__file__).parents[1] / "fixtures"
BLENDER, FFMPEG = BlenderEngine(), FFmpegEngine()


async def paths(trees: ProjectTrees, engine: Engine, project: str) -> list[str]:
    built = await trees.of(engine, spec_of(project))
    assert built is not None
    return [file.path for file in built.tree.files]


def copied(studio: Path, target: Path) -> Path:
    shutil.copytree(studio, target)
    for path in target.rglob("*"):
        os.utime(path, (1_000_000_000, 1_000_000_000))
    return target


async def test_a_blend_takes_along_what_lies_elsewhere(trees: ProjectTrees, studio: Path) -> None:
    found = await paths(trees, BLENDER, str(studio / "shots" / "shot.blend"))
    ends = {"furniture.blend", "metal.png", "wood.png", *(f"flame_000{number}.png" for number in (1, 2, 3))}
    assert {path.rpartition("/")[2] for path in found} == ends | {"shot.blend"}


async def test_it_needs_nothing_of_where_it_was(
    trees: ProjectTrees, store: ContentStore, folders: DataFolder, studio: Path, tmp_path: Path
) -> None:
    there = tmp_path / "there"
    shutil.copytree(studio, there)  # its absolute paths still lead to the first one
    built = await trees.of(BLENDER, spec_of(str(there / "shots" / "shot.blend")))
    assert built is not None
    assert built.warnings == ()
    place = checkout(built.tree, store, folders)
    shutil.rmtree(there)
    hidden = studio.with_name("hidden")
    studio.rename(hidden)
    try:
        assert BLENDER.inspect(place / built.tree.main).missing_files == ()
    finally:
        hidden.rename(studio)


async def test_the_same_project_gives_the_same_tree(trees: ProjectTrees, studio: Path, tmp_path: Path) -> None:
    here = copied(studio, tmp_path / "here")
    spec = spec_of(str(here / "shots" / "shot.blend"))
    first = await trees.of(BLENDER, spec)
    (here / "shots" / "notes.txt").write_text("so that it is looked at anew")
    assert first is not None
    again = await trees.of(BLENDER, spec)
    assert again is not None
    assert again is not first
    assert again.tree.id == first.tree.id


async def test_a_changed_texture_gives_another_tree_with_the_rest_the_same(
    trees: ProjectTrees, studio: Path, tmp_path: Path
) -> None:
    here = copied(studio, tmp_path / "here")
    spec = spec_of(str(here / "shots" / "shot.blend"))
    before = await trees.of(BLENDER, spec)
    assert before is await trees.of(BLENDER, spec), "nothing has changed, and it was made again"
    (here / "textures" / "wood.png").write_bytes(b"another picture")
    after = await trees.of(BLENDER, spec)
    assert before is not None
    assert after is not None
    changed = {file.path for file in set(after.tree.files) - set(before.tree.files)}
    assert [path.rpartition("/")[2] for path in changed] == ["wood.png"]


async def test_what_is_missing_is_a_warning(trees: ProjectTrees) -> None:
    built = await trees.of(BLENDER, spec_of(str(FIXTURES / "missing_texture.blend")))
    assert built is not None
    assert [file.path for file in built.tree.files] == ["missing_texture.blend"]
    assert len(built.warnings) == 1
    assert built.warnings[0].startswith("missing: ")


async def test_an_upload_goes_as_a_whole(trees: ProjectTrees, folders: DataFolder) -> None:
    root = folders.projects / "0123456789abcdef"
    (root / "sub" / "cache").mkdir(parents=True)
    shutil.copy(FIXTURES / "workbench.blend", root / "sub" / "a.blend")
    (root / "sub" / "cache" / "one.bin").write_bytes(b"1")
    assert await paths(trees, BLENDER, "projects/0123456789abcdef/sub/a.blend") == ["sub/a.blend", "sub/cache/one.bin"]


async def test_nothing_else_of_the_data_folder_goes_along(
    trees: ProjectTrees, folders: DataFolder, tmp_path: Path
) -> None:
    secret = folders.root / "token"
    secret.write_text("secret")
    root = folders.projects / "0123456789abcdef"
    root.mkdir()
    shutil.copy(FIXTURES / "workbench.blend", root / "a.blend")
    (root / "texture.png").symlink_to(secret)
    built = await trees.of(BLENDER, spec_of("projects/0123456789abcdef/a.blend"))
    assert built is not None
    assert [file.path for file in built.tree.files] == ["a.blend"]
    assert "data folder" in built.warnings[0]


async def test_a_sequence_in_place_takes_its_pictures_and_nothing_beside_them(
    trees: ProjectTrees, store: ContentStore, folders: DataFolder, tmp_path: Path
) -> None:
    shots = tmp_path / "shots"
    shots.mkdir()
    for name in ("a_01.png", "a_02.png", "b_01.png"):
        Image.new("RGB", (8, 6), "teal").save(shots / name)
    (shots / "notes.txt").write_text("nothing")
    spec = spec_of(str(shots / "a_02.png"))
    built = await trees.of(FFMPEG, spec)
    assert built is not None
    assert (built.tree.main, [file.path for file in built.tree.files]) == ("a_02.png", ["a_01.png", "a_02.png"])
    there = checkout(built.tree, store, folders)
    assert FFMPEG.inspect(there / built.tree.main) == FFMPEG.inspect(shots / "a_02.png")
    (shots / "b_01.png").unlink()
    folder = await trees.of(FFMPEG, spec_of(str(shots)))
    assert folder is not None
    assert (folder.tree.main, [file.path for file in folder.tree.files]) == (
        "project",
        ["project/a_01.png", "project/a_02.png"],
    )
    assert FFMPEG.inspect(checkout(folder.tree, store, folders) / "project") == FFMPEG.inspect(shots)


async def test_a_project_that_is_gone_says_so(trees: ProjectTrees, tmp_path: Path) -> None:
    with pytest.raises(NotPacked, match=r"clip\.mp4"):
        await trees.of(FFMPEG, spec_of(str(tmp_path / "clip.mp4")))
