"""What a Blender job may ask for, and the formats that frames can have.

Everything that is left out stays as the project has it; the field titles and descriptions make the form.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, get_args

from pydantic import Field, JsonValue, field_validator

from engines.blender.versions import engine_id
from engines.choosing import numbers
from engines.contract import EngineOptions
from engines.forms import form_schema, group, keep_values, limit_length

RenderEngine = Literal["CYCLES", "EEVEE", "WORKBENCH", "BLENDER_EEVEE", "BLENDER_EEVEE_NEXT", "BLENDER_WORKBENCH"]
Device = Literal["AUTO", "CPU", "CUDA", "OPTIX", "HIP", "ONEAPI", "METAL"]
OutputFormat = Literal["PNG", "JPEG", "OPEN_EXR", "OPEN_EXR_MULTILAYER", "TIFF"]

EXTENSIONS: dict[str, str] = {
    "PNG": ".png",
    "JPEG": ".jpg",
    "OPEN_EXR": ".exr",
    "OPEN_EXR_MULTILAYER": ".exr",
    "TIFF": ".tif",
}
"""Blender's word for each format that frames can have, and the ending of their names."""

_ALIASES = {"JPG": "JPEG", "EXR": "OPEN_EXR", "EXR_MULTILAYER": "OPEN_EXR_MULTILAYER", "TIF": "TIFF"}

MAX_NAME = 255  # bytes that a name in a .blend may have, from 5.0 on
MAX_NAME_BEFORE_5 = 63

_DEVICES_SINCE: Final[Mapping[Device, tuple[int, int]]] = {
    "OPTIX": (2, 81),
    "HIP": (3, 0),
    "METAL": (3, 1),
    "ONEAPI": (3, 3),
}
"""The first version whose Cycles computes on a kind of device; what is not named was always there."""


def format_named(text: str) -> str:
    """Blender's word for a format as a person may write it (``exr``, ``jpg``); unknown ones come back unchanged."""
    word = text.strip().upper().replace("-", "_").replace(" ", "_").removeprefix(".")
    word = _ALIASES.get(word, word)
    return word if word in EXTENSIONS else text


class BlenderOptions(EngineOptions):
    """The ``args`` of a Blender job."""

    scene: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_NAME,
        title="Scene",
        description="Scene to render. Default: the active one.",
        json_schema_extra=group("Scene"),
    )
    camera: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_NAME,
        title="Camera",
        description="Camera object to render from. Default: the scene's own, with its markers.",
        json_schema_extra=group("Scene"),
    )
    view_layer: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_NAME,
        title="View layer",
        description="Render this view layer only. Default: all that the project renders.",
        json_schema_extra=group("Scene"),
    )
    render_engine: RenderEngine | None = Field(
        None,
        title="Render engine",
        description="Cycles, EEVEE or Workbench. Default: the project's.",
        json_schema_extra=group("Sampling"),
    )
    samples: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        title="Samples",
        description="Samples a pixel, for Cycles and EEVEE. Default: the project's.",
        json_schema_extra=group("Sampling"),
    )
    denoise: bool | None = Field(
        None,
        title="Denoise",
        description="Denoise Cycles pictures. Default: as the project says, if the installed Blender can.",
        json_schema_extra=group("Sampling"),
    )
    resolution_percentage: int | None = Field(
        None,
        ge=1,
        le=1000,
        title="Resolution, percent",
        description="Size of the pictures as a share of the project's resolution. Default: the project's.",
        json_schema_extra=group("Output"),
    )
    device: Device = Field(
        "AUTO",
        title="Device",
        description="What Cycles computes on. AUTO: a GPU if the project asks for one and there is one, else the CPU.",
        json_schema_extra=group("Performance"),
    )
    output_format: OutputFormat | None = Field(
        None,
        title="File format",
        description="Format of the frames. Default: the project's, PNG if that is a movie.",
        json_schema_extra=group("Output"),
    )
    persistent_data: bool | None = Field(
        None,
        title="Persistent data",
        description="Keep scene data between frames: quicker, needs more memory. Default: the project's.",
        json_schema_extra=group("Performance"),
    )

    split: bool | None = Field(
        None,
        title="Share a still image",
        description=(
            "Render a single frame in parts that several machines share: each takes some of the samples. Cycles only. "
            "Left out: done when there are machines to help."
        ),
        json_schema_extra=group("Farm"),
    )

    @field_validator("render_engine", "device", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.strip().upper() if isinstance(value, str) else value

    @field_validator("output_format", mode="before")
    @classmethod
    def _format(cls, value: object) -> object:
        return format_named(value) if isinstance(value, str) else value


def schema_of(version: str | None) -> dict[str, JsonValue]:
    """The options as a form, without what this version of Blender does not have; None: all of them.

    EEVEE keeps its plain name in every version, and beside it the id that it has in this one.
    """
    schema = form_schema(BlenderOptions)
    if version is None or not (own := numbers(version)[:2]):
        return schema
    engines = {name for name in get_args(RenderEngine) if not name.startswith("BLENDER_EEVEE")}
    keep_values(schema, "render_engine", engines | {engine_id("EEVEE", version)})
    keep_values(schema, "device", {name for name in get_args(Device) if own >= _DEVICES_SINCE.get(name, (0, 0))})
    if own < (5, 0):
        for name in ("scene", "camera", "view_layer"):
            limit_length(schema, name, MAX_NAME_BEFORE_5)
    return schema
