"""The presets of the FFmpeg engine: named sets of its typed options, kept in one YAML file that people may read.

The file is ``config/presets.yaml`` in the source tree and ``engines/ffmpeg/presets.yaml`` in the wheel.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, JsonValue


class Preset(BaseModel):
    """One preset. ``options`` are fields of :class:`engines.ffmpeg.options.FFmpegOptions`, not yet checked."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    title: str
    description: str
    output_formats: Annotated[tuple[str, ...], Field(min_length=1)]  # the first is what a job gets by default
    default_for: tuple[str, ...] = ()  # formats for which a job without a preset gets this one
    options: dict[str, JsonValue]


class _PresetFile(BaseModel):
    model_config = ConfigDict(extra="forbid")

    presets: dict[str, Preset]


def presets_path() -> Path:
    """Where the presets are: beside this module in an installed wheel, else in ``config/`` of the source tree."""
    packed = Path(__file__).with_name("presets.yaml")
    return packed if packed.is_file() else Path(__file__).parents[2] / "config" / "presets.yaml"


@cache
def load_presets() -> dict[str, Preset]:
    """All presets by name, in the order of the file; read once.

    Raises:
        OSError: the file cannot be read.
        pydantic.ValidationError: it is not what this module describes.
    """
    return _PresetFile.model_validate(yaml.safe_load(presets_path().read_text(encoding="utf-8"))).presets


def default_preset(output_format: str) -> str | None:
    """The name of the preset for a job that names none; None if no preset is the default for this format."""
    return next((name for name, preset in load_presets().items() if output_format in preset.default_for), None)
