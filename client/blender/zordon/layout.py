"""Where a project's files lie in its archive, by blender-asset-tracer's rules: what is below the project's folder keeps
its place, what is elsewhere goes to ``_outside_project``, below its whole path.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

OUTSIDE = "_outside_project"
_NUMBER = re.compile(r"(\d+)(?!.*\d)")


@dataclass(frozen=True)
class Dependency:
    """A file, or several written as one, that Blender reads when it opens or renders the project.

    Attributes:
        kind: what it is, for people: texture, linked file, cache.
        path: as the project means it: absolute, may have ``<UDIM>`` in its name, may be a folder.
        series: whether the files beside it that differ in nothing but their last number belong to it.
        user: name of what uses it.
        parted: whether the project names the folder and the file in it apart.
    """

    kind: str
    path: Path
    series: bool = False
    user: str = ""
    parted: bool = False


def absolute(path: str, start: Path) -> Path:
    """What a path in a .blend means that lies in the folder ``start``; nothing is looked up on the disk."""
    if path.startswith("//"):
        path = os.path.join(start, path[2:].replace("\\", "/"))  # noqa: PTH118 - "//.." is not known to pathlib
    elif os.name != "nt":
        path = path.replace("\\", "/") if path.startswith("\\") else path
    return Path(os.path.normpath(os.path.join(start, path)))  # noqa: PTH118


def same(path: Path) -> str:
    """Equal for two paths that this system takes for one."""
    return os.path.normcase(str(path))


def is_below(path: Path, folder: Path) -> bool:
    """Whether a file or folder lies in a folder; nothing is looked up on the disk."""
    inner, outer = same(path), same(folder)
    return inner == outer or inner.startswith(outer.rstrip(os.sep) + os.sep)


def place_in_archive(path: Path, project_folder: Path) -> str:
    """Where a file belongs in the archive: a relative path with ``/``."""
    if is_below(path, project_folder):
        return Path(*path.parts[len(project_folder.parts) :]).as_posix()
    drive = re.sub(r"[^\w.$-]+", "/", path.drive).strip("/")
    return "/".join(part for part in (OUTSIDE, drive, *path.parts[1:]) if part)


def relative(place: str, other: str) -> str:
    """How the file at ``other`` in the archive names what lies at ``place``: ``//../tex/a.png``."""
    folder, target = other.split("/")[:-1], place.split("/")
    shared = 0
    while shared < min(len(folder), len(target) - 1) and folder[shared] == target[shared]:
        shared += 1
    return "//" + "/".join([".."] * (len(folder) - shared) + target[shared:])


def files_of(dependency: Dependency) -> list[Path]:
    """The files that are there, sorted; looks at one folder of the disk, or at all below a folder that is meant.

    Raises:
        OSError: a folder cannot be read.
    """
    path = dependency.path
    if path.is_dir():
        return sorted(_below(path))
    if "<UDIM>" in path.name or "<UVTILE>" in path.name:
        tile = re.escape(path.name).replace("<UDIM>", r"\d{4}").replace("<UVTILE>", r"u\d+_v\d+")
        return _beside(path, re.compile(tile))
    if dependency.series and (number := _NUMBER.search(path.stem)):
        before, after = path.name[: number.start()], path.name[number.end() :]
        return _beside(path, re.compile(rf"{re.escape(before)}\d+{re.escape(after)}"))
    return [path] if path.is_file() else []


def _beside(path: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        return sorted(one for one in path.parent.iterdir() if pattern.fullmatch(one.name) and one.is_file())
    except (FileNotFoundError, NotADirectoryError):
        return []


def _below(folder: Path) -> Iterator[Path]:
    for here, _, names in os.walk(folder):
        yield from (Path(here, name) for name in names)
