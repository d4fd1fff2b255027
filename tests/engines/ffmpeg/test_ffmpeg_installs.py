"""Finding copies of FFmpeg without starting one, and reading what a started one prints."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from engines.contract import EngineVersion, InstallKind
from engines.ffmpeg import FFmpegEngine

ENGINE = FFmpegEngine()


def test_embedded_copy_comes_first_and_tells_its_version(embedded: EngineVersion, tmp_path: Path) -> None:
    first = ENGINE.find_candidates(tmp_path)[0]
    assert first.kind is InstallKind.EMBEDDED
    printed = subprocess.run(ENGINE.version_argv(first), capture_output=True, text=True, check=True).stdout
    assert ENGINE.parse_version(printed) == first.version == embedded.version


def test_managed_copies_are_found_in_their_folders(tmp_path: Path) -> None:
    for place in ("7.1/ffmpeg", "8.0/bin/ffmpeg", "9.0/ffmpeg-9.0-static/bin/ffmpeg", "broken/readme.txt"):
        program = tmp_path / place
        program.parent.mkdir(parents=True)
        program.write_text("#!/bin/sh\n")
        program.chmod(0o755)
    (tmp_path / "not-runnable").mkdir()
    (tmp_path / "not-runnable" / "ffmpeg").write_text("")
    managed = [item.path for item in ENGINE.find_candidates(tmp_path) if item.kind is InstallKind.MANAGED]
    assert [path.relative_to(tmp_path).parts[0] for path in managed] == ["7.1", "8.0", "9.0"]


def test_system_copy_is_found_on_path_and_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "ffmpeg"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    found = [item.path for item in ENGINE.find_candidates(tmp_path / "none") if item.kind is InstallKind.SYSTEM]
    assert found[0] == program
    assert len({path.resolve() for path in found}) == len(found)


@pytest.mark.parametrize(
    ("printed", "version"),
    [
        ("ffmpeg version n9.0.2-17-g2a571b6068-20260930 Copyright (c) 2000-2026", "9.0.2"),
        ("ffmpeg version 5.1.9-0+deb12u1 Copyright (c) 2000-2026", "5.1.9"),
        ("ffmpeg version 7.1 Copyright (c) 2000-2024", "7.1"),
        ("ffmpeg version N-118193-g5f38c82536 Copyright\nlibavutil 59. 1\nlibavcodec     61. 31.101 / 61", "7.0"),
        ("ffmpeg version 2024-12-19-git-494c961379-full_build\n  libavcodec     61. 27.101 / 61. 27.101", "7.0"),
        ("ffprobe version 5.1.9", None),
        ("Blender 3.4.1", None),
        ("", None),
    ],
)
def test_version_that_is_printed(printed: str, version: str | None) -> None:
    assert ENGINE.parse_version(printed) == version


def test_a_copy_behind_the_walls_of_flatpak_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for folder in ("flatpak/exports/bin", "bin"):
        (tmp_path / folder).mkdir(parents=True)
        (tmp_path / folder / "ffmpeg").touch(mode=0o755)
        monkeypatch.setenv("PATH", str(tmp_path / folder))
        found = [one.path for one in ENGINE.find_candidates(tmp_path / "none")]
        assert (tmp_path / folder / "ffmpeg" in found) is (folder == "bin")


def test_info_and_help_of_a_real_copy(version: EngineVersion) -> None:
    printed = [
        subprocess.run(argv, capture_output=True, text=True, check=True).stdout
        for argv in ENGINE.info_commands(version)
    ]
    info = ENGINE.parse_info("\n".join(printed))
    assert {"libx264", "libx265", "libsvtav1", "prores_ks", "dnxhd", "gif", "png"} <= set(info["video_encoders"])
    assert {"aac", "libopus", "pcm_s24le"} <= set(info["audio_encoders"])
    assert "libx264" not in info["hardware_encoders"]
    accelerations = info["hardware_acceleration"]
    assert isinstance(accelerations, list)
    assert all(name.islower() and name.isalnum() for name in accelerations)
    listed = subprocess.run((str(version.path), "-hwaccels"), capture_output=True, text=True, check=True).stdout
    assert set(accelerations) <= set(listed.split())
    assert ("vaapi" in accelerations) is ("vaapi" in listed)
    helped = subprocess.run(ENGINE.help_argv(version), capture_output=True, text=True, check=True).stdout
    assert "usage: ffmpeg" in helped


def test_importing_the_engine_loads_no_library_of_media() -> None:
    script = (
        "import sys, engines.ffmpeg; print([m for m in ('av', 'numpy', 'imageio_ffmpeg', 'PIL') if m in sys.modules])"
    )
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == "[]"
