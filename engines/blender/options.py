"""What a Blender job may ask for, and the formats that frames can have.

Everything that is left out stays as the project has it; the field titles and descriptions make the form.
"""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator

from engines.contract import EngineOptions

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

MAX_NAME = 255  # bytes that a name in a .blend may have, from 5.0 on; 63 before


def format_named(text: str) -> str:
    """Blender's word for a format as a person may write it (``exr``, ``jpg``); unknown ones come back unchanged."""
    word = text.strip().upper().replace("-", "_").replace(" ", "_").removeprefix(".")
    word = _ALIASES.get(word, word)
    return word if word in EXTENSIONS else text


class BlenderOptions(EngineOptions):
    """The ``args`` of a Blender job."""

    scene: str | None = Field(
        None, min_length=1, max_length=MAX_NAME, title="Scene", description="Scene to render. Default: the active one."
    )
    camera: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_NAME,
        title="Camera",
        description="Camera object to render from. Default: the scene's own, with its markers.",
    )
    view_layer: str | None = Field(
        None,
        min_length=1,
        max_length=MAX_NAME,
        title="View layer",
        description="Render this view layer only. Default: all that the project renders.",
    )
    render_engine: RenderEngine | None = Field(
        None, title="Render engine", description="Cycles, EEVEE or Workbench. Default: the project's."
    )
    samples: int | None = Field(
        None,
        ge=1,
        le=1_000_000,
        title="Samples",
        description="Samples a pixel, for Cycles and EEVEE. Default: the project's.",
    )
    denoise: bool | None = Field(
        None,
        title="Denoise",
        description="Denoise Cycles pictures. Default: as the project says, if the installed Blender can.",
    )
    resolution_percentage: int | None = Field(
        None,
        ge=1,
        le=1000,
        title="Resolution, percent",
        description="Size of the pictures as a share of the project's resolution. Default: the project's.",
    )
    device: Device = Field(
        "AUTO",
        title="Device",
        description="What Cycles computes on. AUTO: a GPU if the project asks for one and there is one, else the CPU.",
    )
    output_format: OutputFormat | None = Field(
        None, title="File format", description="Format of the frames. Default: the project's, PNG if that is a movie."
    )
    persistent_data: bool | None = Field(
        None,
        title="Persistent data",
        description="Keep scene data between frames: quicker, needs more memory. Default: the project's.",
    )

    @field_validator("render_engine", "device", mode="before")
    @classmethod
    def _upper(cls, value: object) -> object:
        return value.strip().upper() if isinstance(value, str) else value

    @field_validator("output_format", mode="before")
    @classmethod
    def _format(cls, value: object) -> object:
        return format_named(value) if isinstance(value, str) else value
