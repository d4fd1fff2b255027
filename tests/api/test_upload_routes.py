"""Uploads in pieces: begun, gone on with, taken by jobs, looked into, thrown away."""

from __future__ import annotations

import asyncio
import hashlib
import os
import zipfile
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest

from client.models import Job, ProjectInspection, UploadInfo
from tests.api.conftest import Api, StartApi

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"


async def begin(client: httpx.AsyncClient, name: str, content: bytes, **fields: object) -> UploadInfo:
    response = await client.post("/api/uploads", json={"name": name, "size": len(content), **fields})
    assert response.status_code == 200, response.text
    return UploadInfo.model_validate(response.json())


async def send(client: httpx.AsyncClient, upload_id: str, offset: int, content: bytes) -> httpx.Response:
    return await client.patch(f"/api/uploads/{upload_id}", content=content, headers={"Upload-Offset": str(offset)})


async def brought(client: httpx.AsyncClient, name: str, content: bytes) -> str:
    """A complete upload. Returns its id."""
    upload = await begin(client, name, content)
    response = await send(client, upload.id, 0, content)
    assert response.status_code == 200, response.text
    assert response.json()["complete"] is True
    return upload.id


async def inspected(client: httpx.AsyncClient, upload_id: str) -> ProjectInspection:
    response = await client.get(f"/api/uploads/{upload_id}/inspection")
    assert response.status_code == 200, response.text
    return ProjectInspection.model_validate(response.json())


def incoming(api: Api) -> list[Path]:
    return sorted(api.parts.folders.incoming.iterdir())


def zip_of(path: Path, **members: bytes) -> bytes:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            archive.writestr(name.replace("__", "/").replace("_dot_", "."), content)
    return path.read_bytes()


async def test_in_several_pieces_and_then_a_job(api: Api, clip: bytes) -> None:
    upload = await begin(api.client, "clip.mp4", clip)
    assert (upload.name, upload.size, upload.offset, upload.complete) == ("clip.mp4", len(clip), 0, False)
    assert upload.expires > datetime.now(UTC) + timedelta(days=6)
    for offset in range(0, len(clip), 1000):
        response = await send(api.client, upload.id, offset, clip[offset : offset + 1000])
        assert response.status_code == 200, response.text
        assert response.headers["Upload-Offset"] == str(min(len(clip), offset + 1000))
    assert response.json()["complete"] is True
    body = {"upload": upload.id, "scheduled_start": "2035-01-01T00:00:00Z"}
    made = await api.client.post("/api/add_job", json=[body, {**body, "name": "again"}])
    assert made.status_code == 200, made.text
    first, second = [Job.model_validate(job) for job in made.json()]
    assert (first.engine, first.project, first.name, second.name) == ("ffmpeg", "clip.mp4", "clip", "again")
    [folder] = api.parts.folders.projects.iterdir()
    assert (folder / "clip.mp4").read_bytes() == clip
    assert incoming(api) == []
    for path in ("", "/inspection"):
        assert (await api.client.get(f"/api/uploads/{upload.id}{path}")).status_code == 404
    again = await api.client.post("/api/add_job", json=body)
    assert (again.status_code, "upload" in again.text) == (404, True)


async def test_a_wrong_offset_changes_nothing_and_names_the_right_one(api: Api) -> None:
    upload = await begin(api.client, "a.blend", b"x" * 100)
    await send(api.client, upload.id, 0, b"x" * 40)
    for offset in (0, 39, 41, 100):
        response = await send(api.client, upload.id, offset, b"y" * 10)
        assert (response.status_code, response.headers["Upload-Offset"]) == (409, "40")
        assert "go on from there" in response.text
    assert (await api.client.get(f"/api/uploads/{upload.id}")).json()["offset"] == 40


@pytest.mark.parametrize("header", [None, "-1", "x", ""])
async def test_the_offset_must_be_said(api: Api, header: str | None) -> None:
    upload = await begin(api.client, "a.blend", b"x" * 100)
    headers = {} if header is None else {"Upload-Offset": header}
    response = await api.client.patch(f"/api/uploads/{upload.id}", content=b"x", headers=headers)
    assert response.status_code == 400
    assert "upload-offset" in response.text


async def test_more_than_was_announced_is_refused(api: Api) -> None:
    upload = await begin(api.client, "a.blend", b"x" * 100)
    assert (await send(api.client, upload.id, 0, b"x" * 101)).status_code == 413

    async def without_length() -> AsyncIterator[bytes]:
        yield b"x" * 60
        yield b"x" * 60

    response = await api.client.patch(
        f"/api/uploads/{upload.id}", content=without_length(), headers={"Upload-Offset": "0"}
    )
    assert response.status_code == 413
    assert (await api.client.get(f"/api/uploads/{upload.id}")).json()["complete"] is False


async def test_a_newer_request_goes_on_and_the_older_one_gives_way(api: Api) -> None:
    upload = await begin(api.client, "a.blend", b"x" * 100)
    begun, never = asyncio.Event(), asyncio.Event()

    async def hangs() -> AsyncIterator[bytes]:
        yield b"x" * 30
        begun.set()
        await never.wait()

    older = asyncio.create_task(
        api.client.patch(f"/api/uploads/{upload.id}", content=hangs(), headers={"Upload-Offset": "0"})
    )
    await begun.wait()
    newer = await send(api.client, upload.id, 30, b"x" * 70)
    assert (newer.status_code, newer.json()["complete"]) == (200, True)
    assert (await older).status_code == 409


async def test_a_restart_loses_nothing(start_api: StartApi) -> None:
    content = b"a project" * 1000
    digest = hashlib.sha256(content).hexdigest()
    async with start_api() as api:
        upload = await begin(api.client, "a.blend", content, sha256=digest)
        await send(api.client, upload.id, 0, content[:5000])
        whole = await brought(api.client, "b.blend", content)
    async with start_api() as api:
        found = (await api.client.get(f"/api/uploads/{upload.id}")).json()
        assert (found["offset"], found["complete"], found["sha256"]) == (5000, False, digest)
        assert (await api.client.get(f"/api/uploads/{whole}")).json()["complete"] is True
        again = await begin(api.client, "a.blend", content, sha256=digest)
        assert (again.id, again.offset) == (upload.id, 5000)
        assert (await send(api.client, upload.id, 5000, content[5000:])).json()["complete"] is True


async def test_other_content_than_announced_is_thrown_away(api: Api) -> None:
    content = b"right" * 100
    upload = await begin(api.client, "a.blend", content, sha256=hashlib.sha256(content).hexdigest())
    response = await send(api.client, upload.id, 0, b"wrong" * 100)
    assert response.status_code == 400
    assert "sha256" in response.text
    assert (await api.client.get(f"/api/uploads/{upload.id}")).json()["offset"] == 0
    assert (await send(api.client, upload.id, 0, content)).json()["complete"] is True


async def test_limits_are_those_of_other_uploads(start_api: StartApi) -> None:
    async with start_api(max_upload_bytes=1000, max_uploads_per_token=2) as api:
        for size, status in ((1001, 413), (0, 400), (1000, 200), (1000, 200), (1, 429)):
            response = await api.client.post("/api/uploads", json={"name": "a.blend", "size": size})
            assert response.status_code == status, response.text
        [one, _] = (await api.client.get("/api/uploads")).json()
        assert (await api.client.delete(f"/api/uploads/{one['id']}")).text == "success"
        assert (await api.client.get(f"/api/uploads/{one['id']}")).status_code == 404
        assert len(incoming(api)) == 1
        assert (await api.client.post("/api/uploads", json={"name": "a.blend", "size": 1})).status_code == 200
    async with start_api(min_free_bytes=1 << 60) as api:
        response = await api.client.post("/api/uploads", json={"name": "a.blend", "size": 1})
        assert (response.status_code, "min_free_bytes" in response.text) == (507, True)
        assert len(incoming(api)) == 2


@pytest.mark.parametrize("name", ["..", "a/b.blend", "a\0b", "a" * 300])
async def test_a_name_that_is_none_is_refused(api: Api, name: str) -> None:
    response = await api.client.post("/api/uploads", json={"name": name, "size": 1})
    assert response.status_code == 400
    assert "name" in response.text
    assert incoming(api) == []


async def test_an_upload_is_its_owners_and_an_administrators(api: Api) -> None:
    secrets = []
    for name in ("one", "two"):
        made = await api.client.post("/api/tokens", json={"name": name, "role": "submit"})
        secrets.append({"Authorization": f"Bearer {made.json()['secret']}"})
    async with api.new_client(secrets[0]) as one, api.new_client(secrets[1]) as two:
        upload_id = await brought(one, "a.blend", b"x" * 100)
        assert [upload["id"] for upload in (await one.get("/api/uploads")).json()] == [upload_id]
        assert (await two.get("/api/uploads")).json() == []
        assert (await two.get(f"/api/uploads/{upload_id}")).status_code == 404
        assert (await two.delete(f"/api/uploads/{upload_id}")).status_code == 404
        assert (await send(two, upload_id, 100, b"")).status_code == 404
        assert (await two.post("/api/add_job", json={"upload": upload_id})).status_code == 404
        assert (await api.client.get(f"/api/uploads/{upload_id}")).status_code == 200


async def test_what_nobody_takes_is_thrown_away(start_api: StartApi) -> None:
    async with start_api() as api:
        upload = await begin(api.client, "a.blend", b"x" * 100)
        [folder] = incoming(api)
    old = (datetime.now(UTC) - timedelta(days=8)).timestamp()
    for path in (*folder.rglob("*"), folder):
        os.utime(path, (old, old))
    async with start_api(upload_days=10) as api:
        assert (await api.client.get(f"/api/uploads/{upload.id}")).status_code == 200
    async with start_api() as api:
        assert (await api.client.get(f"/api/uploads/{upload.id}")).status_code == 404
        assert incoming(api) == []


async def test_a_submit_that_is_refused_gives_the_upload_back(api: Api, clip: bytes, tmp_path: Path) -> None:
    archive = zip_of(tmp_path / "a.zip", shots__clip_dot_mp4=clip)
    for name, content in (("clip.mp4", clip), ("all.zip", archive)):
        upload_id = await brought(api.client, name, content)
        for wrong in ({"args": {"preset": "nonsense"}}, {"frames": "9-1y0"}, {"renderer": "blender"}):
            response = await api.client.post("/api/add_job", json={"upload": upload_id, **wrong})
            assert response.status_code == 400, response.text
            assert list(api.parts.folders.projects.iterdir()) == []
        made = await api.client.post(
            "/api/add_job", json={"upload": upload_id, "scheduled_start": "2035-01-01T00:00:00Z"}
        )
        assert made.status_code == 200, made.text
        assert made.json()[0]["project"] == "clip.mp4"
        await api.client.post(f"/api/jobs/{made.json()[0]['id']}/delete?confirm=true")
        assert list(api.parts.folders.projects.iterdir()) == incoming(api) == []


async def test_a_repeated_submit_needs_no_upload_any_more(api: Api, clip: bytes) -> None:
    upload_id = await brought(api.client, "clip.mp4", clip)
    body, key = {"upload": upload_id, "scheduled_start": "2035-01-01T00:00:00Z"}, {"Idempotency-Key": "k"}
    first = await api.client.post("/api/add_job", json=body, headers=key)
    again = await api.client.post("/api/add_job", json=body, headers=key)
    assert first.json() == again.json()


async def test_an_incomplete_upload_and_two_projects_are_refused(api: Api, clip: bytes) -> None:
    upload = await begin(api.client, "clip.mp4", clip)
    await send(api.client, upload.id, 0, clip[:10])
    response = await api.client.post("/api/add_job", json={"upload": upload.id})
    assert (response.status_code, "send the rest first" in response.text) == (409, True)
    assert (await api.client.get(f"/api/uploads/{upload.id}/inspection")).status_code == 409
    form = {"json": (None, f'{{"upload": "{upload.id}"}}'.encode()), "file": ("clip.mp4", clip)}
    response = await api.client.post("/api/add_job", files=form)
    assert (response.status_code, "not both" in response.text) == (400, True)


async def test_what_is_in_a_video(api: Api, clip: bytes) -> None:
    told = await inspected(api.client, await brought(api.client, "clip.mp4", clip))
    assert (told.project, told.engine, told.can_render) == ("clip.mp4", "ffmpeg", True), told.reason
    assert (told.frame_count, told.fps, told.width, told.height) == (8, 8.0, 32, 24)
    assert told.engine_version
    assert told.engine_version_installed
    assert told.reason


async def test_what_is_in_a_zip_and_what_cannot_render(api: Api, tmp_path: Path) -> None:
    blend = (FIXTURES / "cycles.blend").read_bytes()
    archive = zip_of(tmp_path / "a.zip", shots__cycles_dot_blend=blend, textures__a_dot_txt=b"x")
    upload_id = await brought(api.client, "a.zip", archive)
    told = await inspected(api.client, upload_id)
    assert (told.project, told.engine, told.kind) == ("shots/cycles.blend", "blender", "blend")
    assert told.frames
    assert told.cameras
    assert told.scenes
    assert told.format_version
    assert await inspected(api.client, upload_id) == told
    for name, content, reason in (
        ("no_camera.blend", (FIXTURES / "no_camera.blend").read_bytes(), "camera"),
        ("garbage.blend", b"this is no blend file" * 10, "garbage.blend"),
        ("letter.docx", b"x", "no engine"),
        ("empty.zip", zip_of(tmp_path / "b.zip", readme_dot_txt=b"x"), "no project"),
        ("broken.zip", b"PK\x03\x04" + b"x" * 100, "zip"),
    ):
        told = await inspected(api.client, await brought(api.client, name, content))
        assert (told.can_render, told.engine_version) == (False, None), name
        assert reason in told.reason, (name, told.reason)


async def test_missing_files_are_named(api: Api) -> None:
    content = (FIXTURES / "missing_texture.blend").read_bytes()
    told = await inspected(api.client, await brought(api.client, "missing_texture.blend", content))
    assert told.missing_files
