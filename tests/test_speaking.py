"""What the service says of itself: one line an event, in both forms, and never a secret."""

from __future__ import annotations

import http.client
import io
import json
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from app.speaking import HIDDEN, Hide, configure
from tests.support.running_service import running_service

MADE = "zordon_Zm9vYmFyYmF6cXV1eGZvb2JhcmJhenF1dXg"


@pytest.fixture(autouse=True)
def _as_before() -> Iterator[None]:
    handlers, level = logging.root.handlers[:], logging.root.level
    yield
    logging.captureWarnings(False)
    logging.root.handlers[:], logging.root.level = handlers, level
    structlog.reset_defaults()


@pytest.mark.parametrize(
    "text",
    [
        MADE,
        f"Authorization: Bearer {MADE}",
        "authorization: bearer an-old-token-of-sixteen",
        "X-API-Token: an-old-token-of-sixteen",
        "Cookie: zordon_12345678=an-old-token-of-sixteen; other=1",
        "http://127.0.0.1:8080/#code=an-old-token-of-sixteen",
        "it was an-old-token-of-sixteen after all",
    ],
)
def test_no_secret_gets_through_whoever_says_it(text: str) -> None:
    hide = Hide(lambda: ("", "an-old-token-of-sixteen"))
    said = str(hide(None, "info", {"event": text, "inner": {"list": [text, Path(text)]}, "count": 3}))
    assert "an-old-token" not in said
    assert MADE not in said
    assert said.count(HIDDEN) >= 3
    assert "'count': 3" in said


def test_a_terminal_is_not_told_what_to_do() -> None:
    assert Hide()(None, "info", {"event": "\x1b]0;title\x07\u009b31m"}) == {"event": r"\x1b]0;title\x07\x9b31m"}


def test_json_is_one_object_a_line_also_for_libraries_and_tracebacks() -> None:
    stream = io.StringIO()
    configure("json", "info", lambda: ("a-secret-of-mine",), stream)
    log = structlog.get_logger("a test")
    log.info("it begins", job="0123")
    log.debug("not said")
    logging.getLogger("a.library").warning("it has a-secret-of-mine")
    logging.getLogger("a.library").info("not said")
    try:
        raise ValueError("a-secret-of-mine")
    except ValueError:
        log.exception("it fails", job="0123")
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["event"] for line in lines] == ["it begins", f"it has {HIDDEN}", "it fails"]
    assert [line["level"] for line in lines] == ["info", "warning", "error"]
    assert lines[0]["job"] == "0123"
    assert f"ValueError: {HIDDEN}" in lines[2]["exception"]
    assert all(re.match(r"\d{4}-\d\d-\d\dT", line["timestamp"]) for line in lines)


def test_only_what_is_important_enough_is_said() -> None:
    stream = io.StringIO()
    configure("console", "error", stream=stream)
    structlog.get_logger("a test").warning("not said")
    logging.getLogger("a.library").warning("not said")
    structlog.get_logger("a test").error("said")
    assert len(stream.getvalue().splitlines()) == 1


@pytest.mark.slow
@pytest.mark.parametrize("form", ["json", "console"])
def test_a_service_that_is_driven_with_secrets_says_none_of_them(tmp_path: Path, form: str) -> None:
    farm = "what-only-the-farm-knows"
    settings = {"ZORDON_LOG_FORMAT": form, "ZORDON_REQUEST_LOG": "true", "ZORDON_LOG_LEVEL": "debug"}
    settings["ZORDON_FARM_SECRET"] = farm
    with running_service(tmp_path / "data", **settings) as service:

        def ask(method: str, path: str, headers: dict[str, str], body: str | None = None) -> tuple[int, str]:
            connection = http.client.HTTPConnection("127.0.0.1", service.port, timeout=60)
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            told = answer.read().decode()
            connection.close()
            return answer.status, told

        admin = {"Authorization": f"Bearer {service.token}", "Content-Type": "application/json"}
        status, told = ask("POST", "/api/tokens", admin, '{"name": "artist", "role": "submit"}')
        assert status == 200, told
        [made] = re.findall(r"zordon_[\w-]{20,}", told)
        status, told = ask("POST", "/api/login_code", admin)
        assert status == 200, told
        code = json.loads(told)["code"]
        status, told = ask("POST", "/api/pairing", admin)
        assert status == 200, told
        pairing = json.loads(told)["code"]
        wrong = "wrong-secret-of-somebody"
        assert ask("GET", "/api/jobs", {"Authorization": f"Bearer {wrong}"})[0] == 401
        assert ask("GET", "/api/jobs", {"X-API-Token": wrong})[0] == 401
        assert ask("GET", "/api/jobs", {"Cookie": f"zordon_12345678={wrong}"})[0] == 401
        assert ask("GET", f"/api/jobs?token={wrong}", {"Authorization": f"Bearer {made}"})[0] == 200
        assert ask("GET", f"/api/jobs?farm={farm}", admin)[0] == 200
        for named in ({"code": pairing, "address": "127.0.0.1:1"}, {"code": pairing, "farm": farm}):
            assert ask("POST", "/api/pairing/join", admin, json.dumps(named))[0] >= 400
        ask("POST", "/api/login", {"Content-Type": "application/json"}, json.dumps({"code": wrong}))
        ask("POST", "/api/login", {"Content-Type": "application/json"}, json.dumps({"code": code}))
        secrets = [service.token, made, code, wrong, farm, pairing, pairing.replace("-", "")]
    said = (tmp_path / "data" / "service.log").read_text("utf-8")
    assert [secret for secret in secrets if secret in said] == []
    assert said.count("/api/jobs") >= 4
    assert "Zordon has stopped" in said
    if form == "json":
        events = [json.loads(line) for line in said.splitlines()]
        refused = [event for event in events if event.get("path") == "/api/jobs" and event["status"] == 401]
        assert len(refused) == 3
        assert {event["token"] for event in events if event.get("status") == 200} - {None, "first"}
