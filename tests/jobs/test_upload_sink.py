"""Uploads of any length reach the disk as they were sent, past the cache or through it."""

from __future__ import annotations

import asyncio
import hashlib
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.jobs.buffers import DIRECT_WRITES, Buffer, write_through_cache
from app.jobs.sink import BUFFER, FileSink, UploadLimits

LIMITS = UploadLimits(file=1 << 30, document=1 << 20, free=0)
PIECE = 100_003


@pytest.fixture(params=["disk", "memory"])
def folder(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    if request.param == "disk":
        yield tmp_path
    elif Path("/dev/shm").is_dir():  # another kind of file system, which may refuse direct writes
        with tempfile.TemporaryDirectory(dir="/dev/shm") as other:
            yield Path(other)
    else:
        pytest.skip("there is no file system in memory")


async def send(folder: Path, content: bytes) -> tuple[Path, str]:
    """Send content through a sink in pieces; the file, and its hash."""
    sink = FileSink(folder, LIMITS)
    sink.begin("large.mp4")
    for start in range(0, len(content), PIECE):
        piece = content[start : start + PIECE]
        sink.put(piece, 0, len(piece))
        await sink.drain()
    kept = await sink.close()
    assert kept is not None
    assert kept.size == len(content)
    return kept.path, kept.sha256


@pytest.mark.parametrize("size", [1, BUFFER - 1, BUFFER, BUFFER + 1, 2 * BUFFER + 4096, 3 * BUFFER + 17])
async def test_what_was_sent_is_there(folder: Path, size: int) -> None:
    content = os.urandom(size)
    path, sha256 = await send(folder, content)
    assert path.read_bytes() == content
    assert sha256 == hashlib.sha256(content).hexdigest()
    assert [item.name for item in folder.iterdir()] == ["large.mp4"]


async def test_two_at_a_time_do_not_mix(tmp_path: Path) -> None:
    contents = [os.urandom(2 * BUFFER + 5), os.urandom(2 * BUFFER + 7)]
    for number in range(2):
        (tmp_path / str(number)).mkdir()
    sent = await asyncio.gather(*(send(tmp_path / str(number), content) for number, content in enumerate(contents)))
    assert [path.read_bytes() for path, _ in sent] == contents


@pytest.mark.skipif(sys.platform != "linux", reason="O_DIRECT")
def test_a_file_goes_on_through_the_cache_where_it_left_off(tmp_path: Path) -> None:
    try:
        descriptor = os.open(tmp_path / "file", os.O_CREAT | os.O_WRONLY | DIRECT_WRITES, 0o600)
    except OSError:
        pytest.skip("this file system has no direct writes")
    buffer = Buffer(1 << 16)
    content = os.urandom(1 << 16)
    buffer.view[:] = content
    assert buffer.write_directly(descriptor, 1 << 15) == 1 << 15
    write_through_cache(descriptor)
    buffer.write(descriptor, 40_001, 1 << 15)
    buffer.close()
    os.close(descriptor)
    assert (tmp_path / "file").read_bytes() == content[:40_001]
