"""Where copies of Blender may be: programs and bpy folders, the system's and ours. Looks, starts nothing."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

from engines.blender.interpreters import module_metadata
from engines.choosing import numbers
from engines.contract import EngineCandidate, InstallKind

_PROGRAM = "blender.exe" if sys.platform == "win32" else "blender"

# Flatpak's wrapper is left out: its sandbox neither sees the job folders nor hands down file descriptors. Blender's
# snap has no such walls. Homebrew, winget and Chocolatey put it where its maker's own installers do.
_USUAL = {
    "linux": (
        "/usr/bin/blender",
        "/usr/local/bin/blender",
        "/opt/blender*/blender",
        "/opt/blender/*/blender",
        "/snap/bin/blender",
    ),
    "darwin": ("/Applications/Blender*.app/Contents/MacOS/Blender",),
    "win32": (),
}
_USUAL_AT_HOME = {
    "linux": (
        "blender*/blender",
        ".local/bin/blender",
        "Applications/blender*/blender",
        ".local/share/Steam/steamapps/common/Blender/blender",
    ),
    "darwin": (
        "Applications/Blender*.app/Contents/MacOS/Blender",
        "Library/Application Support/Steam/steamapps/common/Blender/Blender.app/Contents/MacOS/Blender",
    ),
    "win32": ("scoop/apps/blender*/current/blender.exe",),
}


def find(managed: Path) -> list[EngineCandidate]:
    """Every copy once: what PATH names first, then the usual places, then ``managed``.

    ``managed`` has one folder a version, which holds a bpy or an unpacked release; it may also be such a folder itself.
    """
    found: dict[Path, EngineCandidate] = {}
    for program in _system_programs():
        if os.access(program, os.X_OK):
            found.setdefault(program.resolve(), EngineCandidate(program, InstallKind.SYSTEM, "binary"))
    for folder in (managed, *_folders(managed)):
        if (metadata := module_metadata(folder)) is not None:
            found.setdefault(folder.resolve(), EngineCandidate(folder, InstallKind.MANAGED, "bpy", metadata[0]))
        elif (released := _released_program(folder)) is not None:
            found[released.resolve()] = EngineCandidate(released, InstallKind.MANAGED, "binary")
    return list(found.values())


def _system_programs() -> Iterator[Path]:
    on_path = shutil.which("blender")
    if on_path:
        yield Path(on_path)
    for pattern in _USUAL.get(sys.platform, ()):
        yield from sorted(Path("/").glob(pattern.lstrip("/")))
    for pattern in _USUAL_AT_HOME.get(sys.platform, ()):
        yield from sorted(Path.home().glob(pattern))
    if sys.platform == "win32":
        for variable in ("ProgramFiles", "ProgramFiles(x86)"):
            root = Path(os.environ.get(variable, "C:/Program Files"))
            yield from sorted(root.glob("Blender Foundation/Blender */blender.exe"))
            yield from sorted(root.glob("Steam/steamapps/common/Blender/blender.exe"))


def _folders(managed: Path) -> Iterator[Path]:
    if managed.is_dir():
        yield from sorted(path for path in managed.iterdir() if path.is_dir() and not path.name.startswith("."))


def _released_program(folder: Path) -> Path | None:
    """The program of an unpacked release: in the folder, or in the one folder that the archive held."""
    for pattern in (_PROGRAM, f"*/{_PROGRAM}", "Blender.app/Contents/MacOS/Blender"):
        for program in sorted(folder.glob(pattern)):
            if program.is_file() and os.access(program, os.X_OK) and _is_release(program):
                return program
    return None


def _is_release(program: Path) -> bool:
    """A release has its data beside the program, in a folder named after the version."""
    return datafiles(program, None) is not None


def datafiles(program: Path, version: str | None) -> Path | None:
    """The folder ``datafiles`` of a program: beside it (releases), or where distributions put it."""
    real = program.resolve()
    near = (real.parent, real.parent.parent / "Resources", real.parent.parent / "share" / "blender")
    for root in near:
        named = [] if version is None else [root / ".".join(str(part) for part in numbers(version)[:2])]
        others = sorted(path for path in root.glob("[0-9]*.[0-9]*") if path.is_dir())
        for folder in (*named, root, *others):
            if (folder / "datafiles").is_dir():
                return folder / "datafiles"
    return None


def colour_config(path: Path, version: str, is_module: bool) -> Path | None:
    """The OpenColorIO config that comes with a copy; None if it is not where it should be."""
    if is_module:
        data = path / "bpy" / ".".join(str(part) for part in numbers(version)[:2]) / "datafiles"
    else:
        data = datafiles(path, version) or Path("datafiles")
    config = data / "colormanagement" / "config.ocio"
    return config if config.is_file() else None
