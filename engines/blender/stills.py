"""One still image in parts: who may be cut up, and what the parts are.

A part is the same picture with a share of the samples, taken from its own place in Cycles' sequence of random numbers:
all parts together have just the samples of the whole picture. No part has a border, so there can be no seam. Parts are
linear pictures in full precision with all passes; Blender itself merges them (``cycles.merge_images``), denoises the
merged picture and sends it through the project's compositor.
"""

from __future__ import annotations

from collections.abc import Mapping

from pydantic import JsonValue

from engines.blender.options import BlenderOptions
from engines.blender.scenes import SceneFacts
from engines.frames import FrameSet

PARTS = 12
"""Parts of a still image: each takes the scene into memory once more, and divides into many numbers of machines."""

EXTENSION = ".exr"
FORMAT = "OPEN_EXR_MULTILAYER"


def parts_of(
    options: BlenderOptions, scene: SceneFacts, frames: FrameSet, picture: str, sharers: int
) -> tuple[int, str]:
    """How many parts the picture is rendered in (0: none), and, if there are none though there should be, why.

    Args:
        picture: Blender's word for the format of the finished picture.
        sharers: how many processes could render at the same time.
    """
    if options.split is False or (options.split is None and (sharers < 2 or len(frames) != 1)):
        return 0, ""
    reason = why_whole(options, scene, frames, picture)
    if reason:
        return 0, f"it is rendered in one piece: {reason}"
    return PARTS, ""


def why_whole(options: BlenderOptions, scene: SceneFacts, frames: FrameSet, picture: str) -> str:
    """Why a picture cannot be put together from parts; ``""`` if it can."""
    engine = options.render_engine or scene.engine
    if len(frames) != 1:
        return "only a single frame is shared by its samples; several frames are shared as they are"
    if engine != "CYCLES":
        return f"only Cycles can render a share of the samples, and this renders with {engine or 'another engine'}"
    if picture == FORMAT:
        return "the passes of a multilayer picture are kept as one Blender renders them"
    if len(scene.view_layers) > 1 and options.view_layer is None:
        return "it has several view layers; choose one in args.view_layer"
    if scene.cropped:
        return "only a cut-out of the picture is rendered"
    if not scene.needs_camera:
        return "its picture comes from the sequencer or the compositor"
    return ""


def still_in(details: Mapping[str, JsonValue]) -> int | None:
    """The frame of a job that renders one still image in parts; None if the job is another."""
    still = details.get("still")
    return still if isinstance(still, int) else None


def part_name(stem: str, part: int) -> str:
    """The file of a part."""
    return f"{stem}_part_{part:04d}{EXTENSION}"
