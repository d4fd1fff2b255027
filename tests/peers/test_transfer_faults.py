"""Projects on their way over bad networks, between services that are killed: everything comes in the end, once."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from app.cli.own_service import own_service
from app.content.tree import id_of, make_tree
from app.jobs.record import JobSpec
from client import RenderServerProxy
from client.errors import BadRequest, ConnectionFailed, Forbidden
from client.models import Fetch, Preparation, TreeFile
from tests.peers.farm import QUICK, SECRET, farm_node
from tests.peers.parent import Parent, parent_node
from tests.support.fault_proxy import FaultProxy
from tests.support.project_specs import spec_of

pytestmark = pytest.mark.slow

MIB = 1 << 20


@pytest.fixture
async def proxy() -> AsyncIterator[FaultProxy]:
    """Before the node that has the project."""
    async with FaultProxy() as made:
        yield made


def video(path: Path, size: int) -> JobSpec:
    """The job of a project of one file that cannot be packed smaller."""
    path.write_bytes(os.urandom(size))
    os.utime(path, (1_000_000_000, 1_000_000_000))
    return replace(spec_of(str(path)), engine="ffmpeg")


async def tree_of(parent: Parent, spec: JobSpec) -> str:
    built = await parent.parts.trees.of(parent.parts.catalog.engine("ffmpeg"), spec)
    assert built is not None
    return built.tree.id


async def prepare(parent: Parent, tree: str, name: str = "other", *sources: str) -> Preparation:
    peer = await parent.peer(name)
    body = {"tree": tree, "sources": [*sources] or [parent.parts.peers.me.id]}
    return Preparation.model_validate_json((await peer.client.post("/api/peers/prepare", body)).content)


async def until_ready(parent: Parent, tree: str, name: str = "other", *sources: str) -> Preparation:
    async with asyncio.timeout(120):
        while True:
            # A node that was started again is somewhere else; the parent finds out with its next beat.
            with contextlib.suppress(ConnectionFailed):
                told = await prepare(parent, tree, name, *sources)
                assert not told.failed, told.sentences
                if told.ready:
                    return told
            await asyncio.sleep(0.05)  # asking again is how it is done


async def fetch_of(node: RenderServerProxy, tree: str) -> Fetch:
    return next(one for one in (await node.get_nodes()).fetches if one.tree == tree)


def blob(folder: Path, content: bytes) -> Path:
    sha256 = hashlib.sha256(content).hexdigest()
    return folder / "content" / "blobs" / sha256[:2] / sha256


async def test_a_broken_line_costs_nothing_that_was_there(tmp_path: Path, proxy: FaultProxy) -> None:
    spec = video(tmp_path / "clip.mp4", 12 * MIB)
    async with (
        farm_node(tmp_path, "other") as other,
        parent_node(tmp_path / "parent", other, through=proxy, local_roots=[tmp_path]) as parent,
    ):
        tree = await tree_of(parent, spec)
        proxy.cut_answers_after = 5 * MIB
        await until_ready(parent, tree)
        fetch = await fetch_of(other, tree)
        assert fetch.state == "complete"
        assert fetch.bytes_done == fetch.bytes_total == 12 * MIB, "bytes came twice"
        content = (tmp_path / "clip.mp4").read_bytes()
        assert blob(tmp_path / "other", content).read_bytes() == content


async def test_a_node_that_is_killed_goes_on_where_it_was(tmp_path: Path, proxy: FaultProxy) -> None:
    spec = video(tmp_path / "clip.mp4", 24 * MIB)
    folder = tmp_path / "other"
    given = {**QUICK, "ZORDON_NAME": "other", "ZORDON_FARM_SECRET": SECRET}
    async with parent_node(tmp_path / "parent", through=proxy, local_roots=[tmp_path]) as parent:
        tree = await tree_of(parent, spec)
        given["ZORDON_PEERS"] = proxy.address
        proxy.rate = 4 * MIB  # what is missing when we look takes seconds more, also where looking takes long
        part = folder / "content" / "coming" / f"{(await sha_of(parent, tree))}.part"
        async with own_service(folder, given):
            async with asyncio.timeout(60):
                while True:
                    await prepare(parent, tree)
                    if part.exists() and part.stat().st_size >= 8 * MIB:
                        break
                    await asyncio.sleep(0.05)  # what is on the disk is what is looked at
            os.kill(pid_of(folder), signal.SIGKILL)
        there = part.stat().st_size
        assert 0 < there < 24 * MIB
        proxy.rate = None
        async with own_service(folder, given) as other:
            await until_ready(parent, tree)
            fetch = await fetch_of(other, tree)
        assert fetch.bytes_done == fetch.bytes_total == 24 * MIB
        content = (tmp_path / "clip.mp4").read_bytes()
        assert blob(folder, content).read_bytes() == content
        assert not part.exists()


async def test_jobs_that_come_together_share_one_transfer(tmp_path: Path) -> None:
    spec = video(tmp_path / "clip.mp4", 8 * MIB)
    async with (
        farm_node(tmp_path, "other") as other,
        parent_node(tmp_path / "parent", other, local_roots=[tmp_path]) as parent,
    ):
        tree = await tree_of(parent, spec)
        await asyncio.gather(*(until_ready(parent, tree) for _ in range(5)))
        assert len((await other.get_nodes()).fetches) == 1
        assert (await fetch_of(other, tree)).bytes_total == 8 * MIB


async def test_it_comes_from_another_node_when_the_first_is_gone(tmp_path: Path, proxy: FaultProxy) -> None:
    spec = video(tmp_path / "clip.mp4", 4 * MIB)
    async with (
        farm_node(tmp_path, "first") as first,
        farm_node(tmp_path, "second", first) as second,
        parent_node(tmp_path / "parent", first, second, local_roots=[tmp_path]) as parent,
    ):
        tree = await tree_of(parent, spec)
        await until_ready(parent, tree, "first")
        (tmp_path / "clip.mp4").unlink()  # the parent cannot send it any more
        ids = [parent.parts.peers.me.id, (await parent.peer("first")).id]
        await until_ready(parent, tree, "second", *ids)
        assert (await fetch_of(second, tree)).state == "complete"


async def test_a_project_that_was_changed_since_is_not_taken(tmp_path: Path) -> None:
    spec = video(tmp_path / "clip.mp4", 2 * MIB)
    async with (
        farm_node(tmp_path, "other") as other,
        parent_node(tmp_path / "parent", other, local_roots=[tmp_path]) as parent,
    ):
        tree = await tree_of(parent, spec)
        content = bytearray((tmp_path / "clip.mp4").read_bytes())
        content[MIB] ^= 1
        (tmp_path / "clip.mp4").write_bytes(content)
        os.utime(tmp_path / "clip.mp4", (1_000_000_000, 1_000_000_000))  # as if nothing had happened
        async with asyncio.timeout(120):
            while not (told := await prepare(parent, tree)).failed:
                assert not told.ready
                await asyncio.sleep(0.05)
        assert "may have changed the project" in told.sentences[0]
        assert not list((tmp_path / "other" / "content" / "blobs").glob("??/*"))


async def test_a_tree_with_a_way_out_is_refused(tmp_path: Path) -> None:
    content = b"x"
    sha256 = hashlib.sha256(content).hexdigest()
    async with (
        farm_node(tmp_path, "other") as other,
        parent_node(tmp_path / "parent", other, local_roots=[tmp_path]) as parent,
    ):
        good = make_tree("a.mp4", [TreeFile(path="a.mp4", size=1, sha256=sha256)])
        files = (*good.files, TreeFile(path="../b.mp4", size=1, sha256=sha256))
        bad = good.model_copy(update={"id": id_of("a.mp4", files), "files": files})
        parent.parts.content.complete(bad)
        async with asyncio.timeout(60):
            while not (told := await prepare(parent, bad.id)).failed:  # noqa: ASYNC110 - asking again is how it is done
                await asyncio.sleep(0.05)
        assert "leads out" in told.sentences[0]
        assert not list((tmp_path / "other" / "content" / "trees").iterdir())


async def test_only_nodes_may_ask(tmp_path: Path) -> None:
    async with farm_node(tmp_path, "other") as other:
        with pytest.raises(Forbidden, match="only another node"):
            await other.connection.send("POST", "/api/add_job", json={"renderer": "ffmpeg", "project_tree": "0" * 64})
        with pytest.raises(BadRequest, match="only another node"):
            await other.connection.send("POST", "/api/peers/prepare", json={"tree": "0" * 64})


def pid_of(folder: Path) -> int:
    return int((folder / "lock").read_text().split()[0])


async def sha_of(parent: Parent, tree: str) -> str:
    found = parent.parts.content.tree(tree)
    assert found is not None
    return found.files[0].sha256
