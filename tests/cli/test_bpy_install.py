"""Installing PyPI's Blender: for real once, and what is left when it cannot be."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from app.cli.bpy_install import LIBRARIES, PYTHON, InstallFailed, find_installed, install_bpy, missing_libraries

right_python = pytest.mark.skipif(sys.version_info[:2] != PYTHON, reason="this bpy is built for another Python")


def installed(folder: Path, version: str) -> Path:
    """A folder that looks like an installed version."""
    place = folder / version / "bpy"
    place.mkdir(parents=True)
    (place / "__init__.so").touch()
    return folder / version


def test_the_newest_installed_version_is_found(tmp_path: Path) -> None:
    assert find_installed(tmp_path) is None
    (tmp_path / "4.9.0").mkdir()
    assert find_installed(tmp_path) is None
    installed(tmp_path, "4.5.9")
    newest = installed(tmp_path, "4.5.15")
    installed(tmp_path, ".bpy-half-made")
    assert find_installed(tmp_path) == newest


def test_libraries_that_are_missing_are_named_by_their_package() -> None:
    assert set(missing_libraries()) <= set(LIBRARIES.values())


@right_python
def test_what_cannot_be_installed_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(InstallFailed, match="No matching distribution"):
        install_bpy(tmp_path / "blender", lambda what, done, expected: None, "bpy==0.0.1")
    assert list((tmp_path / "blender").iterdir()) == []


@right_python
def test_a_folder_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        install_bpy(tmp_path / "file" / "blender", lambda what, done, expected: None)


@right_python
@pytest.mark.slow
@pytest.mark.blender
def test_blender_from_pypi_renders_from_its_folder(tmp_path: Path) -> None:
    seen: list[tuple[str, int, int | None]] = []
    place = install_bpy(tmp_path, lambda what, done, expected: seen.append((what, done, expected)))
    assert find_installed(tmp_path) == place
    assert [path.name for path in tmp_path.iterdir()] == [place.name]
    assert any(expected is not None for _, _, expected in seen)
    done = subprocess.run(
        [sys.executable, "-c", "import bpy; print(bpy.app.version_string)"],
        env=os.environ | {"PYTHONPATH": str(place)},
        capture_output=True,
        text=True,
        check=True,
    )
    assert place.name.startswith(done.stdout.split()[0].rpartition(".")[0])
