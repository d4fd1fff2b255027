"""The doctor on this machine as it is, and on one that we spoil."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import psutil
import pytest

from app.cli.exits import Exit
from app.cli.own_service import free_port, scrubbed
from app.node.instance import InstanceLock
from tests.support.running_service import Ran, Service, run_zordon

CHECKS = ["python", "packages", "data folder", "token", "ffmpeg", "blender", "libraries", "port", "clock", "settings"]
CHECKS += ["user", "open files", "file system", "shm", "time order", "service", "leftovers", "set aside"]
CHECKS += ["https", "sources", "farm", "multicast", "nodes"]


def doctor(data_dir: Path, port: int, **environment: str) -> tuple[Ran, dict[str, dict[str, str]]]:
    """Run it; its findings by name."""
    found = {"ZORDON_PORT": str(port), "ZORDON_DATA_DIR": str(data_dir), "ZORDON_ENGINE_SOURCES": "[]"} | environment
    ran = run_zordon("doctor", "--json", environment=scrubbed(os.environ) | found)
    return ran, {finding["check"]: finding for finding in json.loads(ran.out)}


def test_this_machine_is_well(tmp_path: Path) -> None:
    ran, found = doctor(tmp_path / "new", free_port())
    assert list(found) == CHECKS
    assert ran.code == Exit.OK, ran.out
    assert not (tmp_path / "new").exists()


def test_a_running_service_has_its_port(service: Service) -> None:
    _, found = doctor(service.data_dir, service.port)
    assert "answers" in found["port"]["message"]
    assert found["token"]["verdict"] == "ok"


def test_a_port_that_another_program_has(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        ran, found = doctor(tmp_path, taken.getsockname()[1])
    assert ran.code == Exit.FAILED
    assert found["port"]["verdict"] == "missing"
    assert "--port" in found["port"]["mend"]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such modes")
def test_a_token_that_others_can_read(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("0123456789abcdef")
    (tmp_path / "token").chmod(0o644)
    ran, found = doctor(tmp_path, free_port())
    assert ran.code == Exit.FAILED
    assert found["token"]["mend"] == f"Run `chmod 600 {tmp_path / 'token'}`."


def test_a_data_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    ran, found = doctor(tmp_path / "file" / "data", free_port())
    assert ran.code == Exit.FAILED
    assert found["data folder"]["verdict"] == "missing"


def test_no_blender_is_a_note_and_says_how_to_get_one(tmp_path: Path) -> None:
    ran, found = doctor(tmp_path, free_port(), PATH=str(tmp_path))
    assert ran.code == Exit.OK
    assert found["blender"]["verdict"] == "note"
    assert "apt-get install blender" in found["blender"]["mend"]


def test_settings_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "settings.yaml").write_text("max_jobs: many")
    ran, found = doctor(tmp_path, free_port())
    assert ran.code == Exit.FAILED
    assert found["settings"]["verdict"] == "missing"
    assert "max_jobs" in found["settings"]["message"]


@pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="is about root")
def test_root_is_told_to_be_another(tmp_path: Path) -> None:
    assert doctor(tmp_path, free_port())[1]["user"]["verdict"] == "note"
    found = doctor(tmp_path, free_port(), ZORDON_ENGINE_USER="nobody")[1]
    assert found["user"]["verdict"] == "ok"


@pytest.mark.skipif(not Path("/dev/shm").is_dir(), reason="there is no folder in memory")
def test_a_data_folder_in_memory() -> None:
    with tempfile.TemporaryDirectory(dir="/dev/shm") as folder:
        found = doctor(Path(folder), free_port())[1]
    assert found["file system"]["verdict"] == "note"
    assert "tmpfs" in found["file system"]["message"]


def test_a_folder_from_the_future(tmp_path: Path) -> None:
    (tmp_path / "zordon.db").touch()
    os.utime(tmp_path / "zordon.db", (time.time() + 86_400, time.time() + 86_400))
    found = doctor(tmp_path, free_port())[1]
    assert found["time order"]["verdict"] == "note"
    assert "NTP" in found["time order"]["mend"]


def test_outputs_that_were_set_aside(tmp_path: Path) -> None:
    assert doctor(tmp_path, free_port())[1]["set aside"]["verdict"] == "ok"
    output = tmp_path / "set-aside" / "abc-20260101-000000-1f" / "output"
    output.mkdir(parents=True)
    (output / "frame_0001.png").write_bytes(bytes(2_000_000))
    found = doctor(tmp_path, free_port())[1]["set aside"]
    assert found["verdict"] == "note"
    assert "1 jobs" in found["message"]
    assert "2.0 MB" in found["message"]
    assert "set_aside_days" in found["mend"]


@pytest.mark.skipif(sys.platform == "win32", reason="other locks")
def test_a_service_that_has_the_folder_and_does_not_answer(tmp_path: Path) -> None:
    with InstanceLock(tmp_path):
        found = doctor(tmp_path, free_port())[1]
    assert found["service"]["verdict"] == "note"
    assert str(os.getpid()) in found["service"]["message"]
    assert doctor(tmp_path, free_port())[1]["service"]["verdict"] == "ok"


@pytest.mark.skipif(sys.platform == "win32", reason="POSIX sessions")
def test_an_engine_process_without_a_service(tmp_path: Path) -> None:
    code = "import os, time\nif os.fork() == 0:\n    os.setsid(); print(os.getpid(), flush=True); time.sleep(300)"
    environment = {**os.environ, "ZORDON_ATTEMPT": "gone-1"}
    parent = subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE, text=True)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    try:
        parent.wait(20)
        if psutil.Process(pid).ppid() != 1:
            pytest.skip("orphans do not go to init here")
        assert str(pid) in doctor(tmp_path, free_port())[1]["leftovers"]["message"]
    finally:
        os.kill(pid, signal.SIGKILL)
        parent.stdout.close()


def test_https_files_that_cannot_be(tmp_path: Path) -> None:
    absent = {"ZORDON_TLS_CERT": str(tmp_path / "cert.pem"), "ZORDON_TLS_KEY": str(tmp_path / "key.pem")}
    ran, found = doctor(tmp_path, free_port(), **absent)
    assert ran.code == Exit.FAILED
    assert "cert.pem" in found["https"]["message"]


def test_a_source_that_cannot_be_reached_is_only_a_note(tmp_path: Path) -> None:
    mirror = {"ZORDON_ENGINE_MIRRORS": json.dumps({"studio": f"http://127.0.0.1:{free_port()}/"})}
    ran, found = doctor(tmp_path, free_port(), **{**mirror, "ZORDON_ENGINE_SOURCES": json.dumps(["studio"])})
    assert ran.code == Exit.OK
    assert found["sources"]["verdict"] == "note"
    assert "studio" in found["sources"]["message"]
