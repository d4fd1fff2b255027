"""Renders one tiny picture, to show that a copy of Blender works on this machine.

With the program:   blender -b --factory-startup --python proof.py -- PICTURE
With the module:    python3.11 -I -S proof.py --bpy FOLDER -- PICTURE
"""

from __future__ import annotations

import os
import sys

SIZE = 16
"""Pixels, both ways."""


def render(picture: str) -> None:
    """The cube that every Blender starts with, in Cycles: it needs neither a display nor a graphics card."""
    import bpy

    bpy.ops.wm.read_factory_settings()
    scene = bpy.context.scene
    scene.render.engine = "CYCLES"
    scene.cycles.samples = 1
    scene.cycles.device = "CPU"
    scene.cycles.use_denoising = False  # some builds cannot, and fail
    scene.render.resolution_x = scene.render.resolution_y = SIZE
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = picture
    bpy.ops.render.render(write_still=True)


def main() -> None:
    as_module = "--bpy" in sys.argv
    if as_module:
        sys.path.insert(0, sys.argv[sys.argv.index("--bpy") + 1])
    render(sys.argv[-1])
    sys.stdout.flush()
    if as_module:
        os._exit(0)


main()
