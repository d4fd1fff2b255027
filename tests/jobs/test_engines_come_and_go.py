"""Jobs whose engine version is not there (yet, or any more): they wait, are told how far it is, and go on then."""

from __future__ import annotations

import asyncio
import shutil
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.jobs.events import AttemptStarted, Effect, EngineMissing, FramesVerified, NeedEngine, Queue, Reconciled
from app.jobs.feed import Feed
from app.jobs.record import JobRecord
from app.jobs.service import JobService
from app.render.awaiting import check_engines, tell_failure, tell_progress, waiting_for
from app.render.catalog import EngineCatalog
from app.settings import load_settings
from client.models import Job, JobStatus
from engines.contract import Fetchable, MissingVersion
from engines.frames import IndexSet
from engines.installs.release import Packaging, Release

from .conftest import Farm, MakeFarm

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="shell scripts stand for copies of Blender")
BLEND = (Path(__file__).parents[1] / "fixtures" / "saved_by_4_5.blend").read_bytes()


class Shelf:
    """The managed copies of a node: scripts that print a version, which is all that is asked of them here."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.catalog = EngineCatalog(load_settings(data_dir=folder / "data"), folder / "engines")

    async def put(self, *versions: str) -> None:
        for version in versions:
            place = self.folder / "engines" / "blender" / version
            (place / ".".join(version.split(".")[:2]) / "datafiles" / "colormanagement").mkdir(parents=True)
            program = place / "blender"
            program.write_text(f"#!/bin/sh\necho Blender {version}\n")
            program.chmod(0o755)
        await self.catalog.refresh()

    async def take(self, version: str) -> None:
        shutil.rmtree(self.folder / "engines" / "blender" / version)
        await self.catalog.refresh()


def offered(*versions: str, **troubles: str) -> Fetchable:
    releases = [Release("blender", version, "linux", "x64", "market", Packaging.ARCHIVE, "") for version in versions]
    return Fetchable(releases, True, troubles)


@pytest.fixture
async def shelf(tmp_path: Path) -> Shelf:
    """A node's copies, beside those that this machine has anyhow (of which none opens a file of 4.5)."""
    made = Shelf(tmp_path / "shelf")
    await made.put()
    if any(version.version >= "4.5" for version in made.catalog.versions("blender")):
        pytest.skip("a Blender of this machine opens the project by itself")
    return made


async def submit(farm: Farm, **fields: object) -> str:
    [job] = await farm.upload({"frames": "1-4", **fields}, "shot.blend", BLEND)
    return job.id


async def check(farm: Farm, shelf: Shelf, job_id: str, fetchable: Fetchable | None = None) -> JobRecord:
    """Look at all jobs; the one of this id as it is in the store afterwards."""
    check_engines(farm.jobs, shelf.catalog, "blender", fetchable)
    await farm.store.write(())
    return await farm.jobs.record(job_id)


async def restarted(farm: Farm, heard: list[Effect]) -> Farm:
    """The same node after a restart; what its jobs ask for then is put into ``heard``."""
    feed = Feed(farm.store.store_id, farm.store.epoch + 1)
    jobs = JobService(farm.store, feed, farm.folders)
    jobs.on_effect(lambda record, effect: heard.append(effect))
    for record in await jobs.load():
        if record.state.attempts:
            await jobs.apply(record.id, Reconciled(record.state.done, record.state.file_count))
    jobs.resume()
    return replace(farm, feed=feed, jobs=jobs)


def effects_of(jobs: JobService) -> list[Effect]:
    heard: list[Effect] = []
    jobs.on_effect(lambda record, effect: heard.append(effect))
    return heard


async def test_what_has_come_lets_the_job_go_on(make_farm: MakeFarm, shelf: Shelf) -> None:
    async def market(engine: str) -> Fetchable:
        return offered("4.5.15")

    farm = await make_farm(catalog=shelf.catalog, offered=market)
    heard = effects_of(farm.jobs)
    job_id = await submit(farm)
    assert waiting_for(farm.jobs, "blender", "4.5.15") == [job_id]
    assert (await check(farm, shelf, job_id)).status is JobStatus.CONFIGURING
    await shelf.put("4.5.15")
    record = await check(farm, shelf, job_id)
    assert (record.status, record.spec.engine_version, record.spec.missing) == (JobStatus.NOT_STARTED, "4.5.15", None)
    assert record.spec.engine_version_reason == "The project was saved by Blender 4.5, and 4.5.15 is installed."
    assert heard == [NeedEngine("blender", "4.5.15", True), Queue()]
    assert waiting_for(farm.jobs, "blender", "4.5.15") == []


async def test_another_one_that_fits_does_as_well(make_farm: MakeFarm, shelf: Shelf) -> None:
    farm = await make_farm(catalog=shelf.catalog)
    job_id = await submit(farm)
    await shelf.put("4.4.0")
    assert (await check(farm, shelf, job_id)).status is JobStatus.CONFIGURING
    await shelf.put("5.0.1")
    assert (await check(farm, shelf, job_id)).spec.engine_version == "5.0.1"


async def test_the_sources_are_back(make_farm: MakeFarm, shelf: Shelf) -> None:
    async def market(engine: str) -> Fetchable:
        return offered(vendor="no route to host")

    farm = await make_farm(catalog=shelf.catalog, offered=market)
    heard = effects_of(farm.jobs)
    job_id = await submit(farm, engine_version="4.5")
    for _ in range(2):
        record = await check(farm, shelf, job_id, offered("5.0.1", "4.5.15"))
        assert record.spec.missing == MissingVersion("4.5.15", True, record.state.reason)
    assert heard == [NeedEngine("blender", "4.5", False), NeedEngine("blender", "4.5.15", True)]
    record = await check(farm, shelf, job_id, offered("5.0.1"))
    assert record.status is JobStatus.CONFIGURING, "an accepted job is not thrown away"
    assert "there is no Blender 4.5" in record.state.reason


async def test_progress_and_failure_are_told_to_those_who_wait(make_farm: MakeFarm, shelf: Shelf) -> None:
    farm = await make_farm(catalog=shelf.catalog, auto_install=False)
    short, other = await submit(farm), await submit(farm, engine_version="5")
    fetched = MissingVersion("4.5.15", True, "it is fetched")
    await farm.jobs.apply(short, EngineMissing(fetched))

    def shown(job_id: str) -> str:
        wire = farm.feed.job(job_id)
        assert wire is not None
        return Job.model_validate_json(wire).reason

    before = shown(other)
    tell_progress(farm.jobs, "blender", "4.5.15", "fetching Blender 4.5.15: 120 of 380 MB")
    assert shown(short) == "fetching Blender 4.5.15: 120 of 380 MB"
    assert (await farm.jobs.record(short)).state.reason == "it is fetched", "progress is not stored"
    tell_failure(farm.jobs, "blender", "4.5.15", "Blender 4.5.15 could not be fetched: the disk is full")
    await farm.store.write(())
    record = await farm.jobs.record(short)
    assert (record.status, record.state.errors) == (JobStatus.CONFIGURING, ())
    assert shown(short) == record.state.reason == "Blender 4.5.15 could not be fetched: the disk is full"
    assert shown(other) == before, "it waits for something else"


async def test_those_who_wait_for_a_series_are_told_of_its_versions(make_farm: MakeFarm, shelf: Shelf) -> None:
    farm = await make_farm(catalog=shelf.catalog)
    job_id = await submit(farm)
    assert waiting_for(farm.jobs, "blender", "4.5.3") == [job_id]
    assert waiting_for(farm.jobs, "blender", "4.51.0") == waiting_for(farm.jobs, "ffmpeg", "4.5.3") == []


async def test_a_copy_that_is_gone_is_replaced_by_one_of_its_series(make_farm: MakeFarm, shelf: Shelf) -> None:
    await shelf.put("4.5.3")
    farm = await make_farm(catalog=shelf.catalog)
    heard = effects_of(farm.jobs)
    job_id = await submit(farm)
    await shelf.put("4.5.2")
    await shelf.take("4.5.3")
    record = await check(farm, shelf, job_id)
    assert (record.status, record.spec.engine_version) == (JobStatus.NOT_STARTED, "4.5.2")
    assert "4.5.3, chosen before, is not installed any more" in record.spec.engine_version_reason
    assert heard == [Queue(), Queue()], "it is queued again: a slot may have dropped it"
    await shelf.take("4.5.2")
    record = await check(farm, shelf, job_id)
    assert record.status is JobStatus.CONFIGURING
    assert "Blender 4.5.2 is not installed on this node any more" in record.state.reason
    assert heard[2:] == [NeedEngine("blender", "4.5", False)]


async def test_a_job_that_has_begun_stays_with_its_series(make_farm: MakeFarm, shelf: Shelf) -> None:
    await shelf.put("4.5.3")
    farm = await make_farm(catalog=shelf.catalog)
    begun, fresh = await submit(farm), await submit(farm)
    await farm.jobs.apply(begun, AttemptStarted("a", IndexSet.span(0, 0), 1.0))
    await farm.jobs.apply(begun, FramesVerified("a", IndexSet.span(0, 0), 1))
    await shelf.put("5.0.1")
    await shelf.take("4.5.3")
    running = await check(farm, shelf, begun)
    assert (running.status, running.spec.engine_version) == (JobStatus.RUNNING, "4.5.3"), "its process has it open"
    assert (await farm.jobs.record(fresh)).spec.engine_version == "5.0.1"
    farm = await restarted(farm, [])
    record = await check(farm, shelf, begun)
    assert (record.status, record.spec.engine_version) == (JobStatus.CONFIGURING, "4.5")
    assert "look like those that are done" in record.state.reason
    await shelf.put("4.5.9")
    record = await check(farm, shelf, begun)
    assert (record.status, record.spec.engine_version) == (JobStatus.NOT_STARTED, "4.5.9")


async def test_a_restart_forgets_nobody_who_waits(make_farm: MakeFarm, shelf: Shelf) -> None:
    async def market(engine: str) -> Fetchable:
        return offered("4.5.15")

    farm = await make_farm(catalog=shelf.catalog, offered=market)
    job_id = await submit(farm, engine_version="4.5")
    before = await farm.jobs.record(job_id)
    heard: list[Effect] = []
    farm = await restarted(farm, heard)
    assert await farm.jobs.record(job_id) == before
    assert heard == [NeedEngine("blender", "4.5.15", True)]
    await shelf.put("4.5.16")
    await check(farm, shelf, job_id)
    farm = await restarted(farm, heard)
    record = await farm.jobs.record(job_id)
    assert (record.status, record.spec.engine_version, record.spec.missing) == (JobStatus.NOT_STARTED, "4.5.16", None)
    assert record.spec.wish == before.spec.wish


async def test_a_scheduled_job_waits_for_its_engine_first_and_then_for_its_time(
    make_farm: MakeFarm, shelf: Shelf
) -> None:
    farm = await make_farm(catalog=shelf.catalog)
    start = datetime.now(UTC) + timedelta(seconds=0.2)
    job_id = await submit(farm, scheduled_start=start.isoformat())
    later = await submit(farm, scheduled_start=(start + timedelta(days=1)).isoformat())
    assert (await farm.jobs.record(job_id)).status is JobStatus.CONFIGURING
    await shelf.put("4.5.3")
    await check(farm, shelf, job_id)
    assert (await farm.jobs.record(later)).status is JobStatus.SCHEDULED
    async with asyncio.timeout(60):
        while (await farm.jobs.record(job_id)).status is not JobStatus.NOT_STARTED:
            await farm.feed.wait(farm.feed.token, 5)
    await farm.jobs.close()


async def test_a_parent_shows_the_version_that_its_subjobs_got(make_farm: MakeFarm, shelf: Shelf) -> None:
    farm = await make_farm(catalog=shelf.catalog)
    parent, child = await farm.upload({"child_jobs": [{"frames": "1"}]}, "shot.blend", BLEND)
    await shelf.put("4.5.3")
    for job in (parent, child):
        assert (await check(farm, shelf, job.id)).spec.engine_version == "4.5.3"
    assert (await farm.jobs.record(parent.id)).status is JobStatus.WAITING_FOR_SUBJOBS
