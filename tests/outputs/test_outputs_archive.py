"""The zip of all outputs: correct for every reader, its length known beforehand."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import zipfile
import zlib
from dataclasses import replace
from pathlib import Path

import pytest

from app.outputs.archive import Archive
from app.outputs.collection import outputs_in
from app.outputs.manifest import Entry
from app.outputs.reading import BLOCK, OutputGone
from app.outputs.zipformat import Member, central_header, central_length, end_length, end_records, local_header

MTIME_NS = 1_700_000_000_000_000_000


def make(folder: Path, files: dict[str, bytes]) -> list[Entry]:
    folder.mkdir(exist_ok=True)
    entries = []
    for name, data in files.items():
        (folder / name).write_bytes(data)
        os.utime(folder / name, ns=(MTIME_NS, MTIME_NS))
        entries.append(Entry(name, len(data), "0" * 64, zlib.crc32(data), None, None, None, MTIME_NS, "a"))
    return entries


@pytest.fixture
def output(tmp_path: Path) -> Path:
    return tmp_path / "output"


def write(archive: Archive, path: Path) -> Path:
    with path.open("wb") as file:
        for block in archive.blocks():
            assert block
            file.write(block)
    assert path.stat().st_size == archive.length
    return path


FILES = {
    "a_0001.png": b"first",
    "empty.txt": b"",
    "größe 日本.exr": os.urandom(1000),
    "just a block.bin": os.urandom(BLOCK),
    "more.bin": os.urandom(2 * BLOCK + 12345),
    "small.bin": os.urandom(BLOCK // 4 - 1),
}


def test_python_reads_it(tmp_path: Path, output: Path) -> None:
    archive = Archive(outputs_in(make(output, FILES), output), "My job: take/2")
    archive.check()
    with zipfile.ZipFile(write(archive, tmp_path / "a.zip")) as read:
        assert read.testzip() is None
        assert {name: read.read(f"My job_ take_2/{name}") for name in FILES} == FILES
        assert len(read.infolist()) == len(FILES)
        assert {item.compress_type for item in read.infolist()} == {zipfile.ZIP_STORED}
        assert {item.date_time[0] for item in read.infolist()} == {2023}
        assert {item.external_attr >> 16 for item in read.infolist()} == {0o100644}


@pytest.mark.skipif(shutil.which("unzip") is None, reason="needs unzip")
def test_unzip_reads_it(tmp_path: Path, output: Path) -> None:
    path = write(Archive(outputs_in(make(output, FILES), output), "job"), tmp_path / "a.zip")
    assert (
        "No errors detected"
        in subprocess.run(
            ["unzip", "-t", path], capture_output=True, text=True, check=True, env={"LC_ALL": "C.UTF-8"}
        ).stdout
    )
    subprocess.run(["unzip", "-q", path, "-d", tmp_path / "unpacked"], check=True, env={"LC_ALL": "C.UTF-8"})
    assert {item.name: item.read_bytes() for item in (tmp_path / "unpacked" / "job").iterdir()} == FILES


def test_an_empty_one_is_an_archive_too(tmp_path: Path, output: Path) -> None:
    with zipfile.ZipFile(write(Archive(outputs_in([], output), "job"), tmp_path / "a.zip")) as read:
        assert read.namelist() == []


def test_small_files_travel_together(output: Path) -> None:
    entries = make(output, {f"{number}.txt": b"x" * 100 for number in range(500)})
    assert len(list(Archive(outputs_in(entries, output), "job").blocks())) == 1


def test_no_block_is_large(output: Path) -> None:
    entries = make(output, {f"{number}.bin": bytes(BLOCK // 5) for number in range(30)} | {"big": bytes(3 * BLOCK)})
    assert max(len(block) for block in Archive(outputs_in(entries, output), "job").blocks()) <= BLOCK


def test_names_that_differ_in_case_alone_do_not_meet(tmp_path: Path, output: Path) -> None:
    entries = make(
        output, {"A.png": b"1", "a.png": b"2", "a.PNG": b"3", "a (2).png": b"4", "noext": b"5", "NOEXT": b"6"}
    )
    with zipfile.ZipFile(write(Archive(outputs_in(entries, output), "job"), tmp_path / "a.zip")) as read:
        names = read.namelist()
        assert len({name.casefold() for name in names}) == len(entries)
        assert sorted(read.read(name) for name in names) == [b"1", b"2", b"3", b"4", b"5", b"6"]


@pytest.mark.slow
@pytest.mark.parametrize("many", [65534, 65535])
def test_more_members_than_the_old_format_holds(tmp_path: Path, output: Path, many: int) -> None:
    entries = make(output, {"0": b"x", "1": b"x", "2": b"x"})
    entries = [entries[number % 3] for number in range(many)]
    path = write(Archive(outputs_in(entries, output), "job"), tmp_path / "a.zip")
    with zipfile.ZipFile(path) as read:
        assert len(read.infolist()) == many
        assert read.read(read.infolist()[-1]) == b"x"
    assert (b"PK\x06\x06" in path.read_bytes()[-100:]) == (many >= 65535)


def test_the_old_limit_of_four_gigabytes_is_kept_to_the_byte() -> None:
    limit = 0xFFFFFFFF
    for size, offset in ((limit - 1, limit - 1), (limit, 0), (0, limit), (limit, limit), (1 << 40, 1 << 41)):
        member = Member(b"a", size, 1, 0.0, offset)
        local, central = local_header(member), central_header(member)
        assert len(local) == member.header_length
        assert len(central) == central_length(member)
        assert member.end == offset + len(local) + size
        assert (struct.unpack_from("<I", local, 18)[0] == limit) == (size >= limit)
        assert (struct.unpack_from("<I", central, 42)[0] == limit) == (offset >= limit)
        if size >= limit:
            assert struct.pack("<HHQQ", 1, 16, size, size) in local
        if offset >= limit:
            assert central.endswith(struct.pack("<Q", offset))
    for count, offset, length in ((1, 1, 1), (65535, 1, 1), (1, limit, 1), (1, 1, limit)):
        assert len(end_records(count, offset, length)) == end_length(count, offset, length)


@pytest.mark.slow
def test_files_and_places_beyond_four_gigabytes(tmp_path: Path, output: Path) -> None:
    big = (4 << 30) + 7
    entries = make(output, {"a.txt": b"first", "b.bin": b"", "c.txt": b"last"})
    with (output / "b.bin").open("wb") as file:
        file.truncate(big)  # a hole: takes no room on the disk
    crc = 0
    zeros = bytes(64 << 20)
    for start in range(0, big, len(zeros)):
        crc = zlib.crc32(zeros[: min(len(zeros), big - start)], crc)
    os.utime(output / "b.bin", ns=(MTIME_NS, MTIME_NS))
    entries[1] = replace(entries[1], size=big, crc32=crc)
    archive = Archive(outputs_in(entries, output), "job")
    path = tmp_path / "a.zip"
    with path.open("wb") as file:
        for block in archive.blocks():
            if block.count(0) == len(block):
                file.seek(len(block), os.SEEK_CUR)
            else:
                file.write(block)
    assert path.stat().st_size == archive.length > big
    with zipfile.ZipFile(path) as read:
        assert read.testzip() is None
        assert read.getinfo("job/b.bin").file_size == big
        assert read.getinfo("job/c.txt").header_offset > 1 << 32
        assert read.read("job/c.txt") == b"last"
    if shutil.which("unzip"):
        subprocess.run(["unzip", "-tq", path], check=True, capture_output=True)


def test_a_file_that_is_gone_or_shorter_is_noticed_before(output: Path) -> None:
    entries = make(output, FILES)
    (output / "more.bin").unlink()
    with pytest.raises(OutputGone, match=r"more\.bin"):
        Archive(outputs_in(entries, output), "job").check()
    (output / "more.bin").write_bytes(b"short")
    with pytest.raises(OutputGone, match=r"more\.bin"):
        Archive(outputs_in(entries, output), "job").check()
    with pytest.raises(OutputGone):
        Archive(outputs_in(entries, output / "nowhere"), "job").check()


@pytest.mark.parametrize("change", ["gone", "shorter", "link", "other content"])
def test_a_file_that_changes_meanwhile_ends_it(output: Path, tmp_path: Path, change: str) -> None:
    entries = make(output, FILES)
    blocks = Archive(outputs_in(entries, output), "job").blocks()
    next(blocks)
    victim = output / "more.bin"
    data = victim.read_bytes()
    victim.unlink()
    if change == "shorter":
        victim.write_bytes(data[:-1])
    elif change == "link":
        (tmp_path / "elsewhere").write_bytes(data)
        victim.symlink_to(tmp_path / "elsewhere")
    elif change == "other content":
        victim.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(OutputGone, match=r"more\.bin"):
        list(blocks)


def test_the_same_content_with_another_time_is_still_the_file(output: Path, tmp_path: Path) -> None:
    entries = make(output, FILES)
    os.utime(output / "more.bin")
    with zipfile.ZipFile(write(Archive(outputs_in(entries, output), "job"), tmp_path / "a.zip")) as read:
        assert read.testzip() is None
