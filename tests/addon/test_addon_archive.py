"""The zip that the service offers: the same bytes for everybody, complete, one for both ways to install."""

from __future__ import annotations

import ast
import io
import os
import stat
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from app.version import APP_VERSION
from client import RenderServerProxy
from client.blender import zordon
from client.blender.archive import addon_archive, addon_file_name
from client.blender.zordon import connection
from client.connection import API_VERSION
from client.models import Role
from tests.support.running_service import Service

ROOT = Path(__file__).resolve().parents[2]
SOURCES = ROOT / "client" / "blender" / "zordon"
OLDEST_PYTHON = (3, 10)
"""That of Blender 3.1, the first that bl_info takes."""


def test_it_is_complete_and_has_one_folder() -> None:
    with zipfile.ZipFile(io.BytesIO(addon_archive())) as archive:
        names = archive.namelist()
        assert {archive.getinfo(name).date_time for name in names} == {(1980, 1, 1, 0, 0, 0)}
        assert {stat.S_IMODE(archive.getinfo(name).external_attr >> 16) for name in names} == {0o644}
        assert archive.read("zordon/LICENSE").startswith(b"                    GNU GENERAL PUBLIC LICENSE")
    kept = {f"zordon/{path.relative_to(SOURCES).as_posix()}" for path in SOURCES.rglob("*.py")}
    assert set(names) == {*kept, "zordon/LICENSE", "zordon/blender_manifest.toml"}
    assert len(addon_archive()) < 100_000


def test_it_is_the_same_in_every_process() -> None:
    program = "import hashlib, client.blender.archive as a; print(hashlib.sha256(a.addon_archive()).hexdigest())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"PYTHONHASHSEED": seed, "TZ": zone},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed, zone in (("1", "UTC"), ("2", "Asia/Tokyo"))
    }
    assert len(digests) == 1


def test_all_say_the_same_version() -> None:
    manifest = tomllib.loads((SOURCES / "blender_manifest.toml").read_text())
    assert manifest["version"] == APP_VERSION
    assert zordon.bl_info["version"] == tuple(int(part) for part in APP_VERSION.split("."))
    assert connection.API_VERSION == API_VERSION
    assert APP_VERSION in addon_file_name(APP_VERSION)


def test_the_python_of_the_oldest_blender_can_read_it_and_nothing_else_is_needed() -> None:
    own = sys.stdlib_module_names | {"bpy", "zstandard"}
    for path in SOURCES.rglob("*.py"):
        tree = ast.parse(path.read_text(), feature_version=OLDEST_PYTHON)
        for node in ast.walk(tree):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names.append(node.module or "")
            assert {name.partition(".")[0] for name in names} <= own, path


async def test_the_service_offers_it(service: Service) -> None:
    async with service.proxy() as node:
        assert await node.get_blender_addon() == (f"zordon-blender-{APP_VERSION}.zip", addon_archive())
        looking = (await node.add_token("looks only", Role.READ)).secret
        answer = await node.connection.send("GET", "/api/blender_addon")
        known = {"If-None-Match": answer.headers["ETag"]}
        again = await node.connection.send("GET", "/api/blender_addon", headers=known)
        assert (again.status_code, again.content) == (304, b"")
    async with RenderServerProxy("127.0.0.1", service.port, looking) as reader:
        assert (await reader.get_blender_addon())[1] == addon_archive()


def test_the_command_fetches_it(service: Service, tmp_path: Path) -> None:
    name = f"zordon-blender-{APP_VERSION}.zip"
    done = service.zordon("addon", cwd=tmp_path)
    assert (done.code, (tmp_path / name).read_bytes()) == (0, addon_archive())
    assert name in done.out
    told = service.zordon("addon", "-o", tmp_path / "mine.zip", "--json")
    assert told.json == {"file": str(tmp_path / "mine.zip")}
    assert (tmp_path / "mine.zip").read_bytes() == addon_archive()
    (tmp_path / "folder").mkdir()
    assert service.zordon("addon", "-o", tmp_path / "folder").code == 0
    assert (tmp_path / "folder" / name).is_file()
