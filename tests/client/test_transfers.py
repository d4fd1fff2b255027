"""Uploads and downloads over a real socket, with connections that break and files that change."""

from __future__ import annotations

import json
from collections.abc import Callable
from email.utils import formatdate
from pathlib import Path

import pytest

from client import ConnectionFailed, NotFound, RenderServerProxy, TransferFailed
from client.models import AddJob
from client.upload import Upload
from tests.support.scripted_server import Reply, Request, scripted_server

CONTENT = bytes(range(256)) * 12_000  # 3 MB: three pieces
MODIFIED = 1_700_000_000


def file_of(content: bytes, etag: str = '"v1"') -> Callable[[Request, int], Reply]:
    """A server of one file, with ranges as RFC 9110 has them."""

    def answer(request: Request, number: int) -> Reply:
        headers = {"ETag": etag, "Last-Modified": formatdate(MODIFIED, usegmt=True)}
        wanted = request.headers.get("range")
        if wanted is None or request.headers.get("if-range") != etag:
            return Reply(content, headers=headers)
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        if start >= len(content):
            return Reply(b"", "416 Range Not Satisfiable", headers)
        headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        return Reply(content[start:], "206 Partial Content", headers)

    return answer


def names_in(folder: Path) -> list[str]:
    """What lies in a folder."""
    return [path.name for path in folder.iterdir()]


async def test_a_download_arrives_whole_with_the_time_of_the_original(tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    async with scripted_server(file_of(CONTENT)) as server, RenderServerProxy("127.0.0.1", server.port) as node:
        path = await node.download_job_file("j", "a.png", tmp_path, lambda done, total: seen.append((done, total)))
    assert path == tmp_path / "a.png"
    assert path.read_bytes() == CONTENT
    assert int(path.stat().st_mtime) == MODIFIED
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert [done for done, _ in seen] == sorted({done for done, _ in seen})
    assert names_in(tmp_path) == ["a.png"]


async def test_a_broken_download_goes_on_where_it_stopped(tmp_path: Path) -> None:
    whole = file_of(CONTENT)

    def breaks_once(request: Request, number: int) -> Reply:
        reply = whole(request, number)
        reply.cut = 2_000_000 if number == 0 else None
        return reply

    async with scripted_server(breaks_once) as server, RenderServerProxy("127.0.0.1", server.port) as node:
        path = await node.download_job_file("j", "a.png", tmp_path / "b.png")
    assert path.read_bytes() == CONTENT
    assert server.requests[1].headers["range"] == "bytes=2000000-"
    assert server.requests[1].headers["if-range"] == '"v1"'


async def test_a_download_given_up_is_taken_up_by_the_next_call(tmp_path: Path) -> None:
    whole = file_of(CONTENT)

    def breaks_always(request: Request, number: int) -> Reply:
        reply = whole(request, number)
        reply.cut = 1000
        return reply

    async with scripted_server(breaks_always) as server, RenderServerProxy("127.0.0.1", server.port) as node:
        with pytest.raises(ConnectionFailed):
            await node.download_job_file("j", "a.png", tmp_path)
        tries = len(server.requests)
    assert not (tmp_path / "a.png").exists()
    async with scripted_server(whole) as server, RenderServerProxy("127.0.0.1", server.port) as node:
        await node.download_job_file("j", "a.png", tmp_path)
    assert server.requests[0].headers["range"] == f"bytes={1000 * tries}-"
    assert (tmp_path / "a.png").read_bytes() == CONTENT
    assert names_in(tmp_path) == ["a.png"]


async def test_a_file_that_changed_meanwhile_is_fetched_anew(tmp_path: Path) -> None:
    old, new = file_of(CONTENT), file_of(CONTENT[::-1], '"v2"')

    def changes(request: Request, number: int) -> Reply:
        reply = (old if number == 0 else new)(request, number)
        reply.cut = 5000 if number == 0 else None
        return reply

    async with scripted_server(changes) as server, RenderServerProxy("127.0.0.1", server.port) as node:
        path = await node.download_job_file("j", "a.png", tmp_path)
    assert path.read_bytes() == CONTENT[::-1]


async def test_a_part_longer_than_the_file_is_thrown_away(tmp_path: Path) -> None:
    (tmp_path / "a.png.part").write_bytes(CONTENT + b"more")
    (tmp_path / "a.png.part.etag").write_text('"v1"')
    async with scripted_server(file_of(CONTENT)) as server, RenderServerProxy("127.0.0.1", server.port) as node:
        path = await node.download_job_file("j", "a.png", tmp_path)
    assert len(server.requests) == 2
    assert path.read_bytes() == CONTENT


async def test_what_is_there_already_is_not_written_again(tmp_path: Path) -> None:
    async with scripted_server(file_of(CONTENT)) as server, RenderServerProxy("127.0.0.1", server.port) as node:
        first = await node.download_job_file("j", "a.png", tmp_path)
        inode = first.stat().st_ino
        second = await node.download_job_file("j", "a.png", tmp_path)
        assert second.stat().st_ino == inode
        first.write_bytes(CONTENT[:-1] + b"!")  # same size, other time
        third = await node.download_job_file("j", "a.png", tmp_path)
    assert third.read_bytes() == CONTENT


async def test_an_answer_without_a_length_is_taken_as_it_comes(tmp_path: Path) -> None:
    async with (
        scripted_server(lambda request, number: Reply(b"stream", length=False)) as server,
        RenderServerProxy("127.0.0.1", server.port) as node,
    ):
        path = await node.download_all_job_files("j", tmp_path / "all.zip")
    assert path.read_bytes() == b"stream"


@pytest.mark.parametrize("name", ["../evil", "a/b", "..", "", "c:\\x"])
async def test_a_name_that_leads_out_of_the_folder_is_refused_before_anything_is_asked(
    name: str, tmp_path: Path
) -> None:
    async with scripted_server(file_of(CONTENT)) as server, RenderServerProxy("127.0.0.1", server.port) as node:
        with pytest.raises(TransferFailed, match="no plain file name"):
            await node.download_job_file("j", name, tmp_path)
    assert server.requests == []


async def test_a_refused_download_leaves_no_file(tmp_path: Path) -> None:
    async with (
        scripted_server(lambda request, number: Reply(b"no such output", "404 Not Found")) as server,
        RenderServerProxy("127.0.0.1", server.port) as node,
    ):
        with pytest.raises(NotFound, match="no such output"):
            await node.download_job_file("j", "a.png", tmp_path)
    assert names_in(tmp_path) == []


def job_json(job_id: str) -> bytes:
    """The least that a job on the wire must have, in a list."""
    job = {"id": job_id, "name": "n", "status": "not_started", "reason": "", "engine": "blender"}
    job |= {"engine_version": "4.5", "frames": "1", "date_created": "2026-01-01T00:00:00Z"}
    return json.dumps([job | {"start_frame": 1, "end_frame": 1, "total_frames": 1}]).encode()


async def test_an_upload_has_its_length_and_arrives_as_it_is(tmp_path: Path) -> None:
    project = tmp_path / 'quo"te é.blend'
    project.write_bytes(CONTENT)
    seen: list[tuple[int, int | None]] = []
    async with (
        scripted_server(lambda request, number: Reply(job_json("j1"))) as server,
        RenderServerProxy("127.0.0.1", server.port) as node,
    ):
        [job] = await node.create_job(AddJob(frames="1-2"), project, progress=lambda *at: seen.append(at))
    [request] = server.requests
    boundary = request.headers["content-type"].split("boundary=")[1].encode()
    empty, document, file, end = request.body.split(b"--" + boundary)
    assert job.id == "j1"
    assert (empty, end) == (b"", b"--\r\n")
    assert b'name="json"' in document
    assert json.loads(document.split(b"\r\n\r\n", 1)[1]) == {"frames": "1-2", "enable_split_jobs": True}
    assert 'filename="quo%22te é.blend"'.encode() in file
    assert file.split(b"\r\n\r\n", 1)[1] == CONTENT + b"\r\n"
    assert "transfer-encoding" not in request.headers
    assert seen[-1] == (len(CONTENT), len(CONTENT))


async def test_a_submit_that_broke_is_repeated_under_the_same_key(tmp_path: Path) -> None:
    project = tmp_path / "a.blend"
    project.write_bytes(b"BLENDER")
    async with (
        scripted_server(lambda request, number: None if number == 0 else Reply(job_json("j1"))) as server,
        RenderServerProxy("127.0.0.1", server.port) as node,
    ):
        await node.create_job(AddJob(), project)
    first, second = server.requests
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"] != ""
    assert first.body == second.body


async def test_a_file_that_shrinks_while_it_is_sent_is_an_error(tmp_path: Path) -> None:
    project = tmp_path / "a.blend"
    project.write_bytes(CONTENT)
    upload = Upload(b"{}", project)
    project.write_bytes(b"short")
    with pytest.raises(TransferFailed, match="shorter"):
        async for _ in upload.body():
            pass
