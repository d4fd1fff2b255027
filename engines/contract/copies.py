"""Installed copies of engines: where one may be, and what is known of one."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path


class InstallKind(StrEnum):
    """Where an installed copy comes from."""

    SYSTEM = "system"  # found on PATH or in a usual place; never touched
    MANAGED = "managed"  # under the data folder; ours to install and delete
    EMBEDDED = "embedded"  # comes with a Python dependency of the service
    CUSTOM = "custom"  # a build that the settings give a name of its own; never touched


@dataclass(frozen=True, slots=True)
class EngineCandidate:
    """A place where a copy of an engine may be. ``version`` is set where it is known without starting anything."""

    path: Path  # the executable, or the folder that holds the module (bpy)
    kind: InstallKind
    flavour: str = ""  # engine's own word for how it is driven, e.g. "binary" or "bpy"
    version: str | None = None


@dataclass(frozen=True, slots=True)
class EngineVersion:
    """One installed copy of an engine."""

    engine: str
    version: str  # "3.4.1"; of a custom build its name, which begins with a letter
    path: Path
    kind: InstallKind
    system_os: str  # "linux", "macos", "windows"
    cpu: str  # "x64", "arm64"
    flavour: str = ""
    base: str = ""  # of a custom build: the version that the copy says it is

    @property
    def number(self) -> str:
        """The version that the copy really is, whatever it is called here: what it can do depends on this one."""
        return self.base or self.version
