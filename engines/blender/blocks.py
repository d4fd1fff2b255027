"""Walks the blocks of a .blend from begin to end without believing a word of it.

blender-asset-tracer reads the contents; it takes the structure for granted (a negative length would keep it busy for
ever, a file that is cut off reads like a whole one). So every file is walked here first, as a stream: memory stays flat
however large the file, and a small one that unpacks to terabytes is stopped.
"""

from __future__ import annotations

import gzip
import struct
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, cast

from engines.blender.dna_check import is_sound
from engines.contract import Refusal

MAX_UNPACKED = 1 << 36
"""The most bytes that a compressed project may unpack to (64 GiB)."""
_MAX_DNA = 1 << 26
_STEP = 1 << 20
_MAGIC = b"BLENDER"
_LOOKS = "it is no .blend file"


@dataclass(frozen=True, slots=True)
class Outline:
    """What the walk found. ``version`` as in :class:`engines.contract.ProjectInfo`."""

    version: tuple[int, ...]
    scenes: int
    active_scene: str | None  # of the REND block; what was open when the file was saved
    start: int | None
    end: int | None


def outline(project: Path) -> Outline:
    """Walk a project, compressed or not, of any version.

    Raises:
        Refusal: it is no .blend file, is cut off or is damaged.
    """
    try:
        with _opened(project) as stream:
            return _walk(stream, project.name)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _cut_off(project.name) from error
    except OSError as error:
        raise Refusal("project", f"{project.name} cannot be read: {error.strerror or error}") from error


def _cut_off(name: str) -> Refusal:
    return Refusal("project", f"{name} is cut off or damaged: save it again in Blender, or send it again")


@contextmanager
def _opened(project: Path) -> Iterator[IO[bytes]]:
    with project.open("rb") as raw:
        magic = raw.read(7)
        raw.seek(0)
        if magic[:2] == b"\x1f\x8b":
            with gzip.GzipFile(fileobj=raw) as unpacked:
                yield cast(IO[bytes], unpacked)
        elif magic[:4] == b"\x28\xb5\x2f\xfd":
            import zstandard

            try:
                with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as unpacked:
                    yield unpacked
            except zstandard.ZstdError as error:
                raise _cut_off(project.name) from error
        elif magic == _MAGIC:
            yield raw
        else:
            raise Refusal("project", f"{project.name} is empty" if not magic else f"{project.name}: {_LOOKS}")


def _walk(stream: IO[bytes], name: str) -> Outline:
    head, version = _block_head(stream, name)
    seen, scenes = head.size, 0
    catalogued = False
    rend: tuple[int | None, int | None, str | None] = (None, None, None)
    while True:
        code = _exactly(stream, 4, name)
        if code == b"ENDB":
            break
        length = head.length(code + _exactly(stream, head.size - 4, name))
        seen += head.size + length
        if length < 0 or seen > MAX_UNPACKED:
            raise _cut_off(name)
        if code == b"DNA1" and length <= _MAX_DNA:
            if not is_sound(_exactly(stream, length, name), head.order):
                raise _cut_off(name)
            catalogued = True
        elif code == b"REND" and rend[2] is None and 8 <= length <= 4096:
            rend = _render_info(_exactly(stream, length, name), head.order)
        else:
            _skip(stream, length, name)
        scenes += code == b"SC\0\0"
    if scenes and not catalogued:
        raise _cut_off(name)
    return Outline(version, scenes, rend[2], rend[0], rend[1])


@dataclass(frozen=True, slots=True)
class _Head:
    """How block heads are laid out in this file."""

    layout: struct.Struct
    length_at: int
    order: str

    @property
    def size(self) -> int:
        return self.layout.size

    def length(self, head: bytes) -> int:
        value = self.layout.unpack(head)[self.length_at]
        assert isinstance(value, int)
        return value


def _block_head(stream: IO[bytes], name: str) -> tuple[_Head, tuple[int, ...]]:
    """Read the file's first bytes. Two forms: ``BLENDER-v405`` and, from 5.0 on, ``BLENDER17-01v0500``."""
    start = stream.read(7)
    if start != _MAGIC:
        raise Refusal("project", f"{name}: {_LOOKS}")
    start += _exactly(stream, 5, name)
    if start[7:8] in b"_-" and start[8:9] in b"vV" and start[9:12].isdigit():
        pointer, order = "I" if start[7:8] == b"_" else "Q", "<" if start[8:9] == b"v" else ">"
        number = int(start[9:12])
        version = (2, number - 200) if number < 300 else (number // 100, number % 100)
        return _Head(struct.Struct(f"{order}4si{pointer}ii"), 1, order), version
    start += _exactly(stream, 5, name)
    if start[7:9] == b"17" and start[9:13] == b"-01v" and start[13:17].isdigit():
        number = int(start[13:17])
        return _Head(struct.Struct("<4siQqq"), 3, "<"), (number // 100, number % 100)
    raise Refusal("project", f"{name} was saved in a form that is not known here; it may be of a newer Blender")


def _render_info(data: bytes, order: str) -> tuple[int | None, int | None, str | None]:
    start, end = struct.unpack_from(f"{order}ii", data)
    return start, end, data[8:].split(b"\0", 1)[0].decode(errors="replace") or None


def _exactly(stream: IO[bytes], count: int, name: str) -> bytes:
    data = stream.read(count)
    while len(data) < count:
        more = stream.read(count - len(data))
        if not more:
            raise _cut_off(name)
        data += more
    return data


def _skip(stream: IO[bytes], count: int, name: str) -> None:
    """Read over ``count`` bytes; where the file is not compressed, jump and look at the last one."""
    if count > _STEP and stream.seekable() and not isinstance(stream, gzip.GzipFile):
        stream.seek(count - 1, 1)
        count = 1
    while count:
        step = min(count, _STEP)
        _exactly(stream, step, name)
        count -= step
