"""A real ``zordon serve`` process for tests, one for a module, and the command line beside it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from pydantic import JsonValue

from app.cli.own_service import own_service, scrubbed
from client import RenderServerProxy
from tests.support.warm_commands import run_warm


@dataclass(frozen=True)
class Service:
    """A service that runs."""

    port: int
    token: str
    data_dir: Path

    def proxy(self) -> RenderServerProxy:
        """A client of it."""
        return RenderServerProxy("127.0.0.1", self.port, self.token, timeout=60)

    @property
    def environment(self) -> dict[str, str]:
        """An environment in which the command line finds it by itself, as on the machine of a user."""
        found = {"ZORDON_PORT": str(self.port), "ZORDON_DATA_DIR": str(self.data_dir), "COLUMNS": "200"}
        return scrubbed(os.environ) | found | {"PYTHONIOENCODING": "utf-8"}

    def zordon(self, *arguments: str | Path, cwd: Path | None = None, stdin: str = "") -> Ran:
        """Run one command to its end."""
        return run_zordon(*arguments, environment=self.environment, cwd=cwd, stdin=stdin)

    def start_zordon(self, *arguments: str | Path) -> subprocess.Popen[str]:
        """Start a command and leave it running; the caller ends it."""
        return subprocess.Popen(
            command_of(*arguments),
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )


@dataclass(frozen=True)
class Ran:
    """What a command did."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> JsonValue:
        """Its stdout as JSON."""
        value: JsonValue = json.loads(self.out)
        return value


def command_of(*arguments: str | Path) -> list[str]:
    """The command line as argv."""
    return [sys.executable, "-m", "app.cli", *(str(argument) for argument in arguments)]


def run_zordon(*arguments: str | Path, environment: dict[str, str], cwd: Path | None = None, stdin: str = "") -> Ran:
    """Run one command in exactly this environment."""
    if sys.platform == "win32":  # cannot fork
        done = subprocess.run(
            command_of(*arguments), env=environment, cwd=cwd, input=stdin, capture_output=True, text=True, check=False
        )
        ran = Ran(done.returncode, done.stdout, done.stderr)
    else:
        ran = Ran(*run_warm([str(argument) for argument in arguments], environment, cwd, stdin))
    assert "Traceback" not in ran.err, ran.err
    return ran


@contextmanager
def running_service(data_dir: Path, **settings: str) -> Iterator[Service]:
    """A service in a process of its own while the context lasts; settings as environment variables."""
    with asyncio.Runner() as runner:
        context = own_service(data_dir, {"ZORDON_ENGINE_SOURCES": "[]", **settings})
        node = runner.run(context.__aenter__())
        try:
            token = (data_dir / "token").read_text().strip()
            yield Service(node.connection.port, token, data_dir)
        finally:
            runner.run(context.__aexit__(None, None, None))
