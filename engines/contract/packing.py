"""Everything that a project needs, as it can be carried to another machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class PackedFile:
    """One file: where it belongs in the packed project ("/"-separated, relative), and where its content is now."""

    path: str
    source: Path
    origin: Path | None = None  # the file that ``source`` was made from, if it is in the work folder


@dataclass(frozen=True, slots=True)
class Packing:
    """A project with all that it needs. Picklable: packing runs in a worker process.

    ``main`` is what an engine opens: one of the files, or a folder that holds some of them.
    """

    main: str
    files: tuple[PackedFile, ...]
    warnings: tuple[str, ...] = ()  # such as files that are needed and not there


def pack_as_it_is(project: Path, root: Path | None) -> Packing:
    """A project whose files refer to nothing else: itself, or all that is in its folder.

    Args:
        project: the file or folder that the engine opens.
        root: the folder that was uploaded with it, all of which belongs to it; None: the project is read in place.

    Raises:
        OSError: it cannot be read.
    """
    whole = project if root is None else root
    if whole.is_file():
        return Packing(whole.name, (PackedFile(whole.name, whole),))
    # The name of the outermost folder is this machine's matter, but pictures must not lie beside what a job adds.
    main = "project" if whole == project else project.relative_to(whole).as_posix()
    prefix = "project/" if whole == project else ""
    return Packing(main, tuple(PackedFile(prefix + name, path) for name, path in files_below(whole)))


def files_below(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every regular file below a folder with its path relative to it, sorted. Links to folders are not followed.

    Raises:
        OSError: it cannot be read.
    """
    for parent, folders, names in os.walk(folder, onerror=_raise):
        folders.sort()
        here = Path(parent)
        for name in sorted(names):
            path = here / name
            if path.is_file():
                yield path.relative_to(folder).as_posix(), path


def _raise(error: OSError) -> None:
    raise error
