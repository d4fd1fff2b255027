"""Makes demo/demo.blend: a tide of hexagonal columns around a glowing core, 48 frames that loop.

It is the project of ``scripts/demo``, so it has to render on any Blender from 3.4 on, on two cores without a GPU, in
about a second a frame and without a denoiser. Hence one small lamp, no bounces, and colour that comes from the height
of each column. The wave needs no script and no simulation: two shape keys, its cosine and its sine, are enough.

    blender -b --factory-startup --python-exit-code 1 --python scripts/make_demo_project.py

With the module zstandard on PYTHONPATH and ``--python-use-system-env`` the file comes out a fifth smaller.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from pathlib import Path

import bpy

sys.path.insert(0, str(Path(__file__).resolve().parent))
from blend_saving import save_clean  # Blender does not look beside the script by itself

OUT = Path(__file__).resolve().parent.parent / "demo" / "demo.blend"
FRAMES = 48
RINGS = 24
SPACING = 0.44
RADIUS = 0.385
DEPTH = 2.0
NIGHT = (0.010, 0.014, 0.040, 1.0)
CORE_HEIGHT = 1.25

Tree = bpy.types.NodeTree
Socket = bpy.types.NodeSocket


def turn(frame: int) -> float:
    """How far the loop is at a frame, in radians."""
    return 2 * math.pi * (frame - 1) / FRAMES


def rounded(value: float, parts: int = 32) -> float:
    """A coordinate on a coarse grid: round numbers compress well."""
    return round(value * parts) / parts


class Graph:
    """Builds one material's nodes."""

    def __init__(self, name: str) -> None:
        self.material = bpy.data.materials.new(name)
        self.material.use_nodes = True
        # As lamps, thousands of faintly glowing faces would cost more than everything else together.
        self.material.cycles.sample_as_light = False
        self.tree: Tree = self.material.node_tree
        self.tree.nodes.clear()

    def node(self, kind: str, *inputs: object, **settings: object) -> bpy.types.Node:
        """A node with its settings and its first inputs: sockets are linked, anything else is a value, None is kept."""
        node = self.tree.nodes.new(kind)
        for name, value in settings.items():
            setattr(node, name, value)
        for socket, value in zip(node.inputs, inputs, strict=False):
            if isinstance(value, Socket):
                self.tree.links.new(value, socket)
            elif value is not None:
                socket.default_value = value
        return node

    def math(self, operation: str, first: object, second: object) -> Socket:
        return self.node("ShaderNodeMath", first, second, operation=operation).outputs[0]

    def ramp(self, factor: Socket, stops: Sequence[tuple[float, tuple[float, float, float]]]) -> Socket:
        node = self.node("ShaderNodeValToRGB", factor)
        elements = node.color_ramp.elements
        while len(elements) < len(stops):
            elements.new(0.5)
        for element, (position, colour) in zip(elements, stops, strict=True):
            element.position = position
            element.color = (*colour, 1.0)
        return node.outputs[0]

    def finish(self, shader: Socket) -> bpy.types.Material:
        self.node("ShaderNodeOutputMaterial", shader)
        return self.material


def columns_material() -> bpy.types.Material:
    """Colour and glow by height, moonlight from one side, haze in the distance."""
    graph = Graph("Columns")
    geometry = graph.node("ShaderNodeNewGeometry")
    position = graph.node("ShaderNodeSeparateXYZ", geometry.outputs["Position"])
    height = graph.node("ShaderNodeMapRange", position.outputs["Z"], -0.75, 0.65).outputs[0]
    colour = graph.ramp(
        height,
        [
            (0.00, (0.004, 0.010, 0.045)),
            (0.30, (0.008, 0.050, 0.160)),
            (0.52, (0.020, 0.300, 0.360)),
            (0.72, (0.420, 0.100, 0.420)),
            (0.88, (0.950, 0.180, 0.220)),
            (1.00, (1.000, 0.500, 0.160)),
        ],
    )
    moon = graph.node(
        "ShaderNodeVectorMath", geometry.outputs["Normal"], (-0.10, -0.05, 0.16), operation="DOT_PRODUCT"
    ).outputs["Value"]
    square = graph.math("MULTIPLY", height, height)
    glow = graph.math("ADD", graph.math("MULTIPLY", square, square), moon)
    lit = graph.node("ShaderNodeMixRGB", 1.0, colour, glow, blend_type="MULTIPLY").outputs[0]
    distance = graph.node("ShaderNodeCameraData").outputs["View Distance"]
    haze = graph.node("ShaderNodeMapRange", distance, 8.5, 18.5).outputs[0]
    faded = graph.node("ShaderNodeMixRGB", haze, lit, NIGHT).outputs[0]
    shine = graph.node("ShaderNodeEmission", faded).outputs[0]
    matt = graph.node("ShaderNodeBsdfDiffuse", colour).outputs[0]
    return graph.finish(graph.node("ShaderNodeAddShader", matt, shine).outputs[0])


def core_material() -> bpy.types.Material:
    graph = Graph("Core")
    facing = graph.node("ShaderNodeLayerWeight", 0.35).outputs["Facing"]
    colour = graph.ramp(facing, [(0.0, (1.0, 0.66, 0.26)), (1.0, (1.0, 0.10, 0.02))])
    return graph.finish(graph.node("ShaderNodeEmission", colour, 2.2).outputs[0])


def ring_material() -> bpy.types.Material:
    graph = Graph("Ring")
    return graph.finish(graph.node("ShaderNodeEmission", (1.0, 0.5, 0.18, 1.0), 1.1).outputs[0])


def halo_material() -> bpy.types.Material:
    """A disc that shines most in its middle and lets everything through."""
    graph = Graph("Halo")
    here = graph.node("ShaderNodeTexCoord").outputs["Object"]
    away = graph.node("ShaderNodeVectorMath", here, operation="LENGTH").outputs["Value"]
    falloff = graph.node("ShaderNodeMapRange", away, 3.2, 0.55).outputs[0]
    strength = graph.math("MULTIPLY", graph.math("POWER", falloff, 3.2), 0.55)
    shine = graph.node("ShaderNodeEmission", (1.0, 0.32, 0.10, 1.0), strength).outputs[0]
    clear = graph.node("ShaderNodeBsdfTransparent").outputs[0]
    return graph.finish(graph.node("ShaderNodeAddShader", shine, clear).outputs[0])


def column_field(scene: bpy.types.Scene) -> None:
    """One mesh of all columns, and the wave that runs through their tops."""
    vertices: list[tuple[float, float, float]] = []
    faces: list[tuple[int, ...]] = []
    waves: list[tuple[float, float]] = []  # amplitude in metres and phase in radians, one a vertex
    for q in range(-RINGS, RINGS + 1):
        for r in range(-RINGS, RINGS + 1):
            x, y = SPACING * math.sqrt(3) * (q + r / 2), SPACING * 1.5 * r
            distance = math.hypot(x, y)
            if not 1.75 <= distance <= 10.6:
                continue
            base = len(vertices)
            amplitude = 0.62 * math.exp(-(((distance - 4.5) / 7.5) ** 2)) * min(1.0, (distance - 1.2) / 1.6)
            phase = distance * 1.15 + 0.9 * math.sin(2 * math.atan2(y, x))
            corners = [math.pi / 6 + k * math.pi / 3 for k in range(6)]
            for z, swing in ((-DEPTH, 0.0), (0.0, amplitude)):
                for angle in corners:
                    vertices.append((rounded(x + RADIUS * math.cos(angle)), rounded(y + RADIUS * math.sin(angle)), z))
                    waves.append((swing, phase))
            faces += [(base + k, base + (k + 1) % 6, base + 6 + (k + 1) % 6, base + 6 + k) for k in range(6)]
            faces.append(tuple(base + 6 + k for k in range(6)))
    mesh = bpy.data.meshes.new("Field")
    mesh.from_pydata(vertices, [], faces)
    mesh.materials.append(columns_material())
    field = bpy.data.objects.new("Field", mesh)
    scene.collection.objects.link(field)
    bevel = field.modifiers.new("Bevel", "BEVEL")
    bevel.width, bevel.segments, bevel.limit_method, bevel.angle_limit = 0.05, 2, "ANGLE", math.radians(70)
    field.shape_key_add(name="Rest")
    for name, part, share in (("Sine", math.sin, math.cos), ("Cosine", math.cos, math.sin)):
        key = field.shape_key_add(name=name)
        key.slider_min = -1.0
        for at, (amplitude, phase) in enumerate(waves):
            x, y, z = vertices[at]
            # sin(t - p) = sin(t) cos(p) - cos(t) sin(p): the keys hold the parts of p, the animation those of t.
            sign = 1 if name == "Sine" else -1
            key.data[at].co = (x, y, rounded(z + sign * amplitude * share(phase)))
        for frame in range(1, FRAMES + 2):
            key.value = part(turn(frame))
            key.keyframe_insert("value", frame=frame)


def shadowless(thing: bpy.types.Object) -> None:
    thing.visible_shadow = thing.visible_diffuse = thing.visible_glossy = False


def core(scene: bpy.types.Scene, camera: bpy.types.Object) -> None:
    """The glowing sphere, its two rings, its halo and the one lamp."""
    bpy.ops.mesh.primitive_uv_sphere_add(segments=32, ring_count=16, radius=0.85, location=(0, 0, CORE_HEIGHT))
    sphere = bpy.context.object
    sphere.name = "Core"
    bpy.ops.object.shade_smooth()
    sphere.data.materials.append(core_material())
    for frame in range(1, FRAMES + 2, 4):
        sphere.location.z = CORE_HEIGHT + 0.14 * math.sin(turn(frame))
        sphere.keyframe_insert("location", index=2, frame=frame)
    material = ring_material()
    for radius, tilt, lean, way in ((1.35, 0.5, 0.25, 1), (1.62, -0.35, -0.25, -1)):
        bpy.ops.mesh.primitive_torus_add(
            major_radius=radius, minor_radius=0.032, major_segments=64, minor_segments=6, location=(0, 0, 0)
        )
        ring = bpy.context.object
        ring.name = f"Ring {radius}"
        bpy.ops.object.shade_smooth()
        ring.data.materials.append(material)
        ring.parent = sphere
        for frame in range(1, FRAMES + 2):
            ring.rotation_euler = (tilt, lean + way * turn(frame), 0)
            ring.keyframe_insert("rotation_euler", index=1, frame=frame)
        shadowless(ring)
    bpy.ops.mesh.primitive_circle_add(vertices=48, radius=3.2, fill_type="NGON", location=(0, 0, 0))
    halo = bpy.context.object
    halo.name = "Halo"
    halo.data.materials.append(halo_material())
    halo.parent = sphere
    facing = halo.constraints.new("TRACK_TO")
    facing.target, facing.track_axis, facing.up_axis = camera, "TRACK_Z", "UP_Y"
    shadowless(sphere)
    shadowless(halo)
    lamp = bpy.data.lights.new("Glow", "POINT")
    lamp.energy, lamp.color, lamp.shadow_soft_size = 650.0, (1.0, 0.55, 0.26), 0.12
    glow = bpy.data.objects.new("Glow", lamp)
    glow.parent, glow.location = sphere, (0, 0, 0.3)
    scene.collection.objects.link(glow)


def swaying_camera(scene: bpy.types.Scene) -> bpy.types.Object:
    pivot = bpy.data.objects.new("Orbit", None)
    aim = bpy.data.objects.new("Aim", None)
    aim.location = (0, 0, 0.35)
    lens = bpy.data.cameras.new("Camera")
    lens.lens = 34
    camera = bpy.data.objects.new("Camera", lens)
    camera.parent, camera.location = pivot, (0, -11.0, 4.3)
    look = camera.constraints.new("TRACK_TO")
    look.target, look.track_axis, look.up_axis = aim, "TRACK_NEGATIVE_Z", "UP_Y"
    for thing in (pivot, aim, camera):
        scene.collection.objects.link(thing)
    for frame in range(1, FRAMES + 2, 4):
        pivot.rotation_euler.z = math.radians(16) * math.sin(turn(frame))
        pivot.keyframe_insert("rotation_euler", index=2, frame=frame)
    scene.camera = camera
    return camera


def settings(scene: bpy.types.Scene) -> None:
    scene.frame_start, scene.frame_end = 1, FRAMES
    render, cycles = scene.render, scene.cycles
    render.engine, render.fps = "CYCLES", 24
    render.resolution_x, render.resolution_y = 480, 270
    render.filepath = "//render/"
    render.image_settings.file_format, render.image_settings.color_mode = "PNG", "RGB"
    cycles.device, cycles.samples, cycles.use_denoising, cycles.use_adaptive_sampling = "CPU", 5, False, False
    cycles.max_bounces = 0
    scene.view_settings.view_transform, scene.view_settings.look = "Filmic", "High Contrast"
    world = bpy.data.worlds.new("Night")
    world.use_nodes = True
    world.node_tree.nodes["Background"].inputs[0].default_value = NIGHT
    world.cycles.sampling_method = "NONE"
    scene.world = world


def main() -> None:
    bpy.ops.wm.read_factory_settings(use_empty=True)
    scene = bpy.context.scene
    scene.name = "Tide"
    settings(scene)
    column_field(scene)
    core(scene, swaying_camera(scene))
    for mesh in bpy.data.meshes:
        while mesh.uv_layers:
            mesh.uv_layers.remove(mesh.uv_layers[0])
    OUT.parent.mkdir(exist_ok=True)
    save_clean(OUT)


main()
