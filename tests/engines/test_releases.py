"""Pages of vendors and what pip prints, read without asking anybody."""

from __future__ import annotations

import json

import pytest

from engines.installs.blender_releases import entries, releases_in, series_folders
from engines.installs.checksums import checksum_of, parse_checksums
from engines.installs.ffmpeg_builds import BUILDS, Build
from engines.installs.packages import bpy_releases, ffmpeg_releases, listed_versions
from engines.installs.release import Checksum, Packaging

ROOT = "https://vendor.example/release/"
NGINX = """<html>
<head><title>Index of /release/</title></head>
<body>
<h1>Index of /release/</h1><hr><pre><a href="../">../</a>
<a href="Blender1.0/">Blender1.0/</a>                                        11-Jul-2020 07:17                   -
<a href="Blender2.79/">Blender2.79/</a>                                       11-Jul-2020 07:17                   -
<a href="Blender2.83/">Blender2.83/</a>                                       11-Jul-2020 07:17                   -
<a href="Blender4.10/">Blender4.10/</a>                                       11-Jul-2025 07:17                   -
<a href="Blender4.2/">Blender4.2/</a>                                        11-Jul-2024 07:17                   -
<a href="BlenderBenchmark2.0/">BlenderBenchmark2.0/</a>                               11-Jul-2020 07:17     -
<a href="plugin/">plugin/</a>                                            11-Jul-2020 07:17                   -
</pre><hr></body></html>
"""
APACHE = """<table>
<tr><th><a href="?C=N;O=D">Name</a></th></tr>
<tr><td><a href="/mirror/">Parent Directory</a></td></tr>
<tr><td><a href="/mirror/release/Blender4.5/">Blender4.5/</a></td><td align="right">2025-07-15 12:00</td></tr>
<tr><td><a href="https://evil.example/release/Blender9.9/">Blender9.9/</a></td></tr>
<tr><td><a href="Blender3.6/%2e%2e/%2e%2e/">up</a></td></tr>
<tr><td><a href="Blender3.3">a file, no folder</a></td></tr>
<tr><td><a href="http://[">broken</a></td></tr>
</table>"""


def listing(*names: str) -> str:
    """A page as nginx makes it."""
    return "".join(f'<a href="{name}">{name}</a>   09-Sep-2025 10:00   123\n' for name in names)


def test_series_are_found_newest_first_and_those_before_the_oldest_are_not() -> None:
    assert series_folders(NGINX, ROOT) == [f"{ROOT}Blender{series}/" for series in ("4.10", "4.2", "2.83")]


def test_only_links_into_the_folder_itself_count() -> None:
    url = "http://mirror.example/mirror/release/"
    assert series_folders(APACHE, url) == [f"{url}Blender4.5/"]


@pytest.mark.parametrize("page", ["", "not found", "<a", "\x00\xff<a href=", "<a href='Blender/'>x</a>", "{}"])
def test_a_page_that_is_no_folder_lists_nothing(page: str) -> None:
    assert series_folders(page, ROOT) == []
    assert releases_in(page, ROOT, "vendor", "linux", "x64") == []


def test_no_entry_leads_out_of_its_folder() -> None:
    page = listing("../x", "a/../../y", "..%2fz", "sub/deep", "//host/q", "good.txt", "good.txt", ".", "./")
    assert [name for name, _ in entries(page, ROOT)] == ["good.txt"]


FOLDER = listing(
    *("blender-4.5.10-linux-x64.tar.xz", "blender-4.5.10-macos-arm64.dmg", "blender-4.5.10-macos-x64.dmg"),
    *("blender-4.5.10-windows-x64.msi", "blender-4.5.10-windows-x64.msix", "blender-4.5.10-windows-x64.zip"),
    *("blender-4.5.10-windows-arm64.zip", "blender-4.5.10.md5", "blender-4.5.10.sha256"),
    *("blender-4.5.9-linux-x64.tar.xz", "blender-4.5.9.md5", "blender-4.5.3-linux-x64.tar.xz"),
)


@pytest.mark.parametrize(
    ("machine", "files"),
    [
        (
            ("linux", "x64"),
            ["blender-4.5.10-linux-x64.tar.xz", "blender-4.5.9-linux-x64.tar.xz", "blender-4.5.3-linux-x64.tar.xz"],
        ),
        (("windows", "x64"), ["blender-4.5.10-windows-x64.zip"]),
        (("windows", "arm64"), ["blender-4.5.10-windows-arm64.zip"]),
        (("macos", "x64"), ["blender-4.5.10-macos-x64.dmg"]),
        (("macos", "arm64"), ["blender-4.5.10-macos-arm64.dmg"]),
        (("linux", "riscv64"), []),
    ],
)
def test_each_kind_of_machine_has_its_archives(machine: tuple[str, str], files: list[str]) -> None:
    found = releases_in(FOLDER, f"{ROOT}Blender4.5/", "vendor", *machine)
    assert [release.file_name for release in found] == files
    assert all(release.location == f"{ROOT}Blender4.5/{release.file_name}" for release in found)


def test_a_release_says_where_its_checksum_is_and_that_it_is_long_term() -> None:
    newest, middle, oldest = releases_in(FOLDER, f"{ROOT}Blender4.5/", "vendor", "linux", "x64")
    assert (newest.version, newest.source, newest.packaging) == ("4.5.10", "vendor", Packaging.ARCHIVE)
    assert newest.lts
    assert newest.checksum_url == f"{ROOT}Blender4.5/blender-4.5.10.sha256"
    assert middle.checksum_url == f"{ROOT}Blender4.5/blender-4.5.9.md5"
    assert oldest.checksum_url is None
    [short] = releases_in(listing("blender-4.4.0-linux-x64.tar.xz"), ROOT, "vendor", "linux", "x64")
    assert not short.lts


@pytest.mark.parametrize(
    ("name", "machine", "version"),
    [
        ("blender-2.93.18-linux-x64.tar.xz", ("linux", "x64"), "2.93.18"),
        ("blender-2.83.5-linux64.tar.xz", ("linux", "x64"), "2.83.5"),
        ("blender-2.83.5-windows64.zip", ("windows", "x64"), "2.83.5"),
        ("blender-2.83.5-macOS.dmg", ("macos", "x64"), "2.83.5"),
        ("blender-2.79b-linux-glibc219-x86_64.tar.bz2", ("linux", "x64"), "2.79b"),
    ],
)
def test_the_names_of_old_archives_are_known(name: str, machine: tuple[str, str], version: str) -> None:
    [found] = releases_in(listing(name), ROOT, "vendor", *machine)
    assert found.version == version


def test_old_folders_have_their_checksums_in_files_of_another_name() -> None:
    page = listing("blender-2.83.0-linux64.tar.xz", "release283.md5", "release279.md5")
    [found] = releases_in(page, ROOT, "vendor", "linux", "x64")
    assert found.checksum_url == f"{ROOT}release283.md5"


SHA = "ab" * 32
MD5 = "cd" * 16


@pytest.mark.parametrize(
    "text",
    [
        f"{SHA}  a.zip\n{'00' * 32}  b.zip\n",
        f"{SHA.upper()} *a.zip\r\n",
        f"\ufeff{SHA}  ./folder/a.zip",
        f"SHA256 (a.zip) = {SHA}",
        f"{SHA}\n",
    ],
)
def test_checksum_files_of_every_kind_are_read(text: str) -> None:
    assert checksum_of(text, "a.zip") == Checksum("sha256", SHA)


@pytest.mark.parametrize(
    "text", ["", "<html><body>404</body></html>", f"{SHA}  b.zip", f"{SHA[:-1]}  a.zip", f"{SHA}\n{MD5}  b.zip"]
)
def test_a_checksum_file_that_lacks_the_name_has_none(text: str) -> None:
    assert checksum_of(text, "a.zip") is None


def test_the_kind_of_a_checksum_shows_in_its_length() -> None:
    found = parse_checksums(f"{MD5}  one\n{'ef' * 64}  two\n")
    assert {name: checksum.algorithm for name, checksum in found.items()} == {"one": "md5", "two": "sha512"}


def build(maker: str) -> Build:
    """The builds of somebody."""
    return next(build for build in BUILDS if build.maker == maker)


def test_builds_that_tell_their_version_in_a_text() -> None:
    readme = "\n      build: ffmpeg-7.0.2-amd64-static.tar.xz\n    version: 7.0.2\n\n        gcc: 8.3.0\n"
    [sickle] = build("John Van Sickle").read(readme, "builds", "linux", "arm64")
    assert (sickle.version, sickle.file_name) == ("7.0.2", "ffmpeg-release-arm64-static.tar.xz")
    assert sickle.checksum_url == f"{sickle.location}.md5"
    [gyan] = build("gyan.dev").read("9.0.2\n", "builds", "windows", "x64")
    assert (gyan.version, gyan.file_name) == ("9.0.2", "ffmpeg-release-essentials.zip")
    assert gyan.checksum_url == f"{gyan.location}.sha256"


def test_the_build_for_macos_is_told_in_json() -> None:
    archive = {"url": "https://evermeet.cx/ffmpeg/ffmpeg-8.0.zip", "size": 25_000_000, "sig": "…"}
    page = json.dumps({"name": "ffmpeg", "type": "release", "version": "8.0", "download": {"zip": archive}})
    [found] = build("evermeet.cx").read(page, "builds", "macos", "x64")
    assert (found.version, found.size, found.file_name) == ("8.0", 25_000_000, "ffmpeg-8.0.zip")


def asset(name: str, **more: object) -> dict[str, object]:
    """A file of a release as GitHub's API tells of it."""
    url = f"https://github.com/BtbN/FFmpeg-Builds/releases/download/autobuild/{name}"
    return {"name": name, "browser_download_url": url, "size": 1000, "digest": f"sha256:{SHA}"} | more


def test_branch_builds_are_found_by_their_complete_version() -> None:
    page = json.dumps(
        [
            {
                "assets": [
                    asset("ffmpeg-N-120000-g0123456789-linux64-gpl.tar.xz"),
                    asset("ffmpeg-n7.1.2-5-g0123456789-linux64-gpl-7.1.tar.xz"),
                    asset("ffmpeg-n8.0-30-g0123456789-linux64-gpl-8.0.tar.xz"),
                    asset("ffmpeg-n8.0-30-g0123456789-linux64-gpl-shared-8.0.tar.xz"),
                    asset("ffmpeg-n8.0-30-g0123456789-linux64-lgpl-8.0.tar.xz"),
                    asset("ffmpeg-n8.0-30-g0123456789-win64-gpl-8.0.zip"),
                    asset("ffmpeg-n6.1-30-g0123456789-linux64-gpl-6.1.tar.xz", digest=None),
                ]
            },
            {"assets": [asset("ffmpeg-n8.0-29-g0123456789-linux64-gpl-8.0.tar.xz")]},
        ]
    )
    found = build("BtbN").read(page, "builds", "linux", "x64")
    assert [(one.version, one.file_name) for one in found] == [
        ("8.0", "ffmpeg-n8.0-30-g0123456789-linux64-gpl-8.0.tar.xz"),
        ("7.1.2", "ffmpeg-n7.1.2-5-g0123456789-linux64-gpl-7.1.tar.xz"),
    ]
    assert found[0].checksum == Checksum("sha256", SHA)


@pytest.mark.parametrize("maker", [build.maker for build in BUILDS])
@pytest.mark.parametrize("page", ["", "<html>moved</html>", "null", "[{}]", '{"version": "1"}'])
def test_a_page_that_is_something_else_is_refused(maker: str, page: str) -> None:
    machine = next(iter(build(maker).archives))
    with pytest.raises(ValueError):
        build(maker).read(page, "builds", *machine)


def test_the_versions_that_pip_lists() -> None:
    printed = "bpy (5.0.1)\nAvailable versions: 5.0.1, 5.0.0, 4.5.15\n  INSTALLED: 4.5.15\n  LATEST:    5.0.1\n"
    assert listed_versions(printed) == ["5.0.1", "5.0.0", "4.5.15"]
    assert listed_versions("ERROR: No matching distribution found for bpy") == []


def test_packages_become_releases() -> None:
    newer, older = bpy_releases(["5.0.1", "4.5.15"], (3, 11), "pypi", "linux", "x64")
    assert (newer.location, newer.python, newer.lts) == ("bpy==5.0.1", (3, 11), False)
    assert older.lts
    found = ffmpeg_releases(["0.6.0", "99.0", "0.8.1", "0.4.2", "0.8.0"], "pypi", "linux", "x64")
    assert [(one.version, one.location) for one in found] == [
        ("9.0.2", "imageio-ffmpeg==0.8.1"),
        ("7.0.2", "imageio-ffmpeg==0.6.0"),
    ]
