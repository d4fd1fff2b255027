"""Settles what a Blender job will do: frames, version, scene, size, format. Pure; says no with the field to mend."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from engines.blender import stills
from engines.blender.inspection import facts_in, scaled
from engines.blender.options import EXTENSIONS, BlenderOptions, format_named
from engines.blender.scenes import MOVIES, SceneFacts
from engines.contract import Plan, PlanRequest, ProjectInfo, Refusal
from engines.frames import FrameSet, FrameSetError

FIRST_FRAME, LAST_FRAME = -1_048_574, 1_048_574
"""What Blender can count (MINAFRAME, MAXFRAME)."""

_KNOWN_ENGINES = (
    "CYCLES",
    "BLENDER_EEVEE",
    "BLENDER_EEVEE_NEXT",
    "BLENDER_WORKBENCH",
    "BLENDER_RENDER",
    "BLENDER_GAME",
)
_MOST_NAMES = 20


def plan_job(request: PlanRequest) -> Plan:
    """See :meth:`engines.contract.Engine.plan`.

    Raises:
        Refusal: it cannot render, and which field says so.
    """
    options, info = request.options, request.info
    if not isinstance(options, BlenderOptions):
        raise TypeError(f"a Blender job has BlenderOptions, not {type(options).__name__}")
    if info is None or request.project is None:
        raise Refusal("project", "a Blender job needs a project: a .blend file")
    scene = _scene(options, info)
    warnings: list[str] = []
    _check_camera(options, info, scene, warnings)
    _check_view_layer(options, scene)
    picture = _format(request, scene, warnings)
    _check_sense(options, scene, warnings)
    percentage = options.resolution_percentage or scene.percentage
    # Of a cut-out only Blender knows the size to the pixel.
    width, height = (None, None) if scene.cropped else (scene.width, scene.height)
    details: dict[str, JsonValue] = {"scene": scene.name, "engine": options.render_engine or scene.engine}
    frames = _frames(request.frames, scene)
    parts, reason = stills.parts_of(options, scene, frames, picture, request.sharers)
    still = None
    if reason:
        warnings.append(reason)
    if parts:
        details["still"] = still = frames.lowest
        frames = FrameSet.between(1, parts)
    return Plan(
        frames=frames,
        # Whether it is shared is written down, so that every machine of the farm comes to the same parts.
        options=options.model_copy(update={"output_format": picture, "split": bool(parts)}),
        output_format=picture,
        divisible=not parts,
        parts=(1,) * parts,
        still=still,
        width=None if width is None else scaled(width, percentage),
        height=None if height is None else scaled(height, percentage),
        fps=scene.fps,
        warnings=tuple(warnings),
        colour=scene.colour,
        details=details,
    )


def _scene(options: BlenderOptions, info: ProjectInfo) -> SceneFacts:
    scenes = facts_in(info.details.get("scenes"))
    wanted = options.scene or info.details.get("active_scene")
    for scene in scenes:
        if scene.name == wanted:
            return scene
    raise Refusal("args.scene", f"there is no scene {wanted!r} in the project; {_there_is(info.scenes)}")


def _check_camera(options: BlenderOptions, info: ProjectInfo, scene: SceneFacts, warnings: list[str]) -> None:
    if options.camera is not None:
        if options.camera not in info.cameras:
            raise Refusal(
                "args.camera", f"there is no camera {options.camera!r} in the project; {_there_is(info.cameras)}"
            )
        return
    if scene.camera is not None or scene.bound_cameras or not scene.needs_camera:
        return
    if not info.cameras:
        raise Refusal("project", f"scene {scene.name!r} has no camera: add one in Blender and save the file")
    warnings.append(
        f"scene {scene.name!r} has no active camera: Blender takes the first one in it; "
        f"set args.camera to choose; {_there_is(info.cameras)}"
    )


def _check_view_layer(options: BlenderOptions, scene: SceneFacts) -> None:
    if options.view_layer is not None and options.view_layer not in scene.view_layers:
        raise Refusal(
            "args.view_layer",
            f"there is no view layer {options.view_layer!r} in scene {scene.name!r}; {_there_is(scene.view_layers)}",
        )


def _format(request: PlanRequest, scene: SceneFacts, warnings: list[str]) -> str:
    options = request.options
    assert isinstance(options, BlenderOptions)
    asked = None if request.output_format is None else format_named(request.output_format)
    if asked is not None and asked not in EXTENSIONS:
        hint = " (Blender renders frames; make the video from them in a second job)" if asked in MOVIES else ""
        raise Refusal("output_format", f"{asked!r} is no format for frames{hint}; there is {', '.join(EXTENSIONS)}")
    if asked is not None and options.output_format not in (None, asked):
        raise Refusal("output_format", f"it says {asked} and args.output_format says {options.output_format}")
    wanted = asked or options.output_format
    if wanted is not None:
        return wanted
    if scene.output_format in EXTENSIONS:
        return scene.output_format
    kind = "a movie" if scene.output_format in MOVIES else scene.output_format
    warnings.append(f"the project is set to write {kind}: the frames are rendered as PNG")
    return "PNG"


def _check_sense(options: BlenderOptions, scene: SceneFacts, warnings: list[str]) -> None:
    engine = options.render_engine or scene.engine
    if options.render_engine is None and scene.engine and scene.engine not in _KNOWN_ENGINES:
        raise Refusal(
            "args.render_engine",
            f"the project is made for {scene.engine}, which is no part of Blender; "
            "choose CYCLES, EEVEE or WORKBENCH to render it with one of these",
        )
    if engine and engine != "CYCLES":
        if options.denoise:
            warnings.append(f"denoise is ignored: only Cycles denoises, and this renders with {engine}")
        if options.device not in ("AUTO", "CPU"):
            warnings.append(f"device is ignored: only Cycles chooses, and this renders with {engine}")
    if scene.multiview:
        warnings.append("stereo and multi-view rendering is switched off: one picture a frame is rendered")


def _frames(asked: FrameSet | None, scene: SceneFacts) -> FrameSet:
    if asked is None:
        try:
            frames = FrameSet.between(scene.start, scene.end, scene.step)
        except FrameSetError as error:
            raise Refusal(
                "frames", f"scene {scene.name!r} has no usable range ({error}): say which frames to render"
            ) from error
    else:
        frames = asked
    if frames.lowest < FIRST_FRAME or frames.highest > LAST_FRAME:
        raise Refusal("frames", f"Blender's frames go from {FIRST_FRAME} to {LAST_FRAME}")
    return frames


def _there_is(names: Sequence[str]) -> str:
    if not names:
        return "there is none"
    more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
    return f"there is {', '.join(repr(name) for name in names[:_MOST_NAMES])}{more}"
