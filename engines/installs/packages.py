"""Engines as Python packages: which packages there are, what they hold, and what pip says of their versions."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Final

from engines.blender.series import LONG_TERM
from engines.choosing import numbers
from engines.installs.release import Packaging, Release

BPY: Final = "bpy"
BPY_PYTHONS: Final = ((3, 13), (3, 11))
"""A ``bpy`` is built for exactly one Python: 4.2 to 5.0 for 3.11, from 5.1 on for 3.13. Newest first."""
IMAGEIO_FFMPEG: Final = "imageio-ffmpeg"

MACHINES: Final[Mapping[tuple[str, str], Sequence[str]]] = MappingProxyType(
    {
        ("linux", "x64"): tuple(f"manylinux_2_{glibc}_x86_64" for glibc in (28, 27, 17)),
        ("linux", "arm64"): tuple(f"manylinux_2_{glibc}_aarch64" for glibc in (28, 27, 17)),
        ("windows", "x64"): ("win_amd64",),
        ("windows", "arm64"): ("win_arm64",),
        ("macos", "x64"): ("macosx_15_0_x86_64",),
        ("macos", "arm64"): ("macosx_15_0_arm64",),
    }
)
"""What wheels are called for a kind of machine (PEP 425, PEP 600); pip takes those of older systems of macOS too."""

_VERSIONS = re.compile(r"^Available versions: (.+)$", re.MULTILINE)
_SEVEN: Final = MappingProxyType(
    {
        ("linux", "x64"): "7.0.2",
        ("linux", "arm64"): "7.0.2",
        ("macos", "x64"): "7.1",
        ("macos", "arm64"): "7.1",
        ("windows", "x64"): "7.1",
    }
)
_NINE: Final = MappingProxyType(
    {
        ("linux", "x64"): "9.0.2",
        ("linux", "arm64"): "9.0.2",
        ("macos", "x64"): "9.0.2",
        ("macos", "arm64"): "9.0",
        ("windows", "x64"): "9.0.2",
        ("windows", "arm64"): "9.0.1",
    }
)
CARRIED: Final[Mapping[str, Mapping[tuple[str, str], str]]] = MappingProxyType(
    {"0.6.0": _SEVEN, "0.7.0": _SEVEN, "0.8.0": _NINE, "0.8.1": _NINE}
)
"""The FFmpeg in each ``imageio-ffmpeg``, as the names in its ``_definitions.py`` tell. Those before carry FFmpeg 4.2
for most systems, which is too old; what those after this list carry is not known before they are fetched."""


def listed_versions(printed: str) -> list[str]:
    """The versions in what ``pip index versions`` printed, newest first; none if it found none."""
    match = _VERSIONS.search(printed)
    return [version.strip() for version in match[1].split(",")] if match else []


def bpy_releases(
    versions: Sequence[str], python: tuple[int, int], source: str, system_os: str, cpu: str
) -> list[Release]:
    """Releases of Blender from the versions of ``bpy`` for one Python."""
    return [
        Release(
            "blender",
            version,
            system_os,
            cpu,
            source,
            Packaging.PACKAGE,
            f"{BPY}=={version}",
            python=python,
            lts=numbers(version)[:2] in LONG_TERM,
        )
        for version in versions
    ]


def ffmpeg_releases(versions: Sequence[str], source: str, system_os: str, cpu: str) -> list[Release]:
    """Releases of FFmpeg from the versions of ``imageio-ffmpeg``, newest first; of each the newest package."""
    found: dict[str, Release] = {}
    for version in sorted(versions, key=numbers, reverse=True):
        carried = CARRIED.get(version, {}).get((system_os, cpu))
        if carried is not None:
            requirement = f"{IMAGEIO_FFMPEG}=={version}"
            found.setdefault(
                carried, Release("ffmpeg", carried, system_os, cpu, source, Packaging.PACKAGE, requirement)
            )
    return sorted(found.values(), key=lambda release: numbers(release.version), reverse=True)
