"""What an artist chooses for a job, checked as far as that goes here, and as the service wants to hear it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from .connection import Json
from .errors import AddonError

FORMATS = ("PNG", "JPEG", "OPEN_EXR", "OPEN_EXR_MULTILAYER", "TIFF")
"""Formats that frames can have, in Blender's words."""
_RUN = re.compile(r"(-?\d+)(?:-(-?\d+)(?:([xy:])(\d+))?)?")


@dataclass(frozen=True)
class Choices:
    """The options of a submit; None and empty: the project's own, or the service's default."""

    frames: str = ""
    name: str = ""
    notes: str = ""
    priority: int = 50
    engine_version: str = ""
    output_format: str = ""
    scene: str = ""
    view_layer: str = ""
    camera: str = ""
    render_engine: str = ""
    samples: int | None = None
    resolution_percentage: int | None = None
    denoise: bool | None = None


def document_of(choices: Choices, project: str) -> dict[str, Json]:
    """The JSON of ``add_job``.

    Args:
        project: its path in the archive.

    Raises:
        AddonError: the frames are none.
    """
    check_frames(choices.frames)
    args: dict[str, Json] = {
        "scene": choices.scene,
        "view_layer": choices.view_layer,
        "camera": choices.camera,
        "render_engine": choices.render_engine,
        "samples": choices.samples,
        "resolution_percentage": choices.resolution_percentage,
        "denoise": choices.denoise,
    }
    document: dict[str, Json] = {
        "renderer": "blender",
        "project": project,
        "frames": choices.frames.replace(" ", ""),
        "name": choices.name.strip() or project.removesuffix(".blend"),
        "notes": choices.notes.strip(),
        "engine_version": choices.engine_version.strip(),
        "output_format": choices.output_format,
        "args": {name: value for name, value in args.items() if value not in ("", None)},
    }
    kept = {name: value for name, value in document.items() if value not in ("", None)}
    return {**kept, "priority": choices.priority}


def check_frames(text: str) -> int | None:
    """How many frames a notation such as ``1-100``, ``1-100x2`` or ``1-10,20`` has at most; None for an empty one.

    Raises:
        AddonError: it is none; the message says which part.
    """
    if not text.strip():
        return None
    count = 0
    for part in text.replace(" ", "").split(","):
        match = _RUN.fullmatch(part)
        if match is None:
            raise AddonError(f"{part!r} in the frames is not understood: write 1-100, 1-100x2 or 1-10,20,30-40")
        first, last = int(match[1]), int(match[2] or match[1])
        step = int(match[4] or 1)
        if last < first:
            raise AddonError(f"{part!r} in the frames ends before it begins")
        if step < 1:
            raise AddonError(f"{part!r} in the frames has a step of 0")
        whole = last - first + 1
        taken = (whole + step - 1) // step
        count += whole - taken if match[3] == "y" else taken
    return count
