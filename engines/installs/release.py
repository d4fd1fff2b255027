"""One version of an engine as somebody offers it, ready to be fetched."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Packaging(StrEnum):
    """How a release is fetched."""

    ARCHIVE = "archive"  # one file over HTTP, to be unpacked
    PACKAGE = "package"  # a Python package that pip installs into a folder


@dataclass(frozen=True, slots=True)
class Checksum:
    """What the offerer says of the bytes."""

    algorithm: str  # as hashlib names it: "sha256", "md5"
    digest: str  # hexadecimal, lower case


@dataclass(frozen=True, slots=True)
class Release:
    """See the module. ``version`` is complete ("4.5.3") wherever the offerer tells it."""

    engine: str
    version: str
    system_os: str  # "linux", "macos", "windows"
    cpu: str  # "x64", "arm64"
    source: str  # name of the source that offers it
    packaging: Packaging
    location: str  # the archive's URL, or pip's requirement ("bpy==4.5.15")
    file_name: str = ""  # of the archive, as its checksum file names it
    size: int | None = None  # bytes, where known beforehand
    checksum: Checksum | None = None
    checksum_url: str | None = None  # a file that holds the checksum, where it is not known yet
    python: tuple[int, int] | None = None  # the one Python that a package runs under
    lts: bool = False  # supported for two years
