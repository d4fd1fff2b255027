"""A video, or an image sequence with all its pictures, as it can be carried to another machine."""

from __future__ import annotations

from pathlib import Path

from engines.contract import PackedFile, Packing, pack_as_it_is
from engines.ffmpeg.sequence import PICTURES, locate, pictures_of


def pack_project(project: Path, root: Path | None) -> Packing:
    """See :meth:`engines.contract.Engine.pack`.

    Raises:
        Refusal: it is neither a video nor an image sequence.
        OSError: it cannot be read.
    """
    if root is not None:
        return pack_as_it_is(project, root)
    # Read in place: other things may lie beside it, a studio's whole archive perhaps.
    media = locate(project)
    needed = pictures_of(media) if media.name.lower().endswith(PICTURES) else [media]
    if project.is_file():
        return Packing(project.name, tuple(PackedFile(path.name, path) for path in needed))
    files = tuple(PackedFile(f"project/{path.relative_to(project).as_posix()}", path) for path in needed)
    return Packing("project", files)
