"""Tokens: made, used, kept over a restart, run out, revoked; what each may do with jobs; how often one may be wrong."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path

import pytest

from app.access.codes import CODE_SECONDS, LoginCodes
from app.access.identity import covers
from app.access.tokens import PREFIX, digest_of
from app.access.tries import WINDOW_SECONDS, FailedTries, network_of
from client.models import Login, NewToken, Role, TokenInfo
from tests.api.access import session_of, token_of
from tests.api.conftest import BASE_URL, TOKEN, Api, StartApi


def test_what_each_role_covers() -> None:
    assert [role for role in Role if covers(role, Role.READ)] == list(Role)
    assert [role for role in Role if covers(role, Role.SUBMIT)] == [Role.SUBMIT, Role.PEER, Role.ADMIN]
    assert [role for role in Role if covers(role, Role.PEER)] == [Role.PEER, Role.ADMIN]
    assert [role for role in Role if covers(role, Role.ADMIN)] == [Role.ADMIN]


async def test_a_token_is_shown_once_used_and_revoked(api: Api) -> None:
    answer = await api.client.post("/api/tokens", json={"name": "pipeline", "role": "submit"})
    assert answer.status_code == 200
    assert answer.headers["Cache-Control"] == "no-store"
    made = answer.json()
    assert made["secret"].startswith(PREFIX)
    listed = await api.client.get("/api/tokens")
    assert [token["name"] for token in listed.json()] == ["first", "pipeline"]
    assert made["secret"] not in listed.text
    assert TOKEN not in listed.text
    async with api.new_client({"Authorization": f"Bearer {made['secret']}"}) as client:
        assert (await client.get("/api/whoami")).json()["id"] == made["id"]
        assert (await client.get("/api/jobs")).status_code == 200
        revoked = await api.client.post(f"/api/tokens/{made['id']}/revoke")
        assert TokenInfo.model_validate(revoked.json()).name == "pipeline"
        assert (await client.get("/api/jobs")).status_code == 401
        assert (await client.get("/api/whoami")).status_code == 401
    assert (await api.client.post(f"/api/tokens/{made['id']}/revoke")).status_code == 404


async def test_only_the_digest_of_a_token_is_kept(start_api: StartApi, tmp_path: Path) -> None:
    async with start_api() as api:
        _, secret = await api.parts.access.tokens.add(NewToken(name="a", role=Role.READ), api.parts.access.tokens.first)
    rows = sqlite3.connect(tmp_path / "data" / "zordon.db").execute("SELECT digest, name FROM tokens").fetchall()
    assert rows == [(digest_of(secret.encode()), "a")]
    for path in (tmp_path / "data").rglob("*"):
        if path.is_file():
            assert secret.encode() not in path.read_bytes(), path


async def test_tokens_and_sessions_outlive_a_restart(start_api: StartApi) -> None:
    async with start_api() as api:
        token, cookie = await token_of(api, Role.SUBMIT), await session_of(api)
        listed = (await api.client.get("/api/tokens")).json()
    async with start_api() as again:
        assert (await again.client.get("/api/tokens")).json() == listed
        for headers, role in ((token, "submit"), (cookie, "admin")):
            async with again.new_client(headers) as client:
                assert (await client.get("/api/whoami")).json()["role"] == role


async def test_a_revoked_token_stays_revoked_after_a_restart(start_api: StartApi) -> None:
    async with start_api() as api:
        token = await token_of(api, Role.SUBMIT)
        for one in api.parts.access.tokens.all()[1:]:
            await api.parts.access.tokens.revoke(one.id)
    async with start_api() as again, again.new_client(token) as client:
        assert (await client.get("/api/jobs")).status_code == 401


async def test_a_token_runs_out(api: Api) -> None:
    made = (await api.client.post("/api/tokens", json={"name": "guest", "role": "read", "days": 2})).json()
    identity = next(one for one in api.parts.access.tokens.all() if one.id == made["id"])
    async with api.new_client({"Authorization": f"Bearer {made['secret']}"}) as client:
        assert (await client.get("/api/jobs")).status_code == 200
        assert identity.created is not None
        assert identity.expires == identity.created + 2 * 24 * 3600
        identity.expires = identity.created  # as if two days had passed
        assert (await client.get("/api/jobs")).status_code == 401
        assert (await client.get("/api/whoami")).status_code == 401
    assert [one["name"] for one in (await api.client.get("/api/tokens")).json()] == ["first"]
    assert (await api.client.post("/api/tokens", json={"name": "guest", "role": "read"})).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"name": "", "role": "read"}, "name"),
        ({"name": "a\nb", "role": "read"}, "name"),
        ({"name": " a", "role": "read"}, "name"),
        ({"name": "x" * 101, "role": "read"}, "name"),
        ({"name": "a", "role": "root"}, "role"),
        ({"name": "a"}, "role"),
        ({"name": "a", "role": "read", "days": 0}, "days"),
        ({"name": "a", "role": "read", "secret": "mine"}, "secret"),
    ],
)
async def test_a_token_that_cannot_be(api: Api, body: dict[str, object], field: str) -> None:
    answer = await api.client.post("/api/tokens", json=body, headers={"Accept": "application/json"})
    assert answer.status_code == 400
    assert answer.json()["field"] == field
    assert len(api.parts.access.tokens.all()) == 1


async def test_names_are_not_given_twice_even_at_once(api: Api) -> None:
    asked = [api.client.post("/api/tokens", json={"name": "a", "role": "read"}) for _ in range(5)]
    answers = await asyncio.gather(*asked)
    assert sorted(answer.status_code for answer in answers) == [200, 409, 409, 409, 409]
    assert (await api.client.post("/api/tokens", json={"name": "first", "role": "read"})).status_code == 409


async def test_the_first_token_is_not_revoked_by_a_call(api: Api) -> None:
    answer = await api.client.post("/api/tokens/first/revoke")
    assert answer.status_code == 409
    assert "file token" in answer.text
    assert (await api.client.get("/api/jobs")).status_code == 200


async def test_a_token_is_no_cookie_and_a_cookie_no_token(api: Api) -> None:
    cookie = await session_of(api)
    secret = cookie["Cookie"].partition("=")[2]
    name = api.parts.access.cookie
    for headers in (
        {"Authorization": f"Bearer {secret}"},
        {"X-API-Token": secret},
        {"Cookie": f"{name}={TOKEN}"},
        {"Cookie": f"other={secret}"},
        {"Cookie": f"{name}x={secret}"},
        {"Authorization": "Bearer wrong", **cookie},
    ):
        async with api.new_client(headers) as client:
            assert (await client.get("/api/jobs")).status_code == 401, headers
    async with api.new_client({"Cookie": f"a=b; {name}={secret}; c=d"}) as client:
        assert (await client.get("/api/jobs")).status_code == 200


async def test_another_first_token_lets_its_browsers_out_and_leaves_tokens(start_api: StartApi) -> None:
    async with start_api() as api:
        token, cookie = await token_of(api, Role.SUBMIT), await session_of(api)
    async with start_api(token="another-first-token") as again:
        for headers, status in ((token, 200), (cookie, 401), ({"Authorization": f"Bearer {TOKEN}"}, 401)):
            async with again.new_client(headers) as client:
                assert (await client.get("/api/jobs")).status_code == status
    async with start_api() as back, back.new_client(cookie) as client:
        assert (await client.get("/api/jobs")).status_code == 401


# --- whose job it is -------------------------------------------------------------------------------------------------


async def test_a_submitter_cancels_its_own_jobs_and_no_others(api: Api) -> None:
    others = await api.submit()
    async with api.new_client(await token_of(api, Role.SUBMIT)) as client:
        body = {"renderer": "testpattern", "frames": "1", "scheduled_start": "2035-01-01T00:00:00Z"}
        own = (await client.post("/api/add_job", json=body)).json()[0]["id"]
        refused = await client.post(f"/api/jobs/{others.id}/cancel", params={"confirm": True})
        assert refused.status_code == 403
        assert "another token" in refused.text
        cancelled = await client.post(f"/api/jobs/{own}/cancel", params={"confirm": True})
        assert cancelled.json()["status"] == "cancelled"
        assert (await client.post(f"/api/jobs/{own}/delete", params={"confirm": True})).status_code == 403
        assert (await client.post("/api/jobs/nope/cancel", params={"confirm": True})).status_code == 400
    assert (await api.client.get(f"/api/jobs/{others.id}")).json()["status"] == "scheduled"
    assert (await api.client.post(f"/api/jobs/{own}/cancel", params={"confirm": True})).status_code == 200


async def test_whose_a_job_is_outlives_a_restart(start_api: StartApi) -> None:
    body = {"renderer": "testpattern", "frames": "1", "scheduled_start": "2035-01-01T00:00:00Z"}
    async with start_api() as api:
        token = await token_of(api, Role.SUBMIT)
        async with api.new_client(token) as client:
            own = (await client.post("/api/add_job", json=body)).json()[0]["id"]
    async with start_api() as again, again.new_client(token) as client:
        assert (await client.post(f"/api/jobs/{own}/cancel", params={"confirm": True})).status_code == 200


async def test_a_token_has_so_many_live_jobs_and_no_more(start_api: StartApi) -> None:
    body = {"renderer": "testpattern", "frames": "1", "scheduled_start": "2035-01-01T00:00:00Z"}
    async with (
        start_api(max_live_jobs_per_token=3) as api,
        api.new_client(await token_of(api, Role.SUBMIT)) as client,
    ):
        answers = await asyncio.gather(*(client.post("/api/add_job", json=body) for _ in range(8)))
        assert sorted(answer.status_code for answer in answers) == [200] * 3 + [429] * 5
        refused = next(answer for answer in answers if answer.status_code == 429)
        assert "max_live_jobs_per_token" in refused.text
        # A form is refused before its upload is taken.
        form = {"json": (None, '{"renderer": "testpattern"}'), "file": ("a.zip", b"PK")}
        assert (await client.post("/api/add_job", files=form)).status_code == 429
        # Another token has its own three.
        assert (await api.client.post("/api/add_job", json=[body, body, body])).status_code == 200
        assert (await api.client.post("/api/add_job", json=body)).status_code == 429
        # An ended one makes room.
        ended = next(answer.json()[0]["id"] for answer in answers if answer.status_code == 200)
        await client.post(f"/api/jobs/{ended}/cancel", params={"confirm": True})
        assert (await client.post("/api/add_job", json=[body, body])).status_code == 429
        last = (await client.post("/api/add_job", json=body)).json()[0]["id"]
        # One that comes back takes room like a new one.
        refused = await client.post(f"/api/jobs/{ended}/retry")
        assert (refused.status_code, api.parts.jobs.status(ended)) == (429, "cancelled")
        assert "max_live_jobs_per_token" in refused.text
        await client.post(f"/api/jobs/{last}/cancel", params={"confirm": True})
        assert (await client.post(f"/api/jobs/{ended}/retry")).status_code == 200
    assert not list(api.parts.folders.uploads.iterdir())


# --- revoked while it waits ------------------------------------------------------------------------------------------


async def test_an_event_stream_ends_when_its_token_is_revoked(api: Api) -> None:
    made = (await api.client.post("/api/tokens", json={"name": "screen", "role": "read"})).json()
    stream = api.begin("/api/events", headers={"authorization": f"Bearer {made['secret']}"})
    await stream.start()
    await stream.until(b"event: jobs")
    await stream.listens.wait()
    await api.client.post(f"/api/tokens/{made['id']}/revoke")
    job = await api.submit()
    await stream.ended()
    while not stream.sent.empty():
        stream.body += await stream.piece()
    assert job.id.encode() not in stream.body


async def test_a_long_poll_tells_a_revoked_token_nothing(api: Api) -> None:
    made = (await api.client.post("/api/tokens", json={"name": "screen", "role": "read"})).json()
    query = f"token={api.parts.feed.token}"
    waiting = api.begin("/api/jobs/long_poll", query, headers={"authorization": f"Bearer {made['secret']}"})
    await waiting.listens.wait()
    await api.client.post(f"/api/tokens/{made['id']}/revoke")
    await api.submit()
    assert (await waiting.start())["status"] == 401


# --- wrong ones ------------------------------------------------------------------------------------------------------


async def test_an_address_that_shows_wrong_tokens_has_to_wait_but_a_right_one_never(start_api: StartApi) -> None:
    async with start_api(max_failed_tries=5) as api:
        async with api.new_client({"Authorization": "Bearer wrong-token-of-somebody"}) as client:
            statuses = [(await client.get("/api/jobs")).status_code for _ in range(7)]
            assert statuses == [401] * 5 + [429] * 2
            told = await client.get("/api/jobs")
            assert 1 <= int(told.headers["Retry-After"]) <= WINDOW_SECONDS
            assert "wrong-token" not in told.text
            assert (await client.get("/api/heartbeat")).status_code == 200
        # The same address with a right token, one not seen before, and without any.
        assert (await api.client.get("/api/jobs")).status_code == 200
        async with api.new_client(await token_of(api, Role.READ)) as client:
            assert (await client.get("/api/jobs")).status_code == 200
        async with api.new_client({}) as client:
            assert (await client.get("/api/jobs")).status_code == 401
            assert (await client.post("/api/login", json={"code": "wrong"})).status_code == 429
            login = await client.post("/api/login", json={"code": api.parts.access.browser_code()})
            assert login.status_code == 200
        # Another address has tries of its own.
        async with api.new_client({"X-API-Token": "wrong"}, peer="192.0.2.9") as client:
            assert (await client.get("/api/jobs")).status_code == 401


def test_tries_come_back_after_a_while_and_take_bounded_memory() -> None:
    now = [0.0]
    tries = FailedTries(2, lambda: now[0])
    assert [tries.failed("192.0.2.1") for _ in range(3)] == [None, None, 60]
    now[0] = 45.5
    assert tries.failed("192.0.2.1") == 15
    now[0] = 60.0
    assert tries.failed("192.0.2.1") is None
    for number in range(10_000):
        tries.failed(f"10.0.{number >> 8}.{number & 255}")
    assert len(tries._windows) <= 4096


def test_a_machine_is_one_address_however_many_it_has() -> None:
    assert network_of("2001:db8:1:2::1") == network_of("2001:db8:1:2:ffff::9") != network_of("2001:db8:1:3::1")


@pytest.mark.parametrize("token", ["", " ", "x" * 600, "Bearer", "\xff" * 20])
async def test_odd_tokens_are_wrong(api: Api, token: str) -> None:
    for name in ("Authorization", "X-API-Token", "Cookie"):
        async with api.new_client() as client:
            del client.headers["Authorization"]
            answer = await client.get("/api/jobs", headers=[(name.encode(), token.encode("latin-1"))])
        assert answer.status_code == 401


# --- browsers --------------------------------------------------------------------------------------------------------


async def test_a_code_lets_one_browser_in_once(api: Api) -> None:
    code = (await api.client.post("/api/login_code")).json()["code"]
    async with api.new_client({"Origin": BASE_URL, "Sec-Fetch-Site": "same-origin"}) as browser:
        answer = await browser.post("/api/login", json={"code": code})
        assert answer.status_code == 200
        assert answer.json()["role"] == "admin"
        cookie = answer.headers["Set-Cookie"]
        assert cookie.startswith(f"{api.parts.access.cookie}={PREFIX}")
        attributes = {part.strip().lower() for part in cookie.split(";")[1:]}
        assert {"httponly", "samesite=strict", "path=/"} <= attributes
        assert "secure" not in attributes
        assert code not in answer.text
        # httpx keeps the cookie, as a browser does.
        assert (await browser.get("/api/tokens")).status_code == 200
        again = await browser.post("/api/login", json={"code": code})
        assert again.status_code == 401
        assert "zordon login" in again.text
        out = await browser.post("/api/logout")
        assert (out.status_code, out.text) == (200, "success")
        assert "max-age=0" in out.headers["Set-Cookie"].lower()
        assert (await browser.get("/api/tokens")).status_code == 401
    async with api.new_client({"Cookie": cookie.partition(";")[0]}) as thief:
        assert (await thief.get("/api/jobs")).status_code == 401


async def test_under_https_the_cookie_is_for_https_only(api: Api) -> None:
    async with api.new_client({}) as browser:
        answer = await browser.post(
            BASE_URL.replace("http:", "https:") + "/api/login", json={"code": api.parts.access.browser_code()}
        )
    assert "secure" in answer.headers["Set-Cookie"].lower().split("; ")


async def test_under_https_a_page_that_came_without_is_foreign(api: Api) -> None:
    url = BASE_URL.replace("http:", "https:") + "/api/jobs"
    assert (await api.client.get(url, headers={"Origin": BASE_URL})).status_code == 403
    assert (await api.client.get(url, headers={"Origin": BASE_URL.replace("http:", "https:")})).status_code == 200


async def test_a_session_ends_with_the_token_that_let_it_in(api: Api) -> None:
    made = (await api.client.post("/api/tokens", json={"name": "boss", "role": "admin"})).json()
    async with api.new_client({"Authorization": f"Bearer {made['secret']}"}) as client:
        code = (await client.post("/api/login_code")).json()["code"]
        late = (await client.post("/api/login_code")).json()["code"]
    async with api.new_client({}) as browser:
        assert (await browser.post("/api/login", json={"code": code})).status_code == 200
        assert (await browser.get("/api/jobs")).status_code == 200
        await api.client.post(f"/api/tokens/{made['id']}/revoke")
        assert (await browser.get("/api/jobs")).status_code == 401
        assert (await browser.post("/api/login", json={"code": late})).status_code == 401


async def test_a_token_cannot_log_out(api: Api) -> None:
    assert (await api.client.post("/api/logout")).status_code == 400
    assert (await api.client.get("/api/jobs")).status_code == 200


async def test_a_code_is_good_for_ten_minutes(api: Api) -> None:
    now = [0.0]
    codes = LoginCodes(lambda: now[0])
    first = api.parts.access.tokens.first
    early, late = codes.make(first), codes.make(first)
    now[0] = CODE_SECONDS - 1
    assert codes.take(early) is first
    assert codes.take(early) is None
    now[0] = CODE_SECONDS
    assert codes.take(late) is None
    assert codes.take("no code") is None


async def test_codes_and_sessions_are_bounded(api: Api) -> None:
    access = api.parts.access
    codes = [access.browser_code() for _ in range(30)]
    assert await access.login(Login(code=codes[0])) is None
    assert await access.login(Login(code=codes[-1])) is not None
    for _ in range(205):
        await access.tokens.begin_session(access.tokens.first, Role.ADMIN)
    assert len(access.tokens.all()) == 201
