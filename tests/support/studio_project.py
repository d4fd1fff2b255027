"""A project as studios have them: a shot that links to a library elsewhere, and pictures in three other places."""

from __future__ import annotations

import subprocess
from pathlib import Path

_SCRIPT = """
import bpy, sys
from pathlib import Path
root = Path(sys.argv[sys.argv.index("--") + 1])
for name in ("shots", "library", "textures", "elsewhere"):
    (root / name).mkdir(parents=True)

def picture(path, colour):
    image = bpy.data.images.new(path.stem, 8, 8)
    image.pixels = list(colour) * 64
    image.filepath_raw, image.file_format = str(path), "PNG"
    image.save()
    bpy.data.images.remove(image)

for name, colour in (("wood", (0.1, 0.8, 0.2, 1)), ("metal", (0.2, 0.2, 0.9, 1))):
    picture(root / "textures" / f"{name}.png", colour)
for number in range(1, 4):
    picture(root / "elsewhere" / f"flame_{number:04d}.png", (0.3 * number, 0.1, 0, 1))

def textured(name, path, sequence=False):
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    for node in list(tree.nodes):
        if node.type != "OUTPUT_MATERIAL":
            tree.nodes.remove(node)
    out = next(node for node in tree.nodes)
    glow, node = tree.nodes.new("ShaderNodeEmission"), tree.nodes.new("ShaderNodeTexImage")
    node.image = bpy.data.images.load(str(path))
    if sequence:
        node.image.source = "SEQUENCE"
        node.image_user.frame_duration, node.image_user.frame_start, node.image_user.frame_offset = 3, 1, 0
        node.image_user.use_auto_refresh = True
    tree.links.new(node.outputs["Color"], glow.inputs["Color"])
    tree.links.new(glow.outputs["Emission"], out.inputs["Surface"])
    return material

def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)

def cube(name, x, material):
    bpy.ops.mesh.primitive_cube_add(size=1.6, location=(x, 0, 0))
    thing = bpy.context.object
    thing.name = name
    thing.data.materials.append(material)
    return thing

# The library: its texture by an absolute path.
empty()
bpy.context.scene.collection.name
held = bpy.data.collections.new("Furniture")
thing = cube("Table", -2, textured("Metal", root / "textures" / "metal.png"))
held.objects.link(thing)
held.use_fake_user = True
bpy.ops.wm.save_as_mainfile(filepath=str(root / "library" / "furniture.blend"))

# The shot: its library and one texture relative to itself, the sequence by an absolute path.
empty()
scene = bpy.context.scene
cube("Box", 0, textured("Wood", root / "textures" / "wood.png"))
cube("Fire", 2, textured("Flame", root / "elsewhere" / "flame_0001.png", sequence=True))
camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
camera.location, camera.rotation_euler = (0, -9, 0), (1.5707963, 0, 0)
scene.collection.objects.link(camera)
scene.camera = camera
scene.render.engine = "CYCLES"
scene.cycles.samples = 1
scene.cycles.use_denoising = False
scene.cycles.device = "CPU"
scene.cycles.seed = 1
scene.render.resolution_x, scene.render.resolution_y = 60, 20
scene.view_settings.view_transform = "Standard"
scene.frame_start, scene.frame_end = 1, 3
bpy.ops.wm.save_as_mainfile(filepath=str(root / "shots" / "shot.blend"))
with bpy.data.libraries.load(str(root / "library" / "furniture.blend"), link=True, relative=True) as (there, here):
    here.collections = ["Furniture"]
instance = bpy.data.objects.new("Furniture", None)
instance.instance_type, instance.instance_collection = "COLLECTION", bpy.data.collections["Furniture"]
scene.collection.objects.link(instance)
for image in bpy.data.images:
    if image.name.startswith("wood"):
        image.filepath = bpy.path.relpath(image.filepath)
bpy.ops.wm.save_as_mainfile(filepath=str(root / "shots" / "shot.blend"), compress=True)
"""


def make_studio_project(root: Path) -> Path:
    """Make it below a folder that does not exist yet, with the ``blender`` on PATH. Returns the shot.

    Three frames of 60 x 20 pixels: a table from the library (blue), a box (green), and a flame that each frame has
    another picture of (red).
    """
    command = ["blender", "-b", "--factory-startup", "--python-exit-code", "1", "--python-expr", _SCRIPT, "--"]
    done = subprocess.run([*command, str(root)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return root / "shots" / "shot.blend"
