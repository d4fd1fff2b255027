"""``add_job`` with an upload: the file lands where it belongs, once and whole, or nothing of it is left."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from app.jobs.errors import NoSpace, RequestError, TooLarge
from app.jobs.folders import DataFolder
from app.jobs.keys import KeyReused
from app.jobs.sink import BUFFER, UploadLimits
from app.jobs.uploads import Form, receive_form

from .conftest import BOUNDARY, CONTENT_TYPE, Farm, MakeFarm, form, pieces, zipped

LIMITS = UploadLimits(file=1 << 30, document=1 << 20, free=0)


@pytest.fixture
def synced(monkeypatch: pytest.MonkeyPatch) -> set[int]:
    """The inodes of everything that was synced from now on."""
    found: set[int] = set()
    sync = os.fsync

    def noting(descriptor: int) -> None:
        sync(descriptor)
        found.add(os.fstat(descriptor).st_ino)

    monkeypatch.setattr(os, "fsync", noting)
    return found


@pytest.fixture
def folders(tmp_path: Path) -> DataFolder:
    """A data folder without a service."""
    made = DataFolder(tmp_path / "data")
    made.prepare()
    return made


def left(folders: DataFolder) -> list[Path]:
    return [path for folder in (folders.uploads, folders.projects, folders.trash) for path in folder.rglob("*")]


async def receive(
    folders: DataFolder, body: bytes, *, piece: int = 1 << 16, limits: UploadLimits = LIMITS, kind: str = CONTENT_TYPE
) -> Form:
    return await receive_form(kind, pieces(body, piece), len(body), folders, limits)


# --- receiving -----------------------------------------------------------------------------------------------------


async def test_a_file_of_several_buffers_arrives_whole(folders: DataFolder) -> None:
    content = os.urandom(2 * BUFFER + 12_345)
    got = await receive(folders, form(("json", None, b"{}"), ("file", "a.blend", content)), piece=99_991)
    assert got.file is not None
    assert (got.document, got.file.name, got.file.size) == (b"{}", "a.blend", len(content))
    assert got.file.path.read_bytes() == content
    assert got.file.sha256 == hashlib.sha256(content).hexdigest()
    assert left(folders) == [got.folder, got.file.path]


async def test_the_json_may_come_after_the_file(folders: DataFolder) -> None:
    got = await receive(folders, form(("file", "a.blend", b"x" * 1000), ("json", None, b"[]")))
    assert got.file is not None
    assert (got.document, got.file.size) == (b"[]", 1000)


async def test_a_form_without_a_file(folders: DataFolder) -> None:
    assert (await receive(folders, form(("json", None, b"{}")))).file is None
    # What a browser sends for a file that nobody chose.
    assert (await receive(folders, form(("json", None, b"{}"), ("file", "", b"")))).file is None


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    content=st.lists(
        st.sampled_from([b"\r", b"\n", b"-", b"\r\n--", BOUNDARY.encode(), f"\r\n--{BOUNDARY[:-1]}".encode(), b"\0x"]),
        min_size=1,
        max_size=40,
    ).map(b"".join),
    piece=st.integers(1, 60),
)
def test_bytes_that_look_like_a_boundary_are_content(folders: DataFolder, content: bytes, piece: int) -> None:
    if f"\r\n--{BOUNDARY}".encode() in b"\r\n" + content:
        return  # that one is a boundary: no client may send it inside a file
    body = form(("json", None, b"{}"), ("file", "a.bin", content))
    got = asyncio.run(receive(folders, body, piece=piece))
    assert got.file is not None
    assert got.file.path.read_bytes() == content
    folders.throw_away(got.folder)


FILE = ("file", "a.blend", b"x" * 5000)
JSON = ("json", None, b"{}")
WHOLE = form(JSON, FILE)


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "ends before"),
        (b"no multipart at all", "malformed"),
        (WHOLE[:-3], "ends before"),
        (WHOLE[:-50], "ends before"),
        (WHOLE[:100], "ends before"),
        (form(JSON, FILE, end=False), "ends before"),
        (WHOLE.replace(b"Content-Disposition", b"Content Disposition"), "malformed"),
        (form(FILE), "'json'"),
        (form(JSON, FILE, FILE), "two parts 'file'"),
        (form(JSON, JSON), "two parts 'json'"),
        (form(JSON, ("movie", "b.mp4", b"x")), "'movie'"),
        (form(JSON, ("file", None, b"x")), "no filename"),
        (form(JSON, ("file", "a.blend", b"")), "is empty"),
        (form(JSON, ("file", "..", b"x")), "no file name"),
        (form(JSON, ("file", "a" * 300 + ".blend", b"x")), "306 bytes"),
        (form(JSON, ("file", "a\0b.blend", b"x")), "NUL"),
        (f"--{BOUNDARY}\r\nX-What: x\r\n\r\nx\r\n--{BOUNDARY}--\r\n".encode(), "part ''"),
        (f"--{BOUNDARY}\r\n".encode() + b"X-A: b\r\n" * 50, "header count"),
        (f"--{BOUNDARY}\r\nX-A: ".encode() + b"b" * 50_000, "header size"),
    ],
)
@pytest.mark.parametrize("piece", [7, 1 << 16])
async def test_bodies_that_are_refused_leave_nothing(folders: DataFolder, body: bytes, says: str, piece: int) -> None:
    with pytest.raises(RequestError, match=says) as caught:
        await receive(folders, body, piece=piece)
    assert caught.value.status == 400
    assert left(folders) == []


@pytest.mark.parametrize(
    "kind",
    [
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
        f"multipart/form-data; boundary={'b' * 300}",
        "multipart/mixed; boundary=b",
        "text/plain",
        "",
    ],
)
async def test_content_types_that_are_refused(folders: DataFolder, kind: str) -> None:
    with pytest.raises(RequestError) as caught:
        await receive(folders, WHOLE, kind=kind)
    assert caught.value.status == 400
    assert left(folders) == []


async def test_limits_hold_by_header_and_while_streaming(folders: DataFolder) -> None:
    limits = UploadLimits(file=BUFFER + 1, document=100, free=0)
    too_large = form(JSON, ("file", "a.blend", b"x" * (BUFFER + 2)))
    for length in (len(too_large), None):
        with pytest.raises(TooLarge, match="max_upload_bytes"):
            await receive_form(CONTENT_TYPE, pieces(too_large, 1 << 20), length, folders, limits)
    just_right = form(JSON, ("file", "a.blend", b"x" * (BUFFER + 1)))
    assert (await receive(folders, just_right, limits=limits)).file is not None
    with pytest.raises(TooLarge, match="max_json_bytes"):
        await receive(folders, form(("json", None, b"x" * 101)), limits=limits)
    with pytest.raises(TooLarge):  # what follows the last boundary counts too
        await receive_form(CONTENT_TYPE, pieces(WHOLE + b"x" * BUFFER * 2, 1 << 20), None, folders, limits)


async def test_the_length_is_checked_before_anything_is_read(folders: DataFolder) -> None:
    async def body() -> AsyncIterator[bytes]:
        raise AssertionError("the body was read")
        yield b""

    with pytest.raises(TooLarge):
        await receive_form(CONTENT_TYPE, body(), 1 << 40, folders, LIMITS)
    full = UploadLimits(file=1 << 62, document=1 << 20, free=0)
    with pytest.raises(NoSpace) as caught:
        await receive_form(CONTENT_TYPE, body(), 1 << 60, folders, full)
    assert caught.value.status == 507
    assert left(folders) == []


async def test_free_space_is_kept_while_streaming(folders: DataFolder) -> None:
    free = shutil.disk_usage(folders.root).free
    with pytest.raises(NoSpace, match="min_free_bytes"):
        await receive(folders, WHOLE, limits=UploadLimits(1 << 30, 1 << 20, free * 2))
    assert left(folders) == []


async def test_a_client_that_goes_away_leaves_nothing(folders: DataFolder) -> None:
    class Gone(Exception):
        pass

    async def body() -> AsyncIterator[bytes]:
        yield form(JSON, ("file", "a.blend", b"x" * (BUFFER + 5)))[:-100]
        raise Gone

    with pytest.raises(Gone):
        await receive_form(CONTENT_TYPE, body(), None, folders, LIMITS)
    assert left(folders) == []


async def test_a_cancelled_upload_leaves_nothing(folders: DataFolder) -> None:
    reached = asyncio.Event()

    async def body() -> AsyncIterator[bytes]:
        yield form(JSON, ("file", "a.blend", b"x" * (BUFFER + 5)))[:-100]
        reached.set()
        await asyncio.Event().wait()

    task = asyncio.create_task(receive_form(CONTENT_TYPE, body(), None, folders, LIMITS))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert left(folders) == []


async def test_two_uploads_at_once(folders: DataFolder) -> None:
    contents = [bytes([number]) * (BUFFER + number) for number in range(4)]
    got = await asyncio.gather(
        *(receive(folders, form(JSON, ("file", "same.blend", content)), piece=50_000) for content in contents)
    )
    for one, content in zip(got, contents, strict=True):
        assert one.file is not None
        assert one.file.path.read_bytes() == content


# --- jobs ----------------------------------------------------------------------------------------------------------


async def test_an_upload_becomes_the_project_of_its_jobs(farm: Farm, clip: bytes) -> None:
    one, two = await farm.upload([{"name": "one"}, {"renderer": "ffmpeg", "name": "two"}], "my clip.mp4", clip)
    assert one.spec.project_path == two.spec.project_path
    assert one.spec.project_path is not None
    assert one.spec.project_path.startswith("projects/")
    assert (one.spec.project, one.spec.engine) == ("my clip.mp4", "ffmpeg")
    path = farm.folders.project(one.spec.project_path)
    assert path.read_bytes() == clip
    assert farm.inspected == [path]  # once for both
    assert len(farm.left()) == 2
    await farm.jobs.delete(one.id)
    assert path.exists()
    await farm.jobs.delete(two.id)
    assert farm.left() == []


@pytest.mark.parametrize(
    ("body", "name", "content", "field"),
    [
        ({"renderer": "maya"}, "clip.mp4", None, "renderer"),
        ({"renderer": "testpattern"}, "clip.mp4", None, "renderer"),
        ({}, "../../../evil/clip.mp4", None, "file"),
        ({}, "clips/clip.mp4", None, "file"),
        ({}, "notes.txt", None, "file"),
        ({}, "clip.mp4", b"garbage" * 100, "file"),
        ([{}, {"args": {"nope": 1}}], "clip.mp4", None, "[1].args.nope"),
        ([{}, {"frames": "x"}], "clip.mp4", None, "[1].frames"),
        ({"local_path": "/tmp/clip.mp4"}, "clip.mp4", None, "local_path"),
        ({"priority": -1}, "clip.mp4", None, "priority"),
        ({}, "project.zip", b"no zip", "file"),
        ({}, "clip.zip", b"PK\5\6" + bytes(18), "file"),
    ],
)
async def test_a_refused_job_leaves_nothing_of_its_upload(
    farm: Farm, clip: bytes, body: object, name: str, content: bytes | None, field: str
) -> None:
    with pytest.raises(RequestError) as caught:
        await farm.upload(body, name, clip if content is None else content)
    assert (caught.value.status, caught.value.field) == (400, field)
    await farm.assert_nothing_made()


async def test_a_truncated_video_is_refused(farm: Farm, clip: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        await farm.upload({}, "clip.mp4", clip[: len(clip) // 3])
    assert caught.value.field == "file"
    assert "clip.mp4" in caught.value.message
    await farm.assert_nothing_made()


async def test_the_key_of_an_upload_covers_json_and_file(farm: Farm, clip: bytes) -> None:
    [first] = await farm.upload({"priority": 1}, "clip.mp4", clip, key="k")
    before = farm.left()
    [again] = await farm.upload({"priority": 1}, "clip.mp4", clip, key="k", piece=777)
    assert again.id == first.id
    assert farm.left() == before
    with pytest.raises(KeyReused):
        await farm.upload({"priority": 1}, "clip.mp4", clip + b"\0", key="k")
    with pytest.raises(KeyReused):
        await farm.upload({"priority": 2}, "clip.mp4", clip, key="k")
    assert farm.left() == before


async def test_a_client_that_leaves_after_the_upload_still_gets_its_job(make_farm: MakeFarm, clip: bytes) -> None:
    inspecting, go = asyncio.Event(), asyncio.Event()

    async def pause() -> None:
        inspecting.set()
        await go.wait()

    farm = await make_farm(before_inspection=pause)
    task = asyncio.create_task(farm.upload({}, "clip.mp4", clip))
    await inspecting.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    go.set()
    await farm.intake.close()
    assert farm.jobs.counts()["not_started"] == 1
    assert len(farm.left()) == 2


# --- archives ------------------------------------------------------------------------------------------------------


async def test_an_archive_with_a_video(farm: Farm, tmp_path: Path, clip: bytes) -> None:
    archive = zipped(tmp_path / "a.zip", {"shot/clip.mp4": clip, "shot/read me.txt": b"x", "__MACOSX/._x": b"y"})
    [job] = await farm.upload({}, "Shot.ZIP", archive)
    assert job.spec.project_path is not None
    assert job.spec.project_path.endswith("/shot/clip.mp4")
    assert job.spec.project == "clip.mp4"
    assert farm.folders.project(job.spec.project_path).read_bytes() == clip
    assert not any("MACOSX" in name or name.startswith("uploads/") for name in farm.left())


async def test_an_archive_with_a_sequence(farm: Farm, tmp_path: Path, picture: bytes) -> None:
    members = {f"pictures/shot.{number:04}.png": picture for number in range(1, 6)}
    [job] = await farm.upload({"renderer": "ffmpeg"}, "pictures.zip", zipped(tmp_path / "a.zip", members))
    assert job.spec.project_path is not None
    assert job.spec.project_path.endswith("/pictures")
    assert (job.spec.project, len(job.spec.frames)) == ("pictures", 5)
    del members["pictures/shot.0003.png"]
    before = farm.left()
    with pytest.raises(RequestError, match="gap") as caught:
        await farm.upload({"renderer": "ffmpeg"}, "pictures.zip", zipped(tmp_path / "b.zip", members))
    assert caught.value.field == "file"
    assert farm.left() == before


async def test_an_archive_whose_project_is_not_clear(farm: Farm, tmp_path: Path, clip: bytes) -> None:
    archive = zipped(tmp_path / "a.zip", {"one.mp4": clip, "two.mp4": clip, "deep/three.mp4": clip})
    with pytest.raises(RequestError) as caught:
        await farm.upload({}, "a.zip", archive)
    assert "'one.mp4', 'two.mp4'" in caught.value.message
    assert "three" not in caught.value.message
    archive = zipped(tmp_path / "b.zip", {"read me.txt": b"x"})
    with pytest.raises(RequestError, match="no project") as caught:
        await farm.upload({"renderer": "ffmpeg"}, "b.zip", archive)
    assert caught.value.field == "file"
    await farm.assert_nothing_made()


async def test_an_archive_may_be_told_which_file_is_its_project(farm: Farm, tmp_path: Path, clip: bytes) -> None:
    archive = zipped(tmp_path / "a.zip", {"one.mp4": clip, "two.mp4": clip, "deep/three.mp4": clip, "notes.txt": b"x"})
    one, three = await farm.upload([{"project": "two.mp4"}, {"project": "deep/./three.mp4"}], "a.zip", archive)
    assert (one.spec.project, three.spec.project) == ("two.mp4", "three.mp4")
    assert three.spec.project_path is not None
    assert three.spec.project_path.endswith("/deep/three.mp4")
    assert farm.folders.project(three.spec.project_path).read_bytes() == clip


@pytest.mark.parametrize(
    ("project", "name", "field"),
    [
        ("four.mp4", "a.zip", "project"),
        ("deep", "a.zip", "project"),
        ("../one.mp4", "a.zip", "project"),
        ("/etc/passwd", "a.zip", "project"),
        ("deep/notes.txt", "a.zip", "file"),
        ("clip.mp4", "clip.mp4", "project"),
    ],
)
async def test_a_project_that_is_none_is_refused(
    farm: Farm, tmp_path: Path, clip: bytes, project: str, name: str, field: str
) -> None:
    archive = zipped(tmp_path / "a.zip", {"one.mp4": clip, "deep/notes.txt": b"x"})
    with pytest.raises(RequestError) as caught:
        await farm.upload({"project": project}, name, archive if name == "a.zip" else clip)
    assert (caught.value.status, caught.value.field) == (400, field)
    with pytest.raises(RequestError) as caught:
        await farm.submit({"renderer": "testpattern", "project": project})
    assert caught.value.field == "project"
    await farm.assert_nothing_made()


async def test_limits_of_archives_come_from_the_settings(make_farm: MakeFarm, tmp_path: Path, clip: bytes) -> None:
    archive = zipped(tmp_path / "a.zip", {"clip.mp4": clip, "more.txt": b"x"})
    for flags, says in (({"max_archive_files": 1}, "max_archive_files"), ({"max_unpacked_bytes": 10}, "max_unpacked")):
        farm = await make_farm(**flags)
        with pytest.raises(TooLarge, match=says):
            await farm.upload({}, "a.zip", archive)
        await farm.assert_nothing_made()


@pytest.mark.blender
async def test_a_blend_in_an_archive_wins_over_its_textures(farm: Farm, tmp_path: Path, picture: bytes) -> None:
    fixture = Path(__file__).parents[1] / "fixtures" / "workbench.blend"
    members = {"scene/deep/shot.blend": fixture.read_bytes(), "wood.png": picture, "wood2.png": picture}
    [job] = await farm.upload({}, "scene.zip", zipped(tmp_path / "a.zip", members))
    assert (job.spec.engine, job.spec.project) == ("blender", "shot.blend")
    assert job.spec.project_path is not None
    assert job.spec.project_path.endswith("/scene/deep/shot.blend")


@pytest.mark.blender
@pytest.mark.parametrize(
    ("name", "says"),
    [("no_camera.blend", "has no camera"), ("saved_by_5_0.blend", "5.0"), ("saved_by_4_5.blend", "4.5")],
)
async def test_a_blend_that_cannot_render_is_refused(farm: Farm, name: str, says: str) -> None:
    fixture = Path(__file__).parents[1] / "fixtures" / name
    with pytest.raises(RequestError, match=says) as caught:
        await farm.upload({"renderer": "blender", "engine_version": "3.4.1"}, name, fixture.read_bytes())
    assert caught.value.status == 400
    await farm.assert_nothing_made()


@pytest.mark.blender
async def test_damaged_blends_and_those_for_another_engine(farm: Farm) -> None:
    whole = (Path(__file__).parents[1] / "fixtures" / "workbench.blend").read_bytes()
    for body, content in [
        ({"renderer": "blender"}, b"garbage" * 50),
        ({"renderer": "blender"}, whole[: len(whole) // 2]),
        ({"renderer": "blender"}, whole[:5]),
        ({"renderer": "ffmpeg"}, whole),
    ]:
        with pytest.raises(RequestError) as caught:
            await farm.upload(body, "shot.blend", content)
        assert caught.value.status == 400
        await farm.assert_nothing_made()


@pytest.mark.blender
async def test_missing_assets_are_warnings(farm: Farm) -> None:
    fixture = Path(__file__).parents[1] / "fixtures" / "missing_texture.blend"
    [job] = await farm.upload({}, "shot.blend", fixture.read_bytes())
    assert any("missing" in warning for warning in job.spec.warnings)


# --- durable -------------------------------------------------------------------------------------------------------


async def test_a_project_is_on_the_disk_before_its_job_is_answered(farm: Farm, clip: bytes, synced: set[int]) -> None:
    [record] = await farm.upload({}, "clip.mp4", clip)
    assert record.spec.project_path is not None
    path = farm.folders.project(record.spec.project_path)
    assert {path.stat().st_ino, path.parent.stat().st_ino, farm.folders.projects.stat().st_ino} <= synced


async def test_an_archive_is_on_the_disk_before_its_job_is_answered(
    farm: Farm, clip: bytes, synced: set[int], tmp_path: Path
) -> None:
    content = zipped(tmp_path / "a.zip", {"shot/clip.mp4": clip, "shot/notes/read me.txt": b"x", "empty.txt": b""})
    await farm.upload({}, "a.zip", content)
    [root] = farm.folders.projects.iterdir()
    unpacked = {path.stat().st_ino for path in (farm.folders.projects, root, *root.rglob("*"))}
    assert len(unpacked) == 7
    assert unpacked <= synced
