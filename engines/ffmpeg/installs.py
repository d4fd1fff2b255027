"""Where copies of FFmpeg are, which version they have, what they can encode. Starts nothing: it looks and it reads."""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

from pydantic import JsonValue

from engines.contract import EngineCandidate, InstallKind

_VERSION = re.compile(r"^ffmpeg version n?(\d+(?:\.\d+){1,3})", re.MULTILINE)
_GIT_BUILD = re.compile(r"^ffmpeg version \S.*?^\s*libavcodec\s+(\d+)\.", re.MULTILINE | re.DOTALL)
_EMBEDDED_NAME = re.compile(r"\Affmpeg-.*-v(\d+(?:\.\d+)+?)(?:\.exe)?\Z")
_ENCODER = re.compile(r"^ ([VAS])[F.][S.][X.][B.][D.] (\S+)", re.MULTILINE)
_ACCELERATIONS = "Hardware acceleration methods:"
_HARDWARE = ("_nvenc", "_qsv", "_vaapi", "_amf", "_videotoolbox", "_mf", "_vulkan", "_v4l2m2m")

CODEC_MAJOR_OFFSET = 54
"""FFmpeg N carries libavcodec N + 54, from FFmpeg 5 on (``RELEASE_NOTES`` of each release)."""


def find_candidates(managed: Path) -> list[EngineCandidate]:
    """Embedded, managed and system copies, in this order, each file once."""
    found: dict[Path, EngineCandidate] = {}
    for candidate in (*_embedded(), *_managed(managed), *_system()):
        found.setdefault(candidate.path.resolve(), candidate)
    return list(found.values())


def parse_version(printed: str) -> str | None:
    """The version in what ``ffmpeg -version`` printed.

    A build from the repository has a commit instead of a number; its libraries tell which release it is nearest to.
    """
    if match := _VERSION.search(printed):
        return match[1]
    if match := _GIT_BUILD.search(printed):
        return f"{int(match[1]) - CODEC_MAJOR_OFFSET}.0"
    return None


def parse_info(printed: str) -> Mapping[str, JsonValue]:
    """Encoders and ways to decode on hardware, in what ``ffmpeg -encoders`` and ``ffmpeg -hwaccels`` printed.

    They are what the build knows. Whether this machine has such hardware shows only when something is encoded.
    """
    encoders = _ENCODER.findall(printed)
    video = sorted(name for kind, name in encoders if kind == "V")
    _, _, after = printed.partition(_ACCELERATIONS)
    return {
        "video_encoders": list[JsonValue](video),
        "audio_encoders": list[JsonValue](sorted(name for kind, name in encoders if kind == "A")),
        "hardware_encoders": list[JsonValue](name for name in video if name.endswith(_HARDWARE)),
        "hardware_acceleration": list[JsonValue](sorted(set(after.split()))),
    }


def _binary_name() -> str:
    return "ffmpeg.exe" if sys.platform == "win32" else "ffmpeg"


def _embedded() -> Iterator[EngineCandidate]:
    """The copy inside the imageio-ffmpeg package; importing the package or asking it would start processes."""
    spec = importlib.util.find_spec("imageio_ffmpeg")
    for folder in spec.submodule_search_locations or () if spec else ():
        for path in sorted(Path(folder, "binaries").glob("ffmpeg-*"), reverse=True):
            if _runnable(path):
                name = _EMBEDDED_NAME.match(path.name)
                yield EngineCandidate(path, InstallKind.EMBEDDED, "binary", name[1] if name else None)


def _managed(folder: Path) -> Iterator[EngineCandidate]:
    """Managed copies: one folder a version, the program in it, in its ``bin`` or one level deeper."""
    if not folder.is_dir():
        return
    name = _binary_name()
    for version in sorted(path for path in folder.iterdir() if path.is_dir()):
        places = [version / name, version / "bin" / name, *version.glob(f"*/{name}"), *version.glob(f"*/bin/{name}")]
        program = next((path for path in places if _runnable(path)), None)
        if program is not None:
            yield EngineCandidate(program, InstallKind.MANAGED, "binary")


def _system() -> Iterator[EngineCandidate]:
    name = _binary_name()
    on_path = shutil.which("ffmpeg")
    places = [Path(on_path)] if on_path else []
    places += [Path(folder, name) for folder in _usual_folders() if folder]
    for path in places:
        # Snap's and Flatpak's walls hide the data folder from it.
        if _runnable(path) and not path.is_relative_to("/snap") and "flatpak" not in path.parts:
            yield EngineCandidate(path.absolute(), InstallKind.SYSTEM, "binary")


def _usual_folders() -> tuple[str, ...]:
    """Where package managers and people put FFmpeg when a service's PATH does not name it."""
    if sys.platform == "win32":
        home, local = os.environ.get("USERPROFILE", ""), os.environ.get("LOCALAPPDATA", "")
        return (
            os.environ.get("PROGRAMFILES", r"C:\Program Files") + r"\ffmpeg\bin",
            r"C:\ffmpeg\bin",
            os.environ.get("PROGRAMDATA", r"C:\ProgramData") + r"\chocolatey\bin",
            home and home + r"\scoop\shims",
            local and local + r"\Microsoft\WinGet\Links",
        )
    if sys.platform == "darwin":
        return ("/opt/homebrew/bin", "/usr/local/bin", "/opt/local/bin")
    return ("/usr/bin", "/usr/local/bin", "/opt/ffmpeg/bin", "/opt/ffmpeg", "/home/linuxbrew/.linuxbrew/bin")


def _runnable(path: Path) -> bool:
    return path.is_file() and os.access(path, os.X_OK)
