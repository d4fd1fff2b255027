"""What only an operator may open, and how many jobs a node keeps: refused with the name of the setting."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest

from app.main import create_app
from app.settings import SettingsError, load_settings
from client.models import Job
from tests.api.conftest import Api, StartApi

LATER = {"renderer": "testpattern", "frames": "1", "scheduled_start": "2035-01-01T00:00:00Z"}
RAW = ["-metadata", "title=from a raw argument"]


async def send(api: Api, clip: bytes, **fields: object) -> tuple[int, bytes]:
    document = orjson.dumps({"renderer": "ffmpeg", "output_format": "mp4", **fields}).decode()
    response = await api.client.post("/api/add_job", files={"file": ("clip.mp4", clip)}, data={"json": document})
    return response.status_code, response.content


async def test_raw_arguments_are_refused_with_the_name_of_the_setting(start_api: StartApi, clip: bytes) -> None:
    async with start_api() as api:
        status, told = await send(api, clip, args={"raw_arguments": RAW})
        assert status == 403
        assert b"allow_raw_arguments" in told
        assert b"args.raw_arguments" in told
        assert len(api.parts.feed) == 0


async def test_raw_arguments_reach_the_command_of_an_engine_that_is_allowed_them(
    start_api: StartApi, clip: bytes
) -> None:
    async with start_api(allow_raw_arguments=["ffmpeg"]) as api:
        status, told = await send(api, clip, args={"raw_arguments": RAW})
        assert status == 200, told
        job = await api.ended(orjson.loads(told)[0]["id"])
        assert job.status == "completed", job.reason
        first = api.parts.folders.log(job.id).read_text("utf-8").splitlines()[0]
        assert "-metadata 'title=from a raw argument'" in first
        refused = await api.client.post("/api/add_job", json={**LATER, "args": {"raw_arguments": ["x"]}})
        assert refused.status_code == 403
        assert "testpattern" in refused.text


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ("-y", "args.raw_arguments"),
        ({"a": 1}, "args.raw_arguments"),
        (["ok"] * 101, "args.raw_arguments"),
        (["ok", 7], "args.raw_arguments[1]"),
        ([""], "args.raw_arguments[0]"),
        (["a\0b"], "args.raw_arguments[0]"),
        (["x" * 4097], "args.raw_arguments[0]"),
    ],
)
async def test_raw_arguments_are_a_list_of_texts(start_api: StartApi, given: object, field: str) -> None:
    async with start_api(allow_raw_arguments=["testpattern"]) as api:
        headers = {"Accept": "application/json"}
        refused = await api.client.post(
            "/api/add_job", json={**LATER, "args": {"raw_arguments": given}}, headers=headers
        )
        assert (refused.status_code, refused.json()["field"]) == (400, field)


async def test_a_job_with_raw_arguments_does_not_render_once_they_are_off(start_api: StartApi) -> None:
    soon = (datetime.now(UTC) + timedelta(seconds=3)).isoformat()
    async with start_api(allow_raw_arguments=["testpattern"]) as api:
        body = {**LATER, "scheduled_start": soon, "args": {"raw_arguments": ["x"]}}
        job = Job.model_validate((await api.client.post("/api/add_job", json=body)).json()[0])
    async with start_api() as api:
        ended = await api.ended(job.id)
        assert ended.status == "error"
        assert "allow_raw_arguments" in ended.reason


async def test_an_engine_that_is_not_there_cannot_be_allowed_anything(start_api: StartApi) -> None:
    with pytest.raises(SettingsError, match="allow_raw_arguments: there is no engine 'blnder'"):
        async with start_api(allow_raw_arguments=["blnder"]):
            pass


async def test_an_engine_user_that_is_not_there_stops_the_start(tmp_path_factory: pytest.TempPathFactory) -> None:
    settings = load_settings(data_dir=tmp_path_factory.mktemp("user"), engine_user="nobody-of-this-name")
    with pytest.raises(SettingsError, match="engine_user"):
        async with create_app(settings).running():
            pass


async def test_a_node_keeps_so_many_jobs(start_api: StartApi) -> None:
    async with start_api(max_jobs=3) as api:
        made = (await api.client.post("/api/add_job", json=[LATER, LATER])).json()
        refused = await api.client.post("/api/add_job", json=[LATER, LATER])
        assert refused.status_code == 429
        assert "max_jobs" in refused.text
        assert len(api.parts.feed) == 2
        assert (await api.client.post("/api/add_job", json=LATER)).status_code == 200
        await api.client.post(f"/api/jobs/{made[0]['id']}/cancel?confirm=true")
        assert (await api.client.post("/api/add_job", json=LATER)).status_code == 429, "an ended job is kept too"
        await api.client.post(f"/api/jobs/{made[0]['id']}/delete?confirm=true")
        assert (await api.client.post("/api/add_job", json=LATER)).status_code == 200
