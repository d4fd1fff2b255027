"""The client as the wheel ``zordon-client``: built, installed alone, imported and type-checked as ``zordon_client``."""

from __future__ import annotations

import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from zordon_client import JobCache, RenderServerProxy, find_target
from zordon_client.models import AddJob, Job

async def submit(node: RenderServerProxy) -> list[Job]:
    return await node.create_job(AddJob(frames="1-10"))

assert "client" not in sys.modules and "app" not in sys.modules
"""


def run(*command: str | Path, cwd: Path | None = None) -> str:
    """Run a program to its end; its output."""
    done = subprocess.run([str(part) for part in command], capture_output=True, text=True, cwd=cwd, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_the_client_works_alone(tmp_path: Path) -> None:
    run(sys.executable, "-m", "build", "--wheel", "--outdir", tmp_path, ROOT / "client")
    [wheel] = tmp_path.glob("zordon_client-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert {"zordon_client/py.typed", "zordon_client/models/jobs.py"} <= set(names)
    assert any(name.endswith("licenses/LICENSE") for name in names)
    assert all(name.startswith(("zordon_client/", "zordon_client-")) for name in names)
    assert not [name for name in names if "blender" in name], "the add-on is under another licence"

    run(sys.executable, "-m", "venv", tmp_path / "venv")
    python = tmp_path / "venv" / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    run(python, "-m", "pip", "install", "--quiet", wheel)
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    run(python, program, cwd=tmp_path)
    checked = run(
        *(sys.executable, "-m", "mypy", "--strict", "--python-executable", python, "--cache-dir", tmp_path / "cache"),
        *("--config-file", "", program),
        cwd=tmp_path,
    )
    assert "Success" in checked
