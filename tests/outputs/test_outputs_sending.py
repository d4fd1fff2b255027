"""Answers with outputs, over the application interface and over real sockets."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import hashlib
import os
import socket
import zipfile
import zlib
from collections.abc import AsyncIterator
from io import BytesIO
from pathlib import Path

import httpx
import pytest
import uvicorn

from app.outputs.collection import outputs_in
from app.outputs.manifest import Entry
from app.outputs.ranges import Unsatisfiable, asked_range
from app.outputs.reading import BLOCK, OutputGone
from app.outputs.sending import FileAnswer, ZipAnswer, disposition

DATA = os.urandom(3 * BLOCK + 1000)
SIZE = len(DATA)
ETAG = f'"{hashlib.sha256(DATA).hexdigest()}"'


def keep(folder: Path, name: str, data: bytes) -> Entry:
    path = folder / name
    path.write_bytes(data)
    sha = hashlib.sha256(data).hexdigest()
    return Entry(name, len(data), sha, zlib.crc32(data), 1, None, None, path.stat().st_mtime_ns, "a")


@pytest.fixture
def entry(tmp_path: Path) -> Entry:
    return keep(tmp_path, "shot.png", DATA)


async def ask(answer: FileAnswer | ZipAnswer, method: str = "GET", **headers: str) -> httpx.Response:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with httpx.AsyncClient(transport=httpx.ASGITransport(answer), base_url="http://node") as client:
        return await client.request(method, "/", headers=named)


async def test_a_whole_file(tmp_path: Path, entry: Entry) -> None:
    answer = await ask(FileAnswer(tmp_path, entry))
    assert answer.status_code == 200
    assert answer.content == DATA
    assert answer.headers["content-length"] == str(SIZE)
    assert answer.headers["content-type"] == "image/png"
    assert answer.headers["etag"] == ETAG
    assert answer.headers["accept-ranges"] == "bytes"
    assert answer.headers["content-disposition"] == 'attachment; filename="shot.png"'
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["last-modified"].endswith("GMT")


async def test_an_empty_file(tmp_path: Path) -> None:
    answer = await ask(FileAnswer(tmp_path, keep(tmp_path, "empty", b"")))
    assert (answer.status_code, answer.content, answer.headers["content-length"]) == (200, b"", "0")
    assert answer.headers["content-type"] == "application/octet-stream"


async def test_head_says_everything_but_the_content(tmp_path: Path, entry: Entry) -> None:
    for made in (FileAnswer(tmp_path, entry), ZipAnswer(outputs_in([entry], tmp_path), "job")):
        full, head = await ask(made), await ask(made, "HEAD")
        assert head.status_code == 200
        assert head.content == b""
        assert head.headers == full.headers


@pytest.mark.parametrize(
    ("wanted", "start", "end"),
    [
        ("bytes=0-0", 0, 1),
        ("bytes=0-", 0, SIZE),
        ("bytes=100-199", 100, 200),
        (f"bytes={SIZE - 1}-", SIZE - 1, SIZE),
        (f"bytes=5-{SIZE + 100}", 5, SIZE),
        ("bytes=-10", SIZE - 10, SIZE),
        (f"bytes=-{SIZE * 2}", 0, SIZE),
        (f"bytes={BLOCK - 1}-{BLOCK}", BLOCK - 1, BLOCK + 1),
        (" Bytes = 7 - 9 ", 7, 10),
    ],
)
async def test_a_part(tmp_path: Path, entry: Entry, wanted: str, start: int, end: int) -> None:
    answer = await ask(FileAnswer(tmp_path, entry), range=wanted)
    assert answer.status_code == 206
    assert answer.content == DATA[start:end]
    assert answer.headers["content-range"] == f"bytes {start}-{end - 1}/{SIZE}"
    assert answer.headers["content-length"] == str(end - start)
    assert answer.headers["etag"] == ETAG


@pytest.mark.parametrize("wanted", [f"bytes={SIZE}-", f"bytes={SIZE * 9}-", "bytes=-0"])
async def test_a_part_behind_the_end(tmp_path: Path, entry: Entry, wanted: str) -> None:
    answer = await ask(FileAnswer(tmp_path, entry), range=wanted)
    assert answer.status_code == 416
    assert answer.headers["content-range"] == f"bytes */{SIZE}"


@pytest.mark.parametrize("wanted", ["bytes=", "bytes=-", "bytes=5-3", "bytes=a-b", "lines=1-2", "bytes=0-1,3-4", ""])
async def test_what_is_no_range_is_answered_in_full(tmp_path: Path, entry: Entry, wanted: str) -> None:
    answer = await ask(FileAnswer(tmp_path, entry), range=wanted)
    assert answer.status_code == 200
    assert len(answer.content) == SIZE


def test_nothing_of_an_empty_file_can_be_asked_for() -> None:
    for wanted in ("bytes=0-", "bytes=-5"):
        with pytest.raises(Unsatisfiable):
            asked_range({"range": wanted}, 0, "", "")


async def test_a_part_of_another_version_is_answered_in_full(tmp_path: Path, entry: Entry) -> None:
    made = FileAnswer(tmp_path, entry)
    modified = made.headers["last-modified"]
    for condition, status in ((ETAG, 206), (modified, 206), ('"other"', 200), ("Thu, 01 Jan 1970 00:00:00 GMT", 200)):
        answer = await ask(made, range="bytes=0-4", if_range=condition)
        assert answer.status_code == status
        assert answer.content == (DATA[:5] if status == 206 else DATA)


async def test_what_the_client_has_already_is_not_sent(tmp_path: Path, entry: Entry) -> None:
    made = FileAnswer(tmp_path, entry)
    for known in (ETAG, f'"x", W/{ETAG}', "*"):
        answer = await ask(made, if_none_match=known)
        assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", ETAG)
    assert (await ask(made, if_none_match='"x"')).status_code == 200


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("a b.png", 'attachment; filename="a b.png"'),
        ("grün.png", "attachment; filename=\"gr_n.png\"; filename*=UTF-8''gr%C3%BCn.png"),
        ('a"b%41.png', "attachment; filename=\"a_b_41.png\"; filename*=UTF-8''a%22b%2541.png"),
        ("a\r\nb", "attachment; filename=\"a__b\"; filename*=UTF-8''a%0D%0Ab"),
    ],
)
def test_any_name_fits_into_the_header(name: str, header: str) -> None:
    assert disposition(name) == header


@pytest.mark.parametrize("damage", ["gone", "shorter", "link", "folder"])
async def test_what_is_not_there_any_more_is_told_before_anything_is_sent(
    tmp_path: Path, entry: Entry, damage: str
) -> None:
    path = tmp_path / entry.name
    path.unlink()
    if damage == "shorter":
        path.write_bytes(DATA[:-1])
    elif damage == "link":
        (tmp_path / "other").write_bytes(DATA)
        path.symlink_to(tmp_path / "other")
    elif damage == "folder":
        path.mkdir()
    sent: list[object] = []

    async def send(message: object) -> None:
        sent.append(message)

    async def receive() -> dict[str, object]:
        return {"type": "http.request"}

    for made in (FileAnswer(tmp_path, entry), ZipAnswer(outputs_in([entry], tmp_path), "job")):
        with pytest.raises(OutputGone, match=r"shot\.png"):
            await made({"type": "http", "method": "GET", "headers": []}, receive, send)
    assert sent == []


async def test_everything_as_a_zip(tmp_path: Path, entry: Entry) -> None:
    other = keep(tmp_path, "grün.txt", b"hello")
    answer = await ask(ZipAnswer(outputs_in([entry, other], tmp_path), "Mein Büro/1"))
    assert answer.headers["content-type"] == "application/zip"
    assert answer.headers["content-length"] == str(len(answer.content))
    assert answer.headers["content-disposition"].endswith("filename*=UTF-8''Mein%20B%C3%BCro_1.zip")
    with zipfile.ZipFile(BytesIO(answer.content)) as read:
        assert read.testzip() is None
        assert read.read("Mein Büro_1/shot.png") == DATA
        assert read.read("Mein Büro_1/grün.txt") == b"hello"


# --- over real sockets -----------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def served(app: FileAnswer | ZipAnswer) -> AsyncIterator[int]:
    listening = socket.create_server(("127.0.0.1", 0))
    config = uvicorn.Config(app, lifespan="off", log_level="critical", http="httptools", timeout_graceful_shutdown=5)
    server = uvicorn.Server(config)
    serving = asyncio.ensure_future(server.serve(sockets=[listening]))
    try:
        yield listening.getsockname()[1]
    finally:
        server.should_exit = True
        await serving


def descriptors_of(path: Path) -> int:
    found = 0
    for number in os.listdir("/proc/self/fd"):
        with contextlib.suppress(OSError):
            found += Path(f"/proc/self/fd/{number}").readlink() == path
    return found


@pytest.mark.skipif(not Path("/proc/self/fd").exists(), reason="needs /proc to see open files")
async def test_nothing_stays_open_when_the_client_goes_away(tmp_path: Path) -> None:
    path = tmp_path / "big.bin"
    with path.open("wb") as file:
        file.truncate(8 << 30)  # a hole: reading all of it would take long
    entry = Entry("big.bin", 8 << 30, "0" * 64, 0, None, None, None, path.stat().st_mtime_ns, "a")
    for app in (FileAnswer(tmp_path, entry), ZipAnswer(outputs_in([entry], tmp_path), "job")):
        async with served(app) as port:
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert (await reader.readline()).startswith(b"HTTP/1.1 200")
            await reader.readexactly(4 << 20)
            assert descriptors_of(path) == 1
            writer.close()
            with contextlib.suppress(ConnectionError):
                await writer.wait_closed()
        # The server waits for its tasks before it ends; within its time it would never have sent all.
        gc.collect()
        assert descriptors_of(path) == 0


async def test_a_file_that_shrinks_meanwhile_never_looks_complete(tmp_path: Path) -> None:
    size = 256 << 20
    path = tmp_path / "big.bin"
    with path.open("wb") as file:
        file.truncate(size)
    entry = Entry("big.bin", size, "0" * 64, 0, None, None, None, path.stat().st_mtime_ns, "a")
    async with served(FileAnswer(tmp_path, entry)) as port:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert f"content-length: {size}".encode() in head
        await reader.readexactly(BLOCK)
        os.truncate(path, BLOCK)
        with pytest.raises(asyncio.IncompleteReadError):
            await reader.readexactly(size - BLOCK)
        writer.close()
