"""Engines from a Python package index: Blender as ``bpy``, FFmpeg as ``imageio-ffmpeg``."""

from __future__ import annotations

import asyncio
import shutil
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from app.installs.source import Phase, Progress, SourceError
from app.installs.sources import pip
from app.node.platforms import cpu_name, system_os
from engines.blender.interpreters import module_metadata, python_for
from engines.installs.packages import (
    BPY,
    BPY_PYTHONS,
    IMAGEIO_FFMPEG,
    MACHINES,
    bpy_releases,
    ffmpeg_releases,
)
from engines.installs.release import Release

NEEDED_BYTES: Final = {"blender": 2_500_000_000, "ffmpeg": 400_000_000}
"""What an install takes on the disk while it is under way: the wheel, what is unpacked of it, and what it needs."""


class PythonPackages:
    """A :class:`app.installs.source.Source` of Blender and FFmpeg. It has no downloads that go on: a run of pip that is
    broken off begins anew, from pip's own cache where that has the wheel.

    Args:
        name: as the setting names it.
        keep_free: bytes that stay free on the disk.
    """

    def __init__(self, name: str = "pypi", keep_free: int = 0) -> None:
        self.name = name
        self._keep_free = keep_free

    def offers(self, engine: str) -> bool:
        """See :meth:`app.installs.source.Source.offers`."""
        return engine in NEEDED_BYTES

    async def releases(self, engine: str, system_os: str, cpu: str) -> Sequence[Release]:
        """See :meth:`app.installs.source.Source.releases`.

        For this kind of machine, a ``bpy`` is offered only if the Python that it needs is here.
        """
        if engine == "ffmpeg":
            found = await pip.versions(Path(sys.executable), IMAGEIO_FFMPEG, _for_machine(system_os, cpu))
            return ffmpeg_releases(found, self.name, system_os, cpu)
        here = _is_here(system_os, cpu)
        pythons = [python for python in BPY_PYTHONS if not here or python_for(python) is not None]
        answers = await asyncio.gather(*(self._bpy(python, system_os, cpu) for python in pythons))
        return [release for answer in answers for release in answer]

    async def fetch(self, release: Release, work: Path, place: Path, progress: Progress) -> None:
        """See :meth:`app.installs.source.Source.fetch`."""
        progress(Phase.DOWNLOADING, 0, None)
        await asyncio.to_thread(pip.remove_leftovers, work)
        needed = NEEDED_BYTES[release.engine] + self._keep_free
        free = (await asyncio.to_thread(shutil.disk_usage, work)).free
        if free < needed:
            raise SourceError(
                f"the disk has {free / 1e9:.1f} GB free, and {needed / 1e9:.1f} GB are needed for {release.location}"
            )
        python = Path(sys.executable) if release.python is None else python_for(release.python)
        if python is None:
            word = ".".join(str(part) for part in release.python or ())
            raise SourceError(f"{release.location} needs Python {word}, which this machine does not have")
        is_bpy = release.engine == "blender"
        async with pip.installed(python, release.location, work, progress, dependencies=is_bpy) as target:
            await asyncio.to_thread(_put_bpy if is_bpy else _put_ffmpeg, release, target, place)

    async def _bpy(self, python: tuple[int, int], system_os: str, cpu: str) -> list[Release]:
        arguments = ["--python-version", f"{python[0]}.{python[1]}", *_for_machine(system_os, cpu)]
        found = await pip.versions(Path(sys.executable), BPY, arguments)
        return bpy_releases(found, python, self.name, system_os, cpu)


def _is_here(system: str, cpu: str) -> bool:
    return (system, cpu) == (system_os(), cpu_name())


def _for_machine(system: str, cpu: str) -> list[str]:
    """pip's words for a kind of machine; none for this one, about which pip knows more (which libc it has)."""
    if _is_here(system, cpu):
        return []
    names = MACHINES.get((system, cpu))
    if names is None:
        raise SourceError(f"no package is made for {system} on {cpu}")
    return [word for name in names for word in ("--platform", name)]


def _put_bpy(release: Release, target: Path, place: Path) -> None:
    metadata = module_metadata(target)
    if metadata is None:
        raise SourceError(f"pip said that it installed {release.location}, but there is no complete bpy")
    if metadata[0] != release.version:
        raise SourceError(f"pip installed bpy {metadata[0]} instead of {release.version}")
    target.rename(place)


def _put_ffmpeg(release: Release, target: Path, place: Path) -> None:
    programs = sorted((target / "imageio_ffmpeg" / "binaries").glob("ffmpeg-*"))
    if not programs:
        raise SourceError(f"there is no FFmpeg in {release.location} for this machine")
    program = programs[0]
    copy = target.with_name("copy")
    copy.mkdir()
    moved = program.rename(copy / ("ffmpeg.exe" if program.suffix == ".exe" else "ffmpeg"))
    moved.chmod(0o755)
    copy.rename(place)
