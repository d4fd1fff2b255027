"""Buffers of uploads: what went in comes out, whichever way it goes to the file."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from app.jobs.buffers import WRITE, Buffer

SIZE = 3 * WRITE + 17


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("flags", [0, os.O_APPEND], ids=["by the kernel", "in pieces"])
@pytest.mark.parametrize("count", [0, 1, WRITE, SIZE])
def test_a_buffer_is_appended_whole_and_can_be_used_again(tmp_path: Path, flags: int, count: int) -> None:
    # Linux refuses to send to a file that is open for appending, so that one is written in pieces.
    path = tmp_path / "file"
    before = open_files() if Path("/proc/self/fd").exists() else None
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | flags, 0o600)
    buffer = Buffer(SIZE)
    expected = b""
    for _ in range(3):
        content = os.urandom(SIZE)
        buffer.view[:] = content
        buffer.write(descriptor, count)
        expected += content[:count]
    buffer.close()
    os.close(descriptor)
    assert path.read_bytes() == expected
    if before is not None:
        assert open_files() == before


def test_an_error_of_the_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    descriptor = os.open(tmp_path / "file", os.O_RDONLY)
    buffer = Buffer(SIZE)
    with pytest.raises(OSError):
        buffer.write(descriptor, SIZE)
    buffer.close()
    os.close(descriptor)
