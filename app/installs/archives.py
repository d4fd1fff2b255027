"""Releases of engines, unpacked with suspicion: complete or not at all.

The standard library reads the formats; what it would do with names, links, modes and sizes by itself is not used. A
checksum says that an archive is the one that was offered, not that whoever offers it means well: a mirror may have
been broken into.
"""

from __future__ import annotations

import bz2
import errno
import gzip
import lzma
import shutil
import stat
import tarfile
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, Final, Protocol, cast

from app.installs.source import SourceError
from app.installs.tree import MAX_LINK, ArchiveError, ArchiveLimits, Tree
from app.jobs.unpack import DAMAGED
from app.jobs.zip_directory import ENTRY_BYTES, directory_size

__all__ = ["ArchiveError", "ArchiveLimits", "unpack_release"]

PIECE: Final = 1 << 20
"""How much is read at a time, in bytes."""
MEMORY: Final = 256 << 20
"""The most memory that unpacking may take for what came before, in bytes: four times what the strongest xz needs."""
HEADER_BYTES: Final = 4 << 20
"""The most that a tar may say about one entry, in bytes: tarfile reads that into memory as a whole."""
REPORT_EVERY: Final = 4 << 20
"""How often progress is reported, in bytes of the archive."""

_DAMAGED: Final = (*DAMAGED, tarfile.TarError)
_NO_ROOM: Final = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


def unpack_release(
    archive: Path,
    folder: Path,
    limits: ArchiveLimits,
    stop: threading.Event,
    report: Callable[[int], None] | None = None,
) -> None:
    """Unpack an archive into a folder, for good. For a thread.

    Args:
        archive: .tar, .tar.xz, .tar.gz, .tar.bz2 (or the short forms, such as .txz) or .zip.
        folder: does not exist yet; the folder around it does. It is there when it is complete, not before. A single
            outermost folder of the archive is not kept.
        limits: what the archive may hold.
        stop: ends it early.
        report: called in this thread with the bytes of the archive that were read so far.

    Raises:
        ArchiveError: it is damaged, of another kind, or holds what must not be unpacked.
        SourceError: the disk has no room for it, or cannot be written.
        app.jobs.unpack.Stopped: ``stop`` was set.
    """
    name = archive.name.lower()
    if name.endswith(".dmg"):
        raise ArchiveError(
            f"{archive.name} is a disk image of macOS, which is not unpacked here; take a .zip or .tar.xz"
        )
    if folder.exists() or folder.is_symlink():
        raise ArchiveError(f"{folder.name} is there already; delete it first")
    work = folder.with_name(f"{folder.name}.unpacking")
    try:
        if work.exists():  # a power cut left it
            shutil.rmtree(work)
        work.mkdir(mode=0o755)
        tree = Tree(work, archive.stat().st_size, limits, stop)
        meter = _Meter(report)
        if name.endswith(".zip"):
            _unpack_zip(archive, tree, limits, meter)
        else:
            with archive.open("rb") as file, _opened(name, _Reported(file, meter)) as source:
                _unpack_tar(source, tree)
        tree.settle(folder)
        meter.end(archive.stat().st_size)
    except SourceError:
        raise
    except NotImplementedError as error:
        raise ArchiveError(f"the archive is packed in a way that is not read here: {error}") from error
    except _DAMAGED as error:
        raise ArchiveError(f"the archive is damaged: {error}") from error
    except OSError as error:
        if error.errno in _NO_ROOM:
            raise SourceError(f"the disk is full: {error.strerror}") from error
        if error.errno in (None, errno.EINVAL):  # what gzip and bz2 raise for damaged data
            raise ArchiveError(f"the archive is damaged: {error}") from error
        raise SourceError(f"{folder.name} cannot be written: {error.strerror}") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


class _Meter:
    """Tells how much of the archive was read, not too often."""

    def __init__(self, report: Callable[[int], None] | None) -> None:
        self._report = report
        self._next = REPORT_EVERY

    def reached(self, read: int) -> None:
        if self._report is not None and read >= self._next:
            self._next = read + REPORT_EVERY
            self._report(read)

    def end(self, size: int) -> None:
        if self._report is not None:
            self._report(size)


class _Readable(Protocol):
    def read(self, size: int = -1, /) -> bytes: ...


class _Reported:
    """The archive's own bytes on their way to what unpacks them."""

    def __init__(self, file: BinaryIO, meter: _Meter) -> None:
        self._file = file
        self._meter = meter
        self._read = 0

    def read(self, size: int = -1, /) -> bytes:
        piece = self._file.read(size)
        self._read += len(piece)
        self._meter.reached(self._read)
        return piece


class _Xz:
    """Reads .xz as lzma.open does, which has no limit for memory."""

    def __init__(self, file: _Readable) -> None:
        self._file = file
        self._packed = b""
        self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)

    def read(self, size: int = -1, /) -> bytes:
        while True:
            if self._stream.eof:
                # Streams may follow each other, with zeros between them and after the last.
                self._packed = self._stream.unused_data.lstrip(b"\0")
                while not self._packed:
                    if not (piece := self._file.read(PIECE)):
                        return b""
                    self._packed = piece.lstrip(b"\0")
                self._stream = lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=MEMORY)
            elif self._stream.needs_input and not self._packed:
                self._packed = self._file.read(PIECE)
                if not self._packed:
                    raise EOFError("it ends too early")
            piece, self._packed = self._stream.decompress(self._packed, size), b""
            if piece:
                return piece


class _Guarded:
    """What comes out of the packing of a tar, counted; ``left`` is how much may still be read at this place."""

    def __init__(self, source: _Readable, tree: Tree) -> None:
        self._source = source
        self._tree = tree
        self.left = HEADER_BYTES

    def read(self, size: int = -1, /) -> bytes:
        piece = self._source.read(min(size, PIECE) if size >= 0 else PIECE)
        self._tree.count(len(piece))
        self.left -= len(piece)
        if self.left < 0:
            raise ArchiveError(f"the archive is refused: it says more than {HEADER_BYTES} bytes about one entry")
        return piece


@contextmanager
def _opened(name: str, file: _Readable) -> Iterator[_Readable]:
    """The tar inside its packing, which the archive's name tells."""
    if name.endswith(".tar"):
        yield file
    elif name.endswith((".tar.xz", ".txz")):
        yield _Xz(file)
    elif name.endswith((".tar.gz", ".tgz")):
        with gzip.GzipFile(fileobj=cast("BinaryIO", file), mode="rb") as opened:
            yield opened
    elif name.endswith((".tar.bz2", ".tbz2", ".tbz")):
        with bz2.BZ2File(cast("BinaryIO", file)) as opened_bz2:
            yield opened_bz2
    else:
        raise ArchiveError(f"{name} is of a kind that is not unpacked: .tar.xz, .tar.gz, .tar.bz2 and .zip are")


def _unpack_tar(source: _Readable, tree: Tree) -> None:
    guarded = _Guarded(source, tree)
    with tarfile.open(fileobj=cast("BinaryIO", guarded), mode="r|", bufsize=PIECE) as opened:
        while True:
            guarded.left = HEADER_BYTES
            info = opened.next()
            if info is None:
                break
            guarded.left = info.size + HEADER_BYTES
            if info.isdir():
                tree.add_folder(info.name)
            elif info.issym():
                tree.add_symlink(info.name, info.linkname)
            elif info.islnk():
                tree.add_hard_link(info.name, info.linkname)
            elif info.isreg() and not info.issparse():
                content = opened.extractfile(info)
                if content is not None:
                    with content:
                        tree.add_file(info.name, info.mode, content.read)
            else:
                raise ArchiveError(
                    f"the archive is refused: {info.name[:100]!r} is a device, a pipe or a file with holes; only "
                    "files, folders and links are unpacked"
                )
        # tarfile takes a damaged header for the end. And what the packing says of its content comes last.
        rest: _Readable = cast("_Readable", opened.fileobj)
        while True:
            guarded.left = HEADER_BYTES
            piece = rest.read(PIECE)
            if piece.strip(b"\0"):
                raise ArchiveError("the archive is damaged: there is more in it after its end")
            if len(piece) < PIECE:
                break


def _unpack_zip(archive: Path, tree: Tree, limits: ArchiveLimits, meter: _Meter) -> None:
    count, length = directory_size(archive)
    if count > limits.files or length > ENTRY_BYTES * max(limits.files, 1000):
        raise ArchiveError(f"the archive has more than {limits.files} entries, the most that is allowed")
    with zipfile.ZipFile(archive) as opened:
        tree.check_space(sum(info.file_size for info in opened.infolist()))
        for info in opened.infolist():
            name, mode = info.orig_filename, info.external_attr >> 16
            kind = stat.S_IFMT(mode)
            if kind == stat.S_IFDIR or (not kind and name.endswith(("/", "\\"))):
                tree.add_folder(name)
                continue
            if kind not in (0, stat.S_IFREG, stat.S_IFLNK):
                raise ArchiveError(f"the archive is refused: {name[:100]!r} is a device, a pipe or a socket")
            with opened.open(info) as content:
                if kind == stat.S_IFLNK:
                    tree.add_symlink(name, content.read(MAX_LINK + 1).decode())
                else:
                    tree.add_file(name, mode, _counted(content.read, tree))
            meter.reached(info.header_offset)


def _counted(read: Callable[[int], bytes], tree: Tree) -> Callable[[int], bytes]:
    def counted(size: int) -> bytes:
        piece = read(size)
        tree.count(len(piece))
        return piece

    return counted
