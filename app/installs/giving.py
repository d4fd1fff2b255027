"""Managed copies of engines as archives, for other nodes: plain tars whose every byte is known beforehand, so that a
download that was broken off can go on, and that are never written to the disk."""

from __future__ import annotations

import asyncio
import hashlib
import os
import tarfile
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from starlette.types import Receive, Scope, Send

from app.outputs.reading import BLOCK, OutputGone
from app.outputs.sending import disposition, send_asked

_KEPT: Final = 20


@dataclass(frozen=True, slots=True)
class _Member:
    header: bytes
    path: Path | None  # of its content
    size: int
    mtime_ns: int

    @property
    def length(self) -> int:
        return len(self.header) + self.size + (-self.size) % tarfile.BLOCKSIZE


class CopyArchive:
    """A folder as a tar. For threads.

    Raises:
        OSError: it cannot be read.
    """

    def __init__(self, folder: Path) -> None:
        self._members = list(_members(folder))
        self._end = b"\0" * (2 * tarfile.BLOCKSIZE)
        self.size = sum(member.length for member in self._members) + len(self._end)
        """Bytes of the tar."""

    def blocks(self, start: int, end: int) -> Generator[bytes, None, None]:
        """The bytes from ``start`` up to ``end`` (not included).

        Raises:
            OutputGone: a file was changed.
            OSError: one cannot be read.
        """
        at = 0
        for member in self._members:
            if at >= end:
                return
            if at + member.length > start:
                for piece in self._pieces(member, max(0, start - at)):
                    begin = max(at, start)
                    yield piece[: end - begin] if begin + len(piece) > end else piece
                    start = begin + len(piece)
                    if start >= end:
                        return
            at += member.length
        yield self._end[max(0, start - at) : end - at]

    def _pieces(self, member: _Member, skip: int) -> Generator[bytes, None, None]:
        """The bytes of a member from its byte ``skip`` on."""
        if skip < len(member.header):
            yield member.header[skip:]
        skip = max(0, skip - len(member.header))
        if member.path is not None and skip < member.size:
            with member.path.open("rb", buffering=0) as file:
                found = os.fstat(file.fileno())
                if (found.st_size, found.st_mtime_ns) != (member.size, member.mtime_ns):
                    raise OutputGone(f"{member.path.name} was changed while the engine was sent")
                file.seek(skip)
                while skip < member.size:
                    piece = file.read(min(BLOCK, member.size - skip))
                    if not piece:
                        raise OutputGone(f"{member.path.name} became shorter while the engine was sent")
                    skip += len(piece)
                    yield piece
        if padding := member.length - len(member.header) - max(skip, member.size):
            yield b"\0" * padding

    def sha256(self) -> str:
        """Its hash; reads all of it."""
        digest = hashlib.sha256()
        for block in self.blocks(0, self.size):
            digest.update(block)
        return digest.hexdigest()


class CopyArchives:
    """The archives of the copies that were asked for lately. One for the whole service; for the event loop."""

    def __init__(self) -> None:
        self._known: dict[Path, tuple[CopyArchive, str]] = {}
        self._making = asyncio.Lock()

    async def of(self, folder: Path, name: str) -> CopyAnswer:
        """The answer that sends a copy.

        Args:
            folder: of the managed copy; it does not change while it exists.
            name: of the archive, for whoever saves it.

        Raises:
            OSError: it cannot be read.
        """
        async with self._making:
            known = self._known.get(folder)
            if known is None or not await asyncio.to_thread(folder.is_dir):
                archive = await asyncio.to_thread(CopyArchive, folder)
                known = archive, await asyncio.to_thread(archive.sha256)
                if len(self._known) >= _KEPT:
                    self._known.pop(next(iter(self._known)))
                self._known[folder] = known
        return CopyAnswer(*known, name)

    def forget(self, folder: Path) -> None:
        """The copy was removed; another one may come in its place."""
        self._known.pop(folder, None)


class CopyAnswer:
    """ASGI: sends an archive, or the part of it that was asked for. Its etag is its SHA-256."""

    def __init__(self, archive: CopyArchive, sha256: str, name: str) -> None:
        self._archive = archive
        self.headers = {
            "content-type": "application/x-tar",
            "content-disposition": disposition(name),
            "accept-ranges": "bytes",
            "etag": f'"{sha256}"',
            "x-content-type-options": "nosniff",
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send it."""
        await send_asked(scope, receive, send, self.headers, self._archive.size, self._archive.blocks)


def _members(folder: Path) -> Generator[_Member, None, None]:
    for parent, folders, names in os.walk(folder):
        folders.sort()
        here = Path(parent)
        links = [name for name in folders if (here / name).is_symlink()]
        for name in sorted((*names, *links)):
            path = here / name
            info = tarfile.TarInfo(f"copy/{path.relative_to(folder).as_posix()}")
            if path.is_symlink():
                info.type, info.linkname = tarfile.SYMTYPE, str(path.readlink())
                yield _Member(info.tobuf(tarfile.PAX_FORMAT), None, 0, 0)
            elif path.is_file():
                found = path.stat()
                info.size, info.mode = found.st_size, 0o755 if found.st_mode & 0o111 else 0o644
                yield _Member(info.tobuf(tarfile.PAX_FORMAT), path, found.st_size, found.st_mtime_ns)
