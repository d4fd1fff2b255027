"""The add-on as one zip, made from the sources that were installed with the service: no two services of a version have
different ones, and there is nothing to build or to fetch.

One zip serves both ways to install: Blender before 4.2 wants a folder whose ``__init__.py`` has ``bl_info``, later ones
look for ``blender_manifest.toml``, in that folder too.
"""

from __future__ import annotations

import functools
import io
import zipfile
from pathlib import Path
from typing import Final

NAME: Final = "zordon"
"""The add-on's name in Blender, and the one folder of the zip."""
_SOURCES: Final = Path(__file__).parent / NAME
_KINDS: Final = frozenset({".py", ".toml", ""})
_DATE: Final = (1980, 1, 1, 0, 0, 0)


@functools.cache
def addon_archive() -> bytes:
    """The zip: the same bytes for the same sources, about 35 KB. Reads some files the first time.

    Raises:
        OSError: the sources cannot be read.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for path in sorted(_SOURCES.rglob("*")):
            if path.suffix not in _KINDS or "__pycache__" in path.parts or not path.is_file():
                continue
            info = zipfile.ZipInfo(f"{NAME}/{path.relative_to(_SOURCES).as_posix()}", _DATE)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = 0o100644 << 16
            archive.writestr(info, path.read_bytes())
    return buffer.getvalue()


def addon_file_name(version: str) -> str:
    """How the zip is called that a service of this version offers."""
    return f"{NAME}-blender-{version}.zip"
