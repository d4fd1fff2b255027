"""What kind of output a file is, by its name alone."""

from __future__ import annotations

import mimetypes
from pathlib import PurePath

_TYPES = {
    ".dpx": "image/x-dpx",
    ".exr": "image/x-exr",
    ".hdr": "image/vnd.radiance",
    ".jp2": "image/jp2",
    ".m2ts": "video/mp2t",
    ".mkv": "video/x-matroska",
    ".mxf": "application/mxf",
    ".tga": "image/x-tga",
    ".ts": "video/mp2t",
    ".webm": "video/webm",
    ".webp": "image/webp",
}
_VIDEOS = (".mxf", ".gif")  # their media types do not say so


def media_type_of(name: str) -> str:
    """The media type of a file; ``application/octet-stream`` where nothing is known."""
    suffix = PurePath(name).suffix.lower()
    return _TYPES.get(suffix) or mimetypes.guess_type(name)[0] or "application/octet-stream"


def is_video(name: str) -> bool:
    """Whether it has moving pictures."""
    return name.lower().endswith(_VIDEOS) or media_type_of(name).startswith("video/")


def is_visible(name: str) -> bool:
    """Whether there is anything in it of which a preview could be made."""
    return is_video(name) or media_type_of(name).startswith("image/")
