"""What speaks against a submit, found before anything is sent: from the facts of the open file to findings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from .choices import FORMATS, Choices, check_frames
from .errors import AddonError
from .layout import Dependency

ENGINES = ("CYCLES", "BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH")
"""The render engines that every Blender has."""
MOST_NAMED = 20
"""So many of one kind of finding are named; the last one counts the rest."""


class Weight(Enum):
    """How much a finding matters."""

    ERROR = "ERROR"  # it cannot render, or not right: nothing is sent
    WARNING = "WARNING"  # it may come out differently than it looks here
    INFO = "INFO"


@dataclass(frozen=True)
class Finding:
    """One sentence of the report."""

    weight: Weight
    text: str


@dataclass(frozen=True)
class Facts:
    """What is asked of the open file; what is a tuple has names."""

    version: tuple[int, int]  # Blender's own, by which the copy is saved
    is_saved: bool  # it has a path
    is_dirty: bool
    dirty_images: tuple[str, ...]
    scene: str
    start: int
    end: int
    step: int
    has_camera: bool  # an active one, or one bound to a marker
    needs_camera: bool
    cameras: tuple[str, ...]
    view_layers: tuple[str, ...]
    scenes: tuple[str, ...]
    render_engine: str
    output_format: str
    resolution: tuple[int, int]
    percentage: int
    is_cropped: bool
    is_multiview: bool
    is_simplified: bool
    unbaked: tuple[str, ...]


def report(facts: Facts, choices: Choices, missing: Sequence[Dependency], *, allow_missing: bool) -> list[Finding]:
    """All findings about a file, the worst first.

    Args:
        missing: what it needs and is not there.
        allow_missing: whether that is known and shall not stop it.
    """
    found: list[Finding] = []

    def say(weight: Weight, text: str) -> None:
        found.append(Finding(weight, text))

    if not facts.is_saved:
        say(Weight.ERROR, "the file was never saved: save it first, its paths count from its folder")
    elif facts.is_dirty:
        say(Weight.WARNING, "there are changes that are not saved: they are sent along, the file stays as it is")
    for name in facts.dirty_images[:MOST_NAMED]:
        say(Weight.WARNING, f"image {name!r} has changes that are not saved, and they are not sent: save the image")
    for one in missing[:MOST_NAMED]:
        used = f" (used by {one.user})" if one.user else ""
        say(Weight.WARNING if allow_missing else Weight.ERROR, f"missing {one.kind}: {one.path}{used}")
    if len(missing) > MOST_NAMED:
        say(Weight.WARNING if allow_missing else Weight.ERROR, f"{len(missing) - MOST_NAMED} more files are missing")
    found += _frames(facts, choices)
    found += _camera(facts, choices)
    found += _output(facts, choices)
    if facts.unbaked:
        names = ", ".join(facts.unbaked[:MOST_NAMED])
        say(Weight.WARNING, f"not baked, so frames may differ from one long render: {names}")
    return sorted(found, key=lambda finding: list(Weight).index(finding.weight))


def version_findings(saved_by: tuple[int, int], asked: str, installed: Sequence[str]) -> list[Finding]:
    """Whether the service has a Blender for the file.

    Args:
        saved_by: major and minor version of this Blender.
        asked: the version that is wished for; empty: the service's choice.
        installed: versions that the service has.
    """
    here = f"{saved_by[0]}.{saved_by[1]:02d}" if saved_by[0] == 2 else f"{saved_by[0]}.{saved_by[1]}"
    numbers = {version: _numbers(version) for version in installed}
    wanted = _numbers(asked)
    if wanted and wanted[:2] < saved_by[: len(wanted[:2])]:
        return [Finding(Weight.ERROR, f"Blender {asked} cannot open a file of Blender {here}: ask for {here} or later")]
    has = ", ".join(sorted(installed, key=lambda one: numbers[one])) or "none"
    if asked and not any(one == asked or one.startswith(f"{asked}.") for one in installed):
        return [Finding(Weight.WARNING, f"the service has no Blender {asked} yet (it has: {has}) and must fetch it")]
    able = [one for one in installed if numbers[one][:2] >= saved_by]
    if not asked and not able:
        return [
            Finding(
                Weight.WARNING,
                f"the service has no Blender that opens a file of {here} yet (it has: {has}) and must fetch one",
            )
        ]
    if not asked and not any(numbers[one][:2] == saved_by for one in able):
        return [Finding(Weight.WARNING, f"the service has no Blender {here}: a later one renders it ({has})")]
    return []


def stops(findings: Sequence[Finding]) -> bool:
    """Whether there is a finding that speaks against sending it."""
    return any(finding.weight is Weight.ERROR for finding in findings)


def _frames(facts: Facts, choices: Choices) -> list[Finding]:
    try:
        asked = check_frames(choices.frames)
    except AddonError as error:
        return [Finding(Weight.ERROR, str(error))]
    if asked is not None:
        return [Finding(Weight.INFO, f"{_plural(asked)}: {choices.frames}")]
    if facts.end < facts.start:
        return [
            Finding(
                Weight.ERROR, f"the frame range ends ({facts.end}) before it begins ({facts.start}): say which frames"
            )
        ]
    count = (facts.end - facts.start) // max(1, facts.step) + 1
    step = f"x{facts.step}" if facts.step > 1 else ""
    return [Finding(Weight.INFO, f"{_plural(count)}: {facts.start}-{facts.end}{step}")]


def _plural(frames: int) -> str:
    return "1 frame" if frames == 1 else f"{frames} frames"


def _camera(facts: Facts, choices: Choices) -> list[Finding]:
    found: list[Finding] = []
    for what, wanted, names in (
        ("camera", choices.camera, facts.cameras),
        ("view layer", choices.view_layer, facts.view_layers),
        ("scene", choices.scene, facts.scenes),
    ):
        if wanted and wanted not in names:
            there = ", ".join(repr(name) for name in names[:MOST_NAMED]) or "none"
            found.append(Finding(Weight.ERROR, f"there is no {what} {wanted!r}; there is {there}"))
    if not choices.camera and facts.needs_camera and not facts.has_camera:
        if facts.cameras:
            there = ", ".join(repr(name) for name in facts.cameras[:MOST_NAMED])
            text = f"scene {facts.scene!r} has no active camera: the first one is taken; there is {there}"
            found.append(Finding(Weight.WARNING, text))
        else:
            found.append(Finding(Weight.ERROR, f"scene {facts.scene!r} has no camera: add one"))
    return found


def _output(facts: Facts, choices: Choices) -> list[Finding]:
    found: list[Finding] = []
    if not choices.output_format and facts.output_format not in FORMATS:
        text = f"the scene writes {facts.output_format}: the frames are rendered as PNG"
        found.append(Finding(Weight.WARNING, text))
    if not choices.render_engine and facts.render_engine not in ENGINES:
        text = f"the scene is made for {facts.render_engine}, which is no part of Blender: choose another render engine"
        found.append(Finding(Weight.ERROR, text))
    percentage = choices.resolution_percentage or facts.percentage
    width, height = (max(1, side * percentage // 100) for side in facts.resolution)
    size = f"{width} x {height} pixels"
    if percentage != 100:
        found.append(Finding(Weight.WARNING, f"{size}: {percentage} % of the resolution"))
    else:
        found.append(Finding(Weight.INFO, size))
    if facts.is_cropped:
        found.append(Finding(Weight.WARNING, "only the render region is rendered, cut out"))
    if facts.is_multiview:
        found.append(Finding(Weight.WARNING, "stereo and multi-view rendering is switched off: one picture a frame"))
    if facts.is_simplified:
        found.append(Finding(Weight.WARNING, "Simplify is on: the pictures have less detail"))
    return found


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()
