"""Makes the small .blend files of tests/fixtures: each holds one thing that a test asks for.

    blender -b --factory-startup --python-exit-code 1 --python scripts/make_blend_fixtures.py

Run with a newer Blender as a module (``PYTHONPATH=FOLDER python3.11 scripts/make_blend_fixtures.py``) it only makes
``saved_by_<major>_<minor>.blend``: the others must be openable by the oldest Blender we support.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parent))
from blend_saving import save_clean  # Blender does not look beside the script by itself

FOLDER = Path(__file__).resolve().parent.parent / "tests" / "fixtures"


def scene_of(name: str, engine: str, size: tuple[int, int] = (64, 48)) -> bpy.types.Scene:
    """A new file with one scene: a coloured cube that moves and turns in frames 1 to 3, a lamp and a camera."""
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.name = name
    scene.frame_start, scene.frame_end = 1, 3
    scene.render.engine = engine
    scene.render.resolution_x, scene.render.resolution_y = size
    scene.render.resolution_percentage = 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = "//render/"
    scene.cycles.samples = 2
    scene.cycles.use_denoising = False
    scene.display.shading.color_type = "MATERIAL"
    cube(scene)
    lamp = bpy.data.objects.new("Lamp", bpy.data.lights.new("Lamp", "POINT"))
    lamp.data.energy, lamp.location = 300.0, (2, -3, 4)
    scene.collection.objects.link(lamp)
    scene.camera = camera(scene, "Camera", (0, -6, 1.5), (1.35, 0, 0))
    return scene


def cube(scene: bpy.types.Scene) -> bpy.types.Object:
    bpy.ops.mesh.primitive_cube_add(size=2)
    thing = bpy.context.object
    material = bpy.data.materials.new("Paint")
    material.diffuse_color = (0.9, 0.3, 0.1, 1.0)
    material.use_nodes = True
    material.node_tree.nodes["Principled BSDF"].inputs["Base Color"].default_value = (0.9, 0.3, 0.1, 1.0)
    thing.data.materials.append(material)
    for frame, x in ((1, -1.2), (3, 1.2)):
        thing.location.x = x
        thing.rotation_euler.z = x
        thing.keyframe_insert("location", frame=frame)
        thing.keyframe_insert("rotation_euler", frame=frame)
    return thing


def camera(
    scene: bpy.types.Scene, name: str, place: tuple[float, float, float], turn: tuple[float, float, float]
) -> bpy.types.Object:
    seen = bpy.data.objects.new(name, bpy.data.cameras.new(name))
    seen.location, seen.rotation_euler = place, turn
    scene.collection.objects.link(seen)
    return seen


def save(name: str) -> None:
    save_clean(FOLDER / f"{name}.blend")


def workbench() -> None:
    """Three frames, quick to render everywhere."""
    scene_of("Tiny", "BLENDER_WORKBENCH")


def cycles() -> None:
    """Three frames of two samples, for comparing pixels."""
    scene_of("Tiny", "CYCLES", (48, 32))


def denoised() -> None:
    """What a new Cycles scene asks for: denoising, which not every build has."""
    scene_of("Tiny", "CYCLES", (32, 24)).cycles.use_denoising = True


def no_camera() -> None:
    scene_of("Blind", "BLENDER_WORKBENCH")
    bpy.data.cameras.remove(bpy.data.cameras["Camera"])


def missing_texture() -> None:
    """An image that is not there: Blender renders it pink and says nothing."""
    scene_of("Tiny", "BLENDER_WORKBENCH")
    image = bpy.data.images.new("Bricks", 8, 8)
    image.source = "FILE"
    image.filepath = "//textures/bricks.png"
    tree = bpy.data.materials["Paint"].node_tree
    node = tree.nodes.new("ShaderNodeTexImage")
    node.image = image
    tree.links.new(node.outputs["Color"], tree.nodes["Principled BSDF"].inputs["Base Color"])


def missing_library() -> None:
    """A linked file that is not there."""
    linked = FOLDER / "library_that_goes.blend"
    scene_of("Tiny", "BLENDER_WORKBENCH")
    save("library_that_goes")
    scene = scene_of("Tiny", "BLENDER_WORKBENCH")
    with bpy.data.libraries.load(str(linked), link=True) as (_, wanted):
        wanted.materials = ["Paint"]
    bpy.data.objects["Cube"].data.materials[0] = wanted.materials[0]
    bpy.data.libraries[0].filepath = "//library_that_goes.blend"
    scene.frame_end = 2
    save("missing_library")
    linked.unlink()


def studio() -> None:
    """Two scenes, two cameras bound to markers, two view layers, a movie format, half size, frames 0 to 4 by 2."""
    scene = scene_of("Main", "BLENDER_WORKBENCH")
    scene.frame_start, scene.frame_end, scene.frame_step = 0, 4, 2
    scene.render.fps = 30
    scene.render.resolution_percentage = 50
    scene.render.image_settings.file_format = "FFMPEG"
    scene.camera.name = "Front"
    side = camera(scene, "Side", (6, 0, 1.5), (1.35, 0, 1.57))
    for name, frame, seen in (("front", 0, scene.camera), ("side", 3, side)):
        scene.timeline_markers.new(name, frame=frame).camera = seen
    scene.view_layers.new("Extra")
    second = bpy.data.scenes.new("Second")
    second.render.engine = "BLENDER_WORKBENCH"
    second.render.resolution_x, second.render.resolution_y = 40, 30
    second.frame_start, second.frame_end = 10, 11
    second.collection.objects.link(bpy.data.objects["Cube"])


def script() -> None:
    """A text that runs when the file is opened, if the program lets it: it would rename the scene."""
    scene_of("Tiny", "BLENDER_WORKBENCH")
    text = bpy.data.texts.new("opened.py")
    text.write("import bpy\nbpy.data.scenes[0].render.resolution_percentage = 50\n")
    text.use_module = True


def side_files() -> None:
    """A compositor that writes files of its own beside the frame."""
    scene = scene_of("Tiny", "BLENDER_WORKBENCH")
    scene.use_nodes = True
    tree = scene.node_tree
    writer = tree.nodes.new("CompositorNodeOutputFile")
    writer.base_path = "//beside"
    tree.links.new(tree.nodes["Render Layers"].outputs["Image"], writer.inputs[0])


def cropped() -> None:
    """Renders a part of the picture only, cut out."""
    render = scene_of("Tiny", "BLENDER_WORKBENCH").render
    render.use_border = render.use_crop_to_border = True
    render.border_min_x, render.border_max_x, render.border_min_y, render.border_max_y = 0.25, 0.75, 0.1, 0.62


def saved_by() -> None:
    """The same as workbench, saved by whichever Blender runs this."""
    scene_of("Tiny", "BLENDER_WORKBENCH")


OLDEST: tuple[Callable[[], None], ...] = (
    workbench,
    cycles,
    denoised,
    no_camera,
    missing_texture,
    missing_library,
    studio,
    script,
    side_files,
    cropped,
)


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    major, minor = bpy.app.version[:2]
    if (major, minor) >= (4, 0):
        saved_by()
        save(f"saved_by_{major}_{minor}")
        return
    for make in OLDEST:
        make()
        if make is not missing_library:
            save(make.__name__)


main()
