"""A project that its reader is never through with is refused after a while, and nobody else has to wait for it."""

from __future__ import annotations

from pathlib import Path

import orjson
import psutil
import pytest

from tests.api.conftest import StartApi

_PLUG_IN = """
import os
from collections.abc import Sequence
from pathlib import Path

from engines.contract import Engine, EngineCandidate, EngineOptions, InstallKind


class Stuck(Engine):
    name = "stuck"
    title = "Stuck"
    extensions = (".stuck",)
    output_formats = ("TXT",)
    options_model = EngineOptions

    def find_candidates(self, managed: Path) -> Sequence[EngineCandidate]:
        return [EngineCandidate(Path(__file__), InstallKind.SYSTEM, version="1.0")]

    def inspect(self, project):
        # Reads from a pipe into which nobody will ever write.
        Path(project.read_text()).write_text(str(os.getpid()))
        here, there = os.pipe()
        os.read(here, 1)

    def version_argv(self, candidate): return ()
    def parse_version(self, printed): return None
    def help_argv(self, version): return ()
    def plan(self, request): raise NotImplementedError
    def choose(self, wish, installed, fetchable): raise NotImplementedError
    def command(self, session, chunk): raise NotImplementedError
    def expected(self, session, chunk): return ()
    def parse(self, line): return ()
"""


@pytest.fixture
def stuck_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An installed package with an engine that hangs when it reads a project."""
    folder = tmp_path / "site"
    information = folder / "stuck_engine-1.0.dist-info"
    information.mkdir(parents=True)
    (folder / "stuck_engine.py").write_text(_PLUG_IN)
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: stuck-engine\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text("[zordon.engines]\nstuck = stuck_engine:Stuck\n")
    monkeypatch.syspath_prepend(folder)


@pytest.mark.usefixtures("stuck_engine")
async def test_a_project_that_makes_its_reader_hang_is_refused(start_api: StartApi, tmp_path: Path) -> None:
    told = tmp_path / "pid"
    async with start_api(inspect_seconds=1.5) as api:
        response = await api.client.post(
            "/api/add_job",
            data={"json": orjson.dumps({"renderer": "stuck"}).decode()},
            files={"file": ("endless.stuck", str(told).encode())},
            headers={"Accept": "application/json"},
        )
        assert response.status_code == 400, response.text
        assert response.json()["field"] == "file"
        assert "inspect_seconds" in response.json()["detail"]
        assert "endless.stuck" in response.json()["detail"]
        assert not psutil.pid_exists(int(told.read_text()))
        assert list(api.parts.folders.projects.iterdir()) == []
        assert (await api.rendered(frames="1")).file_count == 1
