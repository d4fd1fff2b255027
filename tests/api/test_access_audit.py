"""What the audit says of every change, that it is bounded and for its owner only, and that no secret is in it."""

from __future__ import annotations

import stat
import sys
from pathlib import Path
from typing import Any

import orjson
import pytest

from app.access.audit import AUDIT_FILE, Audit
from app.access.identity import Identity
from client.models import AccessKind, Role
from tests.api.access import session_of, token_of
from tests.api.conftest import BASE_URL, TOKEN, StartApi

SOMEBODY = Identity("a1b2", "somebody", Role.SUBMIT, AccessKind.TOKEN, b"")
JOB = {"renderer": "testpattern", "frames": "1", "scheduled_start": "2035-01-01T00:00:00Z"}


def lines_of(folder: Path) -> list[dict[str, Any]]:
    return [orjson.loads(line) for line in (folder / AUDIT_FILE).read_bytes().splitlines()]


async def test_every_change_is_written_down(start_api: StartApi, tmp_path: Path) -> None:
    async with start_api() as api:
        made = (await api.client.post("/api/tokens", json={"name": "pipeline", "role": "submit"})).json()
        async with api.new_client({"Authorization": f"Bearer {made['secret']}"}, peer="192.0.2.7") as client:
            [one, two] = (await client.post("/api/add_job", json=[JOB, JOB])).json()
            await client.post(f"/api/jobs/{one['id']}/cancel", params={"confirm": True})
            await client.post(f"/api/jobs/{one['id']}/delete", params={"confirm": True})
            await client.get("/api/jobs")
            await client.post("/api/nowhere")
        async with api.new_client({"Origin": BASE_URL, **await session_of(api)}) as browser:
            await browser.post(f"/api/jobs/{two['id']}/delete", params={"confirm": True})
            await browser.post("/api/logout")
        async with api.new_client({}) as browser:
            await browser.post("/api/login", json={"code": api.parts.access.browser_code()})
            await browser.post("/api/login", json={"code": "wrong"})
        await api.client.post(f"/api/tokens/{made['id']}/revoke")
    lines = lines_of(tmp_path / "data")
    told = [(line["who"], line["what"], line["from"], line["status"]) for line in lines]
    assert told == [
        ("first", "add_token", "127.0.0.1", 200),
        ("pipeline", "add_job", "192.0.2.7", 200),
        ("pipeline", "cancel_job", "192.0.2.7", 200),
        ("pipeline", "delete_job", "192.0.2.7", 403),
        ("browser of first", "delete_job", "127.0.0.1", 200),
        ("browser of first", "logout", "127.0.0.1", 200),
        ("browser of first", "login", "127.0.0.1", 200),
        ("first", "revoke_token", "127.0.0.1", 200),
    ]
    added, submitted, cancelled = lines[:3]
    assert (added["made"], added["name"], added["made_role"]) == (made["id"], "pipeline", "submit")
    assert (submitted["token"], submitted["role"], submitted["kind"]) == (made["id"], "submit", "token")
    assert submitted["jobs"] == [one["id"], two["id"]]
    assert cancelled["job_id"] == one["id"]
    assert lines[-1]["token_id"] == made["id"]
    assert all(line["at"].endswith("+00:00") for line in lines)


async def test_what_a_change_was_about_is_in_it(start_api: StartApi, tmp_path: Path) -> None:
    async with start_api() as api:
        job = await api.rendered()
        await api.client.post("/api/engines/delete", json={"engine": "blender", "version": "9.9"})
        await api.client.post("/api/engines/download", params={"engine": "nope", "version": "9.9"})
        await api.client.post("/api/engines/prune", params={"dry_run": True})
        await api.client.post("/api/_debug/clear_history")
    deleted, asked, pruned, cleared = lines_of(tmp_path / "data")[1:]
    assert (deleted["what"], deleted["engine"], deleted["version"]) == ("delete_engine_download", "blender", "9.9")
    assert (asked["what"], asked["engine"], asked["status"]) == ("download_engine", "nope", 404)
    assert (pruned["dry_run"], pruned["removed"]) == (True, [])
    assert (cleared["jobs"], cleared["job_count"]) == ([job.id], 1)


async def test_no_secret_is_in_it(start_api: StartApi, tmp_path: Path) -> None:
    async with start_api() as api:
        made = (await api.client.post("/api/tokens", json={"name": "a", "role": "admin"})).json()
        code = (await api.client.post("/api/login_code")).json()["code"]
        async with api.new_client({"Origin": BASE_URL}) as browser:
            await browser.post("/api/login", json={"code": code})
            cookie = browser.cookies[api.parts.access.cookie]
            await browser.post("/api/login_code")
        query = {"token": TOKEN, "code": code, "confirm": "true"}
        await api.client.post("/api/jobs/nope/delete", params=query)
    text = (tmp_path / "data" / AUDIT_FILE).read_text()
    assert len(text.splitlines()) == 5
    for secret in (TOKEN, made["secret"], code, cookie):
        assert secret not in text


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
async def test_it_is_for_its_owner_only_and_follows_no_link(start_api: StartApi, tmp_path: Path) -> None:
    async with start_api() as api:
        await token_of(api, Role.READ)
        await api.client.post("/api/add_job", json=JOB)
    file = tmp_path / "data" / AUDIT_FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    file.unlink()
    elsewhere = tmp_path / "elsewhere"
    elsewhere.write_text("mine")
    file.symlink_to(elsewhere)
    async with start_api() as again:
        assert (await again.client.post("/api/add_job", json=JOB)).status_code == 200
    assert elsewhere.read_text() == "mine"


async def test_it_is_bounded(tmp_path: Path) -> None:
    audit = Audit(tmp_path, 100_000)
    for round_ in range(20):
        audit.open()
        for number in range(100):
            audit.note(SOMEBODY, "add_job", "192.0.2.7", 200, {"number": round_ * 100 + number})
        await audit.close()
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [AUDIT_FILE, f"{AUDIT_FILE}.1"]
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) <= 100_000
    older = [orjson.loads(line)["number"] for line in (tmp_path / f"{AUDIT_FILE}.1").read_bytes().splitlines()]
    newer = [line["number"] for line in lines_of(tmp_path)]
    assert older + newer == list(range(older[0], 2000))  # the newest, in order, none missing


async def test_lines_that_the_disk_cannot_take_in_time_are_counted(tmp_path: Path) -> None:
    audit = Audit(tmp_path, 64 << 20)
    for _ in range(20_007):  # nobody writes yet
        audit.note(SOMEBODY, "add_job", "192.0.2.7", 200, {})
    audit.open()
    await audit.close()
    audit.open()
    audit.note(SOMEBODY, "add_job", "192.0.2.7", 200, {})
    await audit.close()
    lines = lines_of(tmp_path)
    assert len(lines) == 20_001
    assert lines[-1]["lines_lost_before"] == 7
