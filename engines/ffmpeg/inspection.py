"""What is in a project: finds the video or the sequence, has it read, and says it in the contract's words."""

from __future__ import annotations

from pathlib import Path

from pydantic import JsonValue

from engines.contract import ProjectInfo, Refusal
from engines.ffmpeg.sequence import PICTURES, VIDEOS, locate, read_sequence
from engines.ffmpeg.video import read_video


def inspect_project(project: Path) -> ProjectInfo:
    """See :meth:`engines.contract.Engine.inspect`.

    Raises:
        Refusal: it is neither a video nor an image sequence, or damaged.
    """
    media = locate(project)
    name = media.name.lower()
    if name.endswith(PICTURES):
        source, warnings = read_sequence(media)
    elif name.endswith(VIDEOS):
        source, warnings = read_video(media)
    else:
        raise Refusal("project", f"{media.name} is neither a video nor a picture of a sequence")
    if project.is_dir():
        inside = media.parent.relative_to(project) / source.file
        source = source.model_copy(update={"file": inside.as_posix()})
    details: dict[str, JsonValue] = source.model_dump(mode="json", exclude_defaults=True)
    frames = f"{source.first}-{source.last}" if source.last > source.first else str(source.first)
    return ProjectInfo(
        kind=source.kind,
        frames=frames,
        fps=float(source.fps) or None,
        width=source.width,
        height=source.height,
        duration=source.duration,
        warnings=tuple(warnings),
        details=details,
    )
