"""Which part of a file a client asks for: RFC 9110, sections 13 and 14, for one range."""

from __future__ import annotations

import re
from collections.abc import Mapping

_RANGE = re.compile(r"\A\s*bytes\s*=\s*(\d{0,19})\s*-\s*(\d{0,19})\s*\Z", re.IGNORECASE)


class Unsatisfiable(Exception):
    """The range begins behind the end of the file."""


def asked_range(headers: Mapping[str, str], size: int, etag: str, modified: str) -> tuple[int, int] | None:
    """The part that is asked for as (start, end), the end not included; None: all of it.

    Several ranges, and such as cannot be read, are answered with the whole file, as the RFC allows.

    Args:
        headers: of the request, names in lower case.
        size: of the file, in bytes.

    Raises:
        Unsatisfiable: see the class.
    """
    match = _RANGE.match(headers.get("range", ""))
    if match is None or not (match[1] or match[2]):
        return None
    condition = headers.get("if-range")
    if condition is not None and condition.strip() not in (etag, modified):
        return None
    if not match[1]:
        length = min(int(match[2]), size)
        if not length:
            raise Unsatisfiable
        return size - length, size
    start = int(match[1])
    end = min(int(match[2]) + 1, size) if match[2] else size
    if match[2] and int(match[2]) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, end


def not_modified(headers: Mapping[str, str], etag: str) -> bool:
    """Whether the client has exactly this content already (If-None-Match)."""
    known = headers.get("if-none-match")
    if known is None:
        return False
    return known.strip() == "*" or etag in (tag.strip().removeprefix("W/") for tag in known.split(","))
