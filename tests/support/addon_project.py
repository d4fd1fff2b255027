"""Runs inside Blender: makes a project as they grow in a studio, with what it needs scattered over the disk.

    studio/shots/sh010/shot.blend      the project; beside it a library and a texture
    studio/library/character.blend     linked; its texture by a relative path, another one by an absolute path
    studio/textures/                   outside the project's folder

Every texture has a colour of its own, so that a picture tells whether all of them were found.
"""

import shutil
import sys
from pathlib import Path

import bpy

COLOURS = {
    "shots/sh010/near.png": (1.0, 0.1, 0.1, 1.0),
    "library/skin/paint.png": (0.1, 1.0, 0.1, 1.0),
    "textures/wood.png": (0.1, 0.1, 1.0, 1.0),
    "textures/tile.1001.png": (1.0, 1.0, 0.1, 1.0),
    "textures/tile.1002.png": (0.1, 1.0, 1.0, 1.0),
    "sequence/frame_0001.png": (0.2, 0.2, 0.2, 1.0),
    "sequence/frame_0002.png": (0.5, 0.5, 0.5, 1.0),
    "sequence/frame_0003.png": (0.8, 0.8, 0.8, 1.0),
    "strip/still.png": (1.0, 0.1, 1.0, 1.0),
}


def draw(root):
    for name, colour in COLOURS.items():
        image = bpy.data.images.new("draft", 4, 4)
        image.pixels = colour * 16
        image.filepath_raw = str(root / name)
        image.file_format = "PNG"
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        image.save()
        bpy.data.images.remove(image)


def plane(name, image, x):
    """A plane that glows as its texture does."""
    bpy.ops.mesh.primitive_plane_add(size=1, location=(x, 0, 0))
    thing = bpy.context.object
    thing.name = name
    material = bpy.data.materials.new(name)
    material.use_nodes = True
    tree = material.node_tree
    tree.nodes.clear()
    texture, glow = tree.nodes.new("ShaderNodeTexImage"), tree.nodes.new("ShaderNodeEmission")
    out = tree.nodes.new("ShaderNodeOutputMaterial")
    texture.image = image
    texture.interpolation = "Closest"
    tree.links.new(texture.outputs["Color"], glow.inputs["Color"])
    tree.links.new(glow.outputs["Emission"], out.inputs["Surface"])
    thing.data.name = name
    thing.data.materials.append(material)
    return thing, texture


def image_of(path):
    return bpy.data.images.load(path, check_existing=True)


def empty():
    bpy.ops.wm.read_factory_settings(use_empty=True)


def save(path, compress=False):
    path.parent.mkdir(parents=True, exist_ok=True)
    bpy.ops.wm.save_as_mainfile(filepath=str(path), compress=compress, relative_remap=False)


def library(root, path, name, image, *, absolute=None, compress=False):
    """A file with one object to be linked."""
    empty()
    save(path)
    thing, _ = plane(name, image_of(image), 0)
    if absolute is not None:
        second, _ = plane(f"{name} extra", image_of(absolute), 0)
        second.location = (0, 0.6, 0.3)
        second.scale = (1, 0.3, 1)
        second.parent = thing
    save(path, compress)


def link_objects(path):
    with bpy.data.libraries.load(path, link=True) as (source, wanted):
        wanted.objects = source.objects
    for thing in wanted.objects:
        bpy.context.scene.collection.objects.link(thing)


def link_mesh(path, name, place):
    with bpy.data.libraries.load(path, link=True, relative=True) as (_, wanted):
        wanted.meshes = [name]
    thing = bpy.data.objects.new(name, wanted.meshes[0])
    thing.location = place
    bpy.context.scene.collection.objects.link(thing)


def main():
    root = Path(sys.argv[sys.argv.index("--") + 1])
    draw(root)
    shot = root / "shots" / "sh010" / "shot.blend"
    library(
        root,
        root / "library" / "character.blend",
        "Character",
        "//skin/paint.png",
        absolute=str(root / "textures" / "wood.png"),
    )
    library(root, shot.parent / "props.blend", "Prop", "//near.png")
    empty()
    save(shot)
    scene = bpy.context.scene
    scene.name = "Shot"
    link_objects("//../../library/character.blend")
    link_mesh("//props.blend", "Prop", (1.2, 0, 0))
    plane("Wood", image_of(str(root / "textures" / "wood.png")), -1.2)
    tiles = image_of("//../../textures/tile.1001.png")
    tiles.source = "TILED"
    tiles.filepath = "//../../textures/tile.<UDIM>.png"
    if 1002 not in [tile.number for tile in tiles.tiles]:
        tiles.tiles.new(1002)
    tiled, _ = plane("Tiles", tiles, 0)
    tiled.location = (-1.2, 1.2, 0)
    for loop in tiled.data.uv_layers.active.data:
        loop.uv[0] *= 2
    frames = image_of("//../../sequence/frame_0001.png")
    frames.source = "SEQUENCE"
    moving, node = plane("Frames", frames, 0)
    node.image_user.frame_duration, node.image_user.use_auto_refresh = 3, True
    moving.location = (1.2, 1.2, 0)
    # What is read and not seen.
    shutil.copy(a_font(), root / "type.woff2")
    text = bpy.data.curves.new("Title", "FONT")
    text.font = bpy.data.fonts.load(str(root / "type.woff2"))
    title = bpy.data.objects.new("Title", text)
    title.hide_render = True
    scene.collection.objects.link(title)
    (root / "clouds").mkdir()
    (root / "clouds" / "smoke_0001.vdb").write_bytes(b"x")
    (root / "clouds" / "smoke_0002.vdb").write_bytes(b"y")
    smoke = bpy.data.volumes.new("Smoke")
    smoke.filepath, smoke.is_sequence = "//../../clouds/smoke_0001.vdb", True
    cloud = bpy.data.objects.new("Smoke", smoke)
    cloud.hide_render = True
    scene.collection.objects.link(cloud)
    (root / "points.mdd").write_bytes(bytes(8))
    cached = moving.modifiers.new("Points", "MESH_CACHE")
    cached.filepath, cached.show_render, cached.show_viewport = "//../../points.mdd", False, False
    baked = shot.parent / "blendcache_shot"
    baked.mkdir()
    (baked / "cloth_000001_00.bphys").write_bytes(b"z")
    editor = scene.sequence_editor_create()
    strips = getattr(editor, "strips", None) or editor.sequences
    strip = strips.new_image("Still", "//../../strip/still.png", 1, 1)
    strip.mute = True
    scene.render.use_sequencer = False
    camera = bpy.data.objects.new("Camera", bpy.data.cameras.new("Camera"))
    camera.location, camera.data.type, camera.data.ortho_scale = (0, 0.6, 5), "ORTHO", 4.0
    scene.collection.objects.link(camera)
    scene.camera = camera
    scene.frame_start, scene.frame_end = 1, 3
    scene.render.engine = "CYCLES"
    scene.cycles.samples, scene.cycles.use_denoising = 1, False
    scene.cycles.pixel_filter_type = "BOX"
    scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = 64, 40, 100
    scene.render.image_settings.file_format = "PNG"
    scene.render.filepath = "//render/"
    scene.view_settings.view_transform = "Standard"
    save(shot)


def a_font():
    """The first font that this Blender brings along."""
    return min(Path(bpy.utils.system_resource("DATAFILES"), "fonts").glob("*.woff2"))


main()
