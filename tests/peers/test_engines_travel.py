"""Engine versions from another node of the farm. The release is tiny; its archive and its proof are real."""

from __future__ import annotations

import asyncio
import io
import tarfile
import threading
from pathlib import Path

import pytest

from app.installs.archives import ArchiveLimits, unpack_release
from app.installs.giving import CopyArchive
from client.models import Preparation
from tests.peers.farm import farm_node
from tests.peers.parent import Parent, parent_node
from tests.support.fault_proxy import FaultProxy
from tests.support.release_server import tiny_release

pytestmark = pytest.mark.slow


def unpacked(folder: Path, version: str, extra: int = 0) -> None:
    """A managed copy as an install leaves it."""
    folder.mkdir(parents=True)
    with tarfile.open(fileobj=io.BytesIO(tiny_release(version, renders=True))) as archive:
        for member in archive.getmembers():
            member.name = member.name.partition("/")[2]
            archive.extract(member, folder, filter="data")
    (folder / "large.bin").write_bytes(bytes(range(256)) * (extra // 256))


async def prepare(parent: Parent) -> Preparation:
    peer = await parent.peer("other")
    body = {"engine": "blender", "version": "4.5.3"}
    async with asyncio.timeout(120):
        while True:
            told = Preparation.model_validate_json((await peer.client.post("/api/peers/prepare", body)).content)
            if told.ready or told.failed:
                return told
            await asyncio.sleep(0.05)  # asking again is how it is done


async def test_a_version_comes_from_the_node_that_has_it(tmp_path: Path) -> None:
    unpacked(tmp_path / "parent" / "engines" / "blender" / "4.5.3", "4.5.3", extra=6 << 20)
    async with (
        FaultProxy() as proxy,
        farm_node(tmp_path, "other", ZORDON_ENGINE_SOURCES='["farm"]') as other,
        parent_node(tmp_path / "parent", other, through=proxy) as parent,
    ):
        proxy.cut_answers_after = 4 << 20
        told = await prepare(parent)
        assert told.ready, told.sentences
        copies = (await other.get_engine("blender")).versions
        assert [copy.version for copy in copies if copy.type == "managed"] == ["4.5.3"]
        ours, theirs = (tmp_path / name / "engines" / "blender" / "4.5.3" for name in ("parent", "other"))
        files = [path.relative_to(ours) for path in ours.rglob("*") if path.is_file()]
        assert len(files) == 3
        assert all((ours / path).read_bytes() == (theirs / path).read_bytes() for path in files)
        install = (await other.get_installs())[-1]
        assert install.source == "farm"


async def test_what_nobody_has_is_said(tmp_path: Path) -> None:
    async with (
        farm_node(tmp_path, "other", ZORDON_ENGINE_SOURCES='["farm"]') as other,
        parent_node(tmp_path / "parent", other) as parent,
    ):
        told = await prepare(parent)
        assert told.failed
        assert "4.5.3" in told.sentences[0]


@pytest.mark.parametrize("step", [1, 511, 4096, 1_000_000])
def test_an_archive_can_be_read_from_any_byte(tmp_path: Path, step: int) -> None:
    copy = tmp_path / "copy"
    (copy / "lib").mkdir(parents=True)
    (copy / "program").write_bytes(b"#!/bin/sh\n")
    (copy / "program").chmod(0o755)
    (copy / "lib" / ("long-" * 30)).write_bytes(b"x" * 700)
    (copy / "lib" / "empty").write_bytes(b"")
    (copy / "link").symlink_to("lib/empty")
    archive = CopyArchive(copy)
    whole = b"".join(archive.blocks(0, archive.size))
    assert len(whole) == archive.size
    starts = range(0, archive.size, max(step, archive.size // 200))
    for start in starts:
        end = min(archive.size, start + step)
        assert b"".join(archive.blocks(start, end)) == whole[start:end], (start, end)
    packed = tmp_path / "packed.tar"
    packed.write_bytes(whole)
    unpack_release(packed, tmp_path / "there", ArchiveLimits(), threading.Event())
    there = tmp_path / "there"
    assert (there / "program").stat().st_mode & 0o111
    assert (there / "link").is_symlink()
    assert (there / "lib" / ("long-" * 30)).read_bytes() == b"x" * 700
