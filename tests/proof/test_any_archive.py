"""Whatever an archive holds, nothing is written outside of its folder; it is unpacked whole, or refused."""

from __future__ import annotations

import contextlib
import io
import shutil
import stat
import tarfile
import threading
import warnings
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.installs.archives import ArchiveLimits, unpack_release
from app.installs.source import SourceError
from app.jobs.errors import RequestError
from app.jobs.unpack import UnpackLimits, unpack

pytestmark = pytest.mark.slow

LIMITS = UnpackLimits(files=50, total=1 << 20, free=0)
RELEASE_LIMITS = ArchiveLimits(files=50, total=1 << 20)

PART = st.sampled_from(["a", "A", "b", "..", ".", "", "c.txt", "é", "e\u0301", "C:", "\\", "x" * 260, "a\n"])
NAME = st.lists(PART, min_size=1, max_size=4).map("/".join) | st.sampled_from(["/etc/x", "../x", "a/", "a/b/"])
CONTENT = st.binary(max_size=30)
MODE = st.sampled_from([0, stat.S_IFREG | 0o644, stat.S_IFREG | 0o4755, stat.S_IFLNK | 0o777, stat.S_IFDIR | 0o755])
KIND = st.sampled_from(
    [tarfile.REGTYPE, tarfile.REGTYPE, tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE, tarfile.FIFOTYPE]
)
DAMAGE = st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=3)


def damaged(raw: bytes, damage: list[tuple[float, int]]) -> bytes:
    """Some bytes changed."""
    data = bytearray(raw)
    for where, value in damage:
        data[int(where * len(data))] = value
    return bytes(data)


def zipped(members: list[tuple[str, int, bytes]]) -> bytes:
    """A zip of names, modes and contents."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as opened, warnings.catch_warnings():
        warnings.simplefilter("ignore")  # zipfile tells of names that are there twice
        for name, mode, content in members:
            info = zipfile.ZipInfo(name)
            info.external_attr = mode << 16
            opened.writestr(info, content)
    return buffer.getvalue()


def tarred(members: list[tuple[str, bytes, str, bytes]]) -> bytes:
    """A .tar.gz of names, kinds, targets of links and contents."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz", compresslevel=1) as opened:
        for name, kind, target, content in members:
            info = tarfile.TarInfo(name)
            info.type, info.linkname, info.size = kind, target, len(content)
            opened.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


@pytest.fixture(scope="module")
def ground(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of its own, emptied for every archive."""
    return tmp_path_factory.mktemp("archives")


def fresh(ground: Path, name: str, raw: bytes) -> Path:
    """An archive alone in a folder, beside a file that a link might lead to."""
    shutil.rmtree(ground)
    (ground / "inside").mkdir(parents=True)
    (ground / "secret").write_bytes(b"secret")
    archive = ground / "inside" / name
    archive.write_bytes(raw)
    return archive


def check_ground(ground: Path, archive: Path, target: Path) -> None:
    """Nothing is there but what was there, and the target."""
    allowed = {ground / "secret", ground / "inside", archive}
    for path in ground.rglob("*"):
        assert path in allowed or path == target or target in path.parents, f"{path} is outside"
        assert path.resolve().is_relative_to(ground / "inside") or path == ground / "secret", f"{path} leads out"
    assert (ground / "secret").read_bytes() == b"secret"


@settings(max_examples=150)
@given(st.lists(st.tuples(NAME, MODE, CONTENT), max_size=5), DAMAGE)
def test_any_upload(ground: Path, members: list[tuple[str, int, bytes]], damage: list[tuple[float, int]]) -> None:
    archive = fresh(ground, "a.zip", damaged(zipped(members), damage))
    target = ground / "inside" / "target"
    try:
        count = unpack(archive, target, LIMITS, threading.Event())
    except RequestError:
        count = None
    check_ground(ground, archive, target)
    if count is not None:
        files = [path for path in target.rglob("*") if not path.is_dir()]
        assert len(files) == count
        assert all(path.is_file() and not path.is_symlink() for path in files)


@settings(max_examples=150)
@given(st.lists(st.tuples(NAME, MODE, CONTENT), max_size=5), DAMAGE)
def test_any_release_as_a_zip(
    ground: Path, members: list[tuple[str, int, bytes]], damage: list[tuple[float, int]]
) -> None:
    archive = fresh(ground, "a.zip", damaged(zipped(members), damage))
    check_release(ground, archive)


@settings(max_examples=150)
@given(st.lists(st.tuples(NAME, KIND, NAME, CONTENT), max_size=6), DAMAGE)
def test_any_release_as_a_tar(
    ground: Path, members: list[tuple[str, bytes, str, bytes]], damage: list[tuple[float, int]]
) -> None:
    kept = [
        (name, kind, target, content if kind == tarfile.REGTYPE else b"") for name, kind, target, content in members
    ]
    archive = fresh(ground, "a.tar.gz", damaged(tarred(kept), damage))
    check_release(ground, archive)


def check_release(ground: Path, archive: Path) -> None:
    """It is all there, or nothing of it."""
    target, whole = ground / "inside" / "engine", False
    with contextlib.suppress(SourceError):
        unpack_release(archive, target, RELEASE_LIMITS, threading.Event())
        whole = True
    check_ground(ground, archive, target)
    assert target.exists() == whole
    if whole:
        for path in target.rglob("*"):
            assert path.is_symlink() or not path.stat().st_mode & 0o7000, f"{path} has a mode that gives rights away"
