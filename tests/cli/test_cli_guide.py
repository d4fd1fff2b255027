"""The user guide says the same as the program."""

from __future__ import annotations

import re
from pathlib import Path

from app.cli.application import application
from app.cli.engines import engines_commands
from app.cli.exits import MEANINGS
from app.cli.token import token_commands

GUIDE = (Path(__file__).resolve().parents[2] / "docs" / "cli.md").read_text(encoding="utf-8")


def test_every_exit_code_is_in_the_guide() -> None:
    rows = dict(re.findall(r"^\| (\d+) \| (.+) \|$", GUIDE, re.MULTILINE))
    assert rows == {str(code.value): meaning for code, meaning in MEANINGS.items()}


def test_every_command_is_in_the_guide() -> None:
    commands = [command.name for command in application.registered_commands]
    commands += ["engines", *(f"engines {command.name}" for command in engines_commands.registered_commands)]
    commands += ["token", *(f"token {command.name}" for command in token_commands.registered_commands)]
    assert len(commands) >= 24
    assert all(f"zordon {name}" in GUIDE for name in commands)
