"""How long a zip says that it is, read before zipfile takes its whole directory into memory.

The records and their places are those of PKWARE's APPNOTE.TXT, 4.3.14 to 4.3.16.
"""

from __future__ import annotations

import os
import struct
import zipfile
from pathlib import Path
from typing import Final

ENTRY_BYTES: Final = 246
"""The most bytes that one entry may take on average in the archive's directory: 46, a name and its extra fields."""

_END: Final = struct.Struct("<4s4H2LH")
_END64_LOCATOR: Final = struct.Struct("<4sLQL")
_END64: Final = struct.Struct("<4sQ2H2L4Q")


def directory_size(archive: Path) -> tuple[int, int]:
    """How many entries the directory at the end of a zip has, and how many bytes. For a thread.

    Raises:
        zipfile.BadZipFile: there is none, or it is elsewhere than zipfile would look.
        struct.error: it is cut off.
        OSError: the file cannot be read.
    """
    with archive.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        tail_at = max(0, size - _END.size - 0xFFFF - _END64_LOCATOR.size)
        file.seek(tail_at)
        tail = file.read()
        at = tail.rfind(b"PK\5\6")
        if at < 0 or len(tail) - at < _END.size:
            raise zipfile.BadZipFile("it has no directory at its end")
        _, _, _, _, count, length, _, _ = _END.unpack_from(tail, at)
        locator_at = at - _END64_LOCATOR.size
        if locator_at >= 0 and tail[locator_at : locator_at + 4] == b"PK\6\7":
            # zipfile reads the record right before the locator; one that says it is elsewhere would fool this check.
            record_at = tail_at + locator_at - _END64.size
            if _END64_LOCATOR.unpack_from(tail, locator_at)[2] != record_at:
                raise zipfile.BadZipFile("its large directory is not where it says")
            file.seek(record_at)
            fields = _END64.unpack(file.read(_END64.size))
            count, length = fields[7], fields[8]
    return count, length
