"""The doctor on this machine as it is, and on one that we spoil."""

from __future__ import annotations

import json
import os
import socket
import sys
from pathlib import Path

import pytest

from app.cli.exits import Exit
from app.cli.own_service import free_port, scrubbed
from tests.support.running_service import Ran, Service, run_zordon

CHECKS = ["python", "packages", "data folder", "token", "ffmpeg", "blender", "libraries", "port", "clock"]


def doctor(data_dir: Path, port: int, **environment: str) -> tuple[Ran, dict[str, dict[str, str]]]:
    """Run it; its findings by name."""
    found = {"ZORDON_PORT": str(port), "ZORDON_DATA_DIR": str(data_dir)} | environment
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
