"""Releases as archives: good ones are unpacked with their links and modes, every trick is refused whole."""

from __future__ import annotations

import gzip
import io
import os
import stat
import tarfile
import threading
import warnings
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from app.installs.archives import ArchiveError, ArchiveLimits, unpack_release
from app.installs.source import SourceError
from app.jobs.unpack import Stopped

LIMITS = ArchiveLimits(files=1000, total=1 << 30)
BIG = os.urandom(1_200_000)
# Packing must not take longer than what is tested.
QUICKLY: dict[str, dict[str, int]] = {"xz": {"preset": 0}, "gz": {"compresslevel": 1}, "bz2": {"compresslevel": 1}}


def entry(name: str, kind: bytes = tarfile.REGTYPE, link: str = "", mode: int = 0o644) -> tarfile.TarInfo:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, link, mode
    return info


def symlink(name: str, target: str) -> tarfile.TarInfo:
    return entry(name, tarfile.SYMTYPE, target)


Entry = tuple[tarfile.TarInfo, bytes]
GOOD: list[Entry] = [
    (entry("blender-4.5/", tarfile.DIRTYPE, mode=0o755), b""),
    (entry("blender-4.5/blender", mode=0o4755), BIG),
    (entry("blender-4.5/lib/libz.so.1.2"), b"library"),
    (symlink("blender-4.5/lib/libz.so", "libz.so.1"), b""),
    (symlink("blender-4.5/lib/libz.so.1", "libz.so.1.2"), b""),
    (symlink("blender-4.5/4.5/lib", "../lib"), b""),
    (entry("blender-4.5/second", tarfile.LNKTYPE, "blender-4.5/blender"), b""),
]


def tar(path: Path, entries: list[Entry], packing: str = "xz", **options: int) -> Path:
    options = {**QUICKLY.get(packing, {}), **options}
    with tarfile.open(path, f"w:{packing}", **options) as opened:  # type: ignore[call-overload]  # typeshed: literals
        for info, content in entries:
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return path


def refused(archive: Path, says: str, limits: ArchiveLimits = LIMITS) -> None:
    folder = archive.parent / "engine"
    before = sorted(archive.parent.parent.rglob("*"))
    with pytest.raises(ArchiveError, match=says) as caught:
        unpack_release(archive, folder, limits, threading.Event())
    assert not caught.value.transient
    assert sorted(archive.parent.parent.rglob("*")) == before


@pytest.mark.parametrize("packing", ["xz", "gz", "bz2"])
def test_a_good_tar(tmp_path: Path, packing: str) -> None:
    archive = tar(tmp_path / f"a.tar.{packing}", GOOD, packing)
    seen: list[int] = []
    folder = tmp_path / "engine"
    unpack_release(archive, folder, LIMITS, threading.Event(), seen.append)
    assert (folder / "blender").read_bytes() == BIG
    assert stat.S_IMODE((folder / "blender").stat().st_mode) & 0o7111 == 0o111
    assert stat.S_IMODE((folder / "lib" / "libz.so.1.2").stat().st_mode) & 0o7111 == 0
    assert (folder / "lib" / "libz.so").readlink() == Path("libz.so.1")
    assert (folder / "4.5" / "lib" / "libz.so").read_bytes() == b"library"
    assert (folder / "second").samefile(folder / "blender")
    assert seen[-1] == archive.stat().st_size
    assert sorted(path.name for path in tmp_path.iterdir()) == [archive.name, "engine"]


def test_a_good_zip_with_links_and_modes(tmp_path: Path) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as opened:
        for name, kind, content in (
            ("ffmpeg", stat.S_IFREG | 0o755, BIG),
            ("lib/a", stat.S_IFREG | 0o644, b"x"),
            ("b", stat.S_IFLNK, b"lib/a"),
        ):
            info = zipfile.ZipInfo(name)
            info.external_attr = kind << 16
            opened.writestr(info, content)
    unpack_release(archive, tmp_path / "engine", LIMITS, threading.Event())
    assert (tmp_path / "engine" / "ffmpeg").read_bytes() == BIG
    assert os.access(tmp_path / "engine" / "ffmpeg", os.X_OK)
    assert (tmp_path / "engine" / "b").readlink() == Path("lib/a")


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (entry("../evil"), "leads out"),
        (entry("a/../../evil"), "leads out"),
        (entry("/evil"), "absolute"),
        (entry("C:\\evil"), "absolute"),
        (symlink("top/l", "/etc/passwd"), "absolute"),
        (symlink("top/l", "../../evil"), "leads out"),
        (symlink("top/l", "../evil"), "outermost folder"),
        (symlink("top/l", "x/../../../evil"), "leads out"),
        (symlink("top/l", "x/y/../z"), "leads out"),
        (symlink("top/l", ""), "no name"),
        (entry("top/l", tarfile.LNKTYPE, "../../etc/passwd"), "leads out"),
        (entry("top/l", tarfile.LNKTYPE, "/etc/passwd"), "absolute"),
        (entry("top/l", tarfile.LNKTYPE, "top/none"), "no file in it"),
        (entry("top/dev", tarfile.CHRTYPE), "device"),
        (entry("top/dev", tarfile.BLKTYPE), "device"),
        (entry("top/pipe", tarfile.FIFOTYPE), "device"),
        (entry("top/good"), "twice"),
        (entry("top/GOOD"), "twice"),
        (entry("top/good/below"), "below a file"),
    ],
    ids=lambda value: f"{value.name}-{value.linkname}" if isinstance(value, tarfile.TarInfo) else "",
)
def test_what_is_refused_whole(tmp_path: Path, bad: tarfile.TarInfo, says: str) -> None:
    inside = tmp_path / "inside"
    inside.mkdir()
    refused(tar(inside / "a.tar.xz", [(entry("top/good"), b"x"), (bad, b"")]), says)


def test_nothing_is_written_through_a_link(tmp_path: Path) -> None:
    entries = [(entry("top/d/x"), b"x"), (symlink("top/l", "d"), b""), (entry("top/l/evil"), b"evil")]
    refused(tar(tmp_path / "a.tar.xz", entries), "below a file")


def test_a_hard_link_to_a_symlink(tmp_path: Path) -> None:
    entries = [(entry("top/x"), b"x"), (symlink("top/l", "x"), b""), (entry("top/h", tarfile.LNKTYPE, "top/l"), b"")]
    refused(tar(tmp_path / "a.tar.xz", entries), "no file in it")


@pytest.mark.parametrize(
    ("name", "kind", "says"),
    [
        ("../evil", stat.S_IFREG, "leads out"),
        ("/evil", stat.S_IFREG, "absolute"),
        ("dev", stat.S_IFCHR, "device"),
        ("link", stat.S_IFLNK, "leads out"),
        ("good", stat.S_IFREG, "twice"),
    ],
)
def test_what_is_refused_in_a_zip(tmp_path: Path, name: str, kind: int, says: str) -> None:
    archive = tmp_path / "a.zip"
    with zipfile.ZipFile(archive, "w") as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile tells of names that are there twice
        opened.writestr("good", b"x")
        info = zipfile.ZipInfo(name)
        info.external_attr = (kind | 0o777) << 16
        opened.writestr(info, b"../../evil")
    refused(archive, says)


def test_bombs(tmp_path: Path) -> None:
    zeros = bytes(120 << 20)
    refused(tar(tmp_path / "a.tar.xz", [(entry("zeros"), zeros)]), "bomb")
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as opened:
        opened.writestr("zeros", zeros)
    refused(tmp_path / "a.zip", "bomb")


def test_too_much_and_too_many(tmp_path: Path) -> None:
    many = [(entry(f"top/{number}"), b"") for number in range(20)]
    refused(tar(tmp_path / "a.tar.xz", many), "more than 10 entries", ArchiveLimits(files=10))
    refused(tar(tmp_path / "b.tar.xz", GOOD), "more than 1000000 bytes", ArchiveLimits(total=1_000_000))
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as opened:
        for number in range(20):
            opened.writestr(str(number), b"")
    refused(tmp_path / "a.zip", "more than 10 entries", ArchiveLimits(files=10))


def test_a_name_too_long_to_be_read_into_memory(tmp_path: Path) -> None:
    info = entry("top/x")
    info.pax_headers = {"comment": os.urandom(4 << 20).hex()}
    refused(tar(tmp_path / "a.tar.gz", [(info, b"x")], "gz"), "about one entry")


@pytest.mark.parametrize("packing", ["xz", "gz", "bz2"])
@pytest.mark.parametrize("keep", [0.0, 0.5, 0.999])
def test_a_truncated_tar(tmp_path: Path, packing: str, keep: float) -> None:
    archive = tar(tmp_path / f"a.tar.{packing}", GOOD, packing)
    content = archive.read_bytes()
    archive.write_bytes(content[: int(len(content) * keep)])
    refused(archive, "damaged")


def test_damage_in_the_middle(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tar.xz", GOOD)
    content = bytearray(archive.read_bytes())
    content[len(content) // 2] ^= 0xFF
    archive.write_bytes(content)
    refused(archive, "damaged")


def test_a_damaged_header_is_not_taken_for_the_end(tmp_path: Path) -> None:
    plain = tar(tmp_path / "plain", [(entry("top/a"), b"a"), (entry("top/b"), b"b" * 5000)], "")
    content = bytearray(plain.read_bytes())
    content[1024] ^= 0xFF  # the second entry's name; its checksum no longer fits
    plain.unlink()
    (tmp_path / "a.tar.gz").write_bytes(gzip.compress(content))
    refused(tmp_path / "a.tar.gz", "damaged")


@pytest.mark.parametrize("name", ["a.dmg", "a.exe", "a.tar.lz"])
def test_kinds_that_are_not_unpacked(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"x" * 1000)
    refused(tmp_path / name, "not unpacked")


@pytest.mark.parametrize("name", ["a.tar.xz", "a.tar.gz", "a.tar.bz2", "a.zip"])
def test_what_is_no_archive(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"<html>Not found</html>" * 100)
    refused(tmp_path / name, "damaged")


def test_no_room(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tar.gz", [(entry("top/x"), os.urandom(70 << 20))], "gz", compresslevel=0)
    with pytest.raises(SourceError, match="must stay free"):
        unpack_release(archive, tmp_path / "engine", ArchiveLimits(keep_free=1 << 60), threading.Event())
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def stopping(stop: threading.Event) -> Callable[[int], None]:
    return lambda read: stop.set()


def test_stopped_in_the_middle(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tar.gz", [(entry("top/x"), os.urandom(20 << 20))], "gz", compresslevel=0)
    stop = threading.Event()
    with pytest.raises(Stopped):
        unpack_release(archive, tmp_path / "engine", LIMITS, stop, stopping(stop))
    assert [path.name for path in tmp_path.iterdir()] == ["a.tar.gz"]


def test_what_a_power_cut_left_is_cleared_and_what_is_there_is_kept(tmp_path: Path) -> None:
    archive = tar(tmp_path / "a.tar.gz", GOOD, "gz")
    (tmp_path / "engine.unpacking").mkdir()
    (tmp_path / "engine.unpacking" / "half").write_bytes(b"x")
    unpack_release(archive, tmp_path / "engine", LIMITS, threading.Event())
    assert not (tmp_path / "engine" / "half").exists()
    refused(archive, "there already")
