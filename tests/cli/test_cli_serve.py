"""``zordon serve`` as a process: what it says when it cannot start, and that it stops when it is told to."""

from __future__ import annotations

import os
import signal
import socket
import stat
import sys
import time
from pathlib import Path

import pytest

from app.cli.exits import Exit
from app.cli.own_service import free_port, scrubbed
from tests.support.running_service import Ran, Service, run_zordon, running_service


def serve(*arguments: str | Path, **environment: str) -> Ran:
    """Run it until it gives up; no traceback may be in what it says."""
    return run_zordon("serve", *arguments, environment=scrubbed(os.environ) | environment)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ran = serve("--port", str(port), "--data-dir", tmp_path)
    assert ran.code == Exit.SERVER
    assert f"127.0.0.1:{port}" in ran.err
    assert "in use" in ran.err


def test_a_data_folder_that_another_service_has(service: Service) -> None:
    ran = serve("--port", "0", ZORDON_DATA_DIR=str(service.data_dir))
    assert ran.code == Exit.SERVER
    assert "another Zordon" in ran.err


def test_a_data_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    ran = serve("--port", "0", "--data-dir", tmp_path / "file" / "data")
    assert ran.code == Exit.SERVER
    assert "cannot be written" in ran.err


def test_a_setting_that_is_none(tmp_path: Path) -> None:
    ran = serve("--data-dir", tmp_path, ZORDON_SLOTS="many")
    assert ran.code == Exit.USAGE
    assert "slots" in ran.err


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_ctrl_c_stops_it(service: Service, tmp_path: Path) -> None:
    process = service.start_zordon("serve", "--port", str(free_port()), "--data-dir", tmp_path / "mine")
    assert process.stderr is not None
    try:
        assert any("Zordon is ready" in line for line in process.stderr)
        process.send_signal(signal.SIGINT)
        _, err = process.communicate()
    finally:
        process.kill()
        process.wait()
    assert process.returncode == Exit.OK
    assert "Zordon has stopped" in err
    assert "Traceback" not in err


def test_a_command_finds_a_service_on_another_port(tmp_path: Path) -> None:
    with running_service(tmp_path) as other:
        address = tmp_path / "address"
        while not address.exists():  # it answers before it tells where
            time.sleep(0.01)
        assert address.read_text() == f"127.0.0.1:{other.port}\n"
        if sys.platform != "win32":
            assert stat.S_IMODE(address.stat().st_mode) == 0o600
        ran = run_zordon("status", "--json", environment=scrubbed(os.environ) | {"ZORDON_DATA_DIR": str(tmp_path)})
        assert ran.code == Exit.OK, ran.err
        assert isinstance(ran.json, dict)
        assert ran.json["port"] == other.port
    assert not address.exists()


@pytest.mark.parametrize("content", [b"slots: [", b"- a list", b"5", b"port: \xff", b"colour: red"])
def test_a_settings_file_that_is_none(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "settings.yaml").write_bytes(content)
    ran = serve("--port", "0", "--data-dir", tmp_path)
    assert ran.code == Exit.USAGE
    assert "settings.yaml" in ran.err or "colour" in ran.err
