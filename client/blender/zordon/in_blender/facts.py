"""What the report asks of the open file."""

import bpy

from ..report import Facts
from .gather import point_caches


def facts_of(scene):
    """The facts about the open file, as it would render this scene."""
    render = scene.render
    strips = render.use_sequencer and scene.sequence_editor is not None and len(_strips(scene.sequence_editor)) > 0
    objects = [thing for thing in bpy.data.objects if thing.type == "CAMERA"]
    return Facts(
        version=tuple(bpy.app.version[:2]),
        is_saved=bool(bpy.data.filepath),
        is_dirty=bpy.data.is_dirty,
        dirty_images=tuple(one.name for one in bpy.data.images if one.is_dirty and one.users and one.type == "IMAGE"),
        scene=scene.name,
        start=scene.frame_start,
        end=scene.frame_end,
        step=scene.frame_step,
        has_camera=scene.camera is not None or any(marker.camera for marker in scene.timeline_markers),
        needs_camera=not strips and not _is_only_composited(scene),
        cameras=tuple(thing.name for thing in objects),
        view_layers=tuple(layer.name for layer in scene.view_layers),
        scenes=tuple(one.name for one in bpy.data.scenes if one.library is None),
        render_engine=render.engine,
        output_format=render.image_settings.file_format,
        resolution=(render.resolution_x, render.resolution_y),
        percentage=render.resolution_percentage,
        is_cropped=render.use_border and render.use_crop_to_border,
        is_multiview=render.use_multiview,
        is_simplified=render.use_simplify,
        unbaked=_unbaked(scene),
    )


def _strips(editor):
    return editor.strips_all if hasattr(editor, "strips_all") else editor.sequences_all


def _is_only_composited(scene):
    """Whether the compositor makes the picture without rendering this scene."""
    # 5.0 keeps the compositor's nodes as a group of their own.
    tree = getattr(scene, "compositing_node_group", None) or getattr(scene, "node_tree", None)
    if tree is None or not scene.render.use_compositing or not getattr(scene, "use_nodes", True):
        return False
    return not any(node.type == "R_LAYERS" for node in tree.nodes)


def _unbaked(scene):
    loose = {thing.name for thing in scene.objects if any(not _is_kept(cache) for cache in point_caches(thing))}
    world = scene.rigidbody_world
    if world is not None and world.enabled and world.collection is not None and not world.point_cache.is_baked:
        loose.add("Rigid Body World")
    return tuple(sorted(loose))


def _is_kept(cache):
    return cache.is_baked or cache.use_external
