"""The records of a zip archive whose members are stored as they are and whose checksums are known beforehand.

Everything about such an archive is known before its first byte is written: its length, too. Zip64 records are used
exactly where a size, an offset or the number of members needs them. Source: PKWARE's APPNOTE.TXT 6.3.10, sections
4.3.7, 4.3.12, 4.3.14 to 4.3.16 and 4.5.3.
"""

from __future__ import annotations

import struct
import time
from dataclasses import dataclass

_LOCAL = struct.Struct("<IHHHHHIIIHH")
_CENTRAL = struct.Struct("<IHHHHHHIIIHHHHHII")
_END = struct.Struct("<IHHHHIIH")
_END64 = struct.Struct("<IQHHIIQQQQ")
_LOCATOR64 = struct.Struct("<IIQI")

_MOST16 = 0xFFFF
_MOST32 = 0xFFFFFFFF
_UTF8 = 0x0800  # flag: names are UTF-8
_UNIX = 3 << 8
_FILE_MODE = 0o100644 << 16
_PLAIN, _ZIP64 = 20, 45  # the version of the format that a reader must know


@dataclass(frozen=True, slots=True)
class Member:
    """One file in the archive."""

    name: bytes  # UTF-8, parts separated by "/"
    size: int
    crc32: int
    mtime: float  # seconds since 1970
    offset: int  # of its local header in the archive

    @property
    def header_length(self) -> int:
        """Bytes of the local header; the content follows it."""
        return _LOCAL.size + len(self.name) + (20 if self.size >= _MOST32 else 0)

    @property
    def end(self) -> int:
        """Where the next member begins."""
        return self.offset + self.header_length + self.size


def local_header(member: Member) -> bytes:
    """What stands before the content of a member."""
    large = member.size >= _MOST32
    size = _MOST32 if large else member.size
    extra = struct.pack("<HHQQ", 1, 16, member.size, member.size) if large else b""
    clock, date = _dos_time(member.mtime)
    fixed = _LOCAL.pack(
        0x04034B50, _ZIP64 if large else _PLAIN, _UTF8, 0, clock, date, member.crc32, size, size, len(member.name),
        len(extra),
    )  # fmt: skip
    return fixed + member.name + extra


def central_header(member: Member) -> bytes:
    """The member's line in the directory at the end."""
    large, far = member.size >= _MOST32, member.offset >= _MOST32
    values = ([member.size, member.size] if large else []) + ([member.offset] if far else [])
    extra = struct.pack(f"<HH{len(values)}Q", 1, 8 * len(values), *values) if values else b""
    size, offset = (_MOST32 if large else member.size), (_MOST32 if far else member.offset)
    clock, date = _dos_time(member.mtime)
    fixed = _CENTRAL.pack(
        0x02014B50, _UNIX | _ZIP64, _ZIP64 if values else _PLAIN, _UTF8, 0, clock, date, member.crc32, size, size,
        len(member.name), len(extra), 0, 0, 0, _FILE_MODE, offset,
    )  # fmt: skip
    return fixed + member.name + extra


def central_length(member: Member) -> int:
    """Bytes of :func:`central_header`."""
    values = (2 if member.size >= _MOST32 else 0) + (1 if member.offset >= _MOST32 else 0)
    return _CENTRAL.size + len(member.name) + (4 + 8 * values if values else 0)


def end_records(count: int, offset: int, length: int) -> bytes:
    """What ends the archive: a directory of ``count`` members, ``length`` bytes long, begins at ``offset``."""
    records = b""
    if _needs_zip64(count, offset, length):
        records = _END64.pack(0x06064B50, 44, _UNIX | _ZIP64, _ZIP64, 0, 0, count, count, length, offset)
        records += _LOCATOR64.pack(0x07064B50, 0, offset + length, 1)
    short = min(count, _MOST16)
    return records + _END.pack(0x06054B50, 0, 0, short, short, min(length, _MOST32), min(offset, _MOST32), 0)


def end_length(count: int, offset: int, length: int) -> int:
    """Bytes of :func:`end_records`."""
    return _END.size + (_END64.size + _LOCATOR64.size if _needs_zip64(count, offset, length) else 0)


def _needs_zip64(count: int, offset: int, length: int) -> bool:
    return count >= _MOST16 or offset >= _MOST32 or length >= _MOST32


def _dos_time(seconds: float) -> tuple[int, int]:
    """Time and date as MS-DOS had them: local, in steps of two seconds, from 1980 to 2107."""
    moment = time.localtime(min(max(seconds, 0.0), 4354819198.0))
    if moment.tm_year < 1980:
        return 0, 1 << 5 | 1
    return (
        moment.tm_hour << 11 | moment.tm_min << 5 | moment.tm_sec // 2,
        min(moment.tm_year - 1980, 127) << 9 | moment.tm_mon << 5 | moment.tm_mday,
    )
