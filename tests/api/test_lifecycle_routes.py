"""add_job, cancel, delete, subjob_update: what they ask for, what they answer, what they refuse."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from client.models import Job, JobStatus
from tests.api.conftest import TOKEN, Api, StartApi

pytestmark = pytest.mark.asyncio(loop_scope="module")

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize("verb", ["cancel", "delete"])
async def test_nothing_is_done_without_confirm(shared_api: Api, verb: str) -> None:
    job = await shared_api.submit()
    for query in ("", "?confirm=false", "?confirm=0", "?confirm=", "?confirm=perhaps", "?redirect=true"):
        response = await shared_api.client.post(f"/api/jobs/{job.id}/{verb}{query}")
        assert response.status_code == 400, query
        assert "confirm" in response.text
    assert (await shared_api.client.get(f"/api/jobs/{job.id}")).json()["status"] == "scheduled"


async def test_cancel_answers_the_job_or_leads_home(shared_api: Api) -> None:
    first, second = await shared_api.submit(), await shared_api.submit()
    response = await shared_api.client.post(f"/api/jobs/{first.id}/cancel?confirm=yes")
    assert Job.model_validate(response.json()).status is JobStatus.CANCELLED
    response = await shared_api.client.post(f"/api/jobs/{second.id}/cancel?confirm=1&redirect=true")
    assert (response.status_code, response.headers["Location"]) == (302, "/")
    assert (await shared_api.client.get(f"/api/jobs/{second.id}")).json()["status"] == "cancelled"


async def test_delete_leaves_nothing(shared_api: Api) -> None:
    job = await shared_api.rendered()
    assert (await shared_api.client.get(f"/api/jobs/{job.id}/thumbnail")).status_code == 200
    response = await shared_api.client.post(f"/api/jobs/{job.id}/delete?confirm=true")
    assert (response.status_code, response.text) == (200, "success")
    assert not shared_api.parts.folders.job(job.id).exists()
    assert (await shared_api.client.get(f"/api/jobs/{job.id}")).status_code == 400
    assert (await shared_api.client.post(f"/api/jobs/{job.id}/delete?confirm=true")).status_code == 400


async def test_a_parent_ends_with_its_last_subjob(shared_api: Api) -> None:
    parent = await shared_api.submit(child_jobs=[{"frames": "1"}, {"frames": "2"}])
    assert parent.status is JobStatus.WAITING_FOR_SUBJOBS
    at = f"/api/jobs/{parent.id}/subjob_update"

    async def tell(**update: object) -> tuple[int, str]:
        response = await shared_api.client.post(at, json=update, headers={"Accept": "application/json"})
        return response.status_code, response.text

    status, text = await tell(id="of-somebody-else", status="completed")
    assert (status, orjson.loads(text)["field"]) == (400, "id")
    assert (await tell(id=parent.children[0], status="finished"))[0] == 400
    assert (await tell(id=parent.children[0]))[0] == 400
    # This node knows better what becomes of its own subjobs: a false word about one changes nothing.
    assert await tell(id=parent.children[0], status="completed", more="fields") == (200, "success")
    assert (await shared_api.client.get(f"/api/jobs/{parent.id}")).json()["status"] == "waiting_for_subjobs"
    for child in parent.children:
        await shared_api.client.post(f"/api/jobs/{child}/cancel?confirm=true")
    assert (await shared_api.ended(parent.id)).status is JobStatus.CANCELLED


async def test_what_is_no_submit_is_refused_and_nothing_made(shared_api: Api) -> None:
    before = len(shared_api.parts.feed)
    for headers, body, status in (
        (JSON, b"", 400),
        (JSON, b"{", 400),
        (JSON, b"[" * 1000, 400),
        (JSON, b'{"renderer": "nope"}', 400),
        (JSON, b'{"renderer": "testpattern", "frames": "9-1x0"}', 400),
        (JSON, b"[1]", 400),
        (JSON, b" " * (5 << 20), 413),
        ({"Content-Type": "text/csv"}, b"a,b", 400),
        ({"Content-Type": "multipart/form-data"}, b"x", 400),
        ({"Content-Type": "multipart/form-data; boundary=b"}, b"x", 400),
        ({**JSON, "Idempotency-Key": "a\tb"}, b'{"renderer": "testpattern"}', 400),
        ({**JSON, "Idempotency-Key": "k" * 201}, b'{"renderer": "testpattern"}', 400),
        ({}, b'{"renderer": "testpattern"}', 400),
    ):
        response = await shared_api.client.post("/api/add_job", content=body, headers=headers)
        assert response.status_code == status, (headers, body[:40], response.text)
        assert 10 < len(response.text) < 500
    assert len(shared_api.parts.feed) == before


async def test_a_body_in_pieces_and_one_that_is_too_long_for_its_word(shared_api: Api) -> None:
    async def pieces(*given: bytes) -> AsyncIterator[bytes]:
        for piece in given:
            yield piece

    response = await shared_api.client.post(
        "/api/add_job",
        content=pieces(b'{"renderer": ', b'"testpattern", "frames": "1", ', b'"scheduled_start": "2035-01-01"}'),
        headers=JSON,
    )
    assert response.status_code == 200, response.text
    response = await shared_api.client.post("/api/add_job", content=pieces(*[b" " * (1 << 20)] * 5), headers=JSON)
    assert response.status_code == 413


async def test_an_upload_becomes_a_job(shared_api: Api, clip: bytes) -> None:
    job = {"renderer": "ffmpeg", "scheduled_start": "2035-01-01T00:00:00Z", "name": "clip"}
    response = await shared_api.client.post(
        "/api/add_job", data={"json": orjson.dumps(job).decode()}, files={"file": ("clip.mp4", clip, "video/mp4")}
    )
    assert response.status_code == 200, response.text
    (made,) = response.json()
    assert (made["project"], made["engine"]) == ("clip.mp4", "ffmpeg")


async def test_a_repeat_with_the_same_key_makes_no_second_job(shared_api: Api) -> None:
    body = {"renderer": "testpattern", "frames": "1", "scheduled_start": "2035-01-01T00:00:00Z"}
    before = len(shared_api.parts.feed)
    first = await shared_api.client.post("/api/add_job", json=body, headers={"Idempotency-Key": "same"})
    again = await shared_api.client.post("/api/add_job", json=body, headers={"Idempotency-Key": "same"})
    assert [job["id"] for job in first.json()] == [job["id"] for job in again.json()]
    other = await shared_api.client.post(
        "/api/add_job", json={**body, "frames": "2"}, headers={"Idempotency-Key": "same"}
    )
    assert other.status_code == 409
    assert len(shared_api.parts.feed) == before + 1


async def test_local_path_is_for_this_machine_only(start_api: StartApi, tmp_path: Path, clip: bytes) -> None:
    (tmp_path / "clip.mp4").write_bytes(clip)
    body = {"local_path": str(tmp_path / "clip.mp4"), "scheduled_start": "2035-01-01T00:00:00Z"}
    async with start_api(local_roots=[tmp_path]) as api:
        assert (await api.client.post("/api/add_job", json=body)).status_code == 200
        async with api.new_client(peer="192.168.1.9") as stranger:
            refused = await stranger.post("/api/add_job", json=body, headers={"Authorization": f"Bearer {TOKEN}"})
        assert refused.status_code == 403
