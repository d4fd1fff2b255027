"""The page in what is installed: built once, in the wheel of the service, in no other; and what happens without npm."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from tests.web.conftest import ROOT, build

pytestmark = pytest.mark.slow


def test_the_wheel_has_the_page_and_not_what_it_is_made_of(built_page: None, tmp_path: Path) -> None:
    command = [sys.executable, "-m", "build", "--wheel", "--outdir", str(tmp_path), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    [wheel] = tmp_path.glob("zordon-*.whl")
    names = zipfile.ZipFile(wheel).namelist()
    assert "app/page/index.html" in names
    assert any(name.startswith("app/page/assets/index-") and name.endswith(".js") for name in names)
    assert [name for name in names if "node_modules" in name or name.startswith("client/web")] == []


def test_it_is_built_anew_only_when_its_sources_have_changed(built_page: None) -> None:
    assert build.is_current()
    index = build.PAGE / "index.html"
    before = index.stat().st_mtime_ns
    build.build()
    assert index.stat().st_mtime_ns == before


def test_without_the_registry_it_says_so_and_leaves_nothing_half_built(node_for_tests: Path, tmp_path: Path) -> None:
    copy = tmp_path / "client" / "web"
    shutil.copytree(build.WEB, copy, ignore=shutil.ignore_patterns("node_modules"))
    (tmp_path / "app").mkdir()
    nowhere = {"npm_config_registry": "http://127.0.0.1:9", "npm_config_cache": str(tmp_path / "cache")}
    done = subprocess.run(
        [sys.executable, copy / "build.py"], capture_output=True, text=True, check=False, env={**os.environ, **nowhere}
    )
    assert done.returncode == 1
    assert "The page could not be built" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "app" / "page" / "index.html").exists()
