"""Every route with no token, with one whose role is too low, and with one whose role is enough; and what a web page of
somebody else's can call: nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from app.api import build_api
from app.api.guard import HARMLESS
from app.api.permissions import ROLES, Permissions, role_of
from app.peers.signing import NODE_HEADER, SIGNATURE_HEADER
from app.settings import load_settings
from client.models import Role
from tests.api.access import session_of, token_of
from tests.api.conftest import BASE_URL, Api

pytestmark = pytest.mark.asyncio(loop_scope="module")

LONG = {"long_poll_jobs", "get_events", "run_cpu_benchmark", "run_disk_benchmark"}
"""Operations that take long when they are allowed; their answers are not waited for here."""
TOO_LOW = {Role.READ: [], Role.SUBMIT: [Role.READ], Role.PEER: [Role.READ, Role.SUBMIT]}
TOO_LOW[Role.ADMIN] = [Role.READ, Role.SUBMIT, Role.PEER]


@dataclass(frozen=True)
class Operation:
    """One operation of the OpenAPI document, with a path that can be called."""

    name: str
    method: str
    path: str
    role: str | None  # as the document says


def operations() -> list[Operation]:
    """All of them, but the description of the API itself."""
    document = build_api(load_settings(data_dir=Path("/nonexistent"), debug=True)).openapi()
    return [
        Operation(told["operationId"], method.upper(), re.sub(r"\{[^}]+\}", "nope", path), told["x-zordon-role"])
        for path, methods in document["paths"].items()
        for method, told in methods.items()
    ]


OPERATIONS = operations()
CLOSED = [operation for operation in OPERATIONS if operation.role is not None]
CHANGING = [operation for operation in OPERATIONS if operation.method not in HARMLESS]


def named(operation: Operation) -> str:
    return operation.name


async def test_the_table_names_every_operation_and_no_other() -> None:
    assert set(ROLES) == {operation.name for operation in OPERATIONS} | {"get_openapi"}
    assert {operation.name: operation.role for operation in OPERATIONS} == {
        name: None if role is None else role.value for name, role in ROLES.items() if name != "get_openapi"
    }


async def test_what_is_not_in_the_table_is_for_administrators() -> None:
    assert role_of("an_operation_of_tomorrow") is Role.ADMIN


async def test_only_these_are_open() -> None:
    assert {operation.name for operation in OPERATIONS if operation.role is None} == {
        "get_start_page",
        "get_page_file",
        "heartbeat",
        "login",
        "get_health",
        "get_readiness",
        "hello",
        "exchange_pairing",
    }


@pytest.mark.parametrize("operation", OPERATIONS, ids=named)
async def test_the_guard_comes_to_the_same_route_as_the_router(shared_api: Api, operation: Operation) -> None:
    permissions: Permissions = shared_api.application.api.state.permissions
    assert permissions.of(operation.method, operation.path).operation == operation.name


@pytest.mark.parametrize("operation", CLOSED, ids=named)
async def test_without_a_token(shared_api: Api, operation: Operation) -> None:
    async with shared_api.new_client({}) as client:
        answer = await client.request(operation.method, operation.path, params={"confirm": True})
    assert answer.status_code == 401
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("operation", CLOSED, ids=named)
async def test_with_a_role_that_is_too_low(shared_api: Api, operation: Operation) -> None:
    assert operation.role is not None
    for role in TOO_LOW[Role(operation.role)]:
        async with shared_api.new_client(await token_of(shared_api, role)) as client:
            answer = await client.request(operation.method, operation.path, params={"confirm": True})
        assert answer.status_code == 403, role
        assert operation.role in answer.text
        assert operation.name in answer.text


@pytest.mark.parametrize("operation", [one for one in CLOSED if one.name not in LONG], ids=named)
async def test_with_a_role_that_is_enough(shared_api: Api, operation: Operation) -> None:
    assert operation.role is not None
    async with shared_api.new_client(await token_of(shared_api, Role(operation.role))) as client:
        answer = await client.request(operation.method, operation.path, params={"confirm": True})
    assert answer.status_code not in (401, 403, 405, 429, 500), answer.text


async def test_any_token_is_told_that_there_is_no_such_route(shared_api: Api) -> None:
    async with shared_api.new_client(await token_of(shared_api, Role.READ)) as client:
        assert (await client.post("/api/nowhere")).status_code == 404
        assert (await client.request("DELETE", "/api/jobs")).status_code == 405


@pytest.mark.parametrize("operation", CHANGING, ids=named)
@pytest.mark.parametrize(
    "page",
    [
        {"Origin": "http://evil.example"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:9999", "Sec-Fetch-Site": "same-site"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "text/plain"},
        {"Origin": "http://evil.example", NODE_HEADER: "a" * 32, SIGNATURE_HEADER: "0" * 64},
    ],
    ids=["origin", "null", "port", "fetch", "form-navigation", "form", "old-form", "like-a-node"],
)
async def test_no_change_can_be_called_by_a_page_of_somebody_else(
    shared_api: Api, operation: Operation, page: dict[str, str]
) -> None:
    cookie = await session_of(shared_api)
    async with shared_api.new_client({**page, **cookie}) as client:
        answer = await client.request(
            operation.method, operation.path, params={"confirm": "true"}, content=b'{"confirm": true}'
        )
    if NODE_HEADER in page:
        assert answer.status_code == 401, answer.text  # a cookie helps nobody who says to be a node
    elif operation.role is None and "Content-Type" in page:
        assert answer.status_code == 400  # open to everybody, but for JSON only
    else:
        assert answer.status_code == 403, answer.text
        assert "Origin" in answer.text or "other web pages" in answer.text


async def test_a_page_of_somebody_else_deletes_nothing(shared_api: Api) -> None:
    job = await shared_api.submit()
    path = f"/api/jobs/{job.id}/delete?confirm=true"
    for page in ({"Origin": "http://evil.example"}, {"Sec-Fetch-Site": "cross-site"}, {}):
        async with shared_api.new_client({**page, **await session_of(shared_api)}) as client:
            assert (await client.post(path)).status_code == 403
    assert (await shared_api.client.get(f"/api/jobs/{job.id}")).status_code == 200
    own = {"Origin": BASE_URL, "Sec-Fetch-Site": "same-origin", **await session_of(shared_api)}
    async with shared_api.new_client(own) as client:
        assert (await client.post(path)).status_code == 200
    assert (await shared_api.client.get(f"/api/jobs/{job.id}")).status_code == 400


@pytest.mark.parametrize("path", ["/api/jobs", "/api/cpu_benchmark", "/api/heartbeat", "/api/no_such_route"])
async def test_reading_with_a_cookie_is_for_our_own_pages_too(shared_api: Api, path: str) -> None:
    for page in (
        {"Origin": "http://evil.example"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "no-cors"},
        {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "cors"},
        {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"},
    ):
        async with shared_api.new_client({**page, **await session_of(shared_api)}) as client:
            assert (await client.get(path)).status_code == 403, page


async def test_a_link_leads_to_the_start_page_only_and_not_into_a_frame(shared_api: Api) -> None:
    link = {"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document"}
    async with shared_api.new_client({}) as client:
        page = await client.get("/", headers=link)
        framed = await client.get("/", headers={**link, "Sec-Fetch-Dest": "iframe"})
    assert page.status_code == 200
    assert page.headers["X-Frame-Options"] == "DENY"
    assert "frame-ancestors 'none'" in page.headers["Content-Security-Policy"]
    assert framed.status_code == 403


@pytest.mark.parametrize(
    ("method", "path"),
    [("GET", "/"), ("GET", "/api/jobs"), ("GET", "/api/status"), ("GET", "/api/nowhere"), ("POST", "/api/add_job")],
)
async def test_every_answer_tells_browsers_to_keep_it_to_themselves(shared_api: Api, method: str, path: str) -> None:
    for headers in ({}, await token_of(shared_api, Role.READ)):
        async with shared_api.new_client(headers) as client:
            answer: httpx.Response = await client.request(method, path)
        for name, value in (
            ("X-Content-Type-Options", "nosniff"),
            ("Referrer-Policy", "no-referrer"),
            ("Cross-Origin-Resource-Policy", "same-origin"),
            ("X-Frame-Options", "DENY"),
        ):
            assert answer.headers.get_list(name) == [value], (answer.status_code, name)
