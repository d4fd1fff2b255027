"""What a user may ask of an FFmpeg job: typed options only, so that no text of a request ever becomes an argument."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator
from pydantic.config import JsonDict

from engines.contract import EngineOptions
from engines.ffmpeg.presets import load_presets
from engines.forms import group

VideoCodec = Literal["h264", "h265", "av1", "vp9", "prores", "dnxhr", "ffv1"]
AudioChoice = Literal["aac", "opus", "pcm", "copy", "none"]
Speed = Literal["ultrafast", "superfast", "veryfast", "faster", "fast", "medium", "slow", "slower", "veryslow"]
Profile = Literal["proxy", "lt", "standard", "hq", "4444", "lb", "sq", "hqx", "444"]
PixelFormat = Literal[
    "yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "yuva444p10le", "bgra"
]
Strength = Literal["light", "medium", "strong"]
Dither = Literal["none", "bayer", "floyd_steinberg", "sierra2", "sierra2_4a"]


def _name_presets(schema: JsonDict) -> None:
    """Offer the presets' names in a form; a plain string with an enum is what form makers understand best."""
    schema.pop("anyOf", None)
    schema.update({"type": ["string", "null"], "enum": [*load_presets(), None], **group("Preset")})


class Crop(BaseModel):
    """The part of the picture to keep, in pixels of the source."""

    model_config = ConfigDict(extra="forbid", frozen=True, title="Crop")

    x: int = Field(0, ge=0, le=16384, title="Left", description="Pixels cut off at the left.")
    y: int = Field(0, ge=0, le=16384, title="Top", description="Pixels cut off at the top.")
    width: int = Field(ge=2, le=16384, title="Width", description="Width of the part that stays, in pixels.")
    height: int = Field(ge=2, le=16384, title="Height", description="Height of the part that stays, in pixels.")


class FFmpegOptions(EngineOptions):
    """Options of an FFmpeg job. What is left out comes from the preset, and then from the source."""

    preset: str | None = Field(
        None,
        title="Preset",
        description="A named set of options; what is given beside it overrides it. Left out: the output format's own.",
        json_schema_extra=_name_presets,
    )
    video_codec: VideoCodec | None = Field(
        None, title="Video codec", description="How the picture is encoded.", json_schema_extra=group("Video")
    )
    profile: Profile | None = Field(
        None,
        title="Profile",
        description="Quality class of ProRes (proxy, lt, standard, hq, 4444) or DNxHR (lb, sq, hq, hqx, 444).",
        json_schema_extra=group("Video"),
    )
    crf: int | None = Field(
        None,
        ge=0,
        le=63,
        title="Quality (CRF)",
        description="Constant quality, lower is better: 0 to 51 for H.264 and H.265, 0 to 63 for AV1 and VP9.",
        json_schema_extra=group("Video"),
    )
    video_bitrate: int | None = Field(
        None,
        ge=50,
        le=500_000,
        title="Video bitrate",
        description="In kbit/s, instead of a constant quality.",
        json_schema_extra=group("Video"),
    )
    speed: Speed | None = Field(
        None,
        title="Encoder speed",
        description="Slower makes smaller files of the same quality.",
        json_schema_extra=group("Video"),
    )
    pixel_format: PixelFormat | None = Field(
        None,
        title="Pixel format",
        description="Colour resolution and depth; which ones fit depends on the codec.",
        json_schema_extra=group("Video"),
    )
    width: int | None = Field(
        None,
        ge=16,
        le=16384,
        title="Width",
        description="In pixels; alone it keeps the picture's proportions.",
        json_schema_extra=group("Picture"),
    )
    height: int | None = Field(
        None,
        ge=16,
        le=16384,
        title="Height",
        description="In pixels; alone it keeps the picture's proportions.",
        json_schema_extra=group("Picture"),
    )
    scale: float | None = Field(
        None,
        ge=0.05,
        le=4.0,
        title="Scale",
        description="Factor on both sides, instead of width and height.",
        json_schema_extra=group("Picture"),
    )
    fps: float | None = Field(
        None,
        ge=0.1,
        le=240.0,
        title="Frames per second",
        description=(
            "Of the result. An image sequence is shown at this rate (25 if left out); "
            "a video is converted to it by dropping or repeating frames, its duration stays."
        ),
        json_schema_extra=group("Picture"),
    )
    audio: AudioChoice | None = Field(
        None,
        title="Sound",
        description="How the sound is encoded; copy leaves it as it is, none leaves it out.",
        json_schema_extra=group("Sound"),
    )
    audio_bitrate: int | None = Field(
        None,
        ge=16,
        le=512,
        title="Sound bitrate",
        description="In kbit/s, for aac and opus.",
        json_schema_extra=group("Sound"),
    )
    deinterlace: bool = Field(
        False,
        title="Deinterlace",
        description="Make whole pictures of the half pictures of interlaced video.",
        json_schema_extra=group("Picture"),
    )
    crop: Crop | None = Field(
        None,
        title="Crop",
        description="Keep only a part of the picture; done before scaling.",
        json_schema_extra=group("Picture"),
    )
    denoise: Strength | None = Field(
        None, title="Denoise", description="Remove noise and grain.", json_schema_extra=group("Picture")
    )
    colours: int | None = Field(
        None,
        ge=2,
        le=256,
        title="Colours",
        description="Size of the palette of an animated GIF.",
        json_schema_extra=group("GIF"),
    )
    dither: Dither | None = Field(
        None, title="Dithering", description="How an animated GIF mixes its colours.", json_schema_extra=group("GIF")
    )

    split: bool | None = Field(
        None,
        title="Encode in parts",
        description=(
            "Cut the video exactly into parts that several machines encode at the same time, and join them. "
            "Left out: done for long videos when there are machines to help."
        ),
        json_schema_extra=group("Farm"),
    )

    @field_validator("preset")
    @classmethod
    def _known_preset(cls, name: str | None) -> str | None:
        if name is not None and name not in load_presets():
            raise ValueError(f"there is no preset {name[:60]!r}; choose one of {', '.join(load_presets())}")
        return name

    @model_validator(mode="after")
    def _no_contradictions(self) -> Self:
        if self.crf is not None and self.video_bitrate is not None:
            raise ValueError("give crf or video_bitrate, not both")
        if self.scale is not None and (self.width is not None or self.height is not None):
            raise ValueError("give scale, or width and height, not both")
        return self


def merged(preset: str, given: FFmpegOptions) -> FFmpegOptions:
    """The preset's options under those that were given, the preset's name filled in.

    An option that was given takes the place of a preset's that means the same another way: a bitrate that of a
    constant quality, a scale that of a width.

    Raises:
        pydantic.ValidationError: the preset file has options that do not exist.
    """
    chosen = {name: getattr(given, name) for name in given.model_fields_set if getattr(given, name) is not None}
    options: dict[str, object] = dict(load_presets()[preset].options)
    for name, replaced in _REPLACES.items():
        if name in chosen:
            for other in replaced:
                options.pop(other, None)
    return FFmpegOptions.model_validate({**options, **chosen, "preset": preset})


_REPLACES = {
    "video_bitrate": ("crf",),
    "crf": ("video_bitrate",),
    "scale": ("width", "height"),
    "width": ("height", "scale"),
    "height": ("width", "scale"),
    "video_codec": ("crf", "video_bitrate", "speed", "profile", "pixel_format"),
    "profile": ("pixel_format",),
}
"""Which options of a preset no longer hold once another one is given."""
