"""An encode in parts: the command of a part, the proof that the parts fit together, the command that joins them.

A part is found by seeking to the middle of the frame before it, which decodes from the last key picture on; one that
begins with a key picture, by seeking to that itself, so that nothing is decoded that is not encoded. In files
whose key pictures do not stand for themselves that can go wrong, with the right number of frames all the same. So each
part leaves a note of two decoded pictures with their times: its own first one, and the one that follows its last. What
follows a part must be what the next one begins with; the first part begins where the file does. A part that does not
fit is made again by decoding from the begin of the file, which is always exact.

The sound is encoded once, beside the first part (:mod:`engines.ffmpeg.sound`). Joining copies everything.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from pathlib import Path

from engines.contract import Chunk, Command, ExpectedOutput, FileCheck, SessionRequest, VideoCheck
from engines.ffmpeg.codecs import VIDEO_CONTAINERS
from engines.ffmpeg.command import (
    beginning,
    encoder_time_base,
    encoding_arguments,
    expected_video,
    input_arguments,
    options_of,
    sound_arguments,
    to_run,
)
from engines.ffmpeg.filters import boundary_chain, part_chain
from engines.ffmpeg.output import Details, Output
from engines.ffmpeg.sound import at_its_begin, expected_sound, is_apart, sound_name, sound_output
from engines.ffmpeg.source import Source
from engines.frames import FrameSet

LIST = "parts.ffconcat"
_SEEKABLE = ("mov", "matroska")
"""Containers with an index that says where a time is; in others one is looked for, and missed by a key picture."""
_HASH = re.compile(r"0,\s*-?\d+,\s*(-?\d+),\s*\d+,\s*\d+,\s*([0-9a-f]{32})\Z")
_TIME_BASE = re.compile(r"#tb 0: (\d+)/(\d+)\Z")


@dataclass(frozen=True, slots=True)
class Part:
    """A part of an encode, in frames of the source."""

    first: int
    count: int
    is_last: bool


def in_parts(session: SessionRequest) -> bool:
    """Whether the job of a session is encoded in parts."""
    return bool(Details.read(session.details).output.parts)


def part_of(output: Output, first: int) -> Part:
    """The part that begins with this frame.

    Raises:
        ValueError: none does.
    """
    for part in parts_in(output):
        if part.first == first:
            return part
    raise ValueError(f"no part begins with frame {first}")


def parts_in(output: Output) -> list[Part]:
    """All parts of the encode in their order, whichever of them this machine has."""
    begins = accumulate(output.parts, initial=output.first)
    last = len(output.parts) - 1
    return [
        Part(first, count, number == last)
        for number, (first, count) in enumerate(zip(begins, output.parts, strict=False))
    ]


def part_command(session: SessionRequest, chunk: Chunk) -> Command:
    """The process that encodes one part, and notes its boundaries if the source is a video.

    Raises:
        ValueError: the session has no project, or the chunk is no part.
    """
    details, options = Details.read(session.details), options_of(session)
    source, output = details.source, details.output
    if session.project is None:
        raise ValueError("an FFmpeg session needs a project")
    part = part_of(output, min(chunk.frames))
    frames = FrameSet.between(part.first, part.first + part.count - 1)
    is_video = source.kind == "video"
    seeks = is_video and part.first > source.first and source.container in _SEEKABLE and not chunk.failures
    skipped = part.first - source.first if is_video and not seeks else 0
    # The times of the file as they are: what FFmpeg takes for its begin differs from version to version.
    argv = [*beginning(session), "-copyts"]
    if seeks:
        begin = source.start + source.begins(part.first)
        if part.first not in source.keys:
            begin -= 0.5 / float(source.fps)
        argv += ["-seek_timestamp", "1", "-ss", f"{begin:.6f}"]
    opened = input_arguments(session.project, source, output, frames, session.threads)
    argv += opened
    with_sound = part.first == output.first and is_apart(output, options)
    if with_sound:  # opened once more: it is read to its end, the pictures are not
        argv += [*at_its_begin(source), *opened]
    argv += ["-map", f"0:{source.video_index}", "-vf", part_chain(source, output, options, skipped, part.count)]
    argv += ["-fps_mode:v", "passthrough", "-enc_time_base:v", encoder_time_base(source, output)]
    argv += [*encoding_arguments(source, output, options, session.threads), "-an", "-sn", "-dn", "-map_chapters", "-1"]
    argv += ["-f", "matroska", f"file:{chunk.folder.absolute() / part_name(session.name, part)}"]
    if is_video:
        argv += ["-map", f"0:{source.video_index}", "-vf", boundary_chain(skipped, part.count)]
        argv += [
            "-fps_mode:v",
            "passthrough",
            "-enc_time_base:v",
            "1:90000",
            "-c:v",
            "rawvideo",
            "-an",
            "-sn",
            "-dn",
            "-f",
            "framemd5",
        ]
        argv += [f"file:{chunk.folder.absolute() / boundary_name(session.name, part)}"]
    if with_sound:
        argv += sound_output(output, options, 1, chunk.folder.absolute() / sound_name(session.name, output))
    return to_run(argv)


def expected_of_part(session: SessionRequest, chunk: Chunk) -> Sequence[ExpectedOutput]:
    """The files that :func:`part_command` leaves."""
    details = Details.read(session.details)
    output = details.output
    part = part_of(output, min(chunk.frames))
    check = VideoCheck(width=output.width, height=output.height, frames=part.count, audio=False)
    expected = [ExpectedOutput(part_name(session.name, part), check, part.first)]
    if details.source.kind == "video":
        expected.append(ExpectedOutput(boundary_name(session.name, part), FileCheck(), part.first))
    if part.first == output.first and is_apart(output, options_of(session)):
        expected.append(expected_sound(session.name, output))
    return expected


def part_name(stem: str, part: Part) -> str:
    """The name of a part's file."""
    return f"{stem}_part_{part.first:06d}.mkv"


def boundary_name(stem: str, part: Part) -> str:
    """The name of the note about a part's first picture and the one behind its last."""
    return f"{stem}_part_{part.first:06d}.framemd5"


def misfits(session: SessionRequest, folder: Path) -> Sequence[int]:
    """The first frames of the parts that do not continue the one before them, or lack the sound. Reads the notes of all
    parts."""
    details = Details.read(session.details)
    source, output = details.source, details.output
    if source.kind != "video":
        return ()
    parts = parts_in(output)
    bad: list[int] = []
    silent = is_apart(output, options_of(session)) and not (folder / sound_name(session.name, output)).is_file()
    follows: tuple[int, str] | None = None  # of the part before: frame number and picture
    for number, part in enumerate(parts):
        seen = _noted(folder / boundary_name(session.name, part), source)
        wanted = 1 if part.is_last and part.first + part.count > source.last else 2
        fits = len(seen) == wanted and seen[0][0] == part.first and (number == 0 or seen[0] == follows)
        fits = fits and (wanted == 1 or seen[1][0] == part.first + part.count)
        if not fits or (number == 0 and silent):
            bad.append(part.first)
        follows = seen[1] if len(seen) == 2 else None
        if not fits or follows is None:
            # What comes after a part that is itself wrong is not known to be wrong.
            follows = _begin_of(parts, number + 1, session.name, folder, source)
    return bad


def join_command(session: SessionRequest, chunk: Chunk, folder: Path) -> Command:
    """The process that joins the parts and the sound.

    Raises:
        ValueError: the session has no project.
    """
    details, options = Details.read(session.details), options_of(session)
    source, output = details.source, details.output
    if session.project is None:
        raise ValueError("an FFmpeg session needs a project")
    frames = FrameSet.between(output.first, output.first + sum(output.parts) - 1)
    lines = ["ffconcat version 1.0"]
    for part in parts_in(output):
        path = str(folder.absolute() / part_name(session.name, part)).replace("'", "'\\''")
        lines += [f"file 'file:{path}'", f"duration {part.count * output.fps.denominator / output.fps.numerator:.9f}"]
    apart = is_apart(output, options)
    argv = [*beginning(session), *(["-copyts"] if apart else [])]
    if output.audio and not output.cut and source.begin > 0:
        argv += ["-itsoffset", f"{source.begin:.6f}"]
    argv += ["-protocol_whitelist", "file,pipe", "-f", "concat", "-safe", "0", "-i", f"file:{session.folder / LIST}"]
    if apart:
        argv += at_its_begin(source)
    argv += input_arguments(session.project, source, output, frames, session.threads)
    if apart:
        argv += ["-f", "mov", "-i", f"file:{folder.absolute() / sound_name(session.name, output)}"]
    argv += ["-map", "0:v:0"]
    for number, index in enumerate(output.audio):
        argv += ["-map", f"2:a:{number}" if apart else f"1:{index}"]
    argv += ["-c:v", "copy", *(("-tag:v", "hvc1") if _is_apples(output) else ())]
    argv += [*(["-c:a", "copy"] if apart else sound_arguments(output, options)), "-sn", "-dn", "-map_metadata", "1"]
    argv += ["-map_chapters", "-1" if output.cut else "1", "-video_track_timescale", str(output.fps.numerator * 512)]
    if output.format == "mp4":
        argv += ["-movflags", "+faststart"]
    target = f"file:{chunk.folder.absolute() / session.name}.{output.format}"
    argv += ["-f", VIDEO_CONTAINERS[output.format], target]
    return to_run(argv, {LIST: "\n".join(lines) + "\n"})


def expected_of_join(session: SessionRequest) -> Sequence[ExpectedOutput]:
    """The file that :func:`join_command` leaves: every picture of it was decoded in its part."""
    return [expected_video(session, decode=False)]


def _is_apples(output: Output) -> bool:
    return output.codec == "h265" and output.format in ("mp4", "mov")


def _begin_of(parts: Sequence[Part], number: int, stem: str, folder: Path, source: Source) -> tuple[int, str] | None:
    if number >= len(parts):
        return None
    seen = _noted(folder / boundary_name(stem, parts[number]), source)
    return seen[0] if seen else None


def _noted(note: Path, source: Source) -> list[tuple[int, str]]:
    """The pictures of a note: frame number by their time, and the hash of their pixels."""
    try:
        text = note.read_text("ascii")
    except (OSError, UnicodeDecodeError):
        return []
    second = 0.0
    seen = []
    for line in text.splitlines():
        if (base := _TIME_BASE.match(line)) is not None:
            second = int(base[1]) / int(base[2])
        elif (found := _HASH.match(line)) is not None:
            at = int(found[1]) * second - source.start - source.begin
            seen.append((source.first + round(at * float(source.fps)), found[2]))
    return seen
