"""The routes about engines, and those that install them."""

from __future__ import annotations

from pathlib import Path

import pytest

from client.models import EngineArgs, EngineAvailability, EngineDetail, EngineReleases, Install, InstallState
from tests.api.conftest import Api, StartApi
from tests.support.release_server import ReleaseFolder, serving

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_engines_standard_and_full(shared_api: Api) -> None:
    standard = (await shared_api.client.get("/api/engines")).json()
    assert {"ffmpeg", "testpattern"} <= set(standard)
    for name, plain in standard.items():
        detail = EngineDetail.model_validate(plain)
        assert detail.name == name
        assert detail.options is None
        assert detail.is_available is bool(detail.versions)
    full = EngineDetail.model_validate(
        (await shared_api.client.get("/api/engines/ffmpeg", params={"response_type": "full"})).json()
    )
    assert full.supported_extensions
    assert ".mp4" in full.supported_extensions
    assert full.supported_export_formats
    assert full.system_info is not None
    assert full.options
    assert "preset" in str(full.options["properties"])


async def test_names_are_those_of_installed_engines(shared_api: Api) -> None:
    names = (await shared_api.client.get("/api/engines/names")).json()
    detailed = (await shared_api.client.get("/api/engines")).json()
    assert names == [name for name, detail in detailed.items() if detail["versions"]]


async def test_the_engine_for_a_file(shared_api: Api) -> None:
    for filename in ("clip.mp4", "CLIP.MP4", "/some/where/clip.mp4", "C:\\clips\\clip.mp4"):
        response = await shared_api.client.get("/api/engines/for_filename", params={"filename": filename})
        assert (response.status_code, response.text) == (200, "ffmpeg")
        assert response.headers["Content-Type"].startswith("text/plain")
    response = await shared_api.client.get("/api/engines/for_filename", params={"filename": "notes.txt"})
    assert response.status_code == 404


async def test_one_engine(shared_api: Api) -> None:
    availability = EngineAvailability.model_validate(
        (await shared_api.client.get("/api/engines/testpattern/availability")).json()
    )
    assert availability.available
    assert availability.cpu_count >= 1
    args = EngineArgs.model_validate((await shared_api.client.get("/api/engines/testpattern/args")).json())
    assert "seconds_per_frame" in str(args.schema_["properties"])
    help_text = await shared_api.client.get("/api/engines/ffmpeg/help")
    assert help_text.headers["Content-Type"].startswith("text/plain")
    assert "ffmpeg" in help_text.text.lower()


async def test_the_form_of_a_version_has_what_that_version_has(shared_api: Api) -> None:
    client = shared_api.client
    newest = (await client.get("/api/engines/ffmpeg")).json()["versions"][0]["version"]
    for asked in (newest, newest.partition(".")[0]):
        args = EngineArgs.model_validate(
            (await client.get("/api/engines/ffmpeg/args", params={"version": asked})).json()
        )
        assert args.version.startswith(asked)
        assert args.schema_["x-groups"]
    for unknown in ("99.1", "../4.5", ""):
        response = await client.get("/api/engines/ffmpeg/args", params={"version": unknown})
        assert response.status_code == 404
        assert newest in response.text


async def test_custom_builds_are_shown_with_both_versions_and_broken_ones_with_the_reason(
    start_api: StartApi, tmp_path: Path
) -> None:
    studio = tmp_path / "ffmpeg"
    studio.write_text("#!/bin/sh\necho ffmpeg version 7.1 Copyright\n")
    studio.chmod(0o755)
    builds = {"ffmpeg": {"studio": studio, "gone": tmp_path / "gone"}}
    async with start_api(custom_engines=builds) as api:
        detail = EngineDetail.model_validate((await api.client.get("/api/engines/ffmpeg")).json())
        shown = next(version for version in detail.versions if version.type == "custom")
        assert (shown.version, shown.name, shown.base_version) == ("studio", "studio", "7.1")
        assert shown.size == studio.stat().st_size
        assert shown.last_used is None
        (broken,) = [copy for copy in detail.unusable if copy.type == "custom"]
        assert broken.name == "gone"
        assert "does not exist" in broken.reason
        assert all(version.size is None for version in detail.versions if version.type == "system")


async def test_an_engine_without_slots_takes_no_jobs(start_api: StartApi) -> None:
    async with start_api(slots={"testpattern": 0}) as api:
        answer = (await api.client.get("/api/engines/testpattern/availability")).json()
        assert not answer["available"]
        assert "slots" in answer["reason"]


@pytest.mark.parametrize("noun", ["", "/availability", "/args", "/help"])
async def test_an_unknown_engine_is_404_and_the_known_ones_are_named(shared_api: Api, noun: str) -> None:
    response = await shared_api.client.get(f"/api/engines/nope{noun}")
    assert response.status_code == 404
    assert "testpattern" in response.text


async def test_engines_are_offered_fetched_followed_and_deleted(start_api: StartApi) -> None:
    folder = ReleaseFolder("4.5.2", "4.5.3", "4.4.0", renders=True)
    async with serving(folder) as (_, url):
        settings: dict[str, object] = {"engine_mirrors": {"studio": url}, "engine_sources": ["studio"]}
        async with start_api(min_free_bytes=0, **settings) as api:
            client, blender = api.client, {"engine": "blender"}
            offered = EngineReleases.model_validate((await client.get("/api/engines/available", params=blender)).json())
            assert [(one.version, one.lts) for one in offered.releases] == [
                ("4.5.3", True),
                ("4.5.2", True),
                ("4.4.0", False),
            ]
            newest = (await client.get("/api/engines/most_recent_version", params=blender)).json()
            assert newest["version"] == "4.5.3"
            wanted = {**blender, "version": "4.5"}
            found = (await client.get("/api/engines/download_available", params=wanted)).json()
            assert (found["available"], found["version"], found["source"]) == (True, "4.5.3", "studio")
            absent = await client.get("/api/engines/download_available", params={**blender, "version": "4.9"})
            assert absent.json()["available"] is False
            assert "4.5.3, 4.5.2, 4.4.0" in absent.json()["reason"]
            begun = Install.model_validate((await client.post("/api/engines/download", params=wanted)).json())
            await api.parts.installs.wait(begun.id)
            ended = Install.model_validate((await client.get(f"/api/engines/installs/{begun.id}")).json())
            assert (ended.state, ended.version) == (InstallState.INSTALLED, "4.5.3"), ended.reason
            assert [one["id"] for one in (await client.get("/api/engines/installs")).json()] == [begun.id]
            key = {**blender, "version": "4.5.3"}
            assert (await client.post("/api/engines/delete", json=key)).text == "success"
            again = await client.post("/api/engines/delete", json=key)
            assert (again.status_code, "is not on this node" in again.text) == (404, True)


async def test_without_a_source_that_answers_it_is_503_and_each_is_named(start_api: StartApi) -> None:
    settings: dict[str, object] = {"engine_mirrors": {"nas": "http://127.0.0.1:9/"}, "engine_sources": ["nas"]}
    async with start_api(**settings) as api:
        key = {"engine": "blender", "version": "4.5"}
        for response in (
            await api.client.get("/api/engines/download_available", params=key),
            await api.client.get("/api/engines/most_recent_version", params={"engine": "blender"}),
            await api.client.post("/api/engines/download", params=key),
        ):
            assert response.status_code == 503
            assert "nas: " in response.text


async def test_an_unknown_install_is_404(shared_api: Api) -> None:
    assert (await shared_api.client.get("/api/engines/installs/nope")).status_code == 404
    assert (await shared_api.client.post("/api/engines/installs/nope/cancel")).status_code == 404


async def test_requests_to_install_are_checked(shared_api: Api) -> None:
    client = shared_api.client
    asked = {"Accept": "application/json"}
    wrong = {"engine": "ffmpeg", "version": "1", "system_os": "beos"}
    for response in (
        await client.get("/api/engines/download_available", params=wrong, headers=asked),
        await client.post("/api/engines/download", params=wrong, headers=asked),
        await client.post("/api/engines/delete", json=wrong, headers=asked),
    ):
        assert (response.status_code, response.json()["field"]) == (404, "system_os")
        assert "linux, macos, windows" in response.text
    for path in ("../9", "9/0"):
        bad = {"engine": "ffmpeg", "version": path}
        assert (await client.post("/api/engines/download", params=bad)).status_code == 400
        assert (await client.post("/api/engines/delete", json=bad)).status_code == 400
    elsewhere = {"engine": "ffmpeg", "version": "9", "system_os": "windows"}
    assert (await client.post("/api/engines/download", params=elsewhere)).status_code == 400
    unknown = {"engine": "nope", "version": "1"}
    assert (await client.post("/api/engines/download", params=unknown)).status_code == 404
    assert (await client.post("/api/engines/delete", json=unknown)).status_code == 404
    for body in (
        b"",
        b"[]",
        b"x",
        b'{"engine": "ffmpeg"}',
        b'{"engine": 1, "version": "1"}',
        b"[" * 2000,
        b" " * 70_000,
    ):
        response = await client.post("/api/engines/delete", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code == (413 if len(body) > 65_536 else 400), body[:40]
    response = await client.post("/api/engines/delete", data={"engine": "ffmpeg", "version": "1"})
    assert response.status_code == 400
    assert "JSON" in response.text
