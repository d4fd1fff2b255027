"""The job list: tokens, deltas, ETags, compression; one job; jobs in one status."""

from __future__ import annotations

import gzip

import orjson

from app.jobs.feed import ONE_PIECE
from client.models import Job, JobDelta, JobList, JobStatus
from tests.api.conftest import Api, StartApi, jobs_in

LONG = {"notes": "n" * 9000}


async def test_the_list_has_every_job_and_a_token_that_changes(api: Api) -> None:
    empty = JobList.model_validate((await api.client.get("/api/jobs")).json())
    first, second = await api.submit(name="first"), await api.submit(name="second")
    found = JobList.model_validate((await api.client.get("/api/jobs")).json())
    assert [job.id for job in found.jobs] == [first.id, second.id]
    assert found.token != empty.token
    again = JobList.model_validate((await api.client.get("/api/jobs")).json())
    assert again == found


async def test_one_job(api: Api) -> None:
    job = await api.submit(name="one")
    response = await api.client.get(f"/api/jobs/{job.id}")
    assert response.headers["Content-Type"] == "application/json"
    assert Job.model_validate(response.json()) == job


async def test_a_client_that_has_the_list_gets_304(api: Api) -> None:
    await api.submit()
    response = await api.client.get("/api/jobs")
    etag = response.headers["ETag"]
    assert etag.startswith('W/"')
    for known in (etag, f'"other", {etag}', "*", etag.removeprefix("W/")):
        unchanged = await api.client.get("/api/jobs", headers={"If-None-Match": known})
        assert (unchanged.status_code, unchanged.content) == (304, b""), known
        assert unchanged.headers["ETag"] == etag
    for other in ('W/"other"', '"other"', ""):
        assert (await api.client.get("/api/jobs", headers={"If-None-Match": other})).status_code == 200
    await api.submit()
    changed = await api.client.get("/api/jobs", headers={"If-None-Match": etag})
    assert changed.status_code == 200
    assert changed.headers["ETag"] != etag


async def test_a_delta_has_what_changed_and_what_is_gone(api: Api) -> None:
    first, second = await api.submit(), await api.submit()
    token = (await api.client.get("/api/jobs")).json()["token"]

    async def delta(token: str) -> JobDelta:
        response = await api.client.get("/api/jobs", params={"delta": "true", "token": token})
        return JobDelta.model_validate(response.json())

    nothing = await delta(token)
    assert (nothing.jobs, nothing.gone, nothing.full, nothing.token) == ([], [], False, token)
    third = await api.submit()
    await api.client.post(f"/api/jobs/{first.id}/cancel", params={"confirm": "true"})
    await api.client.post(f"/api/jobs/{second.id}/delete", params={"confirm": "true"})
    changed = await delta(token)
    assert {job.id for job in changed.jobs} == {first.id, third.id}
    assert (changed.gone, changed.full) == ([second.id], False)
    assert (await delta(changed.token)).jobs == []


async def test_a_token_of_another_time_means_everything(api: Api) -> None:
    job = await api.submit()
    for token in (None, None, "", "other-1-1", "other-1-1", "x" * 5000, "\0", "-1"):
        response = await api.client.get("/api/jobs", params={"delta": "1"} | ({"token": token} if token else {}))
        delta = JobDelta.model_validate(response.json())
        assert (delta.full, [item.id for item in delta.jobs]) == (True, [job.id])


async def test_large_lists_are_compressed_for_who_takes_it(api: Api) -> None:
    for _ in range(9):
        await api.submit(**LONG)
    plain = await api.client.get("/api/jobs", headers={"Accept-Encoding": "identity"})
    assert "Content-Encoding" not in plain.headers
    assert plain.headers["Vary"].lower() == "accept-encoding"
    refused = await api.client.get("/api/jobs", headers={"Accept-Encoding": "gzip;q=0"})
    assert "Content-Encoding" not in refused.headers
    for _ in range(2):
        zipped = await api.client.get("/api/jobs", headers={"Accept-Encoding": "deflate, gzip"})
        assert zipped.headers["Content-Encoding"] == "gzip"
        assert zipped.headers["ETag"] == plain.headers["ETag"]
        assert int(zipped.headers["Content-Length"]) < len(plain.content) / 5
        assert zipped.content == plain.content
    await api.submit(**LONG)
    changed = await api.client.get("/api/jobs", headers={"Accept-Encoding": "gzip"})
    assert len(changed.json()["jobs"]) == 10


async def test_a_list_that_is_sent_in_pieces_is_one_list(api: Api) -> None:
    later = {"renderer": "testpattern", "scheduled_start": "2035-01-01T00:00:00Z", **LONG}
    many = [{**later, "name": f"shot {number}"} for number in range(200)]
    assert (await api.client.post("/api/add_job", json=many)).status_code == 200
    assert len(api.parts.feed.job_list()) > 2
    plain = await api.client.get("/api/jobs", headers={"Accept-Encoding": "identity"})
    assert int(plain.headers["Content-Length"]) == len(plain.content) > ONE_PIECE
    listed = JobList.model_validate_json(plain.content)
    assert [job.name for job in listed.jobs] == [f"shot {number}" for number in range(200)]
    zipped = await api.client.get("/api/jobs", headers={"Accept-Encoding": "gzip"})
    assert (zipped.headers["Content-Encoding"], zipped.content) == ("gzip", plain.content)
    delta = JobDelta.model_validate_json((await api.client.get("/api/jobs", params={"delta": "true"})).content)
    assert (delta.full, delta.jobs, delta.token) == (True, listed.jobs, listed.token)
    stream = api.begin("/api/events")
    await stream.start()
    while not (event := await stream.piece()).startswith(b"id:"):
        pass
    stream.leave()
    assert JobDelta.model_validate_json(event.partition(b"data: ")[2]) == delta


async def test_a_compressed_list_that_its_first_client_did_not_wait_for(api: Api) -> None:
    for _ in range(9):
        await api.submit(**LONG)
    impatient = api.begin("/api/jobs", headers={"accept-encoding": "gzip"})
    patient = api.begin("/api/jobs", headers={"accept-encoding": "gzip"})
    impatient.task.cancel()
    await patient.start()
    assert len(jobs_in(gzip.decompress(await patient.piece()))) == 9


async def test_jobs_in_one_status(api: Api) -> None:
    first, second = await api.submit(), await api.submit()
    await api.client.post(f"/api/jobs/{first.id}/cancel", params={"confirm": "true"})
    for status, job in (("scheduled", second), ("cancelled", first), ("CANCELLED", first)):
        response = await api.client.get(f"/api/jobs/status/{status}")
        assert [item["id"] for item in response.json()] == [job.id]
    none = await api.client.get("/api/jobs/status/running")
    assert (none.status_code, none.text) == (400, "no job is running")
    unknown = await api.client.get("/api/jobs/status/sleeping")
    assert unknown.status_code == 400
    assert all(status.value in unknown.text for status in JobStatus)


async def test_the_list_survives_a_restart(start_api: StartApi) -> None:
    async with start_api() as api:
        job = await api.submit()
        before = await api.client.get("/api/jobs")
    async with start_api() as api:
        after = await api.client.get("/api/jobs", headers={"If-None-Match": before.headers["ETag"]})
        assert after.status_code == 200
        assert jobs_in(after.content) == [job.id]
        assert orjson.loads(after.content)["token"] != before.json()["token"]
