"""What a studio adds: builds with names of their own, add-ons, start-up scripts; and what is known of every copy."""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest
from PIL import Image

from app.jobs import queries
from app.jobs.errors import RequestError
from app.jobs.store import Store
from app.render.catalog import EngineCatalog
from app.settings import SettingsError, load_settings
from engines.contract import EngineVersion, InstallKind, Refusal
from tests.render.conftest import StartNode
from tests.support.blender_sessions import FIXTURES

SMALL = {"width": 64, "height": 48}


async def catalog_of(tmp_path: Path, **settings: object) -> EngineCatalog:
    catalog = EngineCatalog(load_settings(data_dir=tmp_path / "data", **settings), tmp_path / "data" / "engines")
    await catalog.refresh()
    return catalog


def program(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


async def test_a_custom_build_renders_under_its_name(start_node: StartNode) -> None:
    builds = {"testpattern": {"studio-pattern-2": sys.executable}}
    async with start_node(custom_engines=builds) as node:
        copy = node.parts.catalog.find("testpattern", "studio-pattern-2")
        assert copy is not None
        own = node.parts.catalog.versions("testpattern")[0]
        assert (copy.kind, copy.base, copy.number) == (InstallKind.CUSTOM, own.version, own.version)
        job = await node.ended((await node.submit(frames="1-2", args=SMALL, engine_version="studio-pattern-2")).id)
        assert (job.status, job.engine_version, job.file_count) == ("completed", "studio-pattern-2", 2)
        plain = await node.submit(frames="1", args=SMALL)
        assert plain.engine_version == own.version, "a custom build was taken without having been asked for"
        assert node.parts.catalog.last_used(copy) is not None


async def test_a_build_that_cannot_be_used_is_listed_with_the_reason(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    catalog = await catalog_of(
        tmp_path,
        custom_engines={
            "ffmpeg": {
                "gone": tmp_path / "nothing",
                "empty": tmp_path / "empty",
                "broken": program(
                    tmp_path / "broken", "echo libfoo.so.3: cannot open shared object file >&2; exit 127"
                ),
                "other": program(tmp_path / "other", "echo Blender 3.4.1"),
                "good": program(tmp_path / "good", "echo ffmpeg version 7.1 Copyright"),
            }
        },
    )
    reasons = {copy.name: copy.reason for copy in catalog.unusable("ffmpeg") if copy.name}
    assert set(reasons) == {"gone", "empty", "broken", "other"}
    assert "does not exist" in reasons["gone"]
    assert "no FFmpeg in" in reasons["empty"]
    assert "libfoo.so.3" in reasons["broken"]
    assert "127" in reasons["broken"]
    assert "Blender 3.4.1" in reasons["other"]
    good = catalog.find("ffmpeg", "good")
    assert good is not None
    assert (good.base, good.path) == ("7.1", tmp_path / "good")
    assert catalog.versions("ffmpeg")[-1] == good, "a custom build comes before a version"


@pytest.mark.parametrize(
    "name", ["../up", "a/b", "a\\b", "..", ".", "", "x..y", "4.5.3", "4.5-patched", "-x", "n" * 41]
)
def test_names_that_builds_cannot_have(tmp_path: Path, name: str) -> None:
    with pytest.raises(SettingsError, match=r"custom_engines: .*cannot be the name of a build"):
        load_settings(data_dir=tmp_path, custom_engines={"blender": {name: "/opt/blender"}})


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("custom_engines", {"blender": {"studio": "opt/blender"}}, "absolute"),
        ("engine_addons", {"blender": ["addons/studio.py"]}, "absolute path"),
        ("engine_addons", {"blender": ["studio.py"]}, "absolute path"),
        ("engine_addons", {"blender": ["4studio"]}, "name of a module"),
        ("engine_addons", {"blender": [""]}, "name of a module"),
        ("engine_startup_scripts", {"blender": ["start.py"]}, "absolute"),
    ],
)
def test_settings_that_cannot_be(tmp_path: Path, setting: str, value: object, said: str) -> None:
    with pytest.raises(SettingsError, match=rf"{setting}: .*{said}"):
        load_settings(data_dir=tmp_path, **{setting: value})


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("custom_engines", {"blendr": {"studio": "/opt/blender"}}, "no engine 'blendr'"),
        ("engine_addons", {"blendr": ["studio"]}, "no engine 'blendr'"),
        ("engine_addons", {"ffmpeg": ["studio"]}, "FFmpeg takes none"),
        ("engine_startup_scripts", {"testpattern": ["/opt/start.py"]}, "Test pattern takes none"),
    ],
)
def test_settings_for_engines_that_are_not_there_or_take_none(
    tmp_path: Path, setting: str, value: object, said: str
) -> None:
    with pytest.raises(SettingsError, match=f"{setting}.*{said}"):
        EngineCatalog(load_settings(data_dir=tmp_path, **{setting: value}), tmp_path)


def test_paths_of_the_settings_may_begin_with_the_home(tmp_path: Path) -> None:
    settings = load_settings(
        data_dir=tmp_path,
        custom_engines={"blender": {"studio": "~/blender"}},
        engine_addons={"blender": ["~/addon.zip", "io_mesh_ply", "bl_ext.studio.tools"]},
    )
    assert settings.custom_engines["blender"]["studio"] == Path.home() / "blender"
    assert settings.engine_addons["blender"] == [str(Path.home() / "addon.zip"), "io_mesh_ply", "bl_ext.studio.tools"]


async def test_sizes_of_copies_are_counted_once(tmp_path: Path) -> None:
    managed = tmp_path / "data" / "engines" / "ffmpeg" / "7.1" / "bin"
    managed.mkdir(parents=True)
    program(managed / "ffmpeg", "echo ffmpeg version 7.1 Copyright")
    (managed.parent / "licence").write_bytes(b"x" * 1000)
    studio = tmp_path / "studio"
    studio.mkdir()
    program(studio / "ffmpeg", "echo ffmpeg version 7.0 Copyright")
    catalog = await catalog_of(tmp_path, custom_engines={"ffmpeg": {"one": studio / "ffmpeg"}})
    copies = {copy.version: copy for copy in catalog.versions("ffmpeg")}
    whole = 1000 + (managed / "ffmpeg").stat().st_size
    assert await catalog.size(copies["7.1"]) == whole
    assert await catalog.size(copies["one"]) == (studio / "ffmpeg").stat().st_size
    (managed.parent / "licence").write_bytes(b"x" * 2000)
    assert await catalog.size(copies["7.1"]) == whole, "it was counted again"
    os.utime(managed.parent, (1, 1))
    assert await catalog.size(copies["7.1"]) == whole + 1000
    shutil.rmtree(managed.parent)
    assert await catalog.size(copies["7.1"]) is None
    for copy in copies.values():
        if copy.kind is InstallKind.SYSTEM:
            assert await catalog.size(copy) is None


async def test_uses_are_noted_and_survive_in_the_store(tmp_path: Path) -> None:
    catalog = await catalog_of(tmp_path)
    copy = catalog.versions("testpattern")[0]
    heard: list[tuple[EngineVersion, float]] = []
    catalog.on_used(lambda used, at: heard.append((used, at)))
    assert catalog.last_used(copy) is None
    catalog.used(copy)
    catalog.used(copy)
    ((used, at),) = heard
    assert used == copy
    assert catalog.last_used(copy) == at
    (tmp_path / "store").mkdir()
    store = Store(tmp_path / "store" / "zordon.db")
    await store.open()
    try:
        for moment in (at - 500, at):
            await store.write([queries.use_install(copy.engine, copy.version, str(copy.path), moment)])
        uses = await store.read(queries.load_installs)
    finally:
        await store.close()
    assert uses == {("testpattern", copy.version): at}
    fresh = await catalog_of(tmp_path)
    fresh.remember_uses(uses)
    assert fresh.last_used(copy) == at


@pytest.mark.slow
@pytest.mark.blender
async def test_a_custom_blender_opens_what_its_real_version_opens(start_node: StartNode) -> None:
    blender = shutil.which("blender")
    if blender is None:
        pytest.skip("no blender program on this machine: install the package 'blender'")
    builds = {"blender": {"studio-9.9-patched": blender}}
    async with start_node(custom_engines=builds, local_roots=[FIXTURES], auto_install=False) as node:
        asked = {"renderer": "blender", "engine_version": "studio-9.9-patched", "args": {"samples": 1}}
        job = await node.submit(local_path=str(FIXTURES / "cycles.blend"), frames="1", **asked)
        job = await node.ended(job.id)
        assert (job.status, job.engine_version, job.file_count) == ("completed", "studio-9.9-patched", 1), job.reason
        with pytest.raises((Refusal, RequestError), match=r"4\.5.*studio-9\.9-patched \(Blender 3\.4"):
            await node.submit(local_path=str(FIXTURES / "saved_by_4_5.blend"), **asked)


@pytest.mark.slow
@pytest.mark.blender
async def test_add_ons_of_the_settings_reach_the_picture_and_their_failure_the_job(
    start_node: StartNode, tmp_path: Path
) -> None:
    if shutil.which("blender") is None:
        pytest.skip("no blender program on this machine: install the package 'blender'")
    script, addon = tmp_path / "green.py", tmp_path / "studio.py"
    script.write_text(
        "import bpy\nscene = bpy.context.scene\nfor thing in scene.objects:\n    thing.hide_render = True\n"
        "scene.world = bpy.data.worlds.new('green')\nscene.world.color = (0, 1, 0)\n"
        "scene.render.film_transparent = False\n"
    )
    addon.write_text(
        "bl_info = {'name': 'x', 'blender': (2, 80, 0)}\ndef register():\n    raise ValueError('no licence')\n"
    )
    project = {"renderer": "blender", "frames": "1", "args": {"samples": 1}}
    project["local_path"] = str(FIXTURES / "cycles.blend")
    async with start_node(engine_startup_scripts={"blender": [script]}, local_roots=[FIXTURES]) as node:
        job = await node.ended((await node.submit(**project)).id)
        assert job.status == "completed", job.reason
        with Image.open(node.parts.folders.output(job.id) / node.outputs(job.id)[0]) as picture:
            red, green, blue = picture.convert("RGB").getpixel((picture.width // 2, picture.height // 2))
        assert green > 150
        assert max(red, blue) < 60
    async with start_node(engine_addons={"blender": [str(addon)]}, local_roots=[FIXTURES]) as node:
        job = await node.ended((await node.submit(**project)).id)
        assert job.status == "error"
        assert str(addon) in job.reason
        assert "no licence" in job.reason
        assert (await node.log(job.id)).count("started a session") == 1, "it was tried again"
