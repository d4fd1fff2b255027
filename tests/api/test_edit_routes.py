"""PATCH of a job: what may be changed, by whom, and what is refused."""

from __future__ import annotations

import pytest

from client.models import Job, Role
from tests.api.conftest import Api

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_what_is_given_is_changed_and_the_rest_stays(shared_api: Api) -> None:
    job = await shared_api.submit(name="before", notes="old")
    response = await shared_api.client.patch(f"/api/jobs/{job.id}", json={"priority": 80})
    assert response.status_code == 200, response.text
    assert Job.model_validate(response.json()) == job.model_copy(update={"priority": 80})
    response = await shared_api.client.patch(f"/api/jobs/{job.id}", json={"name": "after", "notes": ""})
    changed = Job.model_validate(response.json())
    assert (changed.name, changed.notes, changed.priority) == ("after", "", 80)
    assert (await shared_api.client.get(f"/api/jobs/{job.id}")).json()["name"] == "after"


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "nothing is to be changed"),
        ({"name": None}, "nothing is to be changed"),
        ({"priority": 101}, "priority"),
        ({"priority": "high"}, "priority"),
        ({"name": ""}, "name"),
        ({"name": "two\nlines"}, "control character"),
        ({"frames": "1-3"}, "frames"),
        ([], "body"),
    ],
)
async def test_what_is_wrong_changes_nothing(shared_api: Api, body: object, word: str) -> None:
    job = await shared_api.submit()
    response = await shared_api.client.patch(f"/api/jobs/{job.id}", json=body)
    assert response.status_code == 400
    assert word in response.text
    assert Job.model_validate((await shared_api.client.get(f"/api/jobs/{job.id}")).json()) == job


async def test_an_unknown_job_is_400(shared_api: Api) -> None:
    response = await shared_api.client.patch("/api/jobs/nobody", json={"priority": 1})
    assert (response.status_code, "nobody" in response.text) == (400, True)


async def test_everybody_changes_what_is_their_own_alone(shared_api: Api) -> None:
    body = {"name": "an artist", "role": Role.SUBMIT.value}
    secret = (await shared_api.client.post("/api/tokens", json=body)).json()["secret"]
    theirs = await shared_api.submit()
    async with shared_api.new_client({"Authorization": f"Bearer {secret}"}) as artist:
        made = await artist.post("/api/add_job", json={"renderer": "testpattern", "frames": "1", "priority": 3})
        mine = made.json()[0]["id"]
        assert (await artist.patch(f"/api/jobs/{mine}", json={"priority": 4})).json()["priority"] == 4
        refused = await artist.patch(f"/api/jobs/{theirs.id}", json={"priority": 4})
        assert refused.status_code == 403
    assert (await shared_api.client.patch(f"/api/jobs/{mine}", json={"priority": 5})).json()["priority"] == 5
