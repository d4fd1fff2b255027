"""What Blender's release folder holds, read from its index pages; mirrors have the same folders and files.

The pages are what nginx or Apache makes of a folder (``download.blender.org/release/``): nothing but links counts. In
the first page they lead to a folder a series (``Blender4.5/``), there to the archives of every system and to the files
with their checksums. The names of the archives changed three times since 2.79; all of them are known here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from html.parser import HTMLParser
from types import MappingProxyType
from typing import Final
from urllib.parse import unquote, urljoin, urlsplit

from engines.blender.series import LONG_TERM
from engines.choosing import numbers
from engines.installs.release import Packaging, Release

RELEASE_URL: Final = "https://download.blender.org/release/"
"""Where the vendor keeps all releases."""
OLDEST: Final = (2, 83)
"""The oldest series that is offered. Those before write other versions on their archives than they say themselves."""

_SERIES = re.compile(r"Blender(\d+)\.(\d+)")
_ARCHIVE = re.compile(
    r"blender-(?P<version>\d+\.\d+(?:\.\d+|[a-z])?)-(?P<machine>[A-Za-z0-9_.-]+?)\.(?:tar\.(?:xz|bz2|gz|zst)|zip|dmg)"
)
_MACHINES: Final[Mapping[str, tuple[str, str]]] = MappingProxyType(
    {
        "linux-x64": ("linux", "x64"),
        "linux-arm64": ("linux", "arm64"),
        "linux64": ("linux", "x64"),
        "linux-glibc217-x86_64": ("linux", "x64"),
        "linux-glibc219-x86_64": ("linux", "x64"),
        "windows-x64": ("windows", "x64"),
        "windows-arm64": ("windows", "arm64"),
        "windows64": ("windows", "x64"),
        "macos-x64": ("macos", "x64"),
        "macos-arm64": ("macos", "arm64"),
        "macOS": ("macos", "x64"),
    }
)


class _Links(HTMLParser):
    """Collects where the links of a page lead."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "a":
            self.found += [value for name, value in attrs if name == "href" and value]


def entries(page: str, url: str) -> Iterator[tuple[str, str]]:
    """Name and URL of what an index page lists in its own folder, folders with a ``/`` at the end, each once.

    Links that lead elsewhere (up, to another host, to another order of the same page) are no entries.
    """
    links = _Links()
    links.feed(page)
    links.close()
    folder = urlsplit(url)
    seen: set[str] = set()
    for link in links.found:
        try:
            target = urlsplit(urljoin(url, link))
        except ValueError:
            continue  # what somebody writes into a page need not be a URL
        name = unquote(target.path.removeprefix(folder.path))
        same_place = (target.scheme, target.netloc) == (folder.scheme, folder.netloc)
        inside = same_place and target.path.startswith(folder.path) and not target.query
        if inside and name.strip("/") and "/" not in name.removesuffix("/") and name not in seen:
            seen.add(name)
            yield name, target._replace(fragment="").geturl()


def series_folders(page: str, url: str) -> list[str]:
    """The URLs of the folders of the series from :data:`OLDEST` on, newest first.

    Args:
        page: the first page, HTML.
        url: where it was read, with a ``/`` at the end.
    """
    found: dict[tuple[int, int], str] = {}
    for name, target in entries(page, url):
        match = _SERIES.fullmatch(name.removesuffix("/"))
        if match and name.endswith("/") and (series := (int(match[1]), int(match[2]))) >= OLDEST:
            found[series] = target
    return [found[series] for series in sorted(found, reverse=True)]


def releases_in(page: str, url: str, source: str, system_os: str, cpu: str) -> list[Release]:
    """The releases of one series for a kind of machine, newest first.

    Args:
        page: of the folder of a series, HTML.
        url: where it was read, with a ``/`` at the end.
        source: the name that the releases carry.
        system_os, cpu: as in :class:`Release`.
    """
    files = dict(entries(page, url))
    found: dict[str, Release] = {}
    for name in files:
        match = _ARCHIVE.fullmatch(name)
        if match is None or _MACHINES.get(match["machine"]) != (system_os, cpu):
            continue
        version = match["version"]
        found[version] = Release(
            "blender",
            version,
            system_os,
            cpu,
            source,
            Packaging.ARCHIVE,
            files[name],
            file_name=name,
            checksum_url=_checksum_file(version, files),
            lts=numbers(version)[:2] in LONG_TERM,
        )
    return sorted(found.values(), key=lambda release: numbers(release.version), reverse=True)


def _checksum_file(version: str, files: Mapping[str, str]) -> str | None:
    """The file with the checksums of a version: ``blender-4.5.3.sha256``, in old folders ``release283.md5``."""
    digits = version.replace(".", "")
    names: Sequence[str] = [
        *(f"blender-{version}.{kind}" for kind in ("sha256", "md5")),
        *(f"release{digits}.{kind}" for kind in ("sha256", "md5")),
        *(f"release{digits[:length]}.{kind}" for length in (3, 2) for kind in ("sha256", "md5")),
    ]
    return next((files[name] for name in names if name in files), None)
