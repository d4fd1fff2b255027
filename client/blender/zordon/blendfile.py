"""The paths that a .blend has in it, and a copy of it with other ones; without Blender, which could only do it by
opening and saving every linked file.

A .blend is a row of blocks; one of them, ``DNA1``, is a catalogue of the structs of all others (described in
Blender's sources, doc/blender_file_format). Paths of files are character arrays of a fixed size in a few of these.
"""

from __future__ import annotations

import gzip
import os
import struct
import tempfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from .errors import PackingFailed

FIELDS: Mapping[str, tuple[str, ...]] = {
    "CacheFile": ("filepath",),
    "CustomDataExternal": ("filename",),
    "FluidDomainSettings": ("cache_directory",),
    "Image": ("name", "filepath"),
    "Library": ("name", "filepath"),
    "MeshCacheModifierData": ("filepath",),
    "MovieClip": ("name", "filepath"),
    "NodeShaderScript": ("filepath",),
    "NodeShaderTexIES": ("filepath",),
    "OceanModifierData": ("cachepath",),
    "PointCache": ("path",),
    "Strip": ("dir", "dirpath"),
    "StripData": ("dir", "dirpath"),
    "VFont": ("name", "filepath"),
    "Volume": ("filepath",),
    "bSound": ("name", "filepath"),
}
"""The structs that name files, and how the field is called: the first of the names that the file's catalogue has."""

Rewrite = Callable[[str], str]
"""From a path as it is in the file to the one that it shall have; the same if it shall stay."""

_STEP = 1 << 20
_MAX_CATALOGUE = 1 << 26
_GZIP, _ZSTD = b"\x1f\x8b", b"\x28\xb5\x2f\xfd"


class CompressionUnknown(PackingFailed):
    """The file is compressed with zstd, and this Python has no module for it."""


@dataclass(frozen=True)
class _Block:
    code: bytes
    at: int  # where its content begins in the file
    length: int
    struct: int  # index in the catalogue
    count: int


@dataclass(frozen=True)
class _Field:
    offset: int
    size: int
    stride: int  # bytes of the whole struct


@dataclass(frozen=True)
class PathField:
    """A path in the file, and where it is.

    Attributes:
        owner: name of the struct.
        size: bytes that there are for it, the zero at its end included.
    """

    owner: str
    path: str
    at: int
    size: int


@contextmanager
def unpacked(blend: Path, scratch: Path) -> Iterator[Path]:
    """The file without its compression: itself, or a copy in ``scratch`` that goes when the context ends.

    Raises:
        CompressionUnknown: see there.
        PackingFailed: it is damaged or no .blend.
        OSError: it cannot be read, or the copy cannot be written.
    """
    with blend.open("rb") as file:
        magic = file.read(7)
    if magic == b"BLENDER":
        yield blend
        return
    with tempfile.TemporaryDirectory(dir=scratch) as folder:
        copy = Path(folder) / blend.name
        _decompress(blend, magic, copy)
        yield copy


def paths_in(blend: Path) -> list[PathField]:
    """Every path of a file that is not compressed, in the order of the file; those that are empty are left out.

    Raises:
        PackingFailed: it is damaged or no .blend.
        OSError: it cannot be read.
    """
    try:
        with blend.open("rb") as file:
            blocks, order, pointer = _blocks(file, blend.name)
            fields = _catalogue(file, blocks, order, pointer, blend.name)
            return list(_found(file, blocks, fields))
    except (struct.error, IndexError, UnicodeDecodeError) as error:
        raise _damaged(blend.name) from error


def changes(blend: Path, rewrite: Rewrite) -> dict[int, bytes]:
    """What has to be written where in a file that is not compressed, so that its paths become those of ``rewrite``.

    Raises:
        PackingFailed: the file is damaged, or a path has no room for the new one.
        OSError: it cannot be read.
    """
    patches: dict[int, bytes] = {}
    for field in paths_in(blend):
        new = rewrite(field.path)
        if new == field.path:
            continue
        raw = os.fsencode(new)
        if len(raw) >= field.size:
            raise PackingFailed(f"{new!r} is too long for a path in {blend.name}: put the file nearer to the project")
        patches[field.at] = raw + bytes(field.size - len(raw))
    return patches


def write_changed(blend: Path, patches: Mapping[int, bytes], target: IO[bytes], between: Callable[[int], None]) -> None:
    """Copy a file, with ``patches`` in place of what was there.

    Args:
        between: told after every piece how many bytes it had; what it raises ends the copying.

    Raises:
        OSError: it cannot be read or written.
    """
    with blend.open("rb") as file:
        at = 0
        for where in (*sorted(patches), None):
            while where is None or at < where:
                piece = file.read(_STEP if where is None else min(_STEP, where - at))
                if not piece:
                    break
                target.write(piece)
                at += len(piece)
                between(len(piece))
            if where is not None:
                target.write(patches[where])
                at += len(patches[where])
                between(len(patches[where]))
                file.seek(at)


def _decompress(blend: Path, magic: bytes, copy: Path) -> None:
    with blend.open("rb") as raw, copy.open("wb") as target:
        if magic[:2] == _GZIP:
            _gunzip(raw, target, blend.name)
        elif magic[:4] == _ZSTD:
            _unpack_zstd(raw, target, blend.name)
        else:
            raise PackingFailed(f"{blend.name} is no .blend file")


def _gunzip(raw: IO[bytes], target: IO[bytes], name: str) -> None:
    try:
        with gzip.GzipFile(fileobj=raw) as source:
            while piece := source.read(_STEP):
                target.write(piece)
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise _damaged(name) from error


def _unpack_zstd(raw: IO[bytes], target: IO[bytes], name: str) -> None:
    try:
        import zstandard  # comes with the Blender of blender.org, and with PyPI's bpy
    except ImportError:
        raise CompressionUnknown(
            f"{name} is compressed, and the Python of this Blender cannot read that: save it once without compression"
        ) from None
    try:
        with zstandard.ZstdDecompressor().stream_reader(raw, read_across_frames=True) as source:
            while piece := source.read(_STEP):
                target.write(piece)
    except zstandard.ZstdError as error:
        raise _damaged(name) from error


def _blocks(file: IO[bytes], name: str) -> tuple[list[_Block], str, int]:
    """Every block, the byte order, and the size of a pointer. Two forms: ``BLENDER-v405`` and, from 5.0 on,
    ``BLENDER17-01v0500``."""
    head = file.read(12)
    if head[:7] != b"BLENDER":
        raise PackingFailed(f"{name} is no .blend file")
    if head[7:8] in (b"_", b"-"):
        pointer, order = (4 if head[7:8] == b"_" else 8), ("<" if head[8:9] == b"v" else ">")
        layout, large = struct.Struct(f"{order}4si{'I' if pointer == 4 else 'Q'}ii"), False
    elif head[7:12] == b"17-01":
        file.read(5)
        pointer, order, large, layout = 8, "<", True, struct.Struct("<4siQqq")
    else:
        raise PackingFailed(f"{name} was saved in a form that is not known here: is there a newer add-on?")
    found: list[_Block] = []
    while True:
        raw = file.read(layout.size)
        if raw[:4] == b"ENDB":
            return found, order, pointer
        if large:
            code, index, _, length, count = layout.unpack(raw)
        else:
            code, length, _, index, count = layout.unpack(raw)
        if length < 0:
            raise _damaged(name)
        found.append(_Block(code, file.tell(), length, index, count))
        file.seek(length, os.SEEK_CUR)


def _catalogue(
    file: IO[bytes], blocks: list[_Block], order: str, pointer: int, name: str
) -> dict[int, tuple[str, _Field]]:
    """The fields of :data:`FIELDS`, by the index of their struct in this file."""
    block = next((one for one in reversed(blocks) if one.code == b"DNA1"), None)
    if block is None or block.length > _MAX_CATALOGUE:
        raise _damaged(name)
    file.seek(block.at)
    data = file.read(block.length)
    at = 4

    def section(tag: bytes) -> None:
        nonlocal at
        at = (at + 3) & ~3
        if data[at : at + 4] != tag:
            raise _damaged(name)
        at += 4

    def numbers(count: int, kind: str) -> tuple[int, ...]:
        nonlocal at
        layout = struct.Struct(f"{order}{count}{kind}")
        values: tuple[int, ...] = layout.unpack_from(data, at)
        at += layout.size
        return values

    def strings() -> list[str]:
        nonlocal at
        [count] = numbers(1, "i")
        found = []
        for _ in range(count):
            end = data.index(b"\0", at)
            found.append(data[at:end].decode("ascii"))
            at = end + 1
        return found

    try:
        section(b"NAME")
        names = strings()
        section(b"TYPE")
        types = strings()
        section(b"TLEN")
        sizes = numbers(len(types), "H")
        section(b"STRC")
        fields: dict[int, tuple[str, _Field]] = {}
        [structs] = numbers(1, "i")
        for index in range(structs):
            kind, count = numbers(2, "H")
            members = numbers(2 * count, "H")
            wanted = FIELDS.get(types[kind])
            if wanted is None:
                continue
            places: dict[str, _Field] = {}
            offset = 0
            for member, label in zip(members[::2], members[1::2]):  # noqa: B905 - it has an even length
                size = _size(names[label], sizes[member], pointer)
                plain, bracket, _ = names[label].partition("[")
                if bracket and types[member] == "char":
                    places[plain] = _Field(offset, size, sizes[kind])
                offset += size
            field = next((places[one] for one in wanted if one in places), None)
            if field is not None:
                fields[index] = types[kind], field
    except (ValueError, UnicodeDecodeError) as error:
        raise _damaged(name) from error
    return fields


def _size(label: str, of_type: int, pointer: int) -> int:
    """Bytes of a member called ``*next``, ``name[64]`` or ``(*run)()``."""
    size = pointer if label.startswith(("*", "(")) else of_type
    for dimension in label.split("[")[1:]:
        size *= int(dimension.partition("]")[0])
    return size


def _found(file: IO[bytes], blocks: list[_Block], fields: dict[int, tuple[str, _Field]]) -> Iterator[PathField]:
    for block in blocks:
        if block.struct not in fields or block.code == b"DNA1":
            continue
        owner, field = fields[block.struct]
        for number in range(min(block.count, block.length // field.stride)):
            at = block.at + number * field.stride + field.offset
            file.seek(at)
            raw = file.read(field.size).split(b"\0", 1)[0]
            if raw:
                yield PathField(owner, os.fsdecode(raw), at, field.size)


def _damaged(name: str) -> PackingFailed:
    return PackingFailed(f"{name} is cut off or damaged: open it in Blender and save it again")
