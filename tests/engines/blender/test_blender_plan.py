"""What a plan settles and what it refuses, and that every refusal names the field to mend."""

from __future__ import annotations

import pytest
from pydantic import JsonValue, ValidationError

from engines.blender import BlenderOptions
from engines.blender.inspection import inspect_project
from engines.contract import Plan, PlanRequest, Refusal
from engines.frames import FrameSet
from tests.support.blender_sessions import ENGINE, FIXTURES


def plan(
    name: str = "studio",
    *,
    args: dict[str, JsonValue] | None = None,
    frames: str | None = None,
    output_format: str | None = None,
) -> Plan:
    project = FIXTURES / f"{name}.blend"
    return ENGINE.plan(
        PlanRequest(
            project,
            inspect_project(project),
            FrameSet.parse(frames) if frames else None,
            BlenderOptions.model_validate(args or {}),
            output_format,
        )
    )


def refused(field: str, *words: str, **request: object) -> None:
    with pytest.raises(Refusal) as caught:
        plan(**request)  # type: ignore[arg-type]  # the test's own keywords
    assert caught.value.field == field
    for word in words:
        assert word in caught.value.message


def test_what_is_left_out_comes_from_the_project() -> None:
    made = plan()
    assert made.frames.notation() == "0-4x2"
    assert (made.width, made.height, made.fps) == (32, 24, 30.0)
    assert made.divisible
    assert made.colour == {"source": "scene_linear", "display": "sRGB", "view": "Filmic"}


def test_a_movie_becomes_frames() -> None:
    made = plan()
    assert made.output_format == "PNG"
    assert any("movie" in warning for warning in made.warnings)
    assert plan("cycles").warnings == ()


def test_scene_percentage_and_frames() -> None:
    made = plan(args={"scene": "Second", "resolution_percentage": 33})
    assert (made.width, made.height) == (40 * 33 // 100, 30 * 33 // 100)
    assert made.frames.notation() == "10-11"
    assert plan(frames="7,1-3").frames.notation() == "7,1-3"


@pytest.mark.parametrize(("asked", "given"), [("exr", "OPEN_EXR"), ("jpg", "JPEG"), ("Png", "PNG"), ("tif", "TIFF")])
def test_formats_as_people_write_them(asked: str, given: str) -> None:
    assert plan(output_format=asked).output_format == given
    made = plan(args={"output_format": asked})
    assert made.output_format == given
    assert isinstance(made.options, BlenderOptions)
    assert made.options.output_format == given


def test_formats_that_cannot_be() -> None:
    refused("output_format", "'FFMPEG'", "PNG", output_format="FFMPEG")
    refused("output_format", "WEBP", output_format="WEBP")
    refused("output_format", "PNG", "TIFF", output_format="png", args={"output_format": "tiff"})


def test_names_that_are_not_in_the_project() -> None:
    refused("args.scene", "'Third'", "'Main', 'Second'", args={"scene": "Third"})
    refused("args.camera", "'Top'", "'Front', 'Side'", args={"camera": "Top"})
    refused("args.view_layer", "'Fog'", "'ViewLayer', 'Extra'", args={"view_layer": "Fog"})
    refused("args.view_layer", "'Second'", args={"view_layer": "Extra", "scene": "Second"})


def test_a_scene_without_its_own_camera() -> None:
    made = plan(args={"scene": "Second"})
    assert any("args.camera" in warning for warning in made.warnings)
    assert not any("camera" in warning for warning in plan(args={"scene": "Second", "camera": "Side"}).warnings)


def test_frames_beyond_what_blender_counts() -> None:
    assert plan(frames="-1048574").frames.lowest == -1048574
    refused("frames", "1048574", frames="1-5,1048575")
    refused("frames", "-1048574", frames="-1048575")


def test_options_that_mean_nothing_here_are_warned_of() -> None:
    made = plan(args={"denoise": True, "device": "CUDA"})
    assert len([warning for warning in made.warnings if "ignored" in warning]) == 2
    assert plan("cycles", args={"denoise": True, "device": "CUDA"}).warnings == ()


# options


@pytest.mark.parametrize(
    "args",
    [
        {"sample": 4},
        {"samples": 0},
        {"samples": "many"},
        {"render_engine": "LUXCORE"},
        {"device": "TPU"},
        {"resolution_percentage": 0},
        {"resolution_percentage": 1001},
        {"output_format": "FFMPEG"},
        {"scene": ""},
        {"camera": "x" * 256},
    ],
)
def test_options_that_do_not_fit(args: dict[str, JsonValue]) -> None:
    with pytest.raises(ValidationError):
        BlenderOptions.model_validate(args)


def test_the_schema_makes_a_form() -> None:
    schema = BlenderOptions.model_json_schema()
    assert schema["additionalProperties"] is False
    for name, field in schema["properties"].items():
        assert field["title"], name
        assert field["description"], name
    assert schema["properties"]["device"]["default"] == "AUTO"
    assert "CYCLES" in schema["properties"]["render_engine"]["anyOf"][0]["enum"]
