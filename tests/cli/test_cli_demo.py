"""The demo, for real: its own service, its own projects, pictures and previews at the end, nothing left running."""

from __future__ import annotations

import os
from pathlib import Path

import psutil
import pytest
from PIL import Image

from app.cli.exits import Exit
from app.cli.own_service import scrubbed
from tests.support.running_service import Ran, run_zordon


def demo(tmp_path: Path, *arguments: str) -> Ran:
    """Run it, its scratch folders under ``tmp_path``."""
    (tmp_path / "scratch").mkdir()
    environment = scrubbed(os.environ) | {"TMPDIR": str(tmp_path / "scratch"), "COLUMNS": "200"}
    ran = run_zordon("demo", *arguments, "--output", tmp_path / "out", environment=environment)
    assert ran.code == Exit.OK, ran.out + ran.err
    assert not list((tmp_path / "scratch").glob("zordon-demo-*"))
    assert not [
        process
        for process in psutil.process_iter(["cmdline"])
        if str(tmp_path) in " ".join(process.info["cmdline"] or [])
    ]
    return ran


@pytest.mark.slow
def test_without_blender(tmp_path: Path) -> None:
    ran = demo(tmp_path, "--no-blender")
    assert len(list((tmp_path / "out" / "testpattern").glob("*.png"))) == 24
    assert list((tmp_path / "out" / "ffmpeg").glob("lanterns*.mp4"))
    assert (tmp_path / "out" / "testpattern" / "preview.mp4").stat().st_size > 1000
    assert str(tmp_path / "out") in ran.out


@pytest.mark.slow
@pytest.mark.blender
def test_with_blender(tmp_path: Path) -> None:
    demo(tmp_path, "--frames", "1-2")
    pictures = list((tmp_path / "out" / "blender").glob("*.png"))
    assert len(pictures) == 2
    assert all(Image.open(picture).size[0] > 100 for picture in pictures)
