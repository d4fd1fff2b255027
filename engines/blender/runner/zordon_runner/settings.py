"""Sets what the job asks for: render engine, samples, size, format, denoiser. The rest stays as the project has it."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import bpy

from zordon_runner.devices import use_device
from zordon_runner.events import Events, Fatal

Scene = bpy.types.Scene

MEDIA_TYPES = {"OPEN_EXR_MULTILAYER": "MULTI_LAYER_IMAGE"}


def apply(scene: Scene, options: argparse.Namespace, events: Events) -> None:
    """Change the open project as asked for; it is never saved.

    Raises:
        Fatal: this Blender or this machine cannot do it.
    """
    render = scene.render
    if options.engine is not None:
        try:
            render.engine = options.engine
        except TypeError as error:
            raise Fatal(
                f"Blender {bpy.app.version_string} has no render engine {options.engine}", "bad_option"
            ) from error
    if options.resolution_percentage is not None:
        render.resolution_percentage = options.resolution_percentage
    if options.persistent_data is not None:
        render.use_persistent_data = options.persistent_data == "on"
    if options.threads is not None:
        render.threads_mode = "FIXED"
        render.threads = options.threads
    _set_format(scene, options.format)
    _set_samples(scene, options.samples, events)
    if render.engine == "CYCLES":
        use_device(scene, options.device, events)
        _set_denoise(scene, options.denoise, events)
    _collect_side_files(scene, events)


def _set_format(scene: Scene, wanted: str) -> None:
    settings = scene.render.image_settings
    if hasattr(settings, "media_type"):
        # From 5.0 on a format can only be set within its kind.
        settings.media_type = MEDIA_TYPES.get(wanted, "IMAGE")
    if settings.file_format != wanted:
        try:
            settings.file_format = wanted
        except TypeError as error:
            raise Fatal(f"Blender {bpy.app.version_string} cannot write {wanted}", "bad_option") from error
    if hasattr(settings, "use_preview"):
        settings.use_preview = False
    # The service says the exact name of every file.
    scene.render.use_file_extension = False


def _set_samples(scene: Scene, samples: int | None, events: Events) -> None:
    if samples is None:
        return
    if scene.render.engine == "CYCLES":
        scene.cycles.samples = samples
    elif scene.render.engine.startswith("BLENDER_EEVEE"):
        scene.eevee.taa_render_samples = samples
    else:
        events.warning(f"samples are ignored: {scene.render.engine} has no such setting")


def _set_denoise(scene: Scene, wanted: str | None, events: Events) -> None:
    if wanted is not None:
        scene.cycles.use_denoising = wanted == "on"
    if wanted == "on":
        for layer in scene.view_layers:
            if hasattr(layer.cycles, "use_denoising"):
                layer.cycles.use_denoising = True
    if scene.cycles.use_denoising and not _has_denoiser():
        if wanted == "on":
            raise Fatal(
                f"this build of Blender {bpy.app.version_string} has no denoiser (OpenImageDenoise): "
                "leave denoise out or set it to false",
                "bad_option",
            )
        scene.cycles.use_denoising = False
        events.warning(
            f"this build of Blender {bpy.app.version_string} has no denoiser: frames are rendered without denoising"
        )


def _has_denoiser() -> bool:
    import _cycles

    return bool(getattr(_cycles, "with_openimagedenoise", True))


def _collect_side_files(scene: Scene, events: Events) -> None:
    """File Output nodes would write where the project says, on a machine that is not its own: mute them."""
    tree = getattr(scene, "compositing_node_group", None) or getattr(scene, "node_tree", None)
    writers = [] if tree is None else list(_file_writers(tree, set()))
    for node in writers:
        node.mute = True
    if writers:
        names = ", ".join(node.name for node in writers)
        events.warning(f"the compositor's File Output nodes are left out, only the frame itself is kept: {names}")


def _file_writers(tree: bpy.types.NodeTree, seen: set[str]) -> Iterator[bpy.types.Node]:
    seen.add(tree.name)
    for node in tree.nodes:
        if node.type == "OUTPUT_FILE" and not node.mute:
            yield node
        elif node.type == "GROUP" and node.node_tree is not None and node.node_tree.name not in seen:
            yield from _file_writers(node.node_tree, seen)
