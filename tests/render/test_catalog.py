"""Engines are found through entry points, ours and those of other people; a broken one is named and skipped."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

_PLUG_IN = """
from collections.abc import Sequence
from pathlib import Path
from engines.contract import Engine, EngineCandidate, EngineOptions, InstallKind

class Guest(Engine):
    name = "guest"
    title = "Guest"
    extensions = (".guest",)
    output_formats = ("TXT",)
    options_model = EngineOptions

    def find_candidates(self, managed: Path) -> Sequence[EngineCandidate]:
        return [EngineCandidate(Path("/bin/true"), InstallKind.SYSTEM, version="7.1")]

    def version_argv(self, candidate): return ()
    def parse_version(self, printed): return None
    def help_argv(self, version): return ()
    def inspect(self, project): raise NotImplementedError
    def plan(self, request): raise NotImplementedError
    def choose(self, wish, installed, fetchable): raise NotImplementedError
    def command(self, session, chunk): raise NotImplementedError
    def expected(self, session, chunk): return ()
    def parse(self, line): return ()
"""

_ENTRY_POINTS = """[zordon.engines]
guest = guest_engine:Guest
broken = guest_engine:NotThere
missing = no_such_module:Engine
misnamed = guest_engine:Guest
"""

_LOOK = """
import asyncio, json
from pathlib import Path
from app.render.catalog import EngineCatalog
from app.settings import load_settings

async def look():
    catalog = EngineCatalog(load_settings(), Path("nowhere"))
    await catalog.refresh()
    versions = [version.version for version in catalog.versions("guest")]
    opened = catalog.for_filename("Shot.GUEST")
    print(json.dumps([sorted(catalog.engines), catalog.broken, versions, opened.name if opened else None]))

asyncio.run(look())
"""


def test_an_engine_of_somebody_else_is_found_and_a_broken_one_is_named(tmp_path: Path) -> None:
    import json

    (tmp_path / "guest_engine.py").write_text(_PLUG_IN)
    information = tmp_path / "guest_engine-1.0.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.1\nName: guest-engine\nVersion: 1.0\n")
    (information / "entry_points.txt").write_text(_ENTRY_POINTS)
    done = subprocess.run(
        [sys.executable, "-c", _LOOK],
        env={"PYTHONPATH": str(tmp_path), "PATH": "/usr/bin:/bin", "HOME": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    names, broken, versions, opened = json.loads(done.stdout.splitlines()[-1])
    assert {"guest", "blender", "ffmpeg", "testpattern"} <= set(names)
    assert set(broken) == {"broken", "missing", "misnamed"}
    assert "NotThere" in broken["broken"]
    assert "no_such_module" in broken["missing"]
    assert "misnamed" in broken["misnamed"]
    assert (versions, opened) == (["7.1"], "guest")
