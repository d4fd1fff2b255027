"""Finds the Python that a bpy folder runs under: each bpy is built for exactly one.

Nothing is started to find out: it looks for names on PATH and for pyenv's versions, whose own entries on PATH are
scripts that only work for the versions somebody has chosen.
"""

from __future__ import annotations

import os
import re
import shutil
import sys
from pathlib import Path

from engines.contract import Refusal

_REQUIRES = re.compile(r"^Requires-Python:.*?(\d+)\.(\d+)", re.MULTILINE)
_VERSION = re.compile(r"^Version:\s*(\S+)", re.MULTILINE)


def module_metadata(folder: Path) -> tuple[str, tuple[int, int] | None] | None:
    """Version of the bpy in a folder, and the Python it needs; None if there is no complete bpy.

    pip writes the metadata last, so a folder without is not finished.
    """
    if not (folder / "bpy").is_dir():
        return None
    for metadata in sorted(folder.glob("bpy-*.dist-info/METADATA")):
        text = metadata.read_text(encoding="utf-8", errors="replace")
        version, needs = _VERSION.search(text), _REQUIRES.search(text)
        if version:
            return version[1], (int(needs[1]), int(needs[2])) if needs else None
    return None


def python_for(needed: tuple[int, int]) -> Path | None:
    """A Python of exactly this major.minor on this machine; None if there is none."""
    if sys.version_info[:2] == needed:
        return Path(sys.executable)
    name = f"python{needed[0]}.{needed[1]}"
    on_path = [Path(folder) for folder in os.environ.get("PATH", "").split(os.pathsep) if folder]
    for folder in on_path:
        found = None if folder.name == "shims" else shutil.which(name, path=str(folder))
        if found:
            return Path(found)
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    for version in sorted(pyenv.glob(f"versions/{needed[0]}.{needed[1]}.*"), reverse=True):
        python = version / "bin" / name
        if python.is_file():
            return python
    return None


def interpreter_of(folder: Path) -> Path:
    """The Python for the bpy in a folder.

    Raises:
        Refusal: there is no bpy in it, or no such Python on this machine.
    """
    metadata = module_metadata(folder)
    if metadata is None:
        raise Refusal("engine_version", f"there is no complete bpy in {folder}")
    version, needed = metadata
    python = python_for(needed or sys.version_info[:2])
    if python is None:
        word = ".".join(str(part) for part in needed or ())
        raise Refusal("engine_version", f"bpy {version} needs Python {word}, which this machine does not have")
    return python
