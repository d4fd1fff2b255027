"""``zordon token`` and ``zordon login`` against a real service, and that nothing it says has a secret in it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import httpx
import pytest

from app.cli.exits import Exit
from app.cli.own_service import free_port, scrubbed
from tests.support.running_service import Service, command_of, run_zordon, running_service


@pytest.mark.slow
def test_a_token_from_making_to_revoking(service: Service) -> None:
    made = service.zordon("token", "add", "pipeline", "--role", "submit")
    assert made.code == Exit.OK, made.err
    secret = made.out.strip()
    assert re.fullmatch(r"zordon_[\w-]{43}", secret)
    assert "not shown again" in made.err
    assert secret not in made.err
    listed = service.zordon("token", "list")
    assert "pipeline" in listed.out
    assert "submit" in listed.out
    assert secret not in listed.out

    theirs = service.environment | {"ZORDON_TOKEN": secret}
    job = run_zordon(
        *("submit", "--renderer", "testpattern", "--frames", "1", "--start-at", "2035-01-01T00:00:00", "--json"),
        environment=theirs,
    )
    assert job.code == Exit.OK, job.err
    assert run_zordon("cancel", "last", environment=theirs).code == Exit.OK
    refused = run_zordon("token", "list", environment=theirs)
    assert refused.code == Exit.UNAUTHORIZED
    assert "role submit" in refused.err
    assert "admin" in refused.err

    revoked = service.zordon("token", "revoke", "pipeline")
    assert revoked.code == Exit.OK, revoked.err
    assert run_zordon("jobs", environment=theirs).code == Exit.UNAUTHORIZED
    assert service.zordon("token", "revoke", "pipeline").code == Exit.NOT_FOUND


def test_a_token_as_json(service: Service) -> None:
    made = service.zordon("token", "add", "screen", "--role", "read", "--days", "2", "--json").json
    assert isinstance(made, dict)
    assert made["role"] == "read"
    assert made["expires"]
    listed = service.zordon("token", "list", "--json").json
    assert isinstance(listed, list)
    assert made["id"] in [token["id"] for token in listed if isinstance(token, dict)]
    assert service.zordon("token", "revoke", str(made["id"])).code == Exit.OK


def test_a_name_that_is_taken(service: Service) -> None:
    refused = service.zordon("token", "add", "first", "--role", "read")
    assert refused.code == Exit.REFUSED
    assert "already" in refused.err


def test_login_prints_an_address_that_lets_a_browser_in_once(service: Service) -> None:
    address = service.zordon("login").out.strip()
    url, _, code = address.partition("/#code=")
    assert url == f"http://127.0.0.1:{service.port}"
    with httpx.Client(base_url=url, headers={"Origin": url}, timeout=60) as browser:
        assert browser.get("/").status_code == 200  # what the page does with the code: tests/web
        assert browser.post("/api/login", json={"code": code}).status_code == 200
        assert browser.get("/api/jobs").status_code == 200
        assert browser.post("/api/login", json={"code": code}).status_code == 401


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no pseudo-terminals of this kind")
def test_serve_shows_a_login_address_in_a_terminal(tmp_path: Path) -> None:
    import pty
    import subprocess

    port = free_port()
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        command_of("serve", "--port", str(port), "--data-dir", tmp_path),
        env=scrubbed(os.environ),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=theirs,
    )
    os.close(theirs)
    try:
        with os.fdopen(ours, "rb", buffering=0) as terminal:
            said = b""
            while b"#code=" not in said or not said.endswith(b"\n"):
                said += terminal.read(4096)
            found = re.search(r"(http://127\.0\.0\.1:\d+)/#code=([\w-]+)", said.decode())
            assert found
            url, code = found.groups()
            answer = httpx.post(f"{url}/api/login", json={"code": code}, headers={"Origin": url}, timeout=60)
            assert answer.status_code == 200
            process.terminate()
            process.wait(60)
    finally:
        process.kill()
        process.wait()


@pytest.mark.slow
def test_nothing_that_the_service_says_or_keeps_has_a_secret_in_it(tmp_path: Path) -> None:
    with running_service(tmp_path / "data", ZORDON_DEBUG="1") as running:
        secrets = [running.token, running.zordon("token", "add", "a", "--role", "admin").out.strip()]
        code = running.zordon("login").out.strip().partition("#code=")[2]
        secrets.append(code)
        url = f"http://127.0.0.1:{running.port}"
        answers = []
        with httpx.Client(base_url=url, headers={"Origin": url}, timeout=60) as browser:
            browser.post("/api/login", json={"code": code})
            secrets += [cookie.value or "" for cookie in browser.cookies.jar]
            answers.append(browser.post("/api/login", json={"code": code, "more": secrets[0]}))
            answers.append(browser.post("/api/login", content=b"{" + code.encode()))
        for secret in secrets:
            # Right and wrong, in the right and in wrong places.
            for headers in (
                {"Authorization": f"Bearer {secret}"},
                {"Authorization": f"Bearer {secret}x"},
                {"Authorization": f"Basic {secret}"},
                {"X-API-Token": secret, "X-API-Version": "nope"},
                {"X-API-Token": secret, "Host": "evil.example"},
            ):
                for path in ("/api/jobs/nope", "/api/nowhere", "/api/add_job", f"/api/tokens/{code[:5]}/revoke"):
                    answers.append(httpx.post(url + path, headers=headers, content=b"{", timeout=60))
        answers.append(httpx.get(f"{url}/api/tokens", headers={"Authorization": f"Bearer {secrets[0]}"}, timeout=60))
        log = running.data_dir / "service.log"
        assert "Zordon is ready" in log.read_text()
    kept = {path: path.read_bytes() for path in running.data_dir.rglob("*") if path.is_file() and path.name != "token"}
    assert {"audit.jsonl", "service.log", "zordon.db"} <= {path.name for path in kept}
    assert len(secrets) == 4
    for secret in secrets:
        assert len(secret) > 20
        assert [path.name for path, content in kept.items() if secret.encode() in content] == []
        assert [answer.text for answer in answers if secret in answer.text] == []
