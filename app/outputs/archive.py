"""All outputs of a job as one zip, written straight onto the wire: no temporary file, its length said beforehand."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from pathlib import Path

from app.outputs.collection import Output
from app.outputs.names import safe_stem
from app.outputs.reading import BLOCK, OutputGone, blocks_of, open_output
from app.outputs.zipformat import Member, central_header, central_length, end_length, end_records, local_header


class Archive:
    """The plan of a zip archive: what stands where, and how long it is. Making it reads no file."""

    def __init__(self, outputs: Sequence[Output], folder: str) -> None:
        """To be unpacked into one folder named like ``folder``."""
        self._outputs = outputs
        self._members: list[Member] = []
        prefix = f"{safe_stem(folder, 'job')}/"
        taken: dict[str, int] = {}  # by name in one case: how many there are of it
        offset = directory = 0
        for output in outputs:
            name = (prefix + _unique(output.name, taken)).encode()
            entry = output.entry
            member = Member(name, entry.size, entry.crc32, entry.mtime_ns / 1e9, offset)
            self._members.append(member)
            offset = member.end
            directory += central_length(member)
        self._directory_offset, self._directory_length = offset, directory
        self.length = offset + directory + end_length(len(self._members), offset, directory)
        """Bytes of the whole archive."""

    def check(self) -> None:
        """Look whether all members are there in their full size. For a thread.

        Raises:
            OutputGone: one is not.
            OSError: the folder cannot be read.
        """
        sizes = {folder: _sizes(folder) for folder in {output.folder for output in self._outputs}}
        for output in self._outputs:
            if sizes[output.folder].get(output.entry.name) != output.entry.size:
                raise OutputGone(f"{output.name} is not in the output folder any more, or not in its full size")

    def blocks(self) -> Generator[bytes, None, None]:
        """The archive itself, in blocks of about :data:`~app.outputs.reading.BLOCK` bytes. For a thread.

        Raises:
            OutputGone: a file vanished or changed meanwhile; what was sent so far is no archive then.
            OSError: a file cannot be read.
        """
        small: list[bytes] = []
        size = 0
        for output, member in zip(self._outputs, self._members, strict=True):
            small.append(local_header(member))
            size += len(small[-1])
            descriptor = open_output(output.folder, output.entry)
            try:
                for block in blocks_of(descriptor, output.entry):
                    # Small pieces are gathered, large ones go as they were read.
                    if len(block) >= BLOCK // 4:
                        if small:
                            yield b"".join(small)
                            small, size = [], 0
                        yield block
                        continue
                    small.append(block)
                    size += len(block)
            finally:
                os.close(descriptor)
            if size >= BLOCK // 2:
                yield b"".join(small)
                small, size = [], 0
        for member in self._members:
            small.append(central_header(member))
            size += len(small[-1])
            if size >= BLOCK:
                yield b"".join(small)
                small, size = [], 0
        small.append(end_records(len(self._members), self._directory_offset, self._directory_length))
        yield b"".join(small)


def _sizes(folder: Path) -> dict[str, int]:
    try:
        with os.scandir(folder) as found:
            return {item.name: item.stat(follow_symlinks=False).st_size for item in found if item.is_file()}
    except FileNotFoundError:
        return {}


def _unique(name: str, taken: dict[str, int]) -> str:
    """The name, changed if another differs from it in upper and lower case alone: not every disk tells them apart."""
    stem, dot, suffix = name.rpartition(".")
    stem, suffix = (stem, dot + suffix) if stem else (name, "")
    candidate = name
    while candidate.casefold() in taken:
        taken[name.casefold()] += 1
        candidate = f"{stem} ({taken[name.casefold()]}){suffix}"
    taken[candidate.casefold()] = 1
    return candidate
