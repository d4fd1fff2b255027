"""Hashes that are counted once, and files that change meanwhile."""

from __future__ import annotations

import hashlib
import os
import threading
from pathlib import Path

import pytest

from app.content.hashing import BLOCK, FileChanging, Hashes, HashingStopped

OLD = (1_000_000_000, 1_000_000_000)


class Read:
    """Counts what was read; does something after the first block."""

    def __init__(self, then: object = None) -> None:
        self.pieces: list[int] = []
        self._then = then

    def __call__(self, count: int) -> None:
        self.pieces.append(count)
        if callable(self._then):
            self._then()


def made(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    os.utime(path, OLD)
    return path


def test_a_file_is_read_once_also_over_a_restart(tmp_path: Path) -> None:
    path = made(tmp_path / "a", b"x" * (BLOCK + 1))
    note, never = tmp_path / "hashes.jsonl", threading.Event()
    first, second = Read(), Read()
    known = Hashes(note).of(path, never, first)
    assert (known.sha256, first.pieces) == (hashlib.sha256(b"x" * (BLOCK + 1)).hexdigest(), [BLOCK, 1])
    note.write_bytes(note.read_bytes() + b'{"path": "torn o')
    again = Hashes(note)
    again.load()
    assert again.of(path, never, second) == known
    assert second.pieces == [BLOCK + 1], "it was read again"


def test_a_file_that_is_as_young_as_its_hash_is_read_again(tmp_path: Path) -> None:
    path, never = tmp_path / "a", threading.Event()
    path.write_bytes(b"one")
    hashes = Hashes(tmp_path / "hashes.jsonl")
    time = path.stat().st_mtime_ns
    hashes.of(path, never, Read())
    path.write_bytes(b"two")
    os.utime(path, ns=(time, time))  # a file system with coarse times
    assert hashes.of(path, never, Read()).sha256 == hashlib.sha256(b"two").hexdigest()


def test_a_file_that_changes_while_it_is_read_is_read_again(tmp_path: Path) -> None:
    path, never = made(tmp_path / "a", b"x" * (2 * BLOCK)), threading.Event()
    changes = iter([True])

    def once() -> None:
        if next(changes, False):
            path.write_bytes(b"y" * (2 * BLOCK))

    read = Read(once)
    found = Hashes(tmp_path / "hashes.jsonl").of(path, never, read)
    assert found.sha256 == hashlib.sha256(b"y" * (2 * BLOCK)).hexdigest()
    assert sum(read.pieces) == 2 * BLOCK, "what was read in vain counts"


def test_a_file_that_does_not_come_to_rest_is_refused(tmp_path: Path) -> None:
    path, never = made(tmp_path / "a", b"x" * BLOCK), threading.Event()
    with pytest.raises(FileChanging, match="changes while it is read"):
        Hashes(tmp_path / "hashes.jsonl").of(path, never, Read(lambda: path.write_bytes(os.urandom(BLOCK + 7))))


def test_nothing_but_files_is_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(FileChanging, match="no regular file"):
        Hashes(tmp_path / "hashes.jsonl").of(tmp_path / "pipe", threading.Event(), Read())


def test_it_can_be_stopped(tmp_path: Path) -> None:
    path, stop = made(tmp_path / "a", b"x" * (3 * BLOCK)), threading.Event()
    read = Read(stop.set)
    with pytest.raises(HashingStopped):
        Hashes(tmp_path / "hashes.jsonl").of(path, stop, read)
    assert read.pieces == [BLOCK]
