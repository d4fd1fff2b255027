"""Installs in a whole node: shared, proven, broken off, taken up again, deleted. The releases are tiny; their server,
their archives and the processes that prove them are real."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import orjson
import pytest

from app.api.parts import Parts
from app.installs.errors import CopyNeeded, InstallError, NoSource, NoSuchVersion
from app.installs.installing import Installing
from app.jobs import queries
from client.models import InstallState, Job, JobStatus
from engines.contract import InstallKind
from tests.support.release_server import ReleaseFolder, serving
from tests.support.scripted_server import Reply, Request

if TYPE_CHECKING:
    from tests.installs.conftest import StartNode

FIXTURES = Path(__file__).parents[1] / "fixtures"


def archive(version: str) -> str:
    return ReleaseFolder.path(version, f"blender-{version}-linux-x64.tar.xz")


async def installed(parts: Parts, version: str) -> Installing:
    """Ask for a version and wait for the end."""
    one = await parts.installs.request("blender", version)
    return one if one.state.ended else await parts.installs.wait(one.id)


def managed(parts: Parts) -> list[str]:
    return [copy.version for copy in parts.catalog.versions("blender") if copy.kind is InstallKind.MANAGED]


async def submit(parts: Parts, **fields: object) -> str:
    body = orjson.dumps({"renderer": "blender", "frames": "1", **fields})
    wires = await parts.intake.from_json(body, local=True, key=None)
    return Job.model_validate_json(wires[0]).id


async def until_reason(parts: Parts, job_id: str, part: str) -> Job:
    """Wait until a job says this."""
    async with asyncio.timeout(60):
        while True:
            wire = parts.feed.job(job_id)
            assert wire is not None
            job = Job.model_validate_json(wire)
            if part in job.reason or part in job.engine_version_reason:
                return job
            await parts.feed.wait(parts.feed.token, 5)


async def test_a_version_is_fetched_proven_and_listed(start_node: StartNode) -> None:
    folder = ReleaseFolder("4.5.2", "4.5.3", "4.2.9", renders=True)
    async with serving(folder) as (_, url), start_node(url) as parts:
        token = parts.feed.token
        one = await installed(parts, "4.5")
        assert (one.version, one.state) == ("4.5.3", InstallState.INSTALLED), one.reason
        assert managed(parts) == ["4.5.3"]
        assert (parts.folders.engines / "blender" / "4.5.3" / "blender").is_file()
        assert not list((parts.folders.fetching / "blender").iterdir())
        shown = orjson.loads(b"".join(parts.feed.delta(token)))["installs"]
        assert [(seen["id"], seen["state"], seen["source"]) for seen in shown] == [(one.id, "installed", "mirror-1")]
        again = await parts.installs.request("blender", "4.5.3")
        assert again.state is InstallState.INSTALLED
        assert "already" in again.reason


async def test_two_requests_for_the_same_version_share_one_download(start_node: StartNode) -> None:
    folder = ReleaseFolder("4.5.3", renders=True)
    async with serving(folder) as (server, url), start_node(url) as parts:
        one, other = await asyncio.gather(
            parts.installs.request("blender", "4.5"), parts.installs.request("blender", "4.5.3")
        )
        assert one is other
        await parts.installs.wait(one.id)
        assert [request.target for request in server.requests].count(archive("4.5.3")) == 1


async def test_a_wrong_checksum_is_told_with_both_and_nothing_is_listed(start_node: StartNode) -> None:
    folder = ReleaseFolder("4.5.3", renders=True)
    sums = ReleaseFolder.path("4.5.3", "blender-4.5.3.sha256")
    folder.files[sums] = Reply(f"{'ab' * 32}  blender-4.5.3-linux-x64.tar.xz\n".encode())
    async with serving(folder) as (_, url), start_node(url) as parts:
        one = await installed(parts, "4.5.3")
        assert one.state is InstallState.FAILED
        assert "ab" * 32 in one.reason
        assert managed(parts) == []
        assert await parts.store.read(queries.load_fetches) == []


async def test_a_copy_that_starts_but_does_not_render_is_not_installed(start_node: StartNode) -> None:
    async with serving(ReleaseFolder("4.5.3")) as (_, url), start_node(url) as parts:
        one = await installed(parts, "4.5.3")
        assert one.state is InstallState.FAILED
        assert "does not render" in one.reason
        assert managed(parts) == []
        assert not list((parts.folders.fetching / "blender").glob("*/.copy"))


async def test_a_copy_that_says_another_version_is_not_installed(start_node: StartNode) -> None:
    folder, liar = ReleaseFolder("4.5.3", renders=True), ReleaseFolder("4.5.2", renders=True)
    folder.files[archive("4.5.3")] = liar.files[archive("4.5.2")]
    sums = liar.files[ReleaseFolder.path("4.5.2", "blender-4.5.2.sha256")]
    folder.files[ReleaseFolder.path("4.5.3", "blender-4.5.3.sha256")] = replace(
        sums, body=sums.body.replace(b"4.5.2", b"4.5.3")
    )
    async with serving(folder) as (_, url), start_node(url) as parts:
        one = await installed(parts, "4.5.3")
        assert one.state is InstallState.FAILED
        assert "4.5.2" in one.reason


async def test_what_one_source_does_not_hold_comes_from_the_next(start_node: StartNode) -> None:
    broken, whole = ReleaseFolder("4.5.3"), ReleaseFolder("4.5.3", renders=True)
    async with serving(broken) as (_, first), serving(whole) as (_, second), start_node(first, second) as parts:
        one = await installed(parts, "4.5.3")
        assert (one.state, one.source) == (InstallState.INSTALLED, "mirror-2")


class Breaking(ReleaseFolder):
    """Breaks the archive off half-way, and then says no more to who asks for the rest; until it is ``mended``."""

    def __init__(self, version: str) -> None:
        super().__init__(version, renders=True)
        self.archive = archive(version)
        self.half = len(self.files[self.archive].body) // 2
        self.asked_for_the_rest = asyncio.Event()
        self.mended = False

    def answer(self, request: Request, number: int) -> Reply:
        reply = super().answer(request, number)
        if self.mended or request.target != self.archive:
            return reply
        if "range" not in request.headers:
            return replace(reply, cut=self.half)
        self.asked_for_the_rest.set()
        return replace(reply, cut=0, hold=True)


async def test_a_restart_goes_on_with_the_bytes_that_are_there(start_node: StartNode) -> None:
    folder = Breaking("4.5.3")
    async with serving(folder) as (server, url):
        async with start_node(url) as parts:
            one = await parts.installs.request("blender", "4.5.3")
            await asyncio.wait_for(folder.asked_for_the_rest.wait(), 60)
        folder.mended = True
        before = len(server.requests)
        async with start_node(url) as parts:
            again = parts.installs.find(one.id)
            if not again.state.ended:
                await parts.installs.wait(again.id)
            assert again.state is InstallState.INSTALLED, again.reason
            asked = [request for request in server.requests[before:] if request.target == folder.archive]
            assert [request.headers.get("range") for request in asked] == [f"bytes={folder.half}-"]
            assert managed(parts) == ["4.5.3"]


async def test_a_cancelled_install_leaves_nothing_and_can_begin_anew(start_node: StartNode) -> None:
    folder = ReleaseFolder("4.5.3", renders=True)
    whole = folder.files[archive("4.5.3")]
    folder.files[archive("4.5.3")] = replace(whole, cut=10, hold=True)
    async with serving(folder) as (_, url), start_node(url) as parts:
        one = await parts.installs.request("blender", "4.5.3")
        assert (await parts.installs.cancel(one.id)).state is InstallState.CANCELLED
        assert not (parts.folders.fetching / "blender" / "4.5.3").exists()
        assert await parts.store.read(queries.load_fetches) == []
        folder.files[archive("4.5.3")] = whole
        assert (await installed(parts, "4.5.3")).state is InstallState.INSTALLED


async def test_what_cannot_be_had_is_refused_with_what_there_is(start_node: StartNode) -> None:
    async with serving(ReleaseFolder("4.5.3", "4.2.9")) as (_, url), start_node(url) as parts:
        with pytest.raises(NoSuchVersion, match=r"4\.5\.3, 4\.2\.9"):
            await parts.installs.request("blender", "9.9")
        for bad in ("../4.5", "4/5", "..", "", "4.5\n", "x" * 60):
            with pytest.raises(InstallError, match="no version"):
                await parts.installs.request("blender", bad)
    async with start_node("http://127.0.0.1:9/") as parts:
        with pytest.raises(NoSource, match="mirror-1"):
            await parts.installs.request("blender", "4.5")
        assert not list(parts.folders.fetching.iterdir())


async def test_an_install_needs_space_on_the_disk(start_node: StartNode) -> None:
    async with (
        serving(ReleaseFolder("4.5.3", renders=True)) as (_, url),
        start_node(url, min_free_bytes=1 << 60) as parts,
    ):
        one = await installed(parts, "4.5.3")
        assert one.state is InstallState.FAILED
        assert "free" in one.reason or "space" in one.reason


async def test_a_copy_is_deleted_unless_a_job_needs_it(start_node: StartNode) -> None:
    folder = ReleaseFolder("5.0.1", renders=True)
    async with serving(folder) as (_, url), start_node(url, local_roots=[FIXTURES]) as parts:
        await installed(parts, "5.0.1")
        job = await submit(
            parts, local_path=str(FIXTURES / "saved_by_5_0.blend"), scheduled_start="2030-01-01T00:00:00Z"
        )
        with pytest.raises(CopyNeeded, match=job):
            await parts.copies.delete("blender", "5.0.1")
        assert (await parts.copies.prune(0, 0, dry_run=False)).removed == []
        await parts.jobs.cancel(job)
        await parts.copies.delete("blender", "5.0.1")
        assert managed(parts) == []
        assert not (parts.folders.engines / "blender" / "5.0.1").exists()
        with pytest.raises(NoSuchVersion):
            await parts.copies.delete("blender", "5.0.1")


async def test_copies_of_others_are_not_deleted(start_node: StartNode) -> None:
    async with start_node() as parts:
        embedded = parts.catalog.versions("ffmpeg")[0]
        assert embedded.kind is not InstallKind.MANAGED
        with pytest.raises(CopyNeeded, match="not installed by Zordon"):
            await parts.copies.delete("ffmpeg", embedded.version)
        assert embedded.path.exists()


async def test_prune_takes_what_was_used_least_recently(start_node: StartNode) -> None:
    folder = ReleaseFolder("4.2.9", "4.5.3", "5.0.1", renders=True)
    async with serving(folder) as (_, url), start_node(url) as parts:
        for version in ("4.2.9", "4.5.3", "5.0.1"):
            await installed(parts, version)
        would = await parts.copies.prune(0, 0, dry_run=True)
        assert would.removed == ["blender 4.2.9", "blender 4.5.3"]
        assert set(managed(parts)) == {"4.2.9", "4.5.3", "5.0.1"}
        done = await parts.copies.prune(0, 0, dry_run=False)
        assert done == would
        assert managed(parts) == ["5.0.1"]


async def test_a_job_has_its_version_fetched_and_says_why_it_waits(start_node: StartNode) -> None:
    folder = ReleaseFolder("5.0.1", renders=True)
    whole = folder.files[archive("5.0.1")]
    folder.files[archive("5.0.1")] = replace(whole, status="404 Not Found", body=b"")
    async with serving(folder) as (_, url), start_node(url, local_roots=[FIXTURES], slots={"blender": 0}) as parts:
        job_id = await submit(parts, local_path=str(FIXTURES / "saved_by_5_0.blend"))
        job = await until_reason(parts, job_id, "could not be fetched")
        assert job.status is JobStatus.CONFIGURING
        assert "tried again" in job.reason
        assert "zordon engines install blender 5.0.1" in job.reason
        folder.files[archive("5.0.1")] = whole
        job = await until_reason(parts, job_id, "5.0.1 is installed")
        assert (job.status, job.engine_version) == (JobStatus.NOT_STARTED, "5.0.1")


async def test_without_auto_install_a_job_waits_for_a_person(start_node: StartNode) -> None:
    folder = ReleaseFolder("5.0.1", renders=True)
    settings: dict[str, object] = {"auto_install": False, "local_roots": [FIXTURES], "slots": {"blender": 0}}
    async with serving(folder) as (server, url), start_node(url, **settings) as parts:
        job_id = await submit(parts, local_path=str(FIXTURES / "saved_by_5_0.blend"))
        job = await until_reason(parts, job_id, "auto_install")
        assert job.status is JobStatus.CONFIGURING
        assert server.requests == []
        await installed(parts, "5.0")
        assert (await until_reason(parts, job_id, "5.0.1 is installed")).status is JobStatus.NOT_STARTED
