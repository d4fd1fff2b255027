"""Checks the catalogue of structures (the DNA1 block) of a .blend before anybody believes its counts.

A damaged count would have blender-asset-tracer read four thousand million empty names, and one whose ``[`` has lost
its ``]`` would keep it for ever. The block's form: ``SDNA``, ``NAME`` count names, ``TYPE`` count names, ``TLEN`` two
bytes a type, ``STRC`` count structures; each part begins at a multiple of four.
"""

from __future__ import annotations

import re
import struct

_NAME = re.compile(rb"\A[^\[\]]*(?:\[\d{1,9}\])*\Z")
"""A member's name in C: ``*next``, ``mat[4][4]``, ``(*function)()``; 2.48 has one that is only ``[3]``."""


def is_sound(data: bytes, order: str) -> bool:
    """Whether every count of a DNA1 block fits what is there. ``order``: ``<`` or ``>``."""
    if data[:8] != b"SDNANAME":
        return False
    try:
        names, begin = _count(data, 8, order)
        end = _names_end(data, begin, names)
        if not all(_NAME.match(name) for name in data[begin : end - 1].split(b"\0")):
            return False
        at = _part(end, data, b"TYPE")
        types, at = _count(data, at, order)
        at = _part(_names_end(data, at, types), data, b"TLEN")
        at = _part(at + 2 * types, data, b"STRC")
        structures, at = _count(data, at, order)
        for _ in range(structures):
            kind, fields = struct.unpack_from(f"{order}HH", data, at)
            at += 4
            members = struct.unpack_from(f"{order}{2 * fields}H", data, at)
            at += 4 * fields
            if kind >= types or any(t >= types for t in members[::2]) or any(n >= names for n in members[1::2]):
                return False
    except (struct.error, ValueError):
        return False
    return True


def _count(data: bytes, at: int, order: str) -> tuple[int, int]:
    (count,) = struct.unpack_from(f"{order}I", data, at)
    if not isinstance(count, int) or count > len(data):
        raise ValueError("more of them than bytes")
    return count, at + 4


def _names_end(data: bytes, at: int, count: int) -> int:
    for _ in range(count):
        at = data.index(b"\0", at) + 1
    return at


def _part(at: int, data: bytes, tag: bytes) -> int:
    """Where a part's contents begin whose tag is at the next multiple of four."""
    at = (at + 3) & ~3
    if data[at : at + 4] != tag:
        raise ValueError(f"{tag!r} is missing")
    return at + 4
