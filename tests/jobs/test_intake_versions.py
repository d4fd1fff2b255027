"""The engine version of a new job: an installed one, one to be fetched, one to be waited for; and what is refused."""

from __future__ import annotations

import gzip
from collections.abc import Callable
from pathlib import Path

import pytest

from app.jobs.errors import RequestError
from app.jobs.events import Effect, NeedEngine
from app.jobs.record import JobRecord
from app.jobs.service import JobService
from app.render.catalog import EngineCatalog
from app.settings import load_settings
from client.models import Job, JobStatus
from engines.contract import Fetchable, MissingVersion
from engines.installs.release import Packaging, Release

from .conftest import Farm, MakeFarm

BLEND = Path(__file__).parents[1] / "fixtures" / "workbench.blend"  # saved by 3.4
PATTERN = {"renderer": "testpattern"}


class Market:
    """What is offered; remembers who asked."""

    def __init__(self, *versions: str, allowed: bool = True, troubles: dict[str, str] | None = None) -> None:
        releases = [Release("blender", one, "linux", "x64", "market", Packaging.ARCHIVE, "") for one in versions]
        self.fetchable = Fetchable(releases, allowed, troubles or {})
        self.asked: list[str] = []

    async def __call__(self, engine: str) -> Fetchable:
        self.asked.append(engine)
        return self.fetchable


def needs(jobs: JobService) -> list[NeedEngine]:
    """Collects what jobs say that they need."""
    heard: list[NeedEngine] = []

    def listen(record: JobRecord, effect: Effect) -> None:
        if isinstance(effect, NeedEngine):
            heard.append(effect)

    jobs.on_effect(listen)
    return heard


@pytest.fixture
def nothing_installed(tmp_path: Path) -> EngineCatalog:
    """All engines, and no version of any."""
    return EngineCatalog(load_settings(data_dir=tmp_path / "bare"), tmp_path / "engines")


def of_version(version: bytes) -> bytes:
    """A real project that says to be saved by another Blender."""
    content = gzip.decompress(BLEND.read_bytes())
    assert content.startswith(b"BLENDER-v304")
    return b"BLENDER-v" + version + content[12:]


async def test_what_is_not_installed_is_to_be_fetched(make_farm: MakeFarm, nothing_installed: EngineCatalog) -> None:
    market = Market("5.0.1", "4.5.15", "3.4.1", "3.4.0")
    farm = await make_farm(catalog=nothing_installed, offered=market)
    heard = needs(farm.jobs)
    [job] = await farm.upload({"frames": "1-3"}, "shot.blend", BLEND.read_bytes())
    assert (job.status, job.spec.engine_version) == (JobStatus.CONFIGURING, "3.4.1")
    assert job.spec.missing == MissingVersion("3.4.1", True, job.state.reason)
    assert job.spec.engine_version_reason == job.state.reason
    assert "Blender 3.4.1 is fetched" in job.state.reason
    assert job.spec.frames.notation() == "1-3", "the plan does not wait for the engine"
    assert market.asked == ["blender"]
    assert heard == [NeedEngine("blender", "3.4.1", True)]
    wire = await farm.jobs.cancel(job.id)
    assert Job.model_validate_json(wire).status is JobStatus.CANCELLED


async def test_who_can_render_at_once_asks_nobody(make_farm: MakeFarm) -> None:
    async def offered(engine: str) -> Fetchable:
        raise AssertionError("the sources were asked")

    farm = await make_farm(offered=offered)
    heard = needs(farm.jobs)
    [job, other] = await farm.submit(PATTERN, {**PATTERN, "frames": "1-3,5"})
    assert (job.status, job.spec.missing, heard) == (JobStatus.NOT_STARTED, None, [])
    assert job.spec.engine_version == other.spec.engine_version != ""


async def test_what_cannot_render_anyhow_is_refused_before_anybody_is_asked(
    make_farm: MakeFarm, nothing_installed: EngineCatalog
) -> None:
    market = Market("3.4.1")
    farm = await make_farm(catalog=nothing_installed, offered=market)
    with pytest.raises(RequestError) as caught:
        await farm.upload({"args": {"scene": "Elsewhere"}}, "shot.blend", BLEND.read_bytes())
    assert (caught.value.field, market.asked) == ("args.scene", [])


async def test_all_jobs_of_a_request_share_one_answer(make_farm: MakeFarm, nothing_installed: EngineCatalog) -> None:
    market = Market("4.5.15", "4.2.9", "3.4.1")
    farm = await make_farm(catalog=nothing_installed, offered=market)
    heard = needs(farm.jobs)
    body = [{"child_jobs": [{"frames": "1"}, {"frames": "2"}]}, {"engine_version": "4.2"}]
    parent, *children, other = await farm.upload(body, "shot.blend", BLEND.read_bytes())
    assert market.asked == ["blender"]
    assert parent.status is JobStatus.WAITING_FOR_SUBJOBS
    assert [child.status for child in (*children, other)] == [JobStatus.CONFIGURING] * 3
    assert [job.spec.engine_version for job in (parent, *children, other)] == ["3.4.1", "3.4.1", "3.4.1", "4.2.9"]
    assert sorted(need.version for need in heard) == ["3.4.1", "3.4.1", "4.2.9"]


@pytest.mark.parametrize(
    ("market", "says"),
    [
        (lambda: Market("3.4.1", allowed=False), "zordon engines install blender 3.4"),
        (lambda: Market(troubles={"vendor": "no route to host"}), "vendor: no route to host"),
        (lambda: Market("3.3.1"), "no source offers one"),
    ],
)
async def test_what_cannot_be_fetched_is_waited_for_with_the_reason(
    make_farm: MakeFarm, nothing_installed: EngineCatalog, market: Callable[[], Market], says: str
) -> None:
    farm = await make_farm(catalog=nothing_installed, offered=market())
    heard = needs(farm.jobs)
    [job] = await farm.upload({}, "shot.blend", BLEND.read_bytes())
    assert job.status is JobStatus.CONFIGURING
    assert says in job.state.reason
    assert heard == [NeedEngine("blender", "3.4", False)]


async def test_without_anybody_to_ask_the_setting_is_the_reason(
    make_farm: MakeFarm, nothing_installed: EngineCatalog
) -> None:
    farm = await make_farm(catalog=nothing_installed, auto_install=False)
    [job] = await farm.upload({}, "shot.blend", BLEND.read_bytes())
    assert "auto_install is off" in job.state.reason


async def test_a_project_newer_than_every_blender_is_refused_with_what_it_needs(make_farm: MakeFarm) -> None:
    for market in (Market("5.0.1"), Market(troubles={"vendor": "no route to host"})):
        farm = await make_farm(offered=market)
        with pytest.raises(RequestError, match=r"saved by Blender 9\.9 and needs that version") as caught:
            await farm.upload({}, "shot.blend", of_version(b"909"))
        assert (caught.value.status, caught.value.field) == (400, "engine_version")
        await farm.assert_nothing_made()
    farm = await make_farm(offered=Market("9.9.1"))
    [job] = await farm.upload({}, "shot.blend", of_version(b"909"))
    assert job.spec.engine_version == "9.9.1", "somebody has heard of it"


async def test_a_version_that_nobody_has_is_refused_in_its_place(
    make_farm: MakeFarm, nothing_installed: EngineCatalog
) -> None:
    farm = await make_farm(catalog=nothing_installed, offered=Market("4.5.15"))
    with pytest.raises(RequestError, match=r"no Blender 4\.2; .*offered: 4\.5\.15") as caught:
        await farm.upload([{}, {"engine_version": "4.2"}], "shot.blend", BLEND.read_bytes())
    assert caught.value.field == "[1].engine_version"
    await farm.assert_nothing_made()


@pytest.mark.parametrize("version", ["../4.5", "..", "4..5", "a/b", "a\\b", "4.5\n", "", "x" * 41, "4 5", "٤.٥"])
async def test_what_can_be_no_version_is_refused_before_anything_else(make_farm: MakeFarm, version: str) -> None:
    market = Market(version)
    farm = await make_farm(offered=market)
    for body in ({"engine_version": version}, {"engine_version": version, "renderer": "no such engine"}):
        with pytest.raises(RequestError) as caught:
            await farm.upload(body, "shot.blend", b"never looked at")
        assert (caught.value.status, caught.value.field) == (400, "engine_version")
    assert (market.asked, farm.inspected) == ([], [])
    await farm.assert_nothing_made()


async def test_a_build_of_the_studio_may_be_asked_for_by_its_name(farm: Farm) -> None:
    with pytest.raises(RequestError, match=r"no test pattern studio_4\.5\+cycles"):
        await farm.submit({**PATTERN, "engine_version": "studio_4.5+cycles"})
    [version] = {job.spec.engine_version for job in await farm.submit(PATTERN)}
    [job] = await farm.submit({**PATTERN, "engine_version": version})
    assert job.spec.engine_version == version
