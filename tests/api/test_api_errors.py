"""How errors look: plain text or problem details, 400 for wrong parameters, no word about our insides."""

from __future__ import annotations

import pytest
from structlog.testing import capture_logs

from app.api.errors import problem_of, wants_problem
from client.models import Problem
from tests.api.conftest import Api

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest.mark.parametrize(
    "accept", ["application/json", "application/problem+json", "text/html, application/json;q=0.5"]
)
async def test_an_unknown_job_as_problem_details(shared_api: Api, accept: str) -> None:
    for path in ("/api/jobs/nope", "/api/jobs/nope/files", "/api/jobs/nope/logs", "/api/jobs/nope/thumbnail"):
        response = await shared_api.client.get(path, headers={"Accept": accept})
        assert response.status_code == 400
        assert response.headers["Content-Type"] == "application/problem+json"
        problem = Problem.model_validate(response.json())
        assert (problem.title, problem.status) == ("Job not found", 400)
        assert "'nope'" in problem.detail


@pytest.mark.parametrize("accept", ["*/*", "text/plain", "", "application/json;q=0", "application/jsonp", "text/html"])
async def test_errors_are_plain_text_unless_json_is_asked_for(shared_api: Api, accept: str) -> None:
    response = await shared_api.client.get("/api/jobs/nope", headers={"Accept": accept})
    assert response.status_code == 400
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.text == "there is no job 'nope' on this node"


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/api/jobs/nope"),
        ("GET", "/api/jobs/nope/logs"),
        ("GET", "/api/jobs/nope/files"),
        ("GET", "/api/jobs/nope/download?filename=x"),
        ("GET", "/api/jobs/nope/download_all"),
        ("GET", "/api/jobs/nope/thumbnail"),
        ("POST", "/api/jobs/nope/cancel?confirm=true"),
        ("POST", "/api/jobs/nope/delete?confirm=true"),
    ],
)
async def test_an_unknown_job_is_400_on_every_route(shared_api: Api, method: str, path: str) -> None:
    response = await shared_api.client.request(method, path)
    assert response.status_code == 400
    assert "there is no job" in response.text


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/api/engines/for_filename", "filename"),
        ("/api/engines?response_type=wrong", "response_type"),
        ("/api/jobs?delta=perhaps", "delta"),
        ("/api/jobs/long_poll?delta=perhaps", "delta"),
        ("/api/jobs/x/logs?offset=-1", "offset"),
        ("/api/jobs/x/thumbnail?size=huge", "size"),
        ("/api/engines/download_available?engine=ffmpeg", "version"),
        ("/api/engines/most_recent_version", "engine"),
    ],
)
async def test_a_wrong_parameter_is_400_and_named(shared_api: Api, path: str, field: str) -> None:
    response = await shared_api.client.get(path, headers={"Accept": "application/json"})
    assert response.status_code == 400
    assert response.json()["field"] == field
    assert field in response.json()["detail"]


async def test_unknown_routes_and_methods(shared_api: Api) -> None:
    for path in ("/api", "/api/", "/api/jobs/", "/api/jobs/a/b/c", "/docs", "/api/_debug/nope"):
        assert (await shared_api.client.get(path)).status_code == 404, path
    response = await shared_api.client.put("/api/jobs")
    assert response.status_code == 405
    assert "GET" in response.headers["Allow"]
    assert "GET" in response.text


async def test_a_fault_is_a_500_that_tells_nothing(api: Api) -> None:
    del api.parts.node  # whatever breaks: the route finds its part gone
    with capture_logs() as logged:
        response = await api.client.get("/api/status")
    assert response.status_code == 500
    assert "Traceback" not in response.text
    assert "node" not in response.text
    assert response.headers["X-API-Version"] == "0.1"
    assert [type(entry["exc_info"]) for entry in logged] == [AttributeError]


async def test_a_fault_on_the_fast_paths_is_answered_too(api: Api) -> None:
    del api.parts.intake
    with capture_logs() as logged:
        response = await api.client.post("/api/add_job", json={"renderer": "testpattern"})
    assert [type(entry["exc_info"]) for entry in logged] == [AttributeError]
    assert response.status_code == 500
    assert response.headers["Content-Type"].startswith("text/plain")
    assert response.headers["X-API-Version"] == "0.1"


async def test_what_no_part_knows_is_a_500() -> None:
    with capture_logs() as logged:
        assert problem_of(ZeroDivisionError()).status == 500
    assert len(logged) == 1


async def test_weights_in_accept() -> None:
    assert wants_problem(b"APPLICATION/JSON")
    assert wants_problem(b"text/plain;q=1, application/problem+json ; q=0.1")
    assert not wants_problem(b"application/json; q=0.0, */*")
