"""What FFmpeg's encoders and containers take: the tables that turn typed options into encoder arguments.

Every codec's row says which pixel formats, profiles and containers go with it, so that a combination that cannot work
is refused at submit and not after an hour of decoding.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import get_args

from pydantic import JsonValue

from engines.ffmpeg.options import AudioChoice, FFmpegOptions, PixelFormat, Profile, Speed, VideoCodec
from engines.ffmpeg.presets import load_presets
from engines.forms import form_schema, keep_values


@dataclass(frozen=True, slots=True)
class CodecRow:
    """One video codec. ``crf_most`` 0: it has no constant quality; no ``speeds``: it has no speed setting."""

    title: str
    encoder: str
    pixel_formats: tuple[PixelFormat, ...]  # the first is the default
    containers: tuple[str, ...]
    crf_most: int = 0
    crf_default: int = 0
    takes_bitrate: bool = False
    speeds: Mapping[Speed, tuple[str, ...]] = field(default_factory=dict)
    speed_default: Speed = "medium"
    profiles: Mapping[Profile, tuple[str, ...]] = field(default_factory=dict)
    profile_formats: Mapping[Profile, tuple[PixelFormat, ...]] = field(default_factory=dict)  # what each one takes
    profile_default: Profile = "hq"
    arguments: tuple[str, ...] = ()
    least_size: tuple[int, int] = (16, 16)


_SPEEDS: tuple[Speed, ...] = get_args(Speed)
_X26X_SPEEDS: Mapping[Speed, tuple[str, ...]] = {speed: ("-preset", speed) for speed in _SPEEDS}
# SVT-AV1 counts from 0 (slowest) to 13; 8 encodes about as fast as x264's "medium".
_SVT_SPEEDS: Mapping[Speed, tuple[str, ...]] = {
    speed: ("-preset", str(number)) for speed, number in zip(_SPEEDS, (13, 12, 11, 10, 9, 8, 6, 4, 2), strict=True)
}
_VP9_SPEEDS: Mapping[Speed, tuple[str, ...]] = {
    speed: ("-deadline", "good", "-cpu-used", str(number)) for number, speed in enumerate(reversed(_SPEEDS))
}

CODECS: Mapping[VideoCodec, CodecRow] = {
    "h264": CodecRow(
        "H.264",
        "libx264",
        ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"),
        ("mp4", "mov", "mkv"),
        crf_most=51,
        crf_default=20,
        takes_bitrate=True,
        speeds=_X26X_SPEEDS,
    ),
    "h265": CodecRow(
        "H.265",
        "libx265",
        ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"),
        ("mp4", "mov", "mkv"),
        crf_most=51,
        crf_default=24,
        takes_bitrate=True,
        speeds=_X26X_SPEEDS,
    ),
    "av1": CodecRow(
        "AV1",
        "libsvtav1",
        ("yuv420p", "yuv420p10le"),
        ("webm", "mp4", "mkv"),
        crf_most=63,
        crf_default=32,
        takes_bitrate=True,
        speeds=_SVT_SPEEDS,
        least_size=(64, 64),
    ),
    "vp9": CodecRow(
        "VP9",
        "libvpx-vp9",
        ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le"),
        ("webm", "mp4", "mkv"),
        crf_most=63,
        crf_default=31,
        takes_bitrate=True,
        speeds=_VP9_SPEEDS,
        arguments=("-row-mt", "1"),
    ),
    "prores": CodecRow(
        "ProRes",
        "prores_ks",
        ("yuv422p10le", "yuv444p10le", "yuva444p10le"),
        ("mov", "mkv"),
        profiles={
            "proxy": ("-profile:v", "proxy"),
            "lt": ("-profile:v", "lt"),
            "standard": ("-profile:v", "standard"),
            "hq": ("-profile:v", "hq"),
            "4444": ("-profile:v", "4444"),
        },
        profile_formats={
            "proxy": ("yuv422p10le",),
            "lt": ("yuv422p10le",),
            "standard": ("yuv422p10le",),
            "hq": ("yuv422p10le",),
            "4444": ("yuv444p10le", "yuva444p10le"),
        },
        # Without Apple's vendor id some editors treat the file as foreign.
        arguments=("-vendor", "apl0"),
    ),
    "dnxhr": CodecRow(
        "DNxHR",
        "dnxhd",
        ("yuv422p", "yuv422p10le", "yuv444p10le"),
        ("mov", "mkv"),
        profiles={
            "lb": ("-profile:v", "dnxhr_lb"),
            "sq": ("-profile:v", "dnxhr_sq"),
            "hq": ("-profile:v", "dnxhr_hq"),
            "hqx": ("-profile:v", "dnxhr_hqx"),
            "444": ("-profile:v", "dnxhr_444"),
        },
        profile_formats={
            "lb": ("yuv422p",),
            "sq": ("yuv422p",),
            "hq": ("yuv422p",),
            "hqx": ("yuv422p10le",),
            "444": ("yuv444p10le",),
        },
        least_size=(256, 120),
    ),
    "ffv1": CodecRow(
        "FFV1",
        "ffv1",
        ("yuv420p", "yuv422p", "yuv444p", "yuv420p10le", "yuv422p10le", "yuv444p10le", "bgra"),
        ("mkv",),
        arguments=("-level", "3", "-g", "1", "-slicecrc", "1"),
    ),
}

VIDEO_CONTAINERS: Mapping[str, str] = {"mp4": "mp4", "mov": "mov", "mkv": "matroska", "webm": "webm", "gif": "gif"}
"""Output format -> the name of FFmpeg's muxer."""

PICTURES: Mapping[str, tuple[str, ...]] = {
    "png": ("-c:v", "png"),
    "jpg": ("-c:v", "mjpeg", "-q:v", "2", "-pix_fmt", "yuvj420p"),
}
"""Output format of still pictures -> its encoder."""

OUTPUT_FORMATS: tuple[str, ...] = (*VIDEO_CONTAINERS, *PICTURES)

AUDIO: Mapping[str, Mapping[AudioChoice, tuple[str, ...]]] = {
    "mp4": {"aac": ("-c:a", "aac"), "opus": ("-c:a", "libopus"), "copy": ("-c:a", "copy")},
    "mov": {"aac": ("-c:a", "aac"), "pcm": ("-c:a", "pcm_s24le"), "copy": ("-c:a", "copy")},
    "mkv": {
        "aac": ("-c:a", "aac"),
        "opus": ("-c:a", "libopus"),
        "pcm": ("-c:a", "pcm_s24le"),
        "copy": ("-c:a", "copy"),
    },
    "webm": {"opus": ("-c:a", "libopus"), "copy": ("-c:a", "copy")},
}
"""Container -> the ways in which sound can be put into it, the first one being its default."""

_COPIES: Mapping[str, tuple[str, ...]] = {
    "mp4": ("aac", "mp3", "ac3", "eac3", "opus", "alac", "flac"),
    "mov": ("aac", "mp3", "ac3", "eac3", "alac", "pcm_"),
    "mkv": ("",),
    "webm": ("opus", "vorbis"),
}


def can_copy_audio(container: str, codec: str) -> bool:
    """Whether sound of this codec can be put into the container as it is."""
    return codec.startswith(_COPIES.get(container, ()))


def encoder_arguments(codec: VideoCodec, options: FFmpegOptions, container: str, threads: int | None) -> list[str]:
    """The arguments of the video encoder. The options are those that :mod:`engines.ffmpeg.planning` settled."""
    row = CODECS[codec]
    argv = ["-c:v", row.encoder, *row.arguments]
    if options.profile is not None:
        argv += row.profiles[options.profile]
    if options.speed is not None:
        argv += row.speeds[options.speed]
    if options.video_bitrate is not None:
        argv += ["-b:v", f"{options.video_bitrate}k"]
    elif options.crf is not None:
        # VP9 takes crf as a mere upper limit unless the bitrate is said to be free.
        argv += ["-crf", str(options.crf), *(("-b:v", "0") if codec == "vp9" else ())]
    if options.pixel_format is not None:
        argv += ["-pix_fmt", options.pixel_format]
    if threads is not None:
        argv += ["-threads", str(threads)]
        # These two keep their own threads and do not hear of -threads in every version.
        if codec == "h265":
            argv += ["-x265-params", f"pools={threads}"]
        elif codec == "av1":
            argv += ["-svtav1-params", f"lp={min(threads, 6)}"]
    if codec == "h265" and container in ("mp4", "mov"):
        argv += ["-tag:v", "hvc1"]  # Apple's players show H.265 only under this tag
    return argv


def schema_of(facts: Mapping[str, JsonValue] | None) -> dict[str, JsonValue]:
    """The options as a form, without the codecs that a build has no encoder for, and the presets that need them.

    Args:
        facts: what :func:`engines.ffmpeg.installs.parse_info` said of the build; None: all there are.
    """
    schema = form_schema(FFmpegOptions)
    encoders = facts.get("video_encoders") if facts is not None else None
    if isinstance(encoders, list) and encoders:
        codecs = {name for name, row in CODECS.items() if row.encoder in encoders}
        keep_values(schema, "video_codec", codecs)
        presets = load_presets()
        kept = {name for name, one in presets.items() if one.options.get("video_codec") in {None, *codecs}}
        keep_values(schema, "preset", kept)
    return schema
