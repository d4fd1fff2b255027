"""Which preset, codec, container and sound a job gets, and whether what was asked for goes together."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engines.contract import PlanRequest, Refusal
from engines.ffmpeg.codecs import AUDIO, CODECS, OUTPUT_FORMATS, PICTURES, can_copy_audio
from engines.ffmpeg.options import FFmpegOptions, VideoCodec, merged
from engines.ffmpeg.presets import default_preset, load_presets
from engines.ffmpeg.source import Source

_ENCODING = ("video_codec", "profile", "crf", "video_bitrate", "speed", "pixel_format")
_GIF_ONLY = ("colours", "dither")
_SOUND = ("audio", "audio_bitrate")


@dataclass(frozen=True, slots=True)
class Choice:
    """The format of a result and its options. ``given``: names of the options that the user wrote down."""

    output_format: str
    codec: VideoCodec | None  # None: GIF or pictures
    options: FFmpegOptions
    given: frozenset[str]


def choose(request: PlanRequest, source: Source) -> Choice:
    """Settle format, codec and options.

    Raises:
        Refusal: they do not go together; ``field`` names the one to change.
    """
    if not isinstance(request.options, FFmpegOptions):
        raise TypeError(f"options of FFmpeg are FFmpegOptions, not {type(request.options).__name__}")
    asked = request.options
    given = frozenset(name for name in asked.model_fields_set if getattr(asked, name) not in (None, False))
    wanted = _format(request.output_format)
    preset = asked.preset or _preset_for(wanted, asked.video_codec)
    options = merged(preset, asked) if preset else asked
    output_format = wanted or (load_presets()[preset].output_formats[0] if preset else _container_of(asked.video_codec))
    if asked.preset and asked.video_codec is None and output_format not in load_presets()[asked.preset].output_formats:
        makes = ", ".join(load_presets()[asked.preset].output_formats)
        raise Refusal("output_format", f"the preset {asked.preset} makes {makes}; {output_format} was asked for")
    if output_format == "gif":
        _refuse_given(given, (*_ENCODING, *_SOUND), "an animated GIF", options)
        return Choice(output_format, None, options.model_copy(update={"audio": "none"}), given)
    if output_format in PICTURES:
        _refuse_given(given, (*_ENCODING, *_SOUND, *_GIF_ONLY, "fps"), "still pictures", options)
        return Choice(output_format, None, options.model_copy(update={"audio": "none"}), given)
    _refuse_given(given, _GIF_ONLY, "a video", options)
    codec = options.video_codec or ("av1" if output_format == "webm" else "h264")
    if output_format not in CODECS[codec].containers:
        takes = ", ".join(CODECS[codec].containers)
        field = "output_format" if request.output_format else "args.video_codec"
        raise Refusal(field, f"{CODECS[codec].title} goes into {takes}, not into {output_format}")
    options = _with_sound(_with_encoder(codec, options, given), output_format, source, given)
    return Choice(output_format, codec, options, given)


def _format(asked: str | None) -> str | None:
    if asked is None:
        return None
    plain = asked.strip().lower().removeprefix(".")
    if plain not in OUTPUT_FORMATS:
        raise Refusal("output_format", f"{asked[:60]!r} cannot be made; choose one of {', '.join(OUTPUT_FORMATS)}")
    return plain


def _preset_for(output_format: str | None, codec: VideoCodec | None) -> str | None:
    """The preset of a job that names none: that of its codec, of its format, or the general one."""
    if codec is not None:
        return next(
            (name for name, preset in load_presets().items() if preset.options.get("video_codec") == codec), None
        )
    return default_preset(output_format or "mp4")


def _container_of(codec: VideoCodec | None) -> str:
    return CODECS[codec].containers[0] if codec else "mp4"


def _with_encoder(codec: VideoCodec, options: FFmpegOptions, given: frozenset[str]) -> FFmpegOptions:
    """Fill in what the encoder takes; refuse what it does not."""
    row = CODECS[codec]
    takes = {
        "crf": row.crf_most > 0,
        "video_bitrate": row.takes_bitrate,
        "speed": bool(row.speeds),
        "profile": bool(row.profiles),
    }
    _refuse_given(given, [name for name, can in takes.items() if not can], row.title, options)
    if options.crf is not None and options.crf > row.crf_most:
        raise Refusal(
            "args.crf", f"the quality of {row.title} goes from 0 to {row.crf_most}; {options.crf} was asked for"
        )
    profile = options.profile or row.profile_default if row.profiles else None
    if profile is not None and profile not in row.profiles:
        raise Refusal("args.profile", f"{row.title} has the profiles {', '.join(row.profiles)}, not {profile}")
    formats = row.profile_formats[profile] if profile else row.pixel_formats
    pixel_format = options.pixel_format or formats[0]
    if pixel_format not in formats:
        which = f"{row.title} {profile}" if profile else row.title
        raise Refusal("args.pixel_format", f"{which} takes {', '.join(formats)}, not {pixel_format}")
    crf = options.crf if options.crf is not None or options.video_bitrate or not row.crf_most else row.crf_default
    return options.model_copy(
        update={
            "video_codec": codec,
            "crf": crf,
            "speed": options.speed or row.speed_default if row.speeds else None,
            "profile": profile,
            "pixel_format": pixel_format,
        }
    )


def _with_sound(options: FFmpegOptions, container: str, source: Source, given: frozenset[str]) -> FFmpegOptions:
    """Fill in how the sound is encoded; "none" for a source without any."""
    ways = AUDIO[container]
    audio = options.audio or next(iter(ways))
    if audio != "none" and audio not in ways:
        if "audio" in given:
            raise Refusal("args.audio", f"{container} takes sound as {', '.join(ways)}, not as {audio}")
        audio = next(iter(ways))
    if not source.audio:
        audio = "none"
    if audio == "copy":
        odd = [stream.codec for stream in source.audio if not can_copy_audio(container, stream.codec)]
        if odd:
            raise Refusal("args.audio", f"sound of the kind {odd[0]} cannot be copied into {container}; choose another")
    if "audio_bitrate" in given and source.audio and audio not in ("aac", "opus"):
        raise Refusal("args.audio_bitrate", f"a sound bitrate goes with aac and opus, not with {audio}")
    bitrate = options.audio_bitrate if audio in ("aac", "opus") else None
    return options.model_copy(update={"audio": audio, "audio_bitrate": bitrate})


def _refuse_given(given: frozenset[str], names: Iterable[str], what: str, options: FFmpegOptions) -> None:
    for name in names:
        if name in given and getattr(options, name) != "none":
            raise Refusal(f"args.{name}", f"{name} has no meaning for {what}; leave it out")
