"""The filter chains of an FFmpeg job, made of a fixed set of filters with numbers and words of ours in them.

Filters such as ``movie`` or ``drawtext`` read any file of the machine; text of a request never gets here.
"""

from __future__ import annotations

from engines.ffmpeg.options import FFmpegOptions
from engines.ffmpeg.output import Output
from engines.ffmpeg.source import Source
from engines.frames import FrameSet

_DENOISE = {"light": "hqdn3d=2:1.5:3:2.25", "medium": "hqdn3d=4:3:6:4.5", "strong": "hqdn3d=8:6:12:9"}
# A filter, because the decoder's own -apply_trc went away with FFmpeg 9.
_LINEAR_TO_SRGB = (
    "format=gbrpf32le|gbrapf32le,zscale=min=gbr:m=gbr:tin=linear:t=iec61966-2-1:pin=bt709:p=bt709,"
    "format=gbrpf32le|gbrapf32le"
)
_OPUS_LAYOUTS = "aformat=channel_layouts=7.1|5.1|5.0|quad|stereo|mono"  # libopus takes no "5.1(side)"


def video_chain(source: Source, output: Output, options: FFmpegOptions, frames: FrameSet) -> str:
    """The picture's way: whole pictures first, then only the wanted ones, then their look, rate and size."""
    return ",".join((*_wanted(source, output, options, frames), *_look(source, output, options))) or "null"


def part_chain(source: Source, output: Output, options: FFmpegOptions, skipped: int, count: int) -> str:
    """The picture's way in a part of a video.

    Args:
        skipped: frames that come out of the decoder before those that are wanted.
        count: how many are wanted.
    """
    chain = [f"trim=start_frame={skipped}:end_frame={skipped + count}", "setpts=PTS-STARTPTS"]
    return ",".join((*chain, *_look(source, output, options)))


def boundary_chain(skipped: int, count: int) -> str:
    """The first picture of a part and the one behind its last, as they come out of the decoder.

    Cut off before they are chosen: behind them, the end would come with a third picture only, which there is none of,
    and all the rest of the source would be decoded for it.
    """
    return f"trim=end_frame={skipped + count + 1},select='eq(n,{skipped})+eq(n,{skipped + count})'"


def _wanted(source: Source, output: Output, options: FFmpegOptions, frames: FrameSet) -> list[str]:
    chain = []
    if options.deinterlace:
        chain.append("bwdif=mode=send_frame:parity=auto:deint=all")
    # A sequence is read from its first wanted picture on, a video from its begin.
    base = frames.lowest if source.kind == "image_sequence" else source.first
    if output.kind == "pictures":
        # The time of each picture becomes its frame number: the muxer writes it into the name.
        chain += [f"settb=1,setpts=N+{base}", f"trim=end_frame={frames.highest - base + 1}"]
        chain.append(f"select='{_selection(frames, base)}'")
    elif output.cut:
        # Counted as they come out of the decoder, from the very first: exact where seeking is not. The end of what
        # is wanted ends the process.
        chain.append(f"trim=start_frame={frames.lowest - base}:end_frame={frames.highest - base + 1}")
        chain.append("setpts=PTS-STARTPTS")
    elif not output.audio:
        chain.append("setpts=PTS-STARTPTS")
    return chain


def _look(source: Source, output: Output, options: FFmpegOptions) -> list[str]:
    chain = []
    if output.converts_rate:
        chain.append(f"fps={output.fps_numerator}/{output.fps_denominator}")
    if options.crop is not None:
        crop = options.crop
        chain.append(f"crop={crop.width}:{crop.height}:{crop.x}:{crop.y}:exact=1")
    if options.denoise is not None:
        chain.append(_DENOISE[options.denoise])
    if source.codec == "exr":
        chain.append(_LINEAR_TO_SRGB)
    if output.trimmed_to_even:
        chain.append(f"crop={output.width}:{output.height}:0:0")
    chain += _scale(source, output, options)
    if output.kind == "gif":
        colours, dither = options.colours or 256, options.dither or "sierra2_4a"
        chain.append(
            f"split[seen][shown];[seen]palettegen=max_colors={colours}:stats_mode=diff[palette];"
            f"[shown][palette]paletteuse=dither={dither}:diff_mode=rectangle"
        )
    return chain


def audio_chain(output: Output, options: FFmpegOptions) -> str:
    """The sound's way; ``""`` if nothing is done to it."""
    if options.audio == "copy":
        return ""
    chain = []
    if output.cut:
        # round(): expressions are cut off to whole samples, and 13229.999 would make the sound overlap itself.
        chain.append(f"atrim=start={output.begin:.6f}:end={output.end:.6f}")
        chain.append(f"asetpts=PTS-round({output.begin:.6f}/TB)")
    if options.audio == "opus":
        chain.append(_OPUS_LAYOUTS)
    return ",".join(chain)


def _selection(frames: FrameSet, base: int) -> str:
    """An expression that is true for these frames, counted from 0 as they come out of the decoder."""
    terms = []
    for run in frames.runs:
        low, high, step = min(run[0], run[-1]) - base, max(run[0], run[-1]) - base, abs(run.step)
        term = f"between(n,{low},{high})"
        terms.append(term if step == 1 or len(run) == 1 else f"{term}*not(mod(n-{low},{step}))")
    return "+".join(terms)


def _scale(source: Source, output: Output, options: FFmpegOptions) -> list[str]:
    """Scaling, and turning pictures into the colour space of HD video: swscale's own choice is that of SD."""
    arguments = [str(output.width), str(output.height), "flags=lanczos"] if output.scaled else []
    rgb = source.kind == "image_sequence" or source.is_rgb
    if output.kind == "video" and rgb and options.pixel_format != "bgra":
        arguments += ["out_color_matrix=bt709", "out_range=tv"]
    return [f"scale={':'.join(arguments)}"] if arguments else []
