"""The static builds of FFmpeg that people know, by kind of machine: where they are, and what their pages say.

Each of these people offers only their newest build; an older version comes from the package index.

- Linux: BtbN's builds (every release branch, a page of GitHub's API) and John Van Sickle's.
- Windows: gyan.dev's (x64), BtbN's (x64, arm64).
- macOS: evermeet.cx's for x64. It signs with GPG and has no checksum: what counts is TLS, the size that its page names,
  and that the copy says the right version. Nobody offers a build for arm64 with a page that a program can read; the
  package index has one (``imageio-ffmpeg``).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from pydantic import BaseModel, ValidationError

from engines.choosing import numbers
from engines.installs.release import Checksum, Packaging, Release

_PLAIN_VERSION = re.compile(r"\d+(?:\.\d+){1,3}")
_README_VERSION = re.compile(r"^\s*version:\s*(\d+(?:\.\d+){1,3})\s*$", re.MULTILINE)
_BRANCH_BUILD = re.compile(
    r"ffmpeg-n(?P<version>\d+(?:\.\d+)+)(?:-\d+-g[0-9a-f]+)?-(?P<machine>\w+)-gpl-\d+\.\d+\.(?:tar\.xz|zip)"
)
_BRANCH_MACHINES: Final[Mapping[tuple[str, str], str]] = MappingProxyType(
    {
        ("linux", "x64"): "linux64",
        ("linux", "arm64"): "linuxarm64",
        ("windows", "x64"): "win64",
        ("windows", "arm64"): "winarm64",
    }
)
_SHA256: Final = "sha256:"

Parse = Callable[[str, "Build", str, str, str], list[Release]]
"""``parse(page, build, source, system_os, cpu)``; raises ValueError where the page is not what it should be."""


@dataclass(frozen=True, slots=True)
class Build:
    """Somebody's static builds."""

    maker: str
    page: str  # URL of what tells their version
    parse: Parse
    archives: Mapping[tuple[str, str], str]  # URL by kind of machine; empty where the page names them

    def read(self, page: str, source: str, system_os: str, cpu: str) -> list[Release]:
        """The releases that a page tells of, for a kind of machine.

        Raises:
            ValueError: it is not the page that it should be.
        """
        return self.parse(page, self, source, system_os, cpu)


class _Download(BaseModel):
    url: str
    size: int | None = None


class _Downloads(BaseModel):
    zip: _Download


class _Info(BaseModel):
    """evermeet.cx: ``/ffmpeg/info/ffmpeg/release``."""

    version: str
    download: _Downloads


class _Asset(BaseModel):
    name: str
    browser_download_url: str
    size: int
    digest: str | None = None


class _Tag(BaseModel):
    """GitHub: one of ``/repos/{owner}/{repo}/releases``."""

    assets: list[_Asset]


class _Tags(BaseModel):
    tags: list[_Tag]


def _of_archive(
    version: str, url: str, source: str, system_os: str, cpu: str, checksum_url: str | None = None
) -> Release:
    name = url.rpartition("/")[2]
    return Release(
        *("ffmpeg", version, system_os, cpu, source, Packaging.ARCHIVE, url), file_name=name, checksum_url=checksum_url
    )


def _plain(page: str, build: Build, source: str, system_os: str, cpu: str) -> list[Release]:
    """gyan.dev's page is the version and nothing else."""
    if not _PLAIN_VERSION.fullmatch(version := page.strip()):
        raise ValueError("it tells no version")
    url = build.archives[system_os, cpu]
    return [_of_archive(version, url, source, system_os, cpu, f"{url}.sha256")]


def _readme(page: str, build: Build, source: str, system_os: str, cpu: str) -> list[Release]:
    """John Van Sickle's says ``version: 7.0.2`` somewhere."""
    if (match := _README_VERSION.search(page)) is None:
        raise ValueError("it tells no version")
    url = build.archives[system_os, cpu]
    return [_of_archive(match[1], url, source, system_os, cpu, f"{url}.md5")]


def _info(page: str, build: Build, source: str, system_os: str, cpu: str) -> list[Release]:
    try:
        info = _Info.model_validate_json(page)
    except ValidationError as error:
        raise ValueError("it is not the JSON that it was") from error
    archive = info.download.zip
    if not _PLAIN_VERSION.fullmatch(info.version) or not archive.url.startswith("https://"):
        raise ValueError("it tells no version and no archive")
    return [
        Release(
            *("ffmpeg", info.version, system_os, cpu, source, Packaging.ARCHIVE, archive.url),
            file_name=f"ffmpeg-{info.version}.zip",
            size=archive.size,
        )
    ]


def _branches(page: str, build: Build, source: str, system_os: str, cpu: str) -> list[Release]:
    """GitHub's list of releases, newest first; the one called ``latest`` repeats files under names without a version.

    GitHub tells the digest of every file ("digest", since June 2025); a file without one is passed over.
    """
    try:
        tags = _Tags.model_validate_json(f'{{"tags": {page}}}').tags
    except ValidationError as error:
        raise ValueError("it is not the JSON that GitHub's API answers") from error
    found: dict[str, Release] = {}
    for asset in (asset for tag in tags for asset in tag.assets):
        match = _BRANCH_BUILD.fullmatch(asset.name)
        digest = asset.digest or ""
        if match is None or match["machine"] != _BRANCH_MACHINES.get((system_os, cpu)):
            continue
        if not digest.startswith(_SHA256) or not asset.browser_download_url.startswith("https://"):
            continue
        found.setdefault(
            match["version"],
            Release(
                *("ffmpeg", match["version"], system_os, cpu, source, Packaging.ARCHIVE, asset.browser_download_url),
                file_name=asset.name,
                size=asset.size,
                checksum=Checksum("sha256", digest.removeprefix(_SHA256).lower()),
            ),
        )
    return sorted(found.values(), key=lambda release: numbers(release.version), reverse=True)


_SICKLE = "https://johnvansickle.com/ffmpeg"

BUILDS: Final[tuple[Build, ...]] = (
    Build(
        "BtbN",
        "https://api.github.com/repos/BtbN/FFmpeg-Builds/releases?per_page=4",
        _branches,
        MappingProxyType(dict.fromkeys(_BRANCH_MACHINES, "")),
    ),
    Build(
        "John Van Sickle",
        f"{_SICKLE}/release-readme.txt",
        _readme,
        MappingProxyType(
            {
                ("linux", "x64"): f"{_SICKLE}/releases/ffmpeg-release-amd64-static.tar.xz",
                ("linux", "arm64"): f"{_SICKLE}/releases/ffmpeg-release-arm64-static.tar.xz",
            }
        ),
    ),
    Build(
        "gyan.dev",
        "https://www.gyan.dev/ffmpeg/builds/release-version",
        _plain,
        MappingProxyType({("windows", "x64"): "https://www.gyan.dev/ffmpeg/builds/ffmpeg-release-essentials.zip"}),
    ),
    Build(
        "evermeet.cx",
        "https://evermeet.cx/ffmpeg/info/ffmpeg/release",
        _info,
        MappingProxyType({("macos", "x64"): ""}),
    ),
)
