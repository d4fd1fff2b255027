"""The command line of an FFmpeg job: from settled options to argv. No text of a request becomes an argument.

Paths are absolute and carry the ``file:`` prefix, so that no name is taken for an option or an address. The demuxer is
the one that inspection found: with it forced, a playlist that took the project's place meanwhile is not opened either.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from fractions import Fraction
from pathlib import Path

from engines.contract import Chunk, Command, ExpectedOutput, PictureCheck, SessionRequest, VideoCheck
from engines.ffmpeg.codecs import AUDIO, PICTURES, VIDEO_CONTAINERS, encoder_arguments
from engines.ffmpeg.filters import audio_chain, video_chain
from engines.ffmpeg.options import FFmpegOptions
from engines.ffmpeg.output import Details, Output
from engines.ffmpeg.source import Source
from engines.frames import FrameSet


def make_command(session: SessionRequest, chunk: Chunk) -> Command:
    """See :meth:`engines.contract.Engine.command`.

    Raises:
        ValueError: the session has no project.
    """
    details, options = Details.read(session.details), options_of(session)
    source, output = details.source, details.output
    if session.project is None:
        raise ValueError("an FFmpeg session needs a project")
    frames = FrameSet.of(sorted(chunk.frames))
    argv = beginning(session)
    argv += input_arguments(session.project, source, output, frames, session.threads)
    argv += ["-map", f"0:{source.video_index}"]
    for index in output.audio:
        argv += ["-map", f"0:{index}"]
    argv += ["-vf", video_chain(source, output, options, frames)]
    argv += ["-fps_mode:v", "passthrough", "-enc_time_base:v", encoder_time_base(source, output)]
    argv += encoding_arguments(source, output, options, session.threads)
    argv += sound_arguments(output, options)
    argv += ["-sn", "-dn", *(("-map_chapters", "-1") if output.cut else ())]
    argv += session.raw_arguments
    argv += _target(output, chunk.folder, session.name)
    return to_run(argv)


def beginning(session: SessionRequest) -> list[str]:
    """How every command of ours begins."""
    argv = [str(session.version.path), "-hide_banner", "-nostdin", "-n", "-xerror"]
    # "level" puts [error] before errors, by which explain_exit finds them in the log.
    argv += ["-loglevel", "level+info", "-nostats", "-stats_period", "0.25", "-progress", "pipe:1"]
    return argv if session.threads is None else [*argv, "-filter_threads", str(session.threads)]


def to_run(argv: Sequence[str], files: Mapping[str, str] | None = None) -> Command:
    """The process for an argv of ours."""
    environment = {"AV_LOG_FORCE_NOCOLOR": "1"}
    return Command(tuple(argv), environment, events="stdout", takes_chunks=False, files=files or {})


def expected_outputs(session: SessionRequest, chunk: Chunk) -> Sequence[ExpectedOutput]:
    """See :meth:`engines.contract.Engine.expected`."""
    output = Details.read(session.details).output
    if output.kind == "pictures":
        check = PictureCheck(output.width, output.height)
        return [
            ExpectedOutput(f"{session.name}_{frame:04d}.{output.format}", check, frame)
            for frame in sorted(chunk.frames)
        ]
    return [expected_video(session)]


def expected_video(session: SessionRequest, *, decode: bool = True) -> ExpectedOutput:
    """The finished video.

    Args:
        decode: whether all of it is to be decoded.
    """
    output = Details.read(session.details).output
    video = VideoCheck(
        width=output.width,
        height=output.height,
        frames=output.frames,
        frames_tolerance=output.frames_tolerance,
        duration=round(output.duration, 6),
        duration_tolerance=round(output.duration_tolerance, 6),
        audio=bool(output.audio),
        decode=decode,
    )
    return ExpectedOutput(f"{session.name}.{output.format}", video)


def options_of(session: SessionRequest) -> FFmpegOptions:
    """The session's options, which are FFmpeg's."""
    if not isinstance(session.options, FFmpegOptions):
        raise TypeError(f"options of FFmpeg are FFmpegOptions, not {type(session.options).__name__}")
    return session.options


def input_arguments(project: Path, source: Source, output: Output, frames: FrameSet, threads: int | None) -> list[str]:
    """The arguments that open the source."""
    folder = (project if project.is_dir() else project.parent).absolute()
    argv = ["-protocol_whitelist", "file,pipe", "-f", source.container]
    if source.kind == "image_sequence":
        argv += ["-framerate", ratio(output.fps)]
        argv += _numbering(source, frames)
    if threads is not None:
        argv += ["-threads", str(threads)]
    if source.kind != "image_sequence" or not source.digits:
        return [*argv, "-i", f"file:{folder / source.file}"]
    inside = source.file.rpartition("/")[0]
    # In a pattern a percent sign of a real name is doubled.
    before, after = (text.replace("%", "%%") for text in (f"{folder / inside}/{source.prefix}", source.suffix))
    return [*argv, "-i", f"file:{before}%0{source.digits}d{after}"]


def _numbering(source: Source, frames: FrameSet) -> list[str]:
    if not source.digits:
        return ["-pattern_type", "none"]
    return ["-pattern_type", "sequence", "-start_number", str(frames.lowest)]


def encoder_time_base(source: Source, output: Output) -> str:
    """The unit in which the encoder counts time: a frame where the rate is constant, so that no rounding gathers."""
    if output.kind == "pictures":
        return "1:1"  # the time of a picture is its number, see video_chain
    if output.constant_rate:
        return ratio(1 / output.fps, ":")
    return f"{source.time_base_numerator}:{source.time_base_denominator}"


def encoding_arguments(source: Source, output: Output, options: FFmpegOptions, threads: int | None) -> list[str]:
    """The arguments of the picture's encoder."""
    if output.kind == "gif":
        return ["-c:v", "gif"]
    if output.codec is None:
        return [*PICTURES[output.format], *(("-threads", str(threads)) if threads is not None else ())]
    argv = encoder_arguments(output.codec, options, output.format, threads)
    if (source.kind == "image_sequence" or source.is_rgb) and options.pixel_format != "bgra":
        # The pictures were turned into this colour space by video_chain; players guess another one if nobody says so.
        argv += ["-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709", "-color_range", "tv"]
    return argv


def sound_arguments(output: Output, options: FFmpegOptions) -> list[str]:
    """The arguments of the sound's encoder, filters included."""
    if not output.audio or options.audio is None:
        return ["-an"]
    argv = list(AUDIO[output.format][options.audio])
    if options.audio_bitrate is not None:
        argv += ["-b:a", f"{options.audio_bitrate}k"]
    chain = audio_chain(output, options)
    return [*argv, "-filter:a", chain] if chain else argv


def _target(output: Output, folder: Path, name: str) -> list[str]:
    if output.kind == "pictures":
        # frame_pts: the number in the name is the picture's time, which is its frame number.
        place = str(folder.absolute() / name).replace("%", "%%")
        return ["-f", "image2", "-frame_pts", "1", f"file:{place}_%04d.{output.format}"]
    argv = ["-movflags", "+faststart"] if output.format == "mp4" else []
    return [*argv, "-f", VIDEO_CONTAINERS[output.format], f"file:{folder.absolute() / name}.{output.format}"]


def ratio(value: Fraction, separator: str = "/") -> str:
    """A fraction as FFmpeg reads it."""
    return f"{value.numerator}{separator}{value.denominator}"
