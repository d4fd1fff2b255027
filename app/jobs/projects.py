"""Which file of a folder (an unpacked archive, a local folder) is the project."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.jobs.errors import RequestError, TooLarge
from app.jobs.names import BadName, member_parts
from engines.contract import Engine

MAX_SHOWN: Final = 5
"""How many candidates an error names."""
_NUMBER: Final = re.compile(r"\A(.*?)(\d+)(\D*)\Z")


@dataclass(frozen=True, slots=True)
class FoundProject:
    """The project of a folder."""

    engine: Engine
    path: Path  # the project; the folder of the pictures if it is an image sequence


def find_project(root: Path, engine: Engine | None, engines: Iterable[Engine], most: int) -> FoundProject:
    """The project in a folder: what lies nearest to its top. For a thread.

    A project file wins over pictures, whatever the order of ``engines``: an engine is asked before those that open more
    kinds of files. Several pictures of one sequence are one project.

    Args:
        root: the folder.
        engine: the engine that must open it; None: any.
        engines: the engines there are.
        most: how many files are looked at.

    Raises:
        RequestError: there is none, or it is not clear which one it is.
    """
    files = _files(root, most)
    asked = [engine] if engine is not None else sorted(engines, key=lambda item: len(item.extensions))
    for candidate in asked:
        if path := _project_of(root, files, candidate):
            return FoundProject(candidate, path)
    if engine is not None:
        raise RequestError(f"it holds no project for {engine.title} ({', '.join(engine.extensions) or 'none'})")
    raise RequestError("it holds no project that an engine of this node opens")


def named_project(root: Path, name: str) -> Path:
    """The file of a folder that a client has named as the project. For a thread.

    Args:
        root: the folder.
        name: its path in it, with ``/``.

    Raises:
        RequestError: there is no such file, or it does not lie in the folder.
    """
    try:
        path = root.joinpath(*member_parts(name))
    except BadName as error:
        raise RequestError(str(error), "project") from error
    if not path.is_file() or not path.resolve().is_relative_to(root.resolve()):
        raise RequestError(f"there is no file {name[:200]!r} in what was sent", "project")
    return path


def _files(root: Path, most: int) -> list[tuple[int, Path]]:
    """All files with their depth. Links to folders are not followed."""
    files: list[tuple[int, Path]] = []
    for folder, names, plain in os.walk(root):
        names[:] = sorted(name for name in names if not name.startswith("."))
        here = Path(folder)
        depth = len(here.relative_to(root).parts)
        files += [(depth, here / name) for name in sorted(plain) if not name.startswith(".")]
        if len(files) > most:
            raise TooLarge(f"the folder holds more than {most} files (max_archive_files)")
    return files


def _project_of(root: Path, files: list[tuple[int, Path]], engine: Engine) -> Path | None:
    opened = [(depth, path) for depth, path in files if engine.opens(path.name)]
    if not opened:
        return None
    nearest = min(depth for depth, _ in opened)
    candidates = [path for depth, path in opened if depth == nearest]
    if len(candidates) == 1:
        return candidates[0]
    sequences = {_sequence(path) for path in candidates}
    if len(sequences) == 1 and None not in sequences:
        return candidates[0].parent
    shown = ", ".join(repr(str(path.relative_to(root))) for path in candidates[:MAX_SHOWN])
    more = f" and {len(candidates) - MAX_SHOWN} more" if len(candidates) > MAX_SHOWN else ""
    raise RequestError(
        f"it is not clear which file is the project for {engine.title}: {shown}{more}; leave one of them at the top"
    )


def _sequence(path: Path) -> tuple[Path, str, str] | None:
    """What pictures of one sequence have in common; None for a name without a number."""
    match = _NUMBER.match(path.name.removesuffix(path.suffix))
    return None if match is None else (path.parent, match[1], match[3] + path.suffix.lower())
