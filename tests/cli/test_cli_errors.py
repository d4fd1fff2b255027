"""What the command line says and exits with when something is wrong: one sentence, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from app.cli.application import application
from app.cli.exits import MEANINGS, Exit
from app.cli.own_service import free_port, scrubbed
from tests.support.running_service import Service, run_zordon

COMMANDS = ["serve", "submit", "jobs", "watch", "logs", "get", "cancel", "delete", "engines", "status"]
COMMANDS += ["bench", "demo", "doctor"]


def nobody(tmp_path: Path) -> dict[str, str]:
    """An environment in which no service can be found."""
    found = {"ZORDON_PORT": str(free_port()), "ZORDON_DATA_DIR": str(tmp_path), "COLUMNS": "200"}
    return scrubbed(os.environ) | found


def test_help_names_every_command_and_every_exit_code(tmp_path: Path) -> None:
    ran = run_zordon("--help", environment=nobody(tmp_path))
    assert ran.code == Exit.OK
    assert all(f" {command} " in ran.out for command in COMMANDS)
    assert all(f"{code.value}  {meaning}" in ran.out for code, meaning in MEANINGS.items())


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str) -> None:
    ran = CliRunner().invoke(application, [command, "--help"])
    assert ran.exit_code == Exit.OK
    assert f" {command} " in ran.output.splitlines()[1]


def test_only_serve_loads_the_service() -> None:
    heavy = "{'fastapi', 'uvicorn', 'app.main', 'app.settings', 'av', 'OpenImageIO'}"
    program = f"import sys, app.cli.application; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("command", [["jobs"], ["status", "--json"], ["watch", "last"]])
def test_nobody_there(command: list[str], tmp_path: Path) -> None:
    ran = run_zordon(*command, environment=nobody(tmp_path))
    assert ran.code == Exit.UNREACHABLE
    assert "nothing answers at 127.0.0.1" in ran.err
    assert "connection refused" in ran.err
    assert ran.out == ""


@pytest.mark.parametrize(
    "command",
    [
        ["submit"],
        ["submit", "there-is-no-such-file.blend"],
        ["submit", "--renderer", "testpattern", "--arg", "width"],
        ["submit", "--renderer", "testpattern", "--arg", "width=1", "--arg", "width=2"],
        ["submit", "--renderer", "testpattern", "--priority", "101"],
        ["submit", "--renderer", "testpattern", "--start-at", "tomorrow"],
        ["jobs", "--status", "asleep"],
        ["serve", "--token", "short"],
        ["serve", "--host", "192.0.2.1"],
        ["nonsense"],
    ],
)
def test_what_is_not_understood(command: list[str], tmp_path: Path) -> None:
    ran = CliRunner().invoke(application, command, env=nobody(tmp_path))
    assert ran.exit_code == Exit.USAGE, ran.output
    assert ran.stderr != ""
    assert ran.stdout == ""


def test_a_wrong_token(service: Service) -> None:
    ran = run_zordon("--token", "this-is-not-the-token", "jobs", environment=service.environment)
    assert ran.code == Exit.UNAUTHORIZED
    assert "ZORDON_TOKEN" in ran.err


@pytest.mark.parametrize("command", ["watch", "logs", "get", "cancel"])
def test_no_such_job(service: Service, command: str) -> None:
    ran = service.zordon(command, "ffffffff-ffff")
    assert ran.code == Exit.NOT_FOUND
    assert "ffffffff-ffff" in ran.err


@pytest.mark.parametrize(
    ("arguments", "word"),
    [
        (["--renderer", "povray"], "povray"),
        (["--renderer", "testpattern", "--frames", "1..5"], "1..5"),
        (["--renderer", "testpattern", "--frames", "1-5", "--arg", "colour=red"], "colour"),
        (["--renderer", "testpattern", "--frames", "1-5", "--engine-version", "99"], "99"),
    ],
)
def test_what_the_service_refuses_is_said_in_its_words(service: Service, arguments: list[str], word: str) -> None:
    ran = service.zordon("submit", *arguments)
    assert ran.code in (Exit.REFUSED, Exit.NOT_FOUND)
    assert word in ran.err
    assert ran.out == ""
