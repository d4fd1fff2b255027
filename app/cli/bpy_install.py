"""Blender without a Blender on the machine: PyPI's ``bpy``, in a folder of its own.

pip installs it as the service does (:mod:`app.installs.sources.pip`), in a scratch folder beside the destination, which
is renamed into place once ``import bpy`` has worked there: a half-made installation is never found by anyone.
"""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Final

REQUIREMENT: Final = "bpy==4.5.*"
PYTHON: Final = (3, 11)
"""The one Python that this series of ``bpy`` is built for."""

LIBRARIES: Final = {
    "libxkbcommon.so.0": "libxkbcommon0",
    "libSM.so.6": "libsm6",
    "libXi.so.6": "libxi6",
    "libXrender.so.1": "libxrender1",
    "libXfixes.so.3": "libxfixes3",
    "libGL.so.1": "libgl1",
    "libgomp.so.1": "libgomp1",
    "libXxf86vm.so.1": "libxxf86vm1",
    "libEGL.so.1": "libegl1",
}
"""Shared libraries that ``bpy`` loads and a minimal Linux lacks, and the Debian packages that hold them."""

_DOING: Final = {"downloading": "downloading Blender", "unpacking": "unpacking Blender"}

Report = Callable[[str, int, int | None], None]
"""Called as ``report(what is being done, bytes on the disk so far, bytes expected or None)``, in the same thread."""


class InstallFailed(Exception):
    """``bpy`` could not be installed; the message says why and what would help."""


def find_installed(folder: Path) -> Path | None:
    """The newest installed copy under ``folder`` (one folder a version), or None."""
    found = [
        path for path in folder.glob("*") if (path / "bpy" / "__init__.so").exists() or any(path.glob("bpy/*.pyd"))
    ]
    return max(found, key=lambda path: [int(part) for part in re.findall(r"\d+", path.name)], default=None)


def missing_libraries() -> list[str]:
    """The Debian packages that are needed and whose library does not load here; empty off Linux."""
    if sys.platform != "linux":
        return []
    # In a process of its own: a library that is loaded stays, and some change what their process does.
    script = (
        "import ctypes, sys\nfor name in sys.argv[1:]:\n    try: ctypes.CDLL(name)\n    except OSError: print(name)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", script, *LIBRARIES], capture_output=True, text=True, timeout=60, check=False
    )
    return [LIBRARIES[name] for name in done.stdout.split()]


def install_bpy(folder: Path, report: Report, requirement: str = REQUIREMENT) -> Path:
    """Install ``bpy`` into ``folder/<version>``; blocks for minutes, in an event loop of its own.

    Shared libraries that are missing are installed with apt-get where this process may do that.

    Args:
        folder: where the versions of Blender are kept, one folder each.
        report: told about the way it goes, a few times a second.
        requirement: what pip is asked for.

    Returns:
        The folder of the installed version, to be used as PYTHONPATH.

    Raises:
        InstallFailed: wrong Python, no space, no network, or libraries that are missing.
        OSError: the folder cannot be written.
    """
    if sys.version_info[:2] != PYTHON:
        raise InstallFailed(
            f"{requirement} is built for Python {PYTHON[0]}.{PYTHON[1]}, this is {sys.version.split()[0]}: "
            "run Zordon with that Python, or install Blender itself"
        )
    folder.mkdir(parents=True, exist_ok=True)
    return asyncio.run(_install(folder, report, requirement))


async def _install(folder: Path, report: Report, requirement: str) -> Path:
    # Imported here: looking for what is installed must not load the installing parts of the service.
    from app.installs.source import Phase, SourceError
    from app.installs.sources import pip
    from app.installs.sources.packages import NEEDED_BYTES

    needed = NEEDED_BYTES["blender"]
    free = (await asyncio.to_thread(shutil.disk_usage, folder)).free
    if free < needed:
        raise InstallFailed(f"{folder} has {free / 1e9:.1f} GB free, Blender needs {needed / 1e9:.1f} GB")

    def progress(phase: Phase, done: int, total: int | None) -> None:
        report(_DOING[phase], done, total)

    try:
        async with pip.installed(Path(sys.executable), requirement, folder, progress) as target:
            report("checking", 0, None)
            return await asyncio.to_thread(_put, target, folder)
    except SourceError as error:
        raise InstallFailed(f"{error}. Is there a network? Installing Blender itself works as well") from error


def _put(target: Path, folder: Path) -> Path:
    version = _version_of(target)
    _make_importable(target)
    place = folder / version
    if place.exists():
        shutil.rmtree(place)
    return target.rename(place)


def _version_of(target: Path) -> str:
    for info in target.glob("bpy-*.dist-info"):
        return info.name.removeprefix("bpy-").removesuffix(".dist-info")
    raise InstallFailed("pip said that it installed bpy, but it is not there")


def _make_importable(target: Path) -> None:
    """Try ``import bpy``; install the shared libraries that are missing, where that is allowed, and try again."""
    trouble = _import_trouble(target)
    if trouble is None:
        return
    packages = missing_libraries()
    if packages and _may_apt():
        for command in (["apt-get", "update"], ["apt-get", "install", "-y", "--no-install-recommends", *packages]):
            subprocess.run(
                command,
                env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"},
                stdin=subprocess.DEVNULL,
                capture_output=True,
                check=False,
            )
        trouble = _import_trouble(target)
        if trouble is None:
            return
    if packages:
        raise InstallFailed(
            "Blender needs shared libraries that this machine lacks; install them as root: "
            f"apt-get install -y --no-install-recommends {' '.join(packages)}"
        )
    raise InstallFailed(f"the installed Blender does not start: {trouble}")


def _import_trouble(target: Path) -> str | None:
    """Why ``import bpy`` fails, in a process of its own; None if it works."""
    done = subprocess.run(
        [sys.executable, "-c", "import bpy; print(bpy.app.version_string)"],
        env=os.environ | {"PYTHONPATH": str(target)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if done.returncode == 0:
        return None
    return (done.stderr.strip().splitlines() or [f"exit code {done.returncode}"])[-1]


def _may_apt() -> bool:
    return sys.platform == "linux" and os.geteuid() == 0 and shutil.which("apt-get") is not None
