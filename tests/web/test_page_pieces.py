"""The pieces of the page: their own tests, the compiler's word, and that its types are those of the API."""

from __future__ import annotations

import importlib.util
import subprocess
from pathlib import Path

import pytest

from tests.web.conftest import ROOT, WEB

pytestmark = pytest.mark.slow


def run(node: Path, script: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a tool of ``node_modules`` to its end."""
    command = [str(node), str(WEB / "node_modules" / script), *arguments]
    return subprocess.run(command, cwd=WEB, capture_output=True, text=True, check=False)


def test_the_tests_of_its_pieces(node_for_tests: Path) -> None:
    done = run(node_for_tests, "vitest/vitest.mjs", "run", "--no-color")
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_compiler_finds_nothing(node_for_tests: Path) -> None:
    done = run(node_for_tests, "vue-tsc/bin/vue-tsc.js", "--noEmit")
    assert done.returncode == 0, done.stdout + done.stderr


def test_its_types_are_those_of_the_api(node_for_tests: Path, tmp_path: Path) -> None:
    script = ROOT / "scripts" / "make_page_types.py"
    spec = importlib.util.spec_from_file_location("make_page_types", script)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    assert module.make_types(node_for_tests, tmp_path) == module.TYPES.read_text(encoding="utf-8"), (
        "the API has changed; run .venv/bin/python scripts/make_page_types.py"
    )


def test_the_lock_file_names_no_registry() -> None:
    lock = (WEB / "package-lock.json").read_text(encoding="utf-8")
    assert '"resolved"' not in lock
    assert '"integrity"' in lock


def test_the_first_screen_is_light(built_page: None) -> None:
    import gzip

    page = ROOT / "app" / "page"
    index = (page / "index.html").read_text(encoding="utf-8")
    first = [path for path in (page / "assets").iterdir() if f"/assets/{path.name}" in index]
    assert {path.suffix for path in first} >= {".js", ".css"}
    assert sum(len(gzip.compress(path.read_bytes(), 9)) for path in first) < 300_000
