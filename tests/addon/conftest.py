"""Blenders with the add-on in them, a service that they submit to, and a project to submit."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from app.version import APP_VERSION
from client.blender.archive import addon_archive, addon_file_name
from engines.blender.interpreters import interpreter_of
from engines.contract import InstallKind
from tests.support.blender_sessions import found
from tests.support.running_service import Service, running_service

SUPPORT = Path(__file__).parents[1] / "support"
_FOLDERS = ("RESOURCES", "CONFIG", "SCRIPTS", "DATAFILES", "EXTENSIONS")

Step = tuple[str, dict[str, Any]]


@dataclass(frozen=True)
class AddonBlender:
    """A Blender without a window, whose preferences and add-ons are in a folder of the tests."""

    kind: str
    argv: tuple[str, ...]
    environment: dict[str, str]
    home: Path
    addon: Path

    def script(self, script: str, *arguments: str | Path, environment: dict[str, str] | None = None) -> str:
        """Run one of the scripts in tests/support to its end; what it printed."""
        done = subprocess.run(
            [*self.argv, str(SUPPORT / script), "--", *map(str, arguments)],
            env=self.environment | (environment or {}),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
        return done.stdout + done.stderr

    def drive(self, *steps: Step, environment: dict[str, str] | None = None) -> list[Any]:
        """Install the add-on and take steps, see :mod:`tests.support.addon_driver`; what came of each."""
        asked, told = self.home / "steps.json", self.home / "answers.json"
        asked.write_text(json.dumps(steps))
        told.unlink(missing_ok=True)
        self.script("addon_driver.py", self.addon, asked, told, environment=environment)
        answers: list[Any] = json.loads(told.read_text())
        return answers


def _blender(kind: str, home: Path) -> AddonBlender:
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("PYTHON", "ZORDON"))}
    # Neither preferences nor a service of whoever runs the tests.
    for name in _FOLDERS:
        (home / name).mkdir(parents=True)
        environment[f"BLENDER_USER_{name}"] = str(home / name)
    environment["ZORDON_DATA_DIR"] = str(home / "no service")
    addon = home / addon_file_name(APP_VERSION)
    addon.write_bytes(addon_archive())
    if kind == "program":
        programs = found(Path("nowhere"), InstallKind.SYSTEM, "binary")
        if not programs:
            pytest.skip("no blender program on this machine: install the package 'blender'")
        argv = (str(programs[0].path), "-b", "--factory-startup", "--python-exit-code", "3", "--python")
        return AddonBlender(kind, argv, environment, home, addon)
    folder = os.environ.get("ZORDON_TEST_BPY", "")
    if not folder:
        pytest.skip("ZORDON_TEST_BPY names no folder with a bpy (pip install --target FOLDER bpy==4.5.*)")
    environment["PYTHONPATH"] = folder
    return AddonBlender(kind, (str(interpreter_of(Path(folder))),), environment, home, addon)


@pytest.fixture(scope="module", params=["program", "module"])
def blender(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> AddonBlender:
    """Each way to have a Blender: the system's program, before 4.2, and PyPI's module, after."""
    return _blender(request.param, tmp_path_factory.mktemp(f"addon-{request.param}"))


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service that has the Blenders of the tests; tests leave jobs of theirs in it."""
    settings = {}
    if folder := os.environ.get("ZORDON_TEST_BPY", ""):
        settings["ZORDON_ENGINE_PATHS"] = json.dumps({"blender": [folder]})
    with running_service(tmp_path_factory.mktemp("addon-service"), **settings) as running:
        yield running


@pytest.fixture(scope="module")
def studio(blender: AddonBlender, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a project, made by that Blender; see :mod:`tests.support.addon_project`."""
    folder = tmp_path_factory.mktemp("studio") / "studio"
    folder.mkdir()
    blender.script("addon_project.py", folder)
    return folder


@pytest.fixture
def nowhere() -> Iterator[int]:
    """A port of this machine where nothing listens, and nothing will."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound.getsockname()[1]
