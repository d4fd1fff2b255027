"""Engines from package indexes: a small index on this machine, and the one that pip is configured for."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import socket
import subprocess
import sys
import zipfile
from pathlib import Path

import psutil
import pytest

from app.installs.source import Phase, SourceError
from app.installs.sources import PythonPackages, pip
from app.node.platforms import cpu_name, system_os
from engines.blender.interpreters import module_metadata
from engines.contract import InstallKind
from engines.ffmpeg.installs import find_candidates
from engines.installs.release import Packaging, Release
from tests.support.scripted_server import Reply, Request, scripted_server

HERE = (system_os(), cpu_name())
PYTHON = Path(sys.executable)


def arguments(process: psutil.Process) -> list[str]:
    """How a process was called; nothing if it has ended meanwhile."""
    try:
        return process.cmdline()
    except psutil.Error:
        return []


def ignore(phase: Phase, done: int, total: int | None) -> None:
    """Progress that nobody looks at."""


def wheel(name: str, version: str, files: dict[str, str]) -> tuple[str, bytes]:
    """A pure wheel: its file name and its bytes."""
    module = name.replace("-", "_")
    info = f"{module}-{version}.dist-info"
    files = files | {
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: >=3.11\n",
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: tests\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    record = "".join(f"{path},,\n" for path in (*files, f"{info}/RECORD"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for path, text in (files | {f"{info}/RECORD": record}).items():
            archive.writestr(path, text)
    return f"{module}-{version}-py3-none-any.whl", packed.getvalue()


class Index:
    """A package index (PEP 503) with a few wheels."""

    def __init__(self, *wheels: tuple[str, bytes]) -> None:
        self._wheels = dict(wheels)

    def answer(self, request: Request, _: int) -> Reply | None:
        """What pip gets."""
        name = request.target.rpartition("/")[2]
        if name in self._wheels:
            return Reply(self._wheels[name])
        project = request.target.strip("/").rpartition("/")[2].replace("-", "_")
        links = [
            f'<a href="/files/{name}#sha256={hashlib.sha256(data).hexdigest()}">{name}</a>'
            for name, data in self._wheels.items()
            if name.startswith(f"{project}-")
        ]
        if not links:
            return Reply(status="404 Not Found")
        return Reply("\n".join(links).encode(), headers={"Content-Type": "text/html"})


def configure(monkeypatch: pytest.MonkeyPatch, port: int) -> None:
    """Have pip ask this machine only, through the configuration that every pip reads."""
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_CACHE_DIR", "1")
    monkeypatch.setenv("PIP_INDEX_URL", f"http://127.0.0.1:{port}/simple/")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


FFMPEG = wheel("imageio-ffmpeg", "0.8.1", {"imageio_ffmpeg/binaries/ffmpeg-linux-x86_64-v9.0.2": "#!/bin/sh\necho 9\n"})
BPY = wheel("bpy", "4.5.3", {"bpy/__init__.py": ""})


async def test_an_index_is_asked_and_a_package_becomes_a_managed_copy(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with scripted_server(Index(FFMPEG, wheel("imageio-ffmpeg", "0.4.2", {})).answer) as server:
        configure(monkeypatch, server.port)
        source = PythonPackages()
        [release] = await source.releases("ffmpeg", "linux", "x64")
        assert (release.version, release.location) == ("9.0.2", "imageio-ffmpeg==0.8.1")
        place = tmp_path / "managed" / "9.0.2"
        place.parent.mkdir()
        work = tmp_path / "work"
        (work / ".pip-left-by-a-crash" / "target").mkdir(parents=True)
        await source.fetch(release, work, place, ignore)
    [copy] = [one for one in find_candidates(place.parent) if one.kind is InstallKind.MANAGED]
    assert copy.path == place / "ffmpeg"
    assert list(work.iterdir()) == []


async def test_a_bpy_becomes_a_folder_that_holds_it(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with scripted_server(Index(BPY).answer) as server:
        configure(monkeypatch, server.port)
        found = await pip.versions(PYTHON, "bpy", [])
        assert found == ["4.5.3"]
        release = Release("blender", "4.5.3", *HERE, "pypi", Packaging.PACKAGE, "bpy==4.5.3")
        await PythonPackages().fetch(release, tmp_path, tmp_path / "4.5.3", ignore)
    metadata = module_metadata(tmp_path / "4.5.3")
    assert metadata is not None
    assert metadata[0] == "4.5.3"
    assert [path.name for path in tmp_path.iterdir()] == ["4.5.3"]


async def test_a_package_that_holds_nothing_for_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with scripted_server(Index(wheel("imageio-ffmpeg", "0.8.1", {"imageio_ffmpeg/x": ""})).answer) as server:
        configure(monkeypatch, server.port)
        release = Release("ffmpeg", "9.0.2", *HERE, "pypi", Packaging.PACKAGE, "imageio-ffmpeg==0.8.1")
        with pytest.raises(SourceError, match="there is no FFmpeg in imageio-ffmpeg"):
            await PythonPackages().fetch(release, tmp_path, tmp_path / "9.0.2", ignore)
    assert list(tmp_path.iterdir()) == []


async def test_what_the_index_does_not_have_is_final(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    async with scripted_server(Index(BPY).answer) as server:
        configure(monkeypatch, server.port)
        assert await pip.versions(PYTHON, "imageio-ffmpeg", []) == []
        release = Release("blender", "4.4.0", *HERE, "pypi", Packaging.PACKAGE, "bpy==4.4.0")
        with pytest.raises(SourceError, match="No matching distribution") as caught:
            await PythonPackages().fetch(release, tmp_path, tmp_path / "4.4.0", ignore)
    assert not caught.value.transient
    assert list(tmp_path.iterdir()) == []


async def test_an_index_out_of_reach_is_worth_another_try(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        configure(monkeypatch, taken.getsockname()[1])
        with pytest.raises(SourceError, match=r"cannot reach its index.*refused") as caught:
            await PythonPackages().releases("ffmpeg", *HERE)
    assert caught.value.transient


async def test_a_python_that_is_not_here(tmp_path: Path) -> None:
    release = Release("blender", "9.9.9", *HERE, "pypi", Packaging.PACKAGE, "bpy==9.9.9", python=(3, 99))
    with pytest.raises(SourceError, match=r"needs Python 3\.99"):
        await PythonPackages().fetch(release, tmp_path, tmp_path / "9.9.9", ignore)
    with pytest.raises(SourceError, match="cannot be started"):
        await pip.versions(tmp_path / "python", "bpy", [])


async def test_a_disk_without_room_is_not_begun_with(tmp_path: Path) -> None:
    release = Release("blender", "4.5.3", *HERE, "pypi", Packaging.PACKAGE, "bpy==4.5.3")
    with pytest.raises(SourceError, match="GB free"):
        await PythonPackages(keep_free=1 << 60).fetch(release, tmp_path, tmp_path / "4.5.3", ignore)


async def test_a_pip_that_is_broken_off_ends_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked = asyncio.Event()
    index = Index(BPY)

    def script(request: Request, number: int) -> Reply | None:
        if request.target.endswith(".whl"):
            asked.set()
            return Reply(BPY[1], cut=100)
        return index.answer(request, number)

    async with scripted_server(script) as server:
        configure(monkeypatch, server.port)
        release = Release("blender", "4.5.3", *HERE, "pypi", Packaging.PACKAGE, "bpy==4.5.3")
        task = asyncio.create_task(PythonPackages().fetch(release, tmp_path, tmp_path / "4.5.3", ignore))
        await asked.wait()
        children = psutil.Process().children(recursive=True)  # those of other tests too
        [pip] = [child for child in children if "bpy==4.5.3" in arguments(child)]
        running = [pip, *pip.children(recursive=True)]
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert not any(process.is_running() and process.status() != psutil.STATUS_ZOMBIE for process in running)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
async def test_the_configured_index_offers_blender_and_ffmpeg() -> None:
    source = PythonPackages()
    blender = await source.releases("blender", "windows", "x64")
    series = {tuple(release.version.split(".")[:2]): release.python for release in blender}
    assert series["4", "2"] == series["4", "5"] == series["5", "0"] == (3, 11)
    assert next(release for release in blender if release.version.startswith("4.5.")).lts
    assert {release.version for release in await source.releases("ffmpeg", "windows", "x64")} >= {"7.1"}
    assert await source.releases("blender", "macos", "arm64")


@pytest.mark.slow
@pytest.mark.skipif(HERE != ("linux", "x64"), reason="the copy that this package holds for another machine is older")
async def test_ffmpeg_from_the_configured_index_runs(tmp_path: Path) -> None:
    source = PythonPackages()
    release = (await source.releases("ffmpeg", *HERE))[-1]
    place = tmp_path / release.version
    seen: list[tuple[Phase, int, int | None]] = []
    await source.fetch(release, tmp_path, place, lambda *step: seen.append(step))
    assert [path.name for path in tmp_path.iterdir()] == [release.version]
    said = subprocess.run([place / "ffmpeg", "-version"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith(f"ffmpeg version {release.version}")
    assert max(done for _, done, _ in seen) > 10_000_000
