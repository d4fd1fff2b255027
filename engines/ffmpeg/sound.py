"""The sound of an encode in parts: encoded once, from its begin to its end, beside the first part, so that nobody waits
for it in the end. Sound that is not encoded (copied, or plain samples) comes from the source when the parts are joined.

It is kept in MP4, whatever the result is: that counts time in samples, and says what of the first ones is only the
encoder's beginning. In Matroska, where FFmpeg 5 does not, sound would come a block too late.
"""

from __future__ import annotations

from pathlib import Path

from engines.contract import ExpectedOutput, VideoCheck
from engines.ffmpeg.command import sound_arguments
from engines.ffmpeg.options import FFmpegOptions
from engines.ffmpeg.output import Output
from engines.ffmpeg.source import Source

_ENCODED = ("aac", "opus")


def is_apart(output: Output, options: FFmpegOptions) -> bool:
    """Whether the sound is encoded beside the first part."""
    return bool(output.audio) and options.audio in _ENCODED


def sound_name(stem: str, output: Output) -> str:
    """The name of the file with the sound."""
    return f"{stem}_sound_{output.first:06d}.mp4"


def expected_sound(stem: str, output: Output) -> ExpectedOutput:
    """That file: it decodes from its begin to its end. It bears no frame: it comes with the first part."""
    return ExpectedOutput(sound_name(stem, output), VideoCheck(audio=True))


def at_its_begin(source: Source) -> list[str]:
    """Before an input whose times are kept (``-copyts``): the begin of the source is 0."""
    return ["-itsoffset", f"{-source.start:.6f}"] if source.start else []


def sound_output(output: Output, options: FFmpegOptions, number: int, target: Path) -> list[str]:
    """The arguments that encode the sound.

    Args:
        number: of the input that is the source, beginning :func:`at_its_begin`.
    """
    argv: list[str] = []
    for index in output.audio:
        argv += ["-map", f"{number}:{index}"]
    argv += [*sound_arguments(output, options), "-vn", "-sn", "-dn", "-map_chapters", "-1"]
    return [*argv, "-f", "mp4", f"file:{target}"]
