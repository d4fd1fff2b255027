"""The service does what its OpenAPI document says, whatever it is sent: schemathesis, over a socket, with every role.

``ZORDON_SCHEMATHESIS_EXAMPLES`` (3, the same in every run) is how many random requests each operation gets beside the
systematic ones. From 50 on they are others in every run, and calls that follow each other are tried too.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from tests.support.running_service import Service, running_service

EXAMPLES = os.environ.get("ZORDON_SCHEMATHESIS_EXAMPLES", "3")
THOROUGH = int(EXAMPLES) >= 50

CONFIG = """
request-timeout = 60
continue-on-failure = true
warnings = false

[generation]
database = "none"
deterministic = {quick}
max-examples = {examples}

[phases.stateful]
enabled = {thorough}

# The document names these two: an engine that does not start or has no source, a full disk.
# A benchmark of the processor takes ten seconds.
[checks]
max_response_time = 60.0

[checks.not_a_server_error]
expected-statuses = ["2xx", "3xx", "4xx", 503, 507]

# An unknown job is 400 in this API; what a job, a frame set, an upload, a node, a login, a name or a version needs
# beyond its schema is 400 as well, and more than this node takes is 413, 429 or 507.
[[operations]]
include-path-regex = "/api/(jobs|frames|uploads|node|peers|pairing|add_job|login|logout|tokens|engines/(d|most))"
checks.positive_data_acceptance.expected-statuses = ["2xx", "3xx", 400, 401, 403, 404, 409, 413, 429, 503, 507]
{more}
"""
_ENDLESS = """
# Whose document calls it a text; schemathesis holds each event against that. See tests/client/test_event_stream.py.
[[operations]]
include-operation-id = "get_events"
enabled = false
"""
_SLOW = """
[[operations]]
include-operation-id = "run_cpu_benchmark"
enabled = false
"""
_ONE_JOB = """
[parameters]
"path.job_id" = "{job}"
"path.engine_name" = "testpattern"
"path.frame" = 2
engine = "blender"

[[operations]]
include-operation-id = "delete_job"
enabled = false

# The server ends the log of an ended job; that of a job that was taken up again is as long as the job.
[[operations]]
include-operation-id = "retry_job"
enabled = false
"""


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A real service whose waits are short, and that may be asked for anything."""
    with running_service(
        tmp_path_factory.mktemp("documented") / "data",
        ZORDON_LONG_POLL_SECONDS="0.1",
        ZORDON_BENCHMARK_DISK_BYTES=str(1 << 20),
        ZORDON_MAX_FAILED_TRIES="1000000",
    ) as service:
        yield service


def request(service: Service, path: str, body: object, method: str = "POST") -> httpx.Response:
    """A request of the administrator."""
    answer = httpx.request(
        method,
        f"http://127.0.0.1:{service.port}{path}",
        headers={"Authorization": f"Bearer {service.token}"},
        json=body,
        timeout=60,
    )
    answer.raise_for_status()
    return answer


def prove(service: Service, folder: Path, token: str | None, more: str) -> None:
    """Run schemathesis over the whole document, and say what it found."""
    url = f"http://127.0.0.1:{service.port}"
    document = httpx.get(f"{url}/api/openapi.json", headers={"Authorization": f"Bearer {service.token}"}, timeout=60)
    (folder / "openapi.json").write_bytes(document.raise_for_status().content)
    config = folder / "schemathesis.toml"
    switches = {"thorough": str(THOROUGH).lower(), "quick": str(not THOROUGH).lower()}
    config.write_text(CONFIG.format(examples=EXAMPLES, more=more, **switches))
    command = [sys.executable, "-m", "schemathesis.cli", "--config-file", str(config), "run", "openapi.json"]
    command += ["--url", url, "--checks", "all", "--no-color"]
    if token is not None:
        command += ["--header", f"Authorization: Bearer {token}"]
    ran = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout[-20_000:] + ran.stderr[-2000:]
    assert "Tested: " in ran.stdout


@pytest.mark.slow
@pytest.mark.parametrize("role", [None, "read", "submit", "peer", "admin"])
def test_every_answer_is_one_that_is_documented(service: Service, tmp_path: Path, role: str | None) -> None:
    token, more = None, ""
    if role is not None:
        more = _ENDLESS + (_SLOW if role == "admin" and not THOROUGH else "")
        token = request(service, "/api/tokens", {"name": f"schemathesis {role}", "role": role}).json()["secret"]
    prove(service, tmp_path, token, more)
    assert httpx.get(f"http://127.0.0.1:{service.port}/api/heartbeat", timeout=60).status_code == 200


@pytest.mark.slow
def test_every_answer_about_a_real_job_is_one_that_is_documented(service: Service, tmp_path: Path) -> None:
    # The administrator before may have left the node paused, or with hours in which it renders.
    request(service, "/api/node/resume", None)
    request(service, "/api/node", {"schedule": []}, "PATCH")
    body = {"renderer": "testpattern", "frames": "1-3", "args": {"width": 32, "height": 32}}
    job = request(service, "/api/add_job", body).json()[0]["id"]
    httpx.get(
        f"http://127.0.0.1:{service.port}/api/jobs/{job}/logs?follow=true",
        headers={"Authorization": f"Bearer {service.token}"},
        timeout=60,
    )
    prove(service, tmp_path, service.token, _ENDLESS + _SLOW + _ONE_JOB.format(job=job))
