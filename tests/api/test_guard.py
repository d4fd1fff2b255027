"""Who is let in: names, origins, versions, tokens; and what every answer carries."""

from __future__ import annotations

import pytest

from app.api.guard import Guard
from app.api.names import host_name, is_loopback, own_names
from app.settings import load_settings
from tests.api.conftest import TOKEN, Api, StartApi

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROUTES = [
    ("GET", "/api/jobs"),
    ("GET", "/api/jobs/long_poll"),
    ("GET", "/api/jobs/nope"),
    ("GET", "/api/events"),
    ("GET", "/api/status"),
    ("GET", "/api/engines/names"),
    ("GET", "/api/openapi.json"),
    ("GET", "/api/no_such_route"),
    ("POST", "/api/add_job"),
    ("POST", "/api/jobs/nope/delete"),
    ("OPTIONS", "/api/jobs"),
]


@pytest.mark.parametrize(("method", "path"), ROUTES)
async def test_no_route_answers_without_the_token(shared_api: Api, method: str, path: str) -> None:
    for headers in (
        {},
        {"Authorization": "Bearer wrong"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": TOKEN},
        {"X-API-Token": TOKEN[:-1]},
        {"X-API-Token": ""},
    ):
        async with shared_api.new_client(headers) as client:
            response = await client.request(method, path)
        assert response.status_code == 401
        assert response.headers["WWW-Authenticate"].startswith("Bearer")
        assert "token" in response.text


async def test_the_token_is_taken_from_either_header(shared_api: Api) -> None:
    for headers in ({"X-API-Token": TOKEN}, {"Authorization": f"bearer {TOKEN}"}):
        async with shared_api.new_client(headers) as client:
            assert (await client.get("/api/jobs")).status_code == 200


async def test_the_heartbeat_needs_no_token_but_a_right_name_and_no_foreign_page(shared_api: Api) -> None:
    async with shared_api.new_client({}) as client:
        assert (await client.get("/api/heartbeat")).status_code == 200
        assert (await client.get("/api/heartbeat", headers={"Host": "evil.example"})).status_code == 400
        assert (await client.get("/api/heartbeat", headers={"Origin": "https://evil.example"})).status_code == 403


@pytest.mark.parametrize(
    "host", ["localhost", "localhost:1", "127.0.0.1:8080", "LOCALHOST", "[::1]:8080", "localhost."]
)
async def test_a_name_of_this_machine_is_answered(shared_api: Api, host: str) -> None:
    assert (await shared_api.client.get("/api/jobs", headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.evil.example", "localhost@evil", "", "[::1", "192.168.7.7", "localhost:x", "a b"],
)
async def test_any_other_name_is_refused(shared_api: Api, host: str) -> None:
    response = await shared_api.client.get("/api/jobs", headers={"Host": host})
    assert response.status_code == 400
    assert "allowed_hosts" in response.text


async def test_further_names_come_from_the_settings(start_api: StartApi) -> None:
    async with start_api(allowed_hosts=["Farm.Studio.example"]) as api:
        assert (await api.client.get("/api/jobs", headers={"Host": "farm.studio.example:80"})).status_code == 200


async def test_with_lan_the_address_that_was_called_is_a_name(shared_api: Api, api_scope: dict[str, object]) -> None:
    there = {**api_scope, "server": ("192.168.7.7", 8080)}
    headers = {b"host": b"192.168.7.7:8080", b"authorization": f"Bearer {TOKEN}".encode()}
    listed = {**there, "headers": list(headers.items())}
    access, permissions = shared_api.parts.access, shared_api.application.api.state.permissions
    trust = shared_api.parts.trust
    on_lan = Guard(load_settings(lan=True), access, permissions, trust)
    assert on_lan.check(listed, headers) is None
    refusal = Guard(load_settings(), access, permissions, trust).check(listed, headers)
    assert refusal is not None
    assert refusal.field == "Host"
    other = {**headers, b"host": b"192.168.7.8:8080"}
    assert on_lan.check({**there, "headers": list(other.items())}, other) is not None


@pytest.fixture
def api_scope() -> dict[str, object]:
    """A request as a server tells of it."""
    return {"path": "/api/jobs", "query_string": b"", "method": "GET"}


@pytest.mark.parametrize("method", ["GET", "POST", "OPTIONS", "DELETE"])
@pytest.mark.parametrize(
    "origin", ["http://evil.example", "null", "http://127.0.0.1:8081", "http://localhost:8080", ""]
)
async def test_other_web_pages_are_refused_whatever_the_method(shared_api: Api, method: str, origin: str) -> None:
    response = await shared_api.client.request(method, "/api/jobs", headers={"Origin": origin})
    assert response.status_code == 403


async def test_our_own_origin_is_let_in(shared_api: Api) -> None:
    assert (await shared_api.client.get("/api/jobs", headers={"Origin": "http://127.0.0.1:8080"})).status_code == 200


@pytest.mark.parametrize("version", ["0.1", "0", "0.9", "00.1"])
async def test_the_same_major_version_is_let_in(shared_api: Api, version: str) -> None:
    assert (await shared_api.client.get("/api/jobs", headers={"X-API-Version": version})).status_code == 200


@pytest.mark.parametrize("version", ["1.0", "1", "10.1", "abc", "", "0.", "0.x", "-1", "9" * 3000])
async def test_another_major_version_or_none_at_all_is_refused(shared_api: Api, version: str) -> None:
    response = await shared_api.client.get("/api/jobs", headers={"X-API-Version": version})
    assert response.status_code == 400
    assert "0.1" in response.text
    assert len(response.text) < 300


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/api/jobs", 200),
        ("GET", "/api/heartbeat", 200),
        ("GET", "/api/status", 200),
        ("GET", "/api/jobs/nope", 400),
        ("GET", "/api/no_such_route", 404),
        ("GET", "/", 200),
        ("GET", "/nowhere", 404),
        ("DELETE", "/api/jobs", 405),
        ("GET", "/api/jobs?delta=perhaps", 400),
        ("POST", "/api/add_job", 400),
        ("GET", "/api/engines/nope", 404),
        ("GET", "/api/openapi.json", 200),
    ],
)
async def test_every_answer_carries_version_and_nosniff_once(
    shared_api: Api, method: str, path: str, status: int
) -> None:
    response = await shared_api.client.request(method, path)
    assert response.status_code == status
    assert response.headers.get_list("X-API-Version") == ["0.1"]
    assert response.headers.get_list("X-Content-Type-Options") == ["nosniff"]


async def test_headers_that_must_not_come_twice(shared_api: Api) -> None:
    for name in ("Authorization", "Origin", "X-API-Version"):
        twice = [(name, "x"), (name, "y")]
        response = await shared_api.client.get("/api/jobs", headers=twice)
        assert response.status_code == 400, name
        assert name.title() in response.text
    response = await shared_api.client.get("/api/jobs", headers=[("Accept", "text/plain"), ("Accept", "*/*")])
    assert response.status_code == 200


async def test_too_much_of_headers_or_path_is_refused(shared_api: Api) -> None:
    assert (await shared_api.client.get("/api/jobs", headers={f"X-{n}": "" for n in range(101)})).status_code == 431
    assert (await shared_api.client.get("/api/jobs", params={"token": "x" * 9000})).status_code == 414


async def test_host_names() -> None:
    for host in (b"", b":80", b"[]", b"[::1]x", b"[::1]:", b"a/b", b"a:b", b"a\xff", b"a..b@c"):
        assert host_name(host) == "" or host_name(host) not in own_names(load_settings()), host


async def test_loopback_is_the_peer_not_the_name() -> None:
    for address, local in (
        ("127.0.0.1", True),
        ("127.8.9.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("192.168.1.2", False),
        ("::ffff:192.168.1.2", False),
        ("not-an-address", False),
    ):
        assert is_loopback({"client": (address, 1)}) is local, address
    assert not is_loopback({"client": None})


async def test_the_start_page_is_open_and_says_nothing_of_the_node(shared_api: Api) -> None:
    job = await shared_api.submit(name="a-secret-shot")
    async with shared_api.new_client({}) as anyone:
        page = await anyone.get("/")
        assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html; charset=utf-8")
        assert "default-src 'none'" in page.headers["Content-Security-Policy"]
        assert "<title>Zordon</title>" in page.text
        settings = shared_api.parts.settings
        for secret in (TOKEN, str(settings.data_dir), settings.name, job.id, job.name):
            assert secret not in page.text
        assert (await anyone.get("/", headers={"Host": "evil.example"})).status_code == 400
        assert (await anyone.get("/", headers={"Origin": "https://evil.example"})).status_code == 403
        assert (await anyone.get("/index.html")).status_code == 401
    assert (await shared_api.client.get("/")).text == page.text
    await shared_api.client.post(f"/api/jobs/{job.id}/delete", params={"confirm": True})


async def test_the_redirect_of_cancel_leads_to_a_page(shared_api: Api) -> None:
    job = await shared_api.submit()
    cancelled = await shared_api.client.post(
        f"/api/jobs/{job.id}/cancel", params={"confirm": True, "redirect": True}, follow_redirects=True
    )
    assert [answer.status_code for answer in (*cancelled.history, cancelled)] == [302, 200]
    assert cancelled.url.path == "/"
    await shared_api.client.post(f"/api/jobs/{job.id}/delete", params={"confirm": True})
