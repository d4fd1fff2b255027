"""Opens the project and finds what to render in it; what is asked for and not there ends the session at once."""

from __future__ import annotations

import argparse
from collections.abc import Iterable
from pathlib import Path

import bpy

from zordon_runner.causes import in_short
from zordon_runner.events import Events, Fatal


def open_project(path: str, is_open: bool, scripts: bool, events: Events) -> None:
    """Make sure that ``path`` is the open file; with ``is_open`` Blender's command line has named it already.

    Raises:
        Fatal: Blender cannot read it.
    """
    complaint = ""
    if not is_open:
        try:
            bpy.ops.wm.open_mainfile(filepath=path, load_ui=False, use_scripts=scripts)
        except RuntimeError as error:
            complaint = in_short(str(error))
    # Some versions go on with an empty scene where a file cannot be read, and some complain of a file they did read.
    opened = bpy.data.filepath
    if not opened or Path(opened).resolve() != Path(path).resolve():
        reason = f": {complaint}" if complaint else ""
        raise Fatal(f"Blender {bpy.app.version_string} cannot open {Path(path).name}{reason}")
    if complaint:
        events.warning(complaint)


def choose(options: argparse.Namespace, events: Events) -> bpy.types.Scene:
    """The scene to render, with its camera and view layers as asked for.

    Raises:
        Fatal: one of them is not in the file.
    """
    scene = bpy.context.scene
    if options.scene is not None:
        scene = next((one for one in bpy.data.scenes if one.name == options.scene and one.library is None), None)
        if scene is None:
            raise Fatal(f"there is no scene {options.scene!r}; {_there_is(bpy.data.scenes)}", "bad_option")
    if bpy.context.window is not None:
        bpy.context.window.scene = scene
    if options.camera is not None:
        camera = bpy.data.objects.get(options.camera)
        if camera is None or camera.type != "CAMERA":
            cameras = [thing for thing in bpy.data.objects if thing.type == "CAMERA"]
            raise Fatal(f"there is no camera {options.camera!r}; {_there_is(cameras)}", "bad_option")
        scene.camera = camera
        # Markers would switch back to the cameras that are bound to them.
        for marker in scene.timeline_markers:
            marker.camera = None
    if options.view_layer is not None:
        if options.view_layer not in scene.view_layers:
            raise Fatal(f"there is no view layer {options.view_layer!r}; {_there_is(scene.view_layers)}", "bad_option")
        for layer in scene.view_layers:
            layer.use = layer.name == options.view_layer
    if scene.render.use_multiview:
        scene.render.use_multiview = False
        events.warning("stereo and multi-view rendering is switched off: one picture a frame is rendered")
    return scene


def _there_is(things: Iterable[bpy.types.ID]) -> str:
    names = [thing.name for thing in things]
    return "there is " + ", ".join(repr(name) for name in names[:20]) if names else "the file has none"
