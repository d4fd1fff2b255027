"""The report is a pure thing: facts in, findings out; and what an artist chooses becomes the service's words."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

import pytest

from client.blender.zordon.choices import FORMATS, Choices, check_frames, document_of
from client.blender.zordon.errors import AddonError
from client.blender.zordon.layout import Dependency
from client.blender.zordon.report import MOST_NAMED, Facts, Finding, Weight, report, stops, version_findings
from client.models import AddJob
from engines.blender.options import BlenderOptions, OutputFormat
from engines.frames import FrameSet

SOUND = Facts(
    version=(3, 4),
    is_saved=True,
    is_dirty=False,
    dirty_images=(),
    scene="Scene",
    start=1,
    end=10,
    step=1,
    has_camera=True,
    needs_camera=True,
    cameras=("Camera",),
    view_layers=("ViewLayer",),
    scenes=("Scene",),
    render_engine="CYCLES",
    output_format="PNG",
    resolution=(1920, 1080),
    percentage=100,
    is_cropped=False,
    is_multiview=False,
    is_simplified=False,
    unbaked=(),
)


def found(facts: Facts = SOUND, choices: Choices = Choices(), **more: Any) -> list[Finding]:  # noqa: B008 - frozen
    return report(facts, choices, more.get("missing", ()), allow_missing=more.get("allow_missing", False))


def test_nothing_speaks_against_a_sound_file() -> None:
    assert [finding.text for finding in found()] == ["10 frames: 1-10", "1920 x 1080 pixels"]
    assert not stops(found())


@pytest.mark.parametrize(
    ("facts", "choices", "weight", "says"),
    [
        ({"is_saved": False}, {}, Weight.ERROR, "never saved"),
        ({"is_dirty": True}, {}, Weight.WARNING, "not saved"),
        ({"dirty_images": ("Paint",)}, {}, Weight.WARNING, "'Paint'"),
        ({"end": 0}, {}, Weight.ERROR, "ends (0) before it begins (1)"),
        ({"end": 0}, {"frames": "5"}, Weight.INFO, "1 frame: 5"),
        ({}, {"frames": "1-"}, Weight.ERROR, "'1-'"),
        ({"has_camera": False}, {}, Weight.WARNING, "no active camera"),
        ({"has_camera": False, "cameras": ()}, {}, Weight.ERROR, "has no camera"),
        ({}, {"camera": "B"}, Weight.ERROR, "no camera 'B'; there is 'Camera'"),
        ({}, {"view_layer": "B"}, Weight.ERROR, "no view layer 'B'"),
        ({}, {"scene": "B"}, Weight.ERROR, "no scene 'B'"),
        ({"output_format": "FFMPEG"}, {}, Weight.WARNING, "as PNG"),
        ({"render_engine": "LUXCORE"}, {}, Weight.ERROR, "no part of Blender"),
        ({"percentage": 50}, {}, Weight.WARNING, "960 x 540 pixels: 50 %"),
        ({}, {"resolution_percentage": 25}, Weight.WARNING, "480 x 270 pixels: 25 %"),
        ({"is_cropped": True}, {}, Weight.WARNING, "region"),
        ({"is_multiview": True}, {}, Weight.WARNING, "stereo"),
        ({"is_simplified": True}, {}, Weight.WARNING, "Simplify"),
        ({"unbaked": ("Cloth",)}, {}, Weight.WARNING, "Cloth"),
    ],
)
def test_each_fault_is_found(facts: dict[str, Any], choices: dict[str, Any], weight: Weight, says: str) -> None:
    findings = found(replace(SOUND, **facts), Choices(**choices))
    assert [finding.weight for finding in findings if says in finding.text] == [weight]
    assert stops(findings) is (weight is Weight.ERROR)
    order = [list(Weight).index(finding.weight) for finding in findings]
    assert order == sorted(order)


def test_what_is_chosen_otherwise_is_no_fault() -> None:
    assert not stops(found(replace(SOUND, has_camera=False, cameras=(), needs_camera=False)))
    as_movie = replace(SOUND, output_format="FFMPEG")
    assert not any("PNG" in one.text for one in found(as_movie, Choices(output_format="TIFF")))
    assert not stops(found(replace(SOUND, render_engine="LUXCORE"), Choices(render_engine="CYCLES")))


def test_missing_files_stop_it_unless_that_is_known() -> None:
    missing = [Dependency("texture", Path(f"/t/{number}.png"), user="Wall") for number in range(MOST_NAMED + 3)]
    findings = found(missing=missing)
    assert stops(findings)
    assert findings[0].text == "missing texture: /t/0.png (used by Wall)"
    assert sum("missing" in finding.text for finding in findings) == MOST_NAMED + 1
    assert any(finding.text == "3 more files are missing" for finding in findings)
    assert not stops(found(missing=missing, allow_missing=True))


@pytest.mark.parametrize(
    ("saved_by", "asked", "installed", "weight"),
    [
        ((3, 4), "", ["3.4.1"], None),
        ((3, 4), "", ["4.5.15"], Weight.WARNING),
        ((4, 5), "", ["3.4.1"], Weight.WARNING),
        ((4, 5), "", [], Weight.WARNING),
        ((4, 5), "3.4", ["3.4.1"], Weight.ERROR),
        ((4, 5), "4", ["4.5.15"], None),
        ((3, 4), "4.5", ["3.4.1"], Weight.WARNING),
        ((3, 4), "4.5", ["3.4.1", "4.5.15"], None),
        ((3, 4), "studio-build", ["studio-build"], None),
        ((2, 93), "2.83", ["2.83.1"], Weight.ERROR),
    ],
)
def test_versions_are_compared_as_the_service_does(
    saved_by: tuple[int, int], asked: str, installed: list[str], weight: Weight | None
) -> None:
    assert [finding.weight for finding in version_findings(saved_by, asked, installed)] == ([weight] if weight else [])


@pytest.mark.parametrize("text", ["1", "1-10", "-3--1", "1-10x3", "1-10y3", "1-10, 20,30-40x2", "0-0", "5-5x9"])
def test_frames_are_counted_as_the_service_counts_them(text: str) -> None:
    assert check_frames(text) == len(FrameSet.parse(text.replace(" ", "")))


@pytest.mark.parametrize("text", ["1..5", "a", "1-", "5-1", "1-5x0", "1,,2"])
def test_what_are_no_frames_is_said(text: str) -> None:
    with pytest.raises(AddonError):
        check_frames(text)


def test_the_service_understands_every_choice() -> None:
    assert set(FORMATS) == set(get_args(OutputFormat))
    choices = Choices(
        frames="1-10, 20",
        name=" A shot ",
        notes="n",
        priority=7,
        engine_version="4.5",
        output_format="TIFF",
        scene="S",
        view_layer="V",
        camera="C",
        render_engine="EEVEE",
        samples=3,
        resolution_percentage=50,
        denoise=False,
    )
    request = AddJob.model_validate(document_of(choices, "shot.blend"))
    assert (request.frames, request.name, request.priority, request.project) == ("1-10,20", "A shot", 7, "shot.blend")
    options = BlenderOptions.model_validate(request.args)
    assert (options.scene, options.camera, options.view_layer, options.samples) == ("S", "C", "V", 3)
    assert (options.render_engine, options.resolution_percentage, options.denoise) == ("EEVEE", 50, False)
    least = AddJob.model_validate(document_of(Choices(), "shot.blend"))
    assert (least.frames, least.name, least.args, least.output_format) == (None, "shot", {}, None)
