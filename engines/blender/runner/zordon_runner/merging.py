"""Makes one still image of its parts: merged by their samples, then denoised and composited as the project wants it.

No layer is rendered for it: where the compositor asks for a rendered layer it gets the merged picture instead, and
Blender then runs the compositor alone.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import bpy

from zordon_runner.causes import in_short
from zordon_runner.events import Events, Fatal
from zordon_runner.rendering import unexpanded

COMBINED = "Combined"


def assemble(scene: bpy.types.Scene, options: argparse.Namespace, events: Events) -> None:
    """Write ``<into>/<name>_<frame><extension>``.

    Raises:
        Fatal: the parts do not go together.
    """
    parts = [Path(options.assemble) / f"{options.name}_part_{part:04d}.exr" for part in range(1, options.parts + 1)]
    merged = merge(parts, Path.cwd(), events)
    scene.frame_set(options.still)
    denoises = scene.cycles.use_denoising
    scene.cycles.use_denoising = False
    picture = bpy.data.images.load(str(merged))
    tree = compositor_of(scene)
    if tree is not None:
        replace_layers(tree, scene, picture, denoises)
    else:
        show_alone(scene, picture, denoises)
    render = scene.render
    render.use_compositing, render.use_sequencer = True, False
    sign = "-" if options.still < 0 else ""
    target = Path(options.into) / f"{options.name}_{sign}{abs(options.still):04d}{options.extension}"
    render.filepath = unexpanded(str(target))
    try:
        bpy.ops.render.render(write_still=True, scene=scene.name)
    except RuntimeError as error:
        raise Fatal(f"the merged picture cannot be finished: {in_short(str(error))}") from error
    events.say("progress", frame=options.still, fraction=1.0, note="merged")


def merge(parts: list[Path], folder: Path, events: Events) -> Path:
    """One picture of all parts, each weighing as much as it has samples.

    Raises:
        Fatal: Blender cannot merge them.
    """
    merged = parts[0]
    for number, part in enumerate(parts[1:], 2):
        target = folder / f"merged_{number:04d}.exr"
        try:
            bpy.ops.cycles.merge_images(
                input_filepath1=str(merged), input_filepath2=str(part), output_filepath=str(target)
            )
        except RuntimeError as error:
            raise Fatal(f"part {number} cannot be merged with those before it: {in_short(str(error))}") from error
        if merged != parts[0]:
            merged.unlink()
        merged = target
        events.say("progress", frame=None, fraction=0.9 * number / len(parts), note=f"merging part {number}")
    return merged


def compositor_of(scene: bpy.types.Scene) -> bpy.types.NodeTree | None:
    """The project's own compositor, if it has a say in the picture."""
    if not scene.render.use_compositing:
        return None
    tree = getattr(scene, "compositing_node_group", None)
    if tree is None and getattr(scene, "use_nodes", False):
        tree = getattr(scene, "node_tree", None)
    if tree is None or not any(node.type in ("COMPOSITE", "GROUP_OUTPUT") for node in tree.nodes):
        return None
    return tree


def replace_layers(tree: bpy.types.NodeTree, scene: bpy.types.Scene, picture: bpy.types.Image, denoises: bool) -> None:
    """Give the merged picture to whoever asks for a rendered layer of this scene."""
    for node in list(tree.nodes):
        if node.type != "R_LAYERS" or (node.scene is not None and node.scene != scene):
            continue
        source = picture_node(tree, picture)
        finished = denoised(tree, source, denoises)
        for output in node.outputs:
            name = COMBINED if output.name == "Image" else output.name
            for link in list(output.links):
                given = finished if name == COMBINED else source.outputs.get(name)
                if given is None:
                    raise Fatal(f"the compositor asks for the pass {output.name!r}, which the parts do not have")
                tree.links.new(given, link.to_socket)
        tree.nodes.remove(node)


def show_alone(scene: bpy.types.Scene, picture: bpy.types.Image, denoises: bool) -> None:
    """Have the compositor show the merged picture as it is."""
    if hasattr(scene, "compositing_node_group"):  # from 5.0 on
        tree = bpy.data.node_groups.new("Zordon", "CompositorNodeTree")
        tree.interface.new_socket("Image", in_out="OUTPUT", socket_type="NodeSocketColor")
        scene.compositing_node_group = tree
        target = tree.nodes.new("NodeGroupOutput").inputs[0]
    else:
        scene.use_nodes = True
        tree = scene.node_tree
        tree.nodes.clear()
        target = tree.nodes.new("CompositorNodeComposite").inputs[0]
    tree.links.new(denoised(tree, picture_node(tree, picture), denoises), target)


def picture_node(tree: bpy.types.NodeTree, picture: bpy.types.Image) -> bpy.types.Node:
    """A node that gives the merged picture and its passes."""
    node = tree.nodes.new("CompositorNodeImage")
    node.image = picture
    return node


def denoised(tree: bpy.types.NodeTree, source: bpy.types.Node, denoises: bool) -> bpy.types.NodeSocket:
    """The picture itself, denoised if the project wants that, with what Cycles knows of surfaces."""
    combined = source.outputs.get(COMBINED) or source.outputs[0]
    if not denoises:
        return combined
    node = tree.nodes.new("CompositorNodeDenoise")
    tree.links.new(combined, node.inputs["Image"])
    for name, wanted in (("Normal", "Denoising Normal"), ("Albedo", "Denoising Albedo")):
        guide = source.outputs.get(wanted)
        if guide is not None and name in node.inputs:
            tree.links.new(guide, node.inputs[name])
    return node.outputs[0]
