"""An uploaded archive, unpacked with suspicion.

Nothing that the archive says about itself is trusted: names are checked before the first byte is written, bytes are
counted while they are written. It is refused whole; whoever asked throws the half-filled folder away. An archive is
read with the standard library's zipfile; what that would do with names, links and sizes by itself is not used.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import threading
import zipfile
import zlib
from dataclasses import dataclass
from lzma import LZMAError
from pathlib import Path
from typing import Final

from app.jobs.durable import settle_tree
from app.jobs.errors import NoSpace, RequestError, TooLarge
from app.jobs.names import BadName, MemberNames, member_parts
from app.jobs.sink import check_space
from app.jobs.zip_directory import ENTRY_BYTES, directory_size

PIECE: Final = 1 << 20
"""How much is unpacked at a time, in bytes."""
MAX_RATIO: Final = 200
"""How much larger than the archive its content may be, beyond :data:`RATIO_FREE`."""
RATIO_FREE: Final = 100 << 20
"""Up to here nobody asks how well it was packed, in bytes."""
SPACE_EVERY: Final = 64 << 20
"""How often the free space is looked at, in bytes written."""

_ENCRYPTED: Final = 0x1 | 0x40
_JUNK_FOLDERS: Final = frozenset({"__MACOSX"})
_JUNK_FILES: Final = frozenset({".DS_Store", "Thumbs.db", "desktop.ini"})
_METHODS: Final = frozenset({zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA})
DAMAGED: Final = (
    zipfile.BadZipFile,
    zlib.error,
    LZMAError,
    EOFError,
    struct.error,
    ValueError,
    OverflowError,
    RuntimeError,
)
"""What zipfile and its decompressors raise for damaged archives."""


@dataclass(frozen=True, slots=True)
class UnpackLimits:
    """What an archive may hold."""

    files: int  # entries, folders included
    total: int  # bytes unpacked
    free: int  # bytes that must stay free on the disk


class Stopped(Exception):
    """Unpacking was given up because nobody waits for it any more."""


@dataclass(frozen=True, slots=True)
class _Member:
    info: zipfile.ZipInfo
    parts: tuple[str, ...]


def unpack(archive: Path, target: Path, limits: UnpackLimits, stop: threading.Event) -> int:
    """Unpack a zip into a folder that does not exist yet, for good. For a thread; ``stop`` ends it early.

    Returns:
        How many files it had.

    Raises:
        RequestError: it is no zip, is damaged, or holds what must not be unpacked. ``target`` may be half filled.
        NoSpace: the disk is full.
        Stopped: ``stop`` was set.
    """
    try:
        _check_directory(archive, limits)
        with zipfile.ZipFile(archive) as opened:
            members = _checked(opened.infolist(), limits)
            check_space(target.parent, sum(member.info.file_size for member in members), limits.free)
            target.mkdir(mode=0o700)
            _write_all(opened, members, target, archive.stat().st_size, limits, stop)
        settle_tree((target.joinpath(*member.parts) for member in members), target, stop)
        if stop.is_set():
            raise Stopped
    except RequestError:
        raise
    except NotImplementedError as error:
        raise RequestError(f"the archive is packed in a way that is not read here: {error}", "file") from error
    except DAMAGED as error:
        raise RequestError(f"the archive is damaged or no zip: {error}", "file") from error
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise NoSpace(f"the disk of the data folder is full: {error.strerror}", "file") from error
        if error.errno in (None, errno.EINVAL):  # bz2's word for damaged data; a place before the begin of the file
            raise RequestError(f"the archive is damaged: {error}", "file") from error
        raise
    return len(members)


def _check_directory(archive: Path, limits: UnpackLimits) -> None:
    """Refuse a directory that is too long before zipfile reads it into memory as a whole."""
    count, length = directory_size(archive)
    if count > limits.files:
        raise TooLarge(
            f"the archive has {count} entries; at most {limits.files} are allowed (max_archive_files)", "file"
        )
    if length > ENTRY_BYTES * max(limits.files, 1000):
        raise TooLarge(f"the archive's directory has {length} bytes, too many for {limits.files} entries", "file")


def _checked(entries: list[zipfile.ZipInfo], limits: UnpackLimits) -> list[_Member]:
    """The members worth unpacking, once all are known to be harmless."""
    if len(entries) > limits.files:
        raise TooLarge(
            f"the archive has {len(entries)} entries; at most {limits.files} are allowed (max_archive_files)", "file"
        )
    members: list[_Member] = []
    names = MemberNames()
    for info in entries:
        shown = repr(info.orig_filename[:100])
        try:
            parts = member_parts(info.orig_filename)
        except BadName as error:
            raise RequestError(f"the archive is refused: {error}", "file") from error
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
            what = "a link" if kind == stat.S_IFLNK else "a device, pipe or socket"
            raise RequestError(
                f"the archive is refused: {shown} is {what}; only files and folders are unpacked", "file"
            )
        is_folder = kind == stat.S_IFDIR or info.orig_filename.endswith(("/", "\\"))
        if not parts:
            if is_folder:
                continue
            raise RequestError(f"the archive is refused: {shown} is no name of a file", "file")
        if is_folder and info.file_size:
            raise RequestError(f"the archive is refused: {shown} is a folder with content", "file")
        if info.flag_bits & _ENCRYPTED:
            raise RequestError(f"the archive is refused: {shown} is encrypted; upload it without a password", "file")
        if info.compress_type not in _METHODS:
            raise RequestError(
                f"the archive is refused: {shown} is packed by method {info.compress_type}, which is not read here",
                "file",
            )
        try:
            names.add(parts, folder=is_folder, shown=shown)
        except BadName as error:
            raise RequestError(f"the archive is refused: {error}", "file") from error
        if not is_folder and not _is_junk(parts):
            members.append(_Member(info, parts))
    if not members:
        raise RequestError("the archive is empty", "file")
    declared = sum(member.info.file_size for member in members)
    if declared > limits.total:
        raise _too_much(limits)
    return members


def _is_junk(parts: tuple[str, ...]) -> bool:
    return not _JUNK_FOLDERS.isdisjoint(parts) or parts[-1] in _JUNK_FILES


def _write_all(
    opened: zipfile.ZipFile,
    members: list[_Member],
    target: Path,
    packed: int,
    limits: UnpackLimits,
    stop: threading.Event,
) -> None:
    written, looked = 0, 0
    flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    for member in members:
        if stop.is_set():
            raise Stopped
        path = target.joinpath(*member.parts)
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with opened.open(member.info) as source, os.fdopen(os.open(path, flags, 0o600), "wb", buffering=0) as file:
            while piece := source.read(PIECE):
                if stop.is_set():
                    raise Stopped
                written += len(piece)
                if written > limits.total:
                    raise _too_much(limits)
                if written > RATIO_FREE and written > MAX_RATIO * packed:
                    raise TooLarge(
                        f"the archive unpacks to more than {MAX_RATIO} times its size; that is refused as a bomb",
                        "file",
                    )
                if written - looked >= SPACE_EVERY:
                    check_space(target, 0, limits.free)
                    looked = written
                view = memoryview(piece)
                while view:
                    view = view[file.write(view) :]


def _too_much(limits: UnpackLimits) -> TooLarge:
    return TooLarge(
        f"the archive unpacks to more than {limits.total} bytes, the most that is allowed (max_unpacked_bytes)", "file"
    )
