"""Settling an FFmpeg job at submit: which frames of the source, what size, what rate, how many frames that makes.

The frames of a job are frames of its source: of a video its decoded pictures counted from 1, of a sequence the numbers
in the names. A part of them is cut out exactly. A video needs an unbroken run; single pictures may be any set.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from engines.contract import Plan, PlanRequest, Refusal
from engines.ffmpeg.choices import Choice, choose
from engines.ffmpeg.codecs import CODECS, PICTURES
from engines.ffmpeg.output import Details, Output
from engines.ffmpeg.source import DEFAULT_SEQUENCE_FPS, Source
from engines.ffmpeg.splitting import parts_of
from engines.ffmpeg.timing import exact_rate
from engines.frames import MAX_FRAMES, FrameSet

MOST_RUNS = 200
"""The most separate runs of frames that one selection expression may have; beyond that FFmpeg gets slow."""

GIF_MEMORY = 2_000_000_000
"""Bytes of pictures that an animated GIF may have to hold before a person is told: its palette comes first."""

LEAST_SOUND = 0.05
"""Seconds of sound that a cut has at least for the track to go in: encoders make nothing of less than a block."""

_FASTEST_GIF = 50


def make_plan(request: PlanRequest) -> Plan:
    """See :meth:`engines.contract.Engine.plan`.

    Raises:
        Refusal: it cannot be made.
    """
    if request.info is None:
        raise Refusal("project", "an FFmpeg job needs a video or an image sequence")
    source = Source.model_validate(dict(request.info.details))
    choice = choose(request, source)
    warnings = list(request.info.warnings)
    frames = _frames(request.frames, source, choice)
    size = _size(choice, source, warnings)
    output = _output(choice, source, frames, size, warnings)
    parts, reason = parts_of(choice, source, output, request.sharers)
    if reason:
        warnings.append(reason)
    output = output.model_copy(update={"parts": parts})
    return Plan(
        frames=frames,
        # Written down, so that every machine of the farm comes to the same parts.
        options=choice.options.model_copy(update={"split": bool(parts)}),
        output_format=choice.output_format,
        divisible=False,
        parts=parts,
        width=output.width,
        height=output.height,
        fps=float(output.fps) if output.kind != "pictures" else None,
        warnings=tuple(warnings),
        details=Details(source=source, output=output).json_details(),
    )


def _frames(asked: FrameSet | None, source: Source, choice: Choice) -> FrameSet:
    if asked is None:
        if source.frame_count > MAX_FRAMES:
            raise Refusal("frames", f"it has {source.frame_count} frames; ask for at most {MAX_FRAMES} of them")
        return FrameSet.between(source.first, source.last)
    if asked.lowest < source.first or asked.highest > source.last:
        what = "sequence" if source.kind == "image_sequence" else "video"
        raise Refusal(
            "frames",
            f"the {what} has the frames {_span(source.first, source.last)}; "
            f"{_span(asked.lowest, asked.highest)} was asked for",
        )
    if choice.output_format in PICTURES:
        if len(asked.runs) > MOST_RUNS:
            raise Refusal(
                "frames", f"frames in {len(asked.runs)} separate runs were asked for; {MOST_RUNS} is the most"
            )
        return asked
    if len(asked.runs) != 1 or (len(asked) > 1 and asked.runs[0].step != 1):
        raise Refusal("frames", "a video is made of an unbroken, ascending run of frames, such as 1-100")
    return asked


def _span(first: int, last: int) -> str:
    return str(first) if first == last else f"{first}-{last}"


@dataclass(frozen=True, slots=True)
class _Size:
    width: int
    height: int
    scaled: bool
    trimmed_to_even: bool


def _size(choice: Choice, source: Source, warnings: list[str]) -> _Size:
    """The size of the result. Videos need even sides: a scaled picture is rounded to them, another one loses a row."""
    options = choice.options
    width, height = source.width, source.height
    if options.crop is not None:
        crop = options.crop
        if crop.x + crop.width > width or crop.y + crop.height > height:
            raise Refusal("args.crop", f"the crop does not lie within the picture of {width} × {height} pixels")
        width, height = crop.width, crop.height
    wide, high = options.width, options.height
    # A preset's size is the largest it makes, never a reason to blow a small picture up.
    if wide is not None and "width" not in choice.given:
        wide = min(wide, width)
    if high is not None and "height" not in choice.given:
        high = min(high, height)
    even = choice.codec is not None
    step = 2 if even else 1
    target: tuple[float, float] | None = None
    if options.scale is not None:
        target = (width * options.scale, height * options.scale)
    elif wide is not None or high is not None:
        target = (wide or (high or 0) * width / height, high or (wide or 0) * height / width)
    if target is not None:
        for name, side in (("width", options.width), ("height", options.height)):
            if even and side is not None and side % 2:
                raise Refusal(f"args.{name}", f"the {name} of a video is an even number; {side} was asked for")
        rounded = [max(step, round(side / step) * step) for side in target]
        result = _Size(rounded[0], rounded[1], (rounded[0], rounded[1]) != (width, height), False)
    else:
        result = _Size(width // step * step, height // step * step, False, bool(even and (width % 2 or height % 2)))
        if result.trimmed_to_even:
            warnings.append(
                f"a video has even sides: {width} × {height} pixels become {result.width} × {result.height}"
            )
    least = CODECS[choice.codec].least_size if choice.codec else (1, 1)
    if result.width < least[0] or result.height < least[1]:
        name = CODECS[choice.codec].title if choice.codec else "the picture"
        raise Refusal(
            "args.width",
            f"{name} needs at least {least[0]} × {least[1]} pixels; the result would have "
            f"{result.width} × {result.height}",
        )
    if max(result.width, result.height) > 16384:
        raise Refusal("args.scale", f"the result would have {result.width} × {result.height} pixels; 16384 is the most")
    return result


def _output(choice: Choice, source: Source, frames: FrameSet, size: _Size, warnings: list[str]) -> Output:
    is_video = source.kind == "video"
    rate, converts = _rate(choice, source, len(frames))
    constant = not is_video or source.constant_rate or converts
    if choice.codec == "av1" and not constant:
        # SVT-AV1 takes the time base for the frame rate, and refuses one of 90,000.
        constant = converts = True
        warnings.append(f"AV1 is made with a constant frame rate here: {float(rate):.3f} frames a second")
    cut = len(frames) < source.frame_count
    begin = source.begins(frames.lowest) if is_video else 0.0
    end = source.begins(frames.highest + 1) if is_video else float(len(frames) / rate)
    duration = end - begin
    tolerance = 0 if source.exact else 2 + len(frames) // 100
    count = len(frames)
    if converts:
        count, tolerance = max(1, round(duration * rate)), tolerance + 1
    audio = _tracks(choice, source, begin, end, cut, warnings)
    has_sound = bool(audio)
    if has_sound and cut and choice.options.audio == "copy":
        raise Refusal(
            "args.audio", "sound cannot be copied when only a part of the frames is wanted; choose aac or opus"
        )
    if has_sound and cut and not source.constant_rate:
        warnings.append("the frame rate varies: the sound is cut where the frames are on average, to about a frame")
    # Sound may go on after the last picture or begin before the first; encoders add up to some 50 ms of padding.
    beyond = abs((source.duration or duration) - duration) if has_sound and not cut else 0.0
    kind = "gif" if choice.output_format == "gif" else "pictures" if choice.output_format in PICTURES else "video"
    if kind == "gif" and count * size.width * size.height * 4 > GIF_MEMORY:
        warnings.append(
            f"an animated GIF of {count} frames at {size.width} × {size.height} pixels takes about "
            f"{count * size.width * size.height * 4 / 1e9:.0f} GB of memory; a smaller or shorter one takes less"
        )
    return Output(
        kind=kind,
        format=choice.output_format,
        codec=choice.codec,
        width=size.width,
        height=size.height,
        scaled=size.scaled,
        trimmed_to_even=size.trimmed_to_even,
        fps_numerator=rate.numerator,
        fps_denominator=rate.denominator,
        converts_rate=converts,
        constant_rate=constant,
        cut=cut,
        begin=begin,
        end=end,
        first=frames.lowest,
        frames=count,
        frames_tolerance=tolerance,
        duration=duration,
        duration_tolerance=0.1 + (2 + tolerance) / float(rate) + beyond,
        audio=audio,
    )


def _tracks(
    choice: Choice, source: Source, begin: float, end: float, cut: bool, warnings: list[str]
) -> tuple[int, ...]:
    """Stream indexes of the sound tracks that go in: of a part, those that sound there at all."""
    if choice.options.audio == "none":
        return ()
    heard = [
        stream for stream in source.audio if not cut or min(stream.end, end) - max(stream.begin, begin) > LEAST_SOUND
    ]
    if len(heard) < len(source.audio):
        warnings.append("a sound track has nothing in it at the frames asked for; it is left out")
    return tuple(stream.index for stream in heard)


def _rate(choice: Choice, source: Source, count: int) -> tuple[Fraction, bool]:
    """Frames per second of the result, and whether a video has to be converted to that rate."""
    asked = exact_rate(choice.options.fps) if choice.options.fps is not None else None
    if choice.output_format == "gif" and asked is not None and asked > _FASTEST_GIF:
        raise Refusal("args.fps", f"an animated GIF shows at most {_FASTEST_GIF} frames a second")
    if choice.output_format in PICTURES:
        return source.fps or Fraction(DEFAULT_SEQUENCE_FPS), False
    if source.kind == "image_sequence":
        return asked or Fraction(DEFAULT_SEQUENCE_FPS), False
    if asked is None or count == 1:
        return source.fps, False
    # A preset's rate is the fastest it makes: a slower video keeps its own.
    if "fps" not in choice.given and source.fps <= asked:
        return source.fps, False
    return asked, not source.constant_rate or asked != source.fps
