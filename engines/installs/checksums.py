"""Checksum files as vendors lay them beside their archives."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from engines.installs.release import Checksum

ALGORITHMS: Final[Mapping[int, str]] = MappingProxyType({32: "md5", 40: "sha1", 64: "sha256", 128: "sha512"})
"""By the number of hexadecimal digits."""

_COREUTILS = re.compile(r"\\?(?P<digest>[0-9A-Fa-f]{32,128})(?:\s+\*?(?P<name>\S.*))?")
_BSD = re.compile(r"[A-Za-z0-9-]+ ?\((?P<name>[^()]+)\) ?= ?(?P<digest>[0-9A-Fa-f]{32,128})")


def parse_checksums(text: str) -> Mapping[str, Checksum]:
    """Every checksum by the name of its file; under ``""`` one that stands alone, as some lay it beside each file.

    Reads what ``sha256sum`` and ``md5sum`` write (two columns, the name after ``*`` where it was read as binary; GNU
    coreutils) and what BSD's ``md5`` writes (``MD5 (name) = …``). Anything else is passed over.
    """
    found: dict[str, Checksum] = {}
    for line in text.lstrip("\ufeff").splitlines():
        match = _COREUTILS.fullmatch(line.strip()) or _BSD.fullmatch(line.strip())
        if match is None or (algorithm := ALGORITHMS.get(len(match["digest"]))) is None:
            continue
        name = (match["name"] or "").strip().rpartition("/")[2]
        found[name] = Checksum(algorithm, match["digest"].lower())
    return found


def checksum_of(text: str, file_name: str) -> Checksum | None:
    """The checksum of one file in a checksum file; one that stands alone speaks of the file it lies beside."""
    found = parse_checksums(text)
    if file_name in found:
        return found[file_name]
    return found.get("") if len(found) == 1 else None
