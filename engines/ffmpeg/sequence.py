"""Finding an image sequence: by one of its pictures, or as the only sequence of a folder.

The numbers are taken from the names here and not by fileseq, for which ``shot-0001.png`` is frame -1; the notation in
which missing frames are named is fileseq's.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

from engines.contract import Refusal
from engines.ffmpeg.source import Source
from engines.ffmpeg.video import sentence

PICTURES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".exr", ".dpx", ".tga", ".bmp", ".webp")
"""File-name extensions of the pictures of a sequence."""

VIDEOS = (
    *(".mp4", ".mov", ".mkv", ".webm", ".avi", ".mxf", ".m4v", ".mpg", ".mpeg", ".ts", ".mts", ".m2ts", ".gif"),
    *(".flv", ".wmv", ".ogv", ".3gp", ".dv", ".y4m", ".ivf"),
)
"""File-name extensions of videos."""

_NUMBERED = re.compile(r"\A(.*?)(\d{1,9})(\.[^.]+)\Z", re.DOTALL)
_LONGEST_LIST = 200
_DEEPEST = 8


@dataclass(frozen=True, slots=True)
class _Pictures:
    """The pictures of a folder whose names differ in their number only; ``numbers`` empty: one without a number."""

    prefix: str
    suffix: str
    digits: int
    numbers: tuple[int, ...]

    def name(self, number: int) -> str:
        return f"{self.prefix}{number:0{self.digits}d}{self.suffix}" if self.digits else self.prefix + self.suffix


def locate(project: Path) -> Path:
    """The video, or one picture of the sequence, that a project is: itself, or what is alone in a folder.

    Raises:
        Refusal: there is no such file, nothing to open in the folder, or more than one thing.
    """
    if project.is_file():
        return project
    if not project.is_dir():
        raise Refusal("project", f"there is no file or folder {project.name}")
    folder = project
    for _ in range(_DEEPEST):
        inside = [path for path in sorted(folder.iterdir()) if not path.name.startswith((".", "__MACOSX"))]
        files = [path for path in inside if path.is_file()]
        videos = [path for path in files if path.name.lower().endswith(VIDEOS)]
        sequences = _group(path.name for path in files if path.name.lower().endswith(PICTURES))
        if len(videos) + len(sequences) > 1:
            names = [path.name for path in videos] + [group.name(min(group.numbers, default=0)) for group in sequences]
            raise Refusal(
                "project", f"the folder {project.name} must hold one sequence or one video; it has {_few(names)}"
            )
        if videos:
            return videos[0]
        if sequences:
            return folder / sequences[0].name(min(sequences[0].numbers, default=0))
        folders = [path for path in inside if path.is_dir()]
        if len(folders) != 1:
            break
        folder = folders[0]
    raise Refusal("project", f"the folder {project.name} holds neither a sequence of pictures nor a video")


def read_sequence(picture: Path) -> tuple[Source, list[str]]:
    """The sequence that a picture belongs to, and warnings for a person.

    Raises:
        Refusal: a frame is missing or empty, the numbering is ambiguous, or a picture does not decode.
    """
    extension = picture.suffix
    names = [path.name for path in picture.parent.iterdir() if path.suffix == extension and path.is_file()]
    group = next(group for group in _group(names) if picture.name in _names(group))
    missing = ",".join(_gap(before, after) for before, after in pairwise(group.numbers) if after > before + 1)
    if missing:
        raise Refusal(
            "project", f"the sequence {group.name(group.numbers[0])} … has a gap: missing {_short('frames ' + missing)}"
        )
    first, last = (group.numbers[0], group.numbers[-1]) if group.numbers else (1, 1)
    for number in range(first, last + 1):
        if not (picture.parent / group.name(number)).stat().st_size:
            raise Refusal("project", f"frame {number} of the sequence, {group.name(number)}, is an empty file")
    pixel_format, codec, width, height = _decode(picture.parent / group.name(first))
    warnings = []
    if last > first:
        end = _decode(picture.parent / group.name(last))
        if end[2:] != (width, height):
            raise Refusal(
                "project",
                f"the pictures of the sequence differ in size: {group.name(first)} has {width} × {height} pixels, "
                f"{group.name(last)} {end[2]} × {end[3]}",
            )
    if extension.lower() == ".exr":
        warnings.append("linear EXR pictures are shown as sRGB, without a view transform such as AgX or Filmic")
    source = Source(
        kind="image_sequence",
        file=group.name(first),
        container="image2",
        codec=codec,
        pixel_format=pixel_format,
        first=first,
        last=last,
        width=width,
        height=height,
        prefix=group.prefix,
        digits=group.digits,
        suffix=group.suffix,
    )
    return source, warnings


def pictures_of(picture: Path) -> list[Path]:
    """The pictures of the sequence that a picture belongs to, in the order of their numbers.

    Raises:
        Refusal: the numbering is ambiguous.
        OSError: the folder cannot be read.
    """
    names = [path.name for path in picture.parent.iterdir() if path.suffix == picture.suffix and path.is_file()]
    group = next(group for group in _group(names) if picture.name in _names(group))
    return [picture.parent / group.name(number) for number in group.numbers or (0,)]


def _group(names: Iterable[str]) -> list[_Pictures]:
    """Sort names into sequences.

    Raises:
        Refusal: a sequence counts in two ways, such as a_1.png beside a_01.png.
    """
    alone: list[_Pictures] = []
    numbered: dict[tuple[str, str], list[str]] = {}
    for name in sorted(names):
        match = _NUMBERED.match(name)
        if match is None:
            stem, dot, extension = name.rpartition(".")
            alone.append(_Pictures(stem, dot + extension, 0, ()))
        else:
            numbered.setdefault((match[1], match[3]), []).append(match[2])
    return alone + [_numbers(prefix, suffix, texts) for (prefix, suffix), texts in numbered.items()]


def _numbers(prefix: str, suffix: str, texts: list[str]) -> _Pictures:
    digits = min(len(text) for text in texts)
    odd = next((text for text in texts if len(text) > digits and text.startswith("0")), None)
    if odd is not None:
        other = next(text for text in texts if len(text) == digits)
        raise Refusal(
            "project",
            f"the sequence counts in two ways: {prefix}{other}{suffix} and {prefix}{odd}{suffix}; rename one kind",
        )
    return _Pictures(prefix, suffix, digits, tuple(sorted(int(text) for text in texts)))


def _names(group: _Pictures) -> set[str]:
    return {group.name(number) for number in group.numbers or (0,)}


def _decode(picture: Path) -> tuple[str, str, int, int]:
    """Pixel format, codec, width and height of a picture, as FFmpeg decodes it."""
    import av

    options = {"protocol_whitelist": "file,pipe", "pattern_type": "none"}
    try:
        with av.open(f"file:{picture.absolute()}", format="image2", options=options) as container:
            stream = container.streams.video[0]
            for frame in container.decode(stream):
                return frame.format.name, stream.codec_context.name, frame.width, frame.height
    except (av.FFmpegError, OSError) as error:
        layers = "; FFmpeg reads EXR of a single layer only" if picture.suffix.lower() == ".exr" else ""
        raise Refusal("project", f"the picture {picture.name} cannot be read: {sentence(error)}{layers}") from error
    raise Refusal("project", f"the picture {picture.name} has nothing in it that can be decoded")


def _gap(before: int, after: int) -> str:
    return str(before + 1) if after == before + 2 else f"{before + 1}-{after - 1}"


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST_LIST else text[:_LONGEST_LIST].rpartition(",")[0] + ", …"


def _few(names: list[str]) -> str:
    return ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
