"""What a machine needs to be a node, one function a question; each answer says how to mend what is wrong."""

from __future__ import annotations

import importlib.util
import os
import shutil
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Final

from app.cli import bpy_install
from app.cli.findings import Finding, Place, Verdict
from app.cli.show import size

_LOW_SPACE: Final = 5_000_000_000
_NO_SPACE: Final = 1_000_000_000
_START_TIMEOUT: Final = 60
_EARLIEST: Final = datetime(2026, 1, 1, tzinfo=UTC)
_NEEDED_MODULES: Final = ("av", "fastapi", "imageio_ffmpeg", "OpenImageIO", "PIL", "psutil", "uvicorn", "zstandard")


def python(place: Place) -> Finding:
    """The interpreter."""
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Finding("python", Verdict.OK, f"Python {version} at {sys.executable}")


def packages(place: Place) -> Finding:
    """The Python packages that do the work."""
    absent = [name for name in _NEEDED_MODULES if importlib.util.find_spec(name) is None]
    if absent:
        return Finding(
            "packages", Verdict.MISSING, f"not installed: {', '.join(absent)}", "Run `pip install zordon` again."
        )
    return Finding("packages", Verdict.OK, "all Python packages are there")


def data_folder(place: Place) -> Finding:
    """The data folder can be written and has space."""
    existing = place.data_dir
    while not existing.exists() and existing != existing.parent:
        existing = existing.parent
    try:
        with tempfile.TemporaryFile(dir=existing) as file:
            file.write(b"zordon")
            file.flush()
    except OSError as error:
        return Finding(
            "data folder",
            Verdict.MISSING,
            f"{place.data_dir} cannot be written: {error.strerror}",
            f"Give this user the right to write in {existing}, or choose another folder with --data-dir.",
        )
    free = shutil.disk_usage(existing).free
    message = f"{place.data_dir}, {size(free)} free"
    if free < _NO_SPACE:
        return Finding(
            "data folder", Verdict.MISSING, message, "Free some space, or choose another disk with --data-dir."
        )
    if free < _LOW_SPACE:
        return Finding("data folder", Verdict.NOTE, message, "That is little for pictures: free some space.")
    return Finding("data folder", Verdict.OK, message)


def token_file(place: Place) -> Finding:
    """The token is there and nobody else can read it."""
    path = place.data_dir / "token"
    try:
        mode = stat.S_IMODE(path.stat().st_mode)
        path.read_bytes()
    except FileNotFoundError:
        return Finding("token", Verdict.OK, "none yet; the first `zordon serve` makes it")
    except OSError as error:
        return Finding(
            "token",
            Verdict.MISSING,
            f"{path} cannot be read: {error.strerror}",
            "Run this as the user who runs the service, or give the token as ZORDON_TOKEN.",
        )
    if os.name == "posix" and mode & 0o077:
        return Finding(
            "token", Verdict.MISSING, f"{path} can be read by others (mode {mode:o})", f"Run `chmod 600 {path}`."
        )
    return Finding("token", Verdict.OK, f"{path}, readable by you alone")


def ffmpeg(place: Place) -> Finding:
    """FFmpeg is there and starts: the one that comes with Python, or the system's."""
    found = [path for path in (_embedded_ffmpeg(), shutil.which("ffmpeg")) if path]
    troubles = []
    for path in found:
        version, trouble = _first_line([path, "-hide_banner", "-version"])
        if not trouble:
            return Finding("ffmpeg", Verdict.OK, f"{' '.join(version.split()[:3])} at {path}")
        troubles.append(f"{path}: {trouble}")
    return Finding(
        "ffmpeg",
        Verdict.MISSING,
        "; ".join(troubles) or "there is none",
        "Run `pip install imageio-ffmpeg`, or install ffmpeg with the system's package manager.",
    )


def blender(place: Place) -> Finding:
    """A Blender is there and starts, or could be installed."""
    path = shutil.which("blender")
    if path:
        version, trouble = _first_line([path, "--version"])
        if not trouble:
            return Finding("blender", Verdict.OK, f"{version} at {path}")
        return Finding("blender", Verdict.NOTE, f"{path} does not start: {trouble}", "Install Blender anew.")
    managed = bpy_install.find_installed(place.data_dir / "engines" / "blender")
    if managed is not None:
        return Finding("blender", Verdict.OK, f"managed {managed.name} at {managed}")
    if sys.version_info[:2] != bpy_install.PYTHON:
        wanted = ".".join(str(part) for part in bpy_install.PYTHON)
        return Finding(
            "blender",
            Verdict.NOTE,
            f"none here, and the managed one needs Python {wanted}",
            f"Install Blender (Debian: apt-get install blender), or run Zordon with Python {wanted}.",
        )
    return Finding(
        "blender",
        Verdict.NOTE,
        "none here yet; everything but Blender jobs works",
        "Install Blender (Debian: apt-get install blender); `zordon demo --blender managed` installs PyPI's, 400 MB.",
    )


def libraries(place: Place) -> Finding:
    """The shared libraries that a managed Blender loads."""
    absent = bpy_install.missing_libraries()
    if not absent:
        return Finding("libraries", Verdict.OK, "all that a managed Blender loads are there")
    return Finding(
        "libraries",
        Verdict.NOTE,
        f"a managed Blender would not start without {', '.join(absent)}",
        f"Run as root: apt-get install -y --no-install-recommends {' '.join(absent)}",
    )


def port(place: Place) -> Finding:
    """The service's port is free, or the service itself has it."""
    where = f"{place.host}:{place.port}"
    if place.answering:
        return Finding("port", Verdict.OK, f"a Zordon service answers at {where}")
    family = socket.AF_INET6 if ":" in place.host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        if os.name == "posix":
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((place.host, place.port))
        except OSError as error:
            return Finding(
                "port",
                Verdict.MISSING,
                f"{where} cannot be had: {error.strerror}",
                "End the program that listens there, or choose another with --port.",
            )
    return Finding("port", Verdict.OK, f"{where} is free")


def clock(place: Place) -> Finding:
    """The clock is not obviously wrong: logs, schedules and certificates depend on it."""
    now = datetime.now(UTC)
    if now < _EARLIEST:
        return Finding("clock", Verdict.MISSING, f"it says {now:%Y-%m-%d}", "Set the clock, or turn on NTP.")
    return Finding("clock", Verdict.OK, f"{now:%Y-%m-%d %H:%M} UTC")


CHECKS: Final[Sequence[Callable[[Place], Finding]]] = (
    python,
    packages,
    data_folder,
    token_file,
    ffmpeg,
    blender,
    libraries,
    port,
    clock,
)


def _embedded_ffmpeg() -> str | None:
    if importlib.util.find_spec("imageio_ffmpeg") is None:
        return None
    import imageio_ffmpeg

    try:
        path: str = imageio_ffmpeg.get_ffmpeg_exe()
    except RuntimeError:
        # Its word for "this wheel carries none for this platform".
        return None
    return path


def _first_line(command: Sequence[str]) -> tuple[str, str]:
    """The first line a program prints, and what is wrong with it, if anything is."""
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=_START_TIMEOUT, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        return "", str(error)
    if done.returncode != 0:
        return "", f"exit code {done.returncode}: {(done.stderr.strip().splitlines() or [''])[-1]}"
    return (done.stdout.strip().splitlines() or [""])[0], ""
