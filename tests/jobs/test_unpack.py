"""Archives that come from outside: good ones are unpacked, every trick is refused."""

from __future__ import annotations

import contextlib
import io
import os
import random
import shutil
import stat
import struct
import threading
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.jobs.errors import NoSpace, RequestError, TooLarge
from app.jobs.unpack import Stopped, UnpackLimits, unpack

LIMITS = UnpackLimits(files=1000, total=1 << 30, free=0)
Member = str | zipfile.ZipInfo


def archive(path: Path, members: list[tuple[Member, bytes]], *, method: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", method) as opened:
        for member, content in members:
            opened.writestr(member, content)
    return path


def run(path: Path, limits: UnpackLimits = LIMITS, stop: threading.Event | None = None) -> dict[str, bytes]:
    """Unpack and read back what is there."""
    target = path.with_suffix(".unpacked")
    unpack(path, target, limits, stop or threading.Event())
    found = {}
    for file in target.rglob("*"):
        assert not file.is_symlink()
        if file.is_file():
            found[file.relative_to(target).as_posix()] = file.read_bytes()
    return found


def refused(path: Path, says: str, limits: UnpackLimits = LIMITS) -> RequestError:
    with pytest.raises(RequestError, match=says) as caught:
        run(path, limits)
    assert caught.value.field == "file"
    return caught.value


@pytest.mark.parametrize("method", [zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA])
def test_a_good_archive(tmp_path: Path, method: int) -> None:
    content = os.urandom(1_200_000)
    members: list[tuple[Member, bytes]] = [
        ("shot/", b""),
        ("shot/scene.blend", content),
        ("shot/textures\\wood.png", b"wood"),
        ("shot/Ünïcode 日.txt", b"x"),
        ("./empty.txt", b""),
        ("__MACOSX/shot/._scene.blend", b"junk"),
        ("shot/.DS_Store", b"junk"),
    ]
    assert run(archive(tmp_path / "a.zip", members, method=method)) == {
        "shot/scene.blend": content,
        "shot/textures/wood.png": b"wood",
        "shot/Ünïcode 日.txt": b"x",
        "empty.txt": b"",
    }


def test_what_is_unpacked_is_for_this_user_only(tmp_path: Path) -> None:
    info = zipfile.ZipInfo("run.sh")
    info.external_attr = (stat.S_IFREG | 0o6777) << 16
    run(archive(tmp_path / "a.zip", [(info, b"#!/bin/sh")]))
    assert stat.S_IMODE((tmp_path / "a.unpacked" / "run.sh").stat().st_mode) == 0o600


@pytest.mark.parametrize(
    "name",
    [
        "../evil",
        "a/../../evil",
        "..\\evil",
        "/evil",
        "\\evil",
        "C:\\evil",
        "c:evil",
        "a\x07b",
        "x" * 300,
        "d/" * 70 + "x",
    ],
)
def test_names_that_lead_out_or_cannot_be_stored(tmp_path: Path, name: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    refused(archive(inside / "a.zip", [("good.txt", b"x"), (name, b"evil")]), "refused")
    assert not (inside / "a.unpacked").exists()
    assert list(tmp_path.rglob("evil")) == []


@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    names=st.lists(
        st.text(st.sampled_from(list("aA.\\/:\0\n é")), min_size=1, max_size=12)
        | st.text(st.characters(exclude_categories=("Cs",)), min_size=1, max_size=20),
        min_size=1,
        max_size=6,
    )
)
def test_whatever_the_names_nothing_lands_outside(tmp_path: Path, names: list[str]) -> None:
    outer = tmp_path / "outer"
    shutil.rmtree(outer, ignore_errors=True)
    outer.mkdir()
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for number, name in enumerate(names):
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # zipfile tells of names that are there twice
                # A name that begins with NUL is beyond zipfile; the bytes are put in afterwards.
                opened.writestr(name.replace("\0", "¤"), f"content {number}")
    (outer / "a.zip").write_bytes(buffer.getvalue().replace("¤".encode(), b"\0\0"))
    with contextlib.suppress(RequestError):
        unpack(outer / "a.zip", outer / "target", LIMITS, threading.Event())
    outside = [path for path in tmp_path.rglob("*") if not path.is_relative_to(outer / "target")]
    assert sorted(outside) == sorted([outer, outer / "a.zip"])


def test_a_name_with_nul_is_refused_though_zipfile_cuts_it(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", [("good.blendXevil", b"x")])
    path.write_bytes(path.read_bytes().replace(b"good.blendXevil", b"good.blend\0evil"))
    refused(path, "NUL")


@pytest.mark.parametrize(
    ("kind", "says"),
    [(stat.S_IFLNK, "link"), (stat.S_IFIFO, "pipe"), (stat.S_IFCHR, "device"), (stat.S_IFSOCK, "socket")],
)
def test_links_and_devices(tmp_path: Path, kind: int, says: str) -> None:
    info = zipfile.ZipInfo("looks-good.png")
    info.external_attr = (kind | 0o777) << 16
    refused(archive(tmp_path / "a.zip", [(info, b"/etc/passwd")]), says)


@pytest.mark.parametrize(
    "names",
    [
        ["a.png", "A.PNG"],
        ["a.png", "./a.png"],
        ["dir/a", "DIR/a"],
        ["a", "a/b"],
        ["a/b", "a"],
        ["a/b/", "A/B"],
        ["\u00e9.png", "e\u0301.png"],
        ["straße", "STRASSE"],
    ],
)
def test_names_that_are_the_same_somewhere(tmp_path: Path, names: list[str]) -> None:
    refused(archive(tmp_path / "a.zip", [(name, b"" if name.endswith("/") else b"x") for name in names]), "refused")


def test_a_folder_may_be_listed_more_than_once(tmp_path: Path) -> None:
    members: list[tuple[Member, bytes]] = [("a/b.txt", b"x"), ("a/", b""), ("A/", b""), ("a/c.txt", b"y")]
    assert set(run(archive(tmp_path / "a.zip", members))) == {"a/b.txt", "a/c.txt"}


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", [("a.blend", b"x" * 100)])
    raw = bytearray(path.read_bytes())
    raw[raw.index(b"PK\1\2") + 8] |= 1
    raw[6] |= 1
    path.write_bytes(raw)
    refused(path, "encrypted")


def test_a_method_that_nobody_reads(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", [("a.blend", b"x" * 100)], method=zipfile.ZIP_STORED)
    raw = bytearray(path.read_bytes())
    struct.pack_into("<H", raw, raw.index(b"PK\1\2") + 10, 97)
    struct.pack_into("<H", raw, 8, 97)
    path.write_bytes(raw)
    refused(path, "method 97")


def test_too_many_entries(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", [(f"{number}.txt", b"") for number in range(6)])
    error = refused(path, "max_archive_files", UnpackLimits(5, 1 << 30, 0))
    assert isinstance(error, TooLarge)
    assert len(run(path, UnpackLimits(6, 1 << 30, 0))) == 6


def test_an_archive_that_lies_about_how_many_entries_it_has(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", [(f"{number}.txt", b"") for number in range(50)])
    raw = bytearray(path.read_bytes())
    struct.pack_into("<HH", raw, raw.rindex(b"PK\5\6") + 8, 1, 1)
    path.write_bytes(raw)
    refused(path, "50 entries", UnpackLimits(5, 1 << 30, 0))


def test_a_directory_too_long_to_be_read_into_memory(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    entry = zipfile.ZipInfo("x" * 200)
    entry.extra = b"\xfe\xca" + struct.pack("<H", 60_000) + bytes(60_000)
    archive(path, [(entry, b"x")] + [(_with_extra(f"{number}.txt"), b"") for number in range(4)])
    refused(path, "directory has", UnpackLimits(5, 1 << 30, 0))


def _with_extra(name: str) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.extra = b"\xfe\xca" + struct.pack("<H", 60_000) + bytes(60_000)
    return info


def test_more_bytes_than_allowed(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", [("a.bin", bytes(1000)), ("b.bin", bytes(1000))])
    assert isinstance(refused(path, "max_unpacked_bytes", UnpackLimits(10, 1999, 0)), TooLarge)
    assert len(run(path, UnpackLimits(10, 2000, 0))) == 2


def test_sizes_in_the_headers_are_not_trusted(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", [("a.bin", bytes(5_000_000))])
    raw = bytearray(path.read_bytes())
    struct.pack_into("<L", raw, raw.index(b"PK\1\2") + 24, 10)  # the directory says 10 bytes
    struct.pack_into("<L", raw, 22, 10)
    path.write_bytes(raw)
    with pytest.raises(RequestError):
        run(path, UnpackLimits(10, 1000, 0))
    target = tmp_path / "a.unpacked" / "a.bin"
    assert not target.exists() or target.stat().st_size <= 1000


def test_a_bomb(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", [(f"{number}.bin", bytes(30 << 20)) for number in range(5)])
    assert path.stat().st_size < 200_000
    error = refused(path, "bomb")
    assert isinstance(error, TooLarge)
    written = sum(file.stat().st_size for file in (tmp_path / "a.unpacked").iterdir())
    assert written <= 101 << 20


def test_overlapping_members(tmp_path: Path) -> None:
    """Two entries of the directory that point to the same data: what bombs without nesting are made of."""
    path = archive(tmp_path / "a.zip", [("a.bin", b"x" * 100), ("b.bin", b"x" * 100)])
    raw = bytearray(path.read_bytes())
    second = raw.rindex(b"PK\1\2")
    struct.pack_into("<L", raw, second + 42, 0)
    path.write_bytes(raw)
    refused(path, "damaged")


def test_a_full_disk(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", [("a.bin", b"x")])
    error = refused(path, "min_free_bytes", UnpackLimits(10, 1 << 30, shutil.disk_usage(tmp_path).free * 2))
    assert (type(error), error.status) == (NoSpace, 507)


@pytest.mark.parametrize("content", [b"", b"PK", b"no zip at all" * 100, b"PK\5\6", b"PK\5\6" + bytes(18)])
def test_what_is_no_zip(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.zip").write_bytes(content)
    refused(tmp_path / "a.zip", "damaged|empty")


def test_an_archive_of_folders_only(tmp_path: Path) -> None:
    refused(archive(tmp_path / "a.zip", [("a/", b""), ("__MACOSX/x", b"y")]), "empty")


def test_damaged_archives_are_refused_or_unpacked_whole(tmp_path: Path) -> None:
    good = archive(tmp_path / "a.zip", [("a.bin", os.urandom(5000)), ("dir/b.txt", b"text" * 500)]).read_bytes()
    chance = random.Random(7)
    path, target = tmp_path / "b.zip", tmp_path / "b.unpacked"
    refusals = 0
    for _ in range(300):
        raw = bytearray(good)
        for _ in range(chance.randint(1, 4)):
            raw[chance.randrange(len(raw))] = chance.randrange(256)
        if chance.random() < 0.3:
            del raw[chance.randrange(len(raw)) :]
        path.write_bytes(raw)
        try:
            run(path)
        except RequestError:
            refusals += 1
        shutil.rmtree(target, ignore_errors=True)
    assert refusals > 150


def test_a_large_zip64_directory_that_is_not_where_it_says(tmp_path: Path) -> None:
    path = archive(tmp_path / "a.zip", [("a.bin", b"x")])
    raw = path.read_bytes()
    end = raw.rindex(b"PK\5\6")
    record = struct.pack("<4sQ2H2L4Q", b"PK\6\6", 44, 45, 45, 0, 0, 1, 1, 1 << 40, 0)
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, 12345, 1)
    path.write_bytes(raw[:end] + record + locator + raw[end:])
    refused(path, "not where it says")
    locator = struct.pack("<4sLQL", b"PK\6\7", 0, end, 1)
    path.write_bytes(raw[:end] + record + locator + raw[end:])
    refused(path, "directory has")


def test_it_stops_when_nobody_waits(tmp_path: Path) -> None:
    stop = threading.Event()
    stop.set()
    with pytest.raises(Stopped):
        run(archive(tmp_path / "a.zip", [("a.bin", b"x")]), stop=stop)
