"""Opening and reading files that an engine or a user could have tampered with: no links, nothing but regular files."""

from __future__ import annotations

import errno
import hashlib
import os
import stat
import zlib
from dataclasses import dataclass
from pathlib import Path

BLOCK = 1 << 20
"""Bytes read at a time."""

# Windows has neither links that a plain user may make nor descriptors of folders; there the checks by fstat remain.
_FLAGS = (
    os.O_RDONLY
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NONBLOCK", 0)
    | getattr(os, "O_BINARY", 0)
)
_FOLDER_FLAGS = os.O_RDONLY | getattr(os, "O_DIRECTORY", 0) | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class NotAFolder(OSError):
    """Where a folder of ours should be is something else, such as a link."""


class NotAFile(OSError):
    """There is something of this name, but it is a link, a folder or a device."""


@dataclass(frozen=True, slots=True)
class Hashes:
    """What identifies the content of a file."""

    size: int  # bytes
    sha256: str  # hexadecimal
    crc32: int  # as in a zip archive


def open_regular(folder: Path, name: str) -> int:
    """Open a regular file directly in ``folder`` for reading; ``name`` must be a plain name.

    Returns:
        Its descriptor; the caller closes it.

    Raises:
        FileNotFoundError: there is none.
        NotAFile: see the class.
        OSError: it cannot be opened.
    """
    if os.open in os.supports_dir_fd:
        parent = os.open(folder, _FOLDER_FLAGS)
        try:
            descriptor = _open(name, parent)
        finally:
            os.close(parent)
    else:
        descriptor = _open(str(folder / name), None)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise NotAFile(errno.EINVAL, "not a regular file", name)
    return descriptor


def _open(name: str, parent: int | None) -> int:
    try:
        return os.open(name, _FLAGS, dir_fd=parent)
    except OSError as error:
        # ELOOP: a link; ENXIO: a pipe without a reader, or a socket
        if error.errno in (errno.ELOOP, errno.ENXIO, errno.EISDIR):
            raise NotAFile(error.errno, "not a regular file", name) from error
        raise


def move(folder: Path, name: str, target: Path) -> None:
    """Move a file from one folder to another, replacing what has its name there. Neither folder may be a link by now:
    what is moved could come from anywhere otherwise, and go anywhere.

    Raises:
        NotAFolder: one of them is none.
        OSError: it cannot be moved.
    """
    if os.rename not in os.supports_dir_fd:
        (folder / name).replace(target / name)
        return
    opened: list[int] = []
    try:
        for place in (folder, target):
            try:
                opened.append(os.open(place, _FOLDER_FLAGS))
            except OSError as error:
                if error.errno not in (errno.ELOOP, errno.ENOTDIR):
                    raise
                raise NotAFolder(errno.ENOTDIR, "is a link or no folder; put the folder back", place.name) from error
        os.rename(name, name, src_dir_fd=opened[0], dst_dir_fd=opened[1])
    finally:
        for descriptor in opened:
            os.close(descriptor)


def read_all(descriptor: int, size: int) -> bytes:
    """The whole file from its beginning, ``size`` bytes as fstat told; shorter if it has become so."""
    blocks = []
    while size > 0 and (block := os.read(descriptor, size)):
        blocks.append(block)
        size -= len(block)
    return blocks[0] if len(blocks) == 1 else b"".join(blocks)


def hash_bytes(data: bytes) -> Hashes:
    """The hashes of what was read already."""
    return Hashes(len(data), hashlib.sha256(data).hexdigest(), zlib.crc32(data))


def hash_file(descriptor: int) -> Hashes:
    """The hashes of a whole file, read once, block by block, from where the descriptor is."""
    size, crc, sha = 0, 0, hashlib.sha256()
    while block := os.read(descriptor, BLOCK):
        size += len(block)
        crc = zlib.crc32(block, crc)
        sha.update(block)
    return Hashes(size, sha.hexdigest(), crc)


def sync_folder(folder: Path) -> None:
    """Let the names in a folder survive a power cut. Does nothing where folders cannot be opened (Windows)."""
    if os.open in os.supports_dir_fd:
        descriptor = os.open(folder, _FOLDER_FLAGS)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
