"""Finds out what is in a .blend without Blender: what it would render, and what it needs that is not there."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue

from engines.blender.blocks import Outline, outline
from engines.blender.scenes import SceneFacts, active_scene, cameras_of, scenes_of
from engines.contract import ProjectInfo, Refusal

if TYPE_CHECKING:
    from blender_asset_tracer.blendfile import BlendFile

MOST_MISSING = 200
"""So many missing files are named; a warning counts the rest."""

# What blender-asset-tracer is known to raise on files that are old, odd or damaged inside their blocks.
UNREADABLE = (KeyError, IndexError, ValueError, AssertionError, struct.error, RuntimeError, AttributeError, TypeError)


def inspect_project(project: Path) -> ProjectInfo:
    """See :meth:`engines.contract.Engine.inspect`. Takes some tens of milliseconds and what decompressing takes.

    Raises:
        Refusal: the file is damaged or can never render.
    """
    from blender_asset_tracer import blendfile
    from blender_asset_tracer.blendfile.exceptions import BlendFileError, SegmentationFault

    if not project.is_file():
        raise Refusal("project", f"{project.name} is not a file" if project.exists() else f"{project.name} is gone")
    walked = outline(project)
    if not walked.scenes:
        raise Refusal("project", f"{project.name} holds no scene: it is a library, there is nothing to render in it")
    # The tracer reports by logging what we report ourselves.
    logging.getLogger("blender_asset_tracer").setLevel(logging.CRITICAL)
    try:
        with blendfile.open_cached(project) as file:
            return _info(project, walked, file)
    except Refusal:
        raise
    except (BlendFileError, SegmentationFault, *UNREADABLE) as error:
        raise Refusal(
            "project", f"{project.name} is damaged: {type(error).__name__} while its scenes were read"
        ) from error
    finally:
        blendfile.close_all_cached()


def _info(project: Path, walked: Outline, file: BlendFile) -> ProjectInfo:
    scenes = scenes_of(file)
    cameras = cameras_of(file)
    active = active_scene(file) or walked.active_scene
    scene = next((one for one in scenes if one.name == active), scenes[0])
    if not cameras and all(one.needs_camera and one.camera is None and not one.bound_cameras for one in scenes):
        raise Refusal(
            "project", f"{project.name} has no camera: add one to scene {scene.name!r} in Blender and save the file"
        )
    missing, warnings = _missing(project)
    if not cameras and scene.camera is None and scene.needs_camera and not scene.bound_cameras:
        warnings = (*warnings, f"scene {scene.name!r} has no camera")
    return ProjectInfo(
        kind="blend",
        frames=_notation(scene),
        fps=scene.fps,
        width=None if scene.cropped else scaled(scene.width, scene.percentage),
        height=None if scene.cropped else scaled(scene.height, scene.percentage),
        duration=_duration(scene),
        format_version=walked.version,
        scenes=tuple(one.name for one in scenes),
        cameras=cameras,
        view_layers=scene.view_layers,
        render_engine=scene.engine or None,
        output_format=scene.output_format,
        missing_files=missing,
        warnings=warnings,
        details={"active_scene": scene.name, "scenes": [_json(one) for one in scenes]},
    )


def facts_in(details: JsonValue) -> tuple[SceneFacts, ...]:
    """The scenes as :func:`inspect_project` wrote them into ``ProjectInfo.details["scenes"]``."""
    return tuple(SceneFacts.model_validate(one) for one in details) if isinstance(details, Sequence) else ()


def scaled(pixels: int, percentage: int) -> int:
    """A side of the finished picture, in pixels, as Blender rounds it."""
    return max(1, pixels * percentage // 100)


def _json(scene: SceneFacts) -> JsonValue:
    value: JsonValue = scene.model_dump(mode="json")
    return value


def _notation(scene: SceneFacts) -> str | None:
    if scene.end < scene.start:
        return None
    if scene.end == scene.start:
        return str(scene.start)
    step = f"x{scene.step}" if scene.step > 1 else ""
    return f"{scene.start}-{scene.end}{step}"


def _duration(scene: SceneFacts) -> float | None:
    return (scene.end - scene.start + 1) / scene.fps if scene.end >= scene.start and scene.fps > 0 else None


def _missing(project: Path) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Files that the project and what it links to refer to and that are not there; and warnings."""
    from blender_asset_tracer import trace
    from blender_asset_tracer.blendfile.exceptions import BlendFileError, SegmentationFault

    found: dict[str, None] = {}
    try:
        for usage in trace.deps(project):
            if not _there(usage.abspath):
                found[usage.asset_path.decode("utf-8", errors="replace")] = None
    except (BlendFileError, SegmentationFault, OSError, RecursionError, *UNREADABLE) as error:
        return tuple(found)[:MOST_MISSING], (
            f"not all files that the project needs could be checked ({type(error).__name__})",
        )
    warnings: tuple[str, ...] = ()
    if len(found) > MOST_MISSING:
        warnings = (f"{len(found) - MOST_MISSING} more files are missing",)
    return tuple(found)[:MOST_MISSING], warnings


def _there(path: Path) -> bool:
    """Whether a file is there, or any of a set that is written with ``<UDIM>`` or ``*`` in its name.

    Only in the file's own folder: a pattern in a project must not make us walk the disk.
    """
    name = path.name.replace("<UDIM>", "*")
    if "*" not in name or "*" in str(path.parent):
        return path.exists()
    return next(path.parent.glob(name), None) is not None
