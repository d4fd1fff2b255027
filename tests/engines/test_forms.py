"""Options as a form: grouped, with titles, ranges and defaults, and only what a version has."""

from __future__ import annotations

import pytest
from pydantic import JsonValue

from engines.blender import BlenderEngine
from engines.contract import Engine
from engines.ffmpeg.engine import FFmpegEngine
from engines.testpattern.engine import TestPatternEngine

ENGINES = [BlenderEngine(), FFmpegEngine(), TestPatternEngine()]
BLENDER, FFMPEG, _ = ENGINES


def properties(schema: dict[str, JsonValue]) -> dict[str, dict[str, JsonValue]]:
    found = schema["properties"]
    assert isinstance(found, dict)
    return found  # type: ignore[return-value]  # each of them is an object


def values(schema: dict[str, JsonValue], option: str) -> set[JsonValue]:
    """What an option offers, None left out."""
    found = properties(schema)[option]
    places = [found, *found.get("anyOf", [])]  # type: ignore[misc]  # a list where it is there
    return {value for place in places for value in place.get("enum", ()) if value is not None}


def longest(schema: dict[str, JsonValue], option: str) -> JsonValue:
    places = properties(schema)[option]["anyOf"]
    assert isinstance(places, list)
    return next(place["maxLength"] for place in places if isinstance(place, dict) and "maxLength" in place)


@pytest.mark.parametrize("engine", ENGINES, ids=lambda engine: engine.name)
def test_every_option_has_a_title_a_default_a_description_and_a_group(engine: Engine) -> None:
    schema = engine.options_schema()
    options = properties(schema)
    assert set(options) == set(engine.options_model.model_fields)
    groups = schema["x-groups"]
    assert isinstance(groups, list)
    assert len(groups) >= 2
    assert groups == list(dict.fromkeys(option["x-group"] for option in options.values()))
    for name, option in options.items():
        assert option["title"], name
        assert option["description"], name
        assert "default" in option, name
    assert engine.options_schema() is not schema


@pytest.mark.parametrize(
    ("version", "eevee", "devices", "name"),
    [
        ("3.4.1", "BLENDER_EEVEE", {"AUTO", "CPU", "CUDA", "OPTIX", "HIP", "METAL", "ONEAPI"}, 63),
        ("4.5.15", "BLENDER_EEVEE_NEXT", {"AUTO", "CPU", "CUDA", "OPTIX", "HIP", "METAL", "ONEAPI"}, 63),
        ("5.0.1", "BLENDER_EEVEE", {"AUTO", "CPU", "CUDA", "OPTIX", "HIP", "METAL", "ONEAPI"}, 255),
        ("2.93.18", "BLENDER_EEVEE", {"AUTO", "CPU", "CUDA", "OPTIX"}, 63),
    ],
)
def test_a_version_of_blender_offers_what_it_has(version: str, eevee: str, devices: set[str], name: int) -> None:
    schema = BLENDER.options_schema(version)
    assert values(schema, "render_engine") == {"CYCLES", "EEVEE", "WORKBENCH", "BLENDER_WORKBENCH", eevee}
    assert values(schema, "device") == devices
    assert longest(schema, "camera") == name
    assert "BLENDER_EEVEE_NEXT" in values(BLENDER.options_schema(), "render_engine"), (
        "the next form was changed as well"
    )


def test_a_build_of_ffmpeg_offers_the_codecs_that_it_has() -> None:
    schema = FFMPEG.options_schema("5.1", {"video_encoders": ["libx264", "prores_ks"]})
    assert values(schema, "video_codec") == {"h264", "prores"}
    presets = values(schema, "preset")
    assert {"h264_web", "prores_422_hq"} <= presets
    assert not {"h265_web", "av1_web"} & presets
    assert {"h265", "av1"} <= values(FFMPEG.options_schema("5.1"), "video_codec")
    assert {"h265", "av1"} <= values(FFMPEG.options_schema("5.1", {"video_encoders": []}), "video_codec")
