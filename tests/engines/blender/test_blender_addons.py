"""Add-ons and start-up scripts of a studio: what they do shows in the pictures, and what they do wrong has a name."""

from __future__ import annotations

import zipfile
from functools import partial
from pathlib import Path

import pytest
from PIL import Image

from engines.contract import EngineFailed, EngineVersion, EngineWarning, FailureCause
from tests.support.blender_sessions import FIXTURES, Driven, Started

pytestmark = pytest.mark.blender

# Each starts Blender. In the quick loop there is one of every kind of thing that can happen.
slow = partial(pytest.param, marks=pytest.mark.slow)

# Everything in front of the camera goes and the world turns red: no other picture of the fixture looks so.
PAINT = """
import bpy
def paint(scene, *_):
    for thing in scene.objects:
        if thing.type == "MESH":
            thing.hide_render = True
    scene.world = scene.world or bpy.data.worlds.new("studio")
    scene.world.use_nodes = False
    scene.world.color = {colour}
    scene.render.film_transparent = False
"""
ADDON = (
    "from bpy.app.handlers import persistent\nimport bpy\n"
    + PAINT
    + """
bl_info = {{"name": "Studio", "blender": (2, 80, 0), "category": "Render"}}
paint = persistent(paint)
def register():
    bpy.app.handlers.render_pre.append(paint)
    bpy.app.handlers.render_init.append(paint)
    bpy.app.handlers.load_post.append(loaded)
@persistent
def loaded(*_):
    print("STUDIO SEES", bpy.path.basename(bpy.data.filepath), __name__ in bpy.context.preferences.addons)
    paint(bpy.context.scene)
def unregister():
    pass
"""
)
RED, GREEN = (1.0, 0.0, 0.0), (0.0, 1.0, 0.0)
ARGS = {"samples": 1, "denoise": False}


def addon(folder: Path, form: str) -> Path:
    """An add-on that paints the picture red, as one of the things in which add-ons come."""
    code = ADDON.format(colour=RED)
    if form == "file":
        path = folder / "studio_file.py"
        path.write_text(code)
    elif form == "folder":
        path = folder / "studio_folder"
        path.mkdir()
        (path / "__init__.py").write_text("from .parts import bl_info, register, unregister\n")
        (path / "parts.py").write_text(code.replace("__name__ in", "__package__ in"))
    else:
        path = folder / "studio.zip"
        with zipfile.ZipFile(path, "w") as archive:
            inner = "" if form == "extension" else "studio_zipped/"
            archive.writestr(f"{inner}__init__.py", code)
    return path


def colour(driven: Driven, *frames: int) -> list[tuple[int, ...]]:
    """The colours in the middle of the frames."""
    driven.ready()
    chunk, events = driven.rendered(*frames)
    assert not [event for event in events if isinstance(event, EngineFailed)]
    seen = []
    for path in sorted(chunk.folder.iterdir()):
        with Image.open(path) as picture:
            seen.append(picture.convert("RGB").getpixel((picture.width // 2, picture.height // 2)))
    assert len(seen) == len(frames)
    return seen


def is_red(pixel: tuple[int, ...]) -> bool:
    return pixel[0] > 150 and max(pixel[1:]) < 60


def is_green(pixel: tuple[int, ...]) -> bool:
    return pixel[1] > 150 and max(pixel[0], pixel[2]) < 60


@pytest.mark.parametrize("form", ["file", slow("folder"), slow("zip"), slow("extension")])
def test_an_add_on_changes_every_picture(blender: EngineVersion, start: Started, tmp_path: Path, form: str) -> None:
    path = addon(tmp_path, form)
    before = {item: item.read_bytes() for item in tmp_path.rglob("*") if item.is_file()}
    driven = start(FIXTURES / "cycles.blend", blender, ARGS, addons=[path])
    assert all(is_red(pixel) for pixel in colour(driven, 1, 2))
    assert driven.finish() == 0
    assert "STUDIO SEES cycles.blend True" in driven.printed.read_text(errors="replace")
    assert {item: item.read_bytes() for item in before} == before
    assert list((driven.request.folder / "scripts" / "addons").iterdir()), "it was not used from the session's folder"
    assert not any(item.is_relative_to(driven.request.folder) for item in before)


def test_without_the_add_on_the_picture_is_another(blender: EngineVersion, start: Started) -> None:
    assert not any(
        is_red(pixel) or is_green(pixel) for pixel in colour(start(FIXTURES / "cycles.blend", blender, ARGS), 1)
    )


def test_a_start_up_script_runs_once_in_the_open_project(
    blender: EngineVersion, start: Started, tmp_path: Path
) -> None:
    script = tmp_path / "studio start.py"
    script.write_text(
        PAINT.format(colour=GREEN)
        + "\nprint('ONCE', bpy.path.basename(bpy.data.filepath), __file__)\npaint(bpy.context.scene)\n"
    )
    driven = start(FIXTURES / "cycles.blend", blender, ARGS, startup_scripts=[script])
    assert all(is_green(pixel) for pixel in colour(driven, 1, 2))
    assert driven.finish() == 0
    printed = driven.printed.read_text(errors="replace")
    assert printed.count("ONCE") == 1
    assert f"ONCE cycles.blend {script}" in printed


@pytest.mark.slow
def test_scripts_come_after_add_ons_and_options_of_the_job_after_both(
    blender: EngineVersion, start: Started, tmp_path: Path
) -> None:
    script = tmp_path / "half.py"
    script.write_text(
        "import bpy, studio_file\nbpy.context.scene.render.resolution_percentage = 50\n"
        "bpy.context.scene.cycles.samples = 7\n"
        "bpy.app.handlers.render_pre.append(lambda *_: print('SAMPLES', bpy.context.scene.cycles.samples))\n"
    )
    args = {**ARGS, "resolution_percentage": 100, "samples": 2}
    driven = start(FIXTURES / "cycles.blend", blender, args, addons=[addon(tmp_path, "file")], startup_scripts=[script])
    assert is_red(colour(driven, 1)[0])
    driven.finish()
    assert "SAMPLES 2" in driven.printed.read_text(errors="replace")
    with Image.open(next(driven.request.folder.parent.glob("chunk 1/*.png"))) as picture:
        assert picture.size == (driven.request.width, driven.request.height)


def test_an_add_on_that_comes_with_blender_is_enabled_by_name(
    program: EngineVersion, start: Started, tmp_path: Path
) -> None:
    script = tmp_path / "look.py"
    script.write_text("import bpy\nprint('HAS', 'io_mesh_ply' in bpy.context.preferences.addons)\n")
    driven = start(FIXTURES / "cycles.blend", program, addons=["io_mesh_ply", "cycles"], startup_scripts=[script])
    warnings = [event for event in driven.ready() if isinstance(event, EngineWarning)]
    driven.finish()
    assert "HAS True" in driven.printed.read_text(errors="replace")
    assert warnings == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("bl_info = {}\ndef register():\n    raise ValueError('no licence')\n", "ValueError: no licence"),
        slow("bl_info = {}\nimport no_such_part_of_it\n", "no_such_part_of_it"),
        slow("bl_info = {}\ndef register(:\n", "SyntaxError"),
        slow("bl_info = {}\ndef register():\n    raise SystemExit(3)\n", "SystemExit: 3"),
        slow("x = 1\n", "bl_info"),
        slow("bl_info = {'blender': (2, 70, 0)}\ndef register(): pass\n", "older Blender"),
        (None, "No such file"),
    ],
)
def test_an_add_on_that_fails_ends_the_session_and_is_named(
    program: EngineVersion, start: Started, tmp_path: Path, content: str | None, said: str
) -> None:
    path = tmp_path / "broken_addon.py"
    if content is not None:
        path.write_text(content.replace("bl_info = {}", "bl_info = {'blender': (2, 80, 0)}"))
    driven = start(FIXTURES / "cycles.blend", program, addons=[path])
    events = driven.ready()
    assert driven.end() == 71
    (failure,) = [event for event in events if isinstance(event, EngineFailed)]
    assert (failure.cause, failure.frame) == (FailureCause.BAD_OPTION, None)
    assert str(path) in failure.message
    assert said in failure.message


@pytest.mark.slow
def test_other_things_that_are_no_add_ons(program: EngineVersion, start: Started, tmp_path: Path) -> None:
    two = tmp_path / "two.zip"
    with zipfile.ZipFile(two, "w") as archive:
        archive.writestr("one.py", "")
        archive.writestr("other/__init__.py", "")
    damaged = tmp_path / "damaged.zip"
    damaged.write_bytes(b"PK\x03\x04 nothing")
    (tmp_path / "empty").mkdir()
    for path, said in (
        (two, "one, other"),
        (damaged, "BadZipFile"),
        (tmp_path / "empty", "__init__.py"),
        ("no_such_addon", "no_such_addon"),
    ):
        driven = start(FIXTURES / "cycles.blend", program, addons=[path])
        (failure,) = [event for event in driven.ready() if isinstance(event, EngineFailed)]
        driven.end()
        assert failure.cause is FailureCause.BAD_OPTION
        assert str(path) in failure.message
        assert said in failure.message


@pytest.mark.parametrize("content", ["1 / 0\n", slow("def\n"), slow("raise SystemExit('no')\n"), slow(None)])
def test_a_start_up_script_that_fails_ends_the_session_and_is_named(
    program: EngineVersion, start: Started, tmp_path: Path, content: str | None
) -> None:
    script = tmp_path / "start.py"
    if content is not None:
        script.write_text(content)
    driven = start(FIXTURES / "cycles.blend", program, startup_scripts=[script])
    (failure,) = [event for event in driven.ready() if isinstance(event, EngineFailed)]
    assert driven.end() == 71
    assert failure.cause is FailureCause.BAD_OPTION
    assert str(script) in failure.message
