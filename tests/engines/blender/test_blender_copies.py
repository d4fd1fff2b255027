"""Finding copies of Blender, their command lines, and what they say of themselves."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import OpenImageIO as oiio
import pytest

from engines.blender import BlenderOptions
from engines.blender.interpreters import interpreter_of, python_for
from engines.blender.versions import engine_id
from engines.contract import Chunk, EngineCandidate, EngineOptions, EngineVersion, InstallKind, Refusal, SessionRequest
from engines.frames import FrameSet
from tests.support.blender_sessions import ENGINE, FIXTURES

CHUNK = Chunk("one", (1,), Path("/out"))


def request(version: EngineVersion, options: EngineOptions | None = None, **more: object) -> SessionRequest:
    given = {"threads": None, "raw_arguments": (), "project": FIXTURES / "cycles.blend", **more}
    return SessionRequest(
        frames=FrameSet.parse("1-3"),
        version=version,
        options=options or BlenderOptions(),
        output_format="PNG",
        width=48,
        height=32,
        fps=24,
        details={},
        folder=Path("/scratch"),
        name="shot",
        **given,  # type: ignore[arg-type]  # the test's own keywords
    )


def fake_module(folder: Path, version: str, needs: str = "==3.11.*") -> Path:
    (folder / "bpy").mkdir(parents=True)
    information = folder / f"bpy-{version}.dist-info"
    information.mkdir()
    (information / "METADATA").write_text(f"Name: bpy\nVersion: {version}\nRequires-Python: {needs}\n")
    return folder


def fake_release(folder: Path, version: str = "4.5") -> Path:
    (folder / version / "datafiles" / "colormanagement").mkdir(parents=True)
    (folder / version / "datafiles" / "colormanagement" / "config.ocio").touch()
    program = folder / "blender"
    program.touch(mode=0o755)
    return program


def test_managed_copies_are_found_without_starting_them(tmp_path: Path) -> None:
    module = fake_module(tmp_path / "4.5.15", "4.5.15")
    direct = fake_release(tmp_path / "4.2.1", "4.2")
    nested = fake_release(tmp_path / "3.6.0" / "blender-3.6.0-linux-x64", "3.6")
    (tmp_path / "half" / "bpy").mkdir(parents=True)
    fake_module(tmp_path / ".being-installed", "5.0.0")
    (tmp_path / "not-a-release").mkdir()
    (tmp_path / "not-a-release" / "blender").touch(mode=0o755)
    managed = [one for one in ENGINE.find_candidates(tmp_path) if one.kind is InstallKind.MANAGED]
    assert {(one.path, one.flavour, one.version) for one in managed} == {
        (module, "bpy", "4.5.15"),
        (direct, "binary", None),
        (nested, "binary", None),
    }
    assert [one.path for one in ENGINE.find_candidates(module) if one.kind is InstallKind.MANAGED] == [module]


def test_a_program_on_path_is_found_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = fake_release(tmp_path / "somewhere")
    monkeypatch.setenv("PATH", str(program.parent))
    found = [one for one in ENGINE.find_candidates(tmp_path / "none") if one.path == program]
    assert found == [EngineCandidate(program, InstallKind.SYSTEM, "binary")]


@pytest.mark.skipif(sys.platform != "linux", reason="each system has its own usual places")
def test_copies_of_steam_and_of_the_home_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    steam = fake_release(tmp_path / ".local/share/Steam/steamapps/common/Blender")
    unpacked = fake_release(tmp_path / "blender-4.2.1-linux-x64", "4.2")
    found = {one.path: one.kind for one in ENGINE.find_candidates(tmp_path / "none")}
    assert found[steam] == found[unpacked] == InstallKind.SYSTEM


def test_each_module_gets_the_python_that_it_is_built_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    mine = f"=={sys.version_info[0]}.{sys.version_info[1]}.*"
    assert interpreter_of(fake_module(tmp_path / "mine", "1.0", mine)) == Path(sys.executable)
    python = tmp_path / "bin" / "python3.99"
    python.parent.mkdir()
    shim = tmp_path / "shims" / "python3.99"
    shim.parent.mkdir()
    for path in (python, shim):
        path.write_text("#!/bin/sh\n")
        path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{shim.parent}:{python.parent}")
    assert interpreter_of(fake_module(tmp_path / "other", "9.9", "==3.99.*")) == python
    monkeypatch.setenv("PATH", str(shim.parent))
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path / "pyenv"))
    assert python_for((3, 99)) is None
    nowhere = EngineVersion("blender", "9.9", tmp_path / "other", InstallKind.MANAGED, "linux", "x64", "bpy")
    with pytest.raises(Refusal, match=r"needs Python 3\.99") as caught:
        ENGINE.command(request(nowhere), CHUNK)
    assert caught.value.field == "engine_version"
    of_pyenv = tmp_path / "pyenv" / "versions" / "3.99.1" / "bin" / "python3.99"
    of_pyenv.parent.mkdir(parents=True)
    of_pyenv.touch()
    assert python_for((3, 99)) == of_pyenv


def test_the_command_line_of_a_program_is_closed_and_in_order() -> None:
    version = EngineVersion("blender", "4.2.0", Path("/opt/blender"), InstallKind.SYSTEM, "linux", "x64", "binary")
    options = BlenderOptions(render_engine="EEVEE", camera="-Cam 2", denoise=False, samples=8)
    argv = ENGINE.command(request(version, options, threads=2, raw_arguments=("-y",)), CHUNK).argv
    project = argv.index(str(FIXTURES / "cycles.blend"))
    for early in ("--background", "--factory-startup", "--disable-autoexec", "--python-exit-code", "--threads"):
        assert argv.index(early) < project
    assert project < argv.index("--python") < argv.index("--")
    assert argv.index("-y") < argv.index("--disable-autoexec")
    runner = argv[argv.index("--") + 1 :]
    assert runner[runner.index("--engine") + 1] == "BLENDER_EEVEE_NEXT"
    assert "--camera=-Cam 2" in runner
    with pytest.raises(Refusal):
        ENGINE.command(request(version, raw_arguments=("--", "x")), CHUNK)


def test_a_module_takes_no_raw_arguments(module: EngineVersion) -> None:
    with pytest.raises(Refusal, match="takes none"):
        ENGINE.command(request(module, raw_arguments=("-y",)), CHUNK)


@pytest.mark.parametrize(
    ("name", "version", "engine"),
    [
        ("EEVEE", "3.4.1", "BLENDER_EEVEE"),
        ("EEVEE", "4.2.23", "BLENDER_EEVEE_NEXT"),
        ("BLENDER_EEVEE", "4.5.15 LTS", "BLENDER_EEVEE_NEXT"),
        ("BLENDER_EEVEE_NEXT", "5.0.1", "BLENDER_EEVEE"),
        ("WORKBENCH", "5.0", "BLENDER_WORKBENCH"),
        ("CYCLES", "3.4", "CYCLES"),
    ],
)
def test_names_of_render_engines(name: str, version: str, engine: str) -> None:
    assert engine_id(name, version) == engine


def test_versions_as_printed() -> None:
    assert ENGINE.parse_version("Blender 3.4.1\n\tbuild date: 2023\n") == "3.4.1"
    assert ENGINE.parse_version("AL lib: warning\nBlender 4.5.15 LTS\n") == "4.5.15"
    assert ENGINE.parse_version("Blender 2.93 (sub 0)") == "2.93"
    assert ENGINE.parse_version("ffmpeg version 5.1") is None


@pytest.mark.blender
@pytest.mark.slow
def test_a_copied_command_line_works_in_a_terminal(blender: EngineVersion, tmp_path: Path) -> None:
    line = shlex.join(ENGINE.command(request(blender), CHUNK).argv)
    chunk = Chunk("by-hand", (2,), tmp_path)
    shell = shutil.which("sh")
    assert shell
    done = subprocess.run([shell, "-c", line], input=ENGINE.feed(chunk), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    events = [event for text in done.stdout.decode().splitlines() for event in ENGINE.parse(text)]
    assert events[0].__class__.__name__ == "Ready"
    assert [path.name for path in tmp_path.iterdir()] == ["shot_0002.png"]


@pytest.mark.blender
def test_a_copy_tells_what_it_can(blender: EngineVersion) -> None:
    (argv,) = ENGINE.info_commands(blender)
    done = subprocess.run(argv, capture_output=True, text=True, check=True)
    facts = ENGINE.parse_info(done.stdout)
    assert str(facts["version"]).startswith(blender.version)
    assert isinstance(facts["devices"], list)
    assert any(isinstance(device, dict) and device["type"] == "CPU" for device in facts["devices"])
    assert isinstance(facts["denoiser"], bool)
    assert ENGINE.parse_version(done.stdout) == blender.version
    assert ENGINE.parse_info("no facts here") == {}
    assert ENGINE.parse_info("ZORDON_FACTS {") == {}


@pytest.mark.blender
def test_help_is_only_asked_of_programs(program: EngineVersion) -> None:
    done = subprocess.run(ENGINE.help_argv(program), capture_output=True, text=True, check=True)
    assert "--disable-autoexec" in done.stdout


@pytest.mark.blender
def test_the_colours_of_a_copy_show_linear_pictures(blender: EngineVersion) -> None:
    config = ENGINE.colour_config(blender)
    assert config is not None
    grey = oiio.ImageBufAlgo.fill((0.18, 0.18, 0.18), roi=oiio.ROI(0, 2, 0, 2, 0, 1, 0, 3))
    shown = oiio.ImageBufAlgo.ociodisplay(grey, "sRGB", "Filmic", "scene_linear", colorconfig=str(config))
    assert not shown.has_error, shown.geterror()
    assert 0.3 < shown.getpixel(0, 0)[0] < 0.7
