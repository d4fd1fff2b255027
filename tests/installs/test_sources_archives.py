"""Releases that are archives, from servers on this machine: the vendor's folder, mirrors, static builds, breakage."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import socket
import subprocess
import tarfile
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType

import httpx
import pytest

from app.installs.archives import ArchiveLimits
from app.installs.source import Phase, SourceError
from app.installs.sources import StaticBuilds, VendorFolder
from engines.blender.candidates import find
from engines.contract import InstallKind
from engines.ffmpeg.installs import find_candidates
from engines.installs.ffmpeg_builds import BUILDS
from tests.support.release_server import ReleaseFolder, serving
from tests.support.scripted_server import Reply, Request, scripted_server

LINUX = ("linux", "x64")


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    """Without proxies: everything asked here is on this machine."""
    async with httpx.AsyncClient(trust_env=False) as one:
        yield one


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """For what is half done."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


def vendor(url: str, client: httpx.AsyncClient) -> VendorFolder:
    """The source under test."""
    return VendorFolder("mirror", url, client, ArchiveLimits())


def ignore(phase: Phase, done: int, total: int | None) -> None:
    """Progress that nobody looks at."""


async def test_a_release_is_found_fetched_and_runs(client: httpx.AsyncClient, work: Path, tmp_path: Path) -> None:
    async with serving(ReleaseFolder("4.2.1", "4.5.2", "4.5.10")) as (_, url):
        source = vendor(url, client)
        releases = await source.releases("blender", *LINUX)
        assert [release.version for release in releases] == ["4.5.10", "4.5.2", "4.2.1"]
        place = tmp_path / "managed" / "4.5.10"
        place.parent.mkdir()
        seen: list[Phase] = []
        await source.fetch(releases[0], work, place, lambda phase, done, total: seen.append(phase))
    assert list(dict.fromkeys(seen)) == [Phase.DOWNLOADING, Phase.UNPACKING]
    [copy] = [one for one in find(place.parent) if one.kind is InstallKind.MANAGED]
    said = subprocess.run([copy.path, "--version"], capture_output=True, text=True, check=True)
    assert said.stdout == "Blender 4.5.10\n"
    assert list(work.iterdir()) == []


async def test_pages_are_asked_for_once(client: httpx.AsyncClient) -> None:
    async with serving(ReleaseFolder("4.2.1", "4.5.2")) as (server, url):
        source = vendor(url.rstrip("/"), client)
        assert len(await source.releases("blender", *LINUX)) == 2
        assert await source.releases("blender", "windows", "x64") == []
        assert len(server.requests) == 3


@pytest.mark.parametrize(
    ("sums", "reason"),
    [
        (None, "there is no checksum for blender-4.5.3"),
        (b"", "does not name"),
        (b"<html>moved</html>", "does not name"),
        (b"0" * 64 + b"  blender-4.5.3-windows-x64.zip\n", "does not name"),
        (b"0" * 64 + b"  blender-4.5.3-linux-x64.tar.xz\n", "damaged or not what it should be"),
    ],
)
async def test_an_archive_without_its_checksum_is_not_installed(
    client: httpx.AsyncClient, work: Path, tmp_path: Path, sums: bytes | None, reason: str
) -> None:
    folder = ReleaseFolder("4.5.3")
    name = folder.path("4.5.3", "blender-4.5.3.sha256")
    if sums is None:
        del folder.files[name]
    else:
        folder.files[name] = Reply(sums)
    async with serving(folder) as (_, url):
        source = vendor(url, client)
        [release] = await source.releases("blender", *LINUX)
        with pytest.raises(SourceError, match=reason):
            await source.fetch(release, work, tmp_path / "4.5.3", ignore)
    assert not (tmp_path / "4.5.3").exists()
    assert list(work.iterdir()) == []


async def test_a_disk_image_is_refused_before_it_comes(client: httpx.AsyncClient, work: Path, tmp_path: Path) -> None:
    folder = ReleaseFolder("4.5.3")
    folder.files[folder.path("4.5.3", "blender-4.5.3-macos-arm64.dmg")] = Reply(b"koly")
    async with serving(folder) as (server, url):
        source = vendor(url, client)
        [release] = await source.releases("blender", "macos", "arm64")
        before = len(server.requests)
        with pytest.raises(SourceError, match="disk image"):
            await source.fetch(release, work, tmp_path / "4.5.3", ignore)
        assert len(server.requests) == before


async def test_an_archive_that_is_gone_is_final(client: httpx.AsyncClient, work: Path, tmp_path: Path) -> None:
    folder = ReleaseFolder("4.5.3")
    async with serving(folder) as (_, url):
        source = vendor(url, client)
        [release] = await source.releases("blender", *LINUX)
        del folder.files[folder.path("4.5.3", release.file_name)]
        with pytest.raises(SourceError, match="404") as caught:
            await source.fetch(release, work, tmp_path / "4.5.3", ignore)
    assert not caught.value.transient
    assert not (tmp_path / "4.5.3").exists()


async def test_what_came_before_a_break_is_not_fetched_again(
    client: httpx.AsyncClient, work: Path, tmp_path: Path
) -> None:
    folder = ReleaseFolder("4.5.3")
    async with serving(folder) as (server, url):
        source = vendor(url, client)
        [release] = await source.releases("blender", *LINUX)
        archive = folder.files[folder.path("4.5.3", release.file_name)]
        (work / release.file_name).write_bytes(archive.body)  # complete: it was broken off while it unpacked
        before = len(server.requests)
        await source.fetch(release, work, tmp_path / "4.5.3", ignore)
        assert len(server.requests) == before
    assert os.access(tmp_path / "4.5.3" / "blender", os.X_OK)


async def test_an_archive_that_cannot_be_unpacked_does_not_stay(
    client: httpx.AsyncClient, work: Path, tmp_path: Path
) -> None:
    folder = ReleaseFolder("4.5.3")
    rubbish = b"no archive at all"
    name = "blender-4.5.3-linux-x64.tar.xz"
    folder.files[folder.path("4.5.3", name)] = Reply(rubbish)
    sums = f"{hashlib.sha256(rubbish).hexdigest()}  {name}\n".encode()
    folder.files[folder.path("4.5.3", "blender-4.5.3.sha256")] = Reply(sums)
    async with serving(folder) as (_, url):
        source = vendor(url, client)
        [release] = await source.releases("blender", *LINUX)
        with pytest.raises(SourceError, match="damaged"):
            await source.fetch(release, work, tmp_path / "4.5.3", ignore)
    assert list(work.iterdir()) == []
    assert not (tmp_path / "4.5.3").exists()


async def test_an_install_that_is_cancelled_while_it_unpacks_leaves_no_copy(
    client: httpx.AsyncClient, work: Path, tmp_path: Path
) -> None:
    async with serving(ReleaseFolder("4.5.3")) as (_, url):
        source = vendor(url, client)
        [release] = await source.releases("blender", *LINUX)
        unpacking = asyncio.Event()

        def watch(phase: Phase, done: int, total: int | None) -> None:
            if phase is Phase.UNPACKING:
                task.cancel()
                unpacking.set()

        task = asyncio.create_task(source.fetch(release, work, tmp_path / "4.5.3", watch))
        await unpacking.wait()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert [path.name for path in tmp_path.iterdir()] == ["work"]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply(b"<html><body>Buy this domain</body></html>"), "no release folder of Blender"),
        (Reply(b"\x00\xff\xfe" * 1000), "no release folder of Blender"),
        (Reply(b"no", status="404 Not Found"), "404"),
        (Reply(b"no", status="503 Service Unavailable"), "503"),
        (None, "failed"),
    ],
)
async def test_a_server_that_has_something_else_is_told_of(
    client: httpx.AsyncClient, reply: Reply | None, reason: str
) -> None:
    def script(request: Request, number: int) -> Reply | None:
        return reply

    async with scripted_server(script) as server:
        with pytest.raises(SourceError, match=reason):
            await vendor(f"http://127.0.0.1:{server.port}/release/", client).releases("blender", *LINUX)


async def test_a_server_that_is_down_is_worth_another_try(client: httpx.AsyncClient) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound and not listening: nobody else gets the port
        url = f"http://127.0.0.1:{taken.getsockname()[1]}/release/"
        with pytest.raises(SourceError, match="failed") as caught:
            await vendor(url, client).releases("blender", *LINUX)
    assert caught.value.transient


def packed_ffmpeg(zipped: bool) -> bytes:
    """A static build as they are packed."""
    script = b"#!/bin/sh\necho 'ffmpeg version 7.0.2-static'\n"
    packed = io.BytesIO()
    if zipped:
        with zipfile.ZipFile(packed, "w") as archive:
            member = zipfile.ZipInfo("ffmpeg-7.0.2-essentials_build/bin/ffmpeg")
            member.external_attr = 0o100755 << 16
            archive.writestr(member, script)
    else:
        with tarfile.open(fileobj=packed, mode="w:xz") as tar:
            info = tarfile.TarInfo("ffmpeg-7.0.2-amd64-static/ffmpeg")
            info.size, info.mode = len(script), 0o755
            tar.addfile(info, io.BytesIO(script))
    return packed.getvalue()


@pytest.mark.parametrize(
    ("maker", "page", "ending", "file_name"),
    [
        ("John Van Sickle", "   version: 7.0.2\n", "md5", "ffmpeg-release-amd64-static.tar.xz"),
        ("gyan.dev", "7.0.2", "sha256", "ffmpeg-release-essentials.zip"),
    ],
)
async def test_a_static_build_is_fetched_and_found(
    client: httpx.AsyncClient, work: Path, tmp_path: Path, maker: str, page: str, ending: str, file_name: str
) -> None:
    data = packed_ffmpeg(file_name.endswith(".zip"))
    digest = hashlib.new(ending, data).hexdigest()
    sums = digest if ending == "sha256" else f"{digest}  {file_name}\n"

    def script(request: Request, number: int) -> Reply:
        if request.target == "/version":
            return Reply(page.encode())
        return Reply(data if request.target == f"/{file_name}" else sums.encode())

    known = next(build for build in BUILDS if build.maker == maker)
    async with scripted_server(script) as server:
        base = f"http://127.0.0.1:{server.port}"
        build = replace(known, page=f"{base}/version", archives=MappingProxyType({LINUX: f"{base}/{file_name}"}))
        source = StaticBuilds("builds", client, ArchiveLimits(), [build])
        assert source.offers("ffmpeg")
        assert await source.releases("ffmpeg", "macos", "arm64") == []
        [release] = await source.releases("ffmpeg", *LINUX)
        place = tmp_path / "managed" / "7.0.2"
        place.parent.mkdir()
        await source.fetch(release, work, place, ignore)
    [copy] = [one for one in find_candidates(place.parent) if one.kind is InstallKind.MANAGED]
    said = subprocess.run([copy.path, "-version"], capture_output=True, text=True, check=True)
    assert said.stdout.startswith("ffmpeg version 7.0.2")


async def test_a_builder_who_cannot_be_asked_does_not_hide_the_other(client: httpx.AsyncClient) -> None:
    def script(request: Request, number: int) -> Reply:
        return Reply(b"  version: 7.0.2\n" if request.target == "/readme" else b"<html>", status="200 OK")

    async with scripted_server(script) as server:
        base = f"http://127.0.0.1:{server.port}"
        builds = [
            replace(build, page=f"{base}/{'readme' if build.maker == 'John Van Sickle' else 'api'}")
            for build in BUILDS
            if LINUX in build.archives
        ]
        source = StaticBuilds("builds", client, ArchiveLimits(), builds)
        assert [release.version for release in await source.releases("ffmpeg", *LINUX)] == ["7.0.2"]
        only = StaticBuilds("builds", client, ArchiveLimits(), [one for one in builds if one.maker == "BtbN"])
        with pytest.raises(SourceError, match="the page of BtbN cannot be read"):
            await only.releases("ffmpeg", *LINUX)


def test_the_pages_of_builders_are_asked_over_tls() -> None:
    urls = [url for build in BUILDS for url in (build.page, *build.archives.values()) if url]
    assert [url for url in urls if not url.startswith("https://")] == []
