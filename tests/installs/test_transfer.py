"""Downloads from a server that does everything that servers do to a download."""

from __future__ import annotations

import asyncio
import gzip
import hashlib
import os
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import httpx
import pytest

from app.installs.retries import Patience
from app.installs.source import SourceError
from app.installs.transfer import download, fetch_text
from engines.installs.release import Checksum
from tests.support.scripted_server import Reply, Request, ScriptedServer, scripted_server

CONTENT = os.urandom(9_000_000)
SHA256 = Checksum("sha256", hashlib.sha256(CONTENT).hexdigest())
HASTY = Patience(stall=5.0, tries=3, first_wait=0.01, longest_wait=2.0)

Script = Callable[[Request, int], Reply | None]


def unwatched(have: int, total: int | None) -> None:
    """Progress that nobody watches."""


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False) as opened:
        yield opened


def part_of(request: Request, content: bytes = CONTENT, tag: str = '"one"', cut: int | None = None) -> Reply:
    """What a decent server answers: the rest if it is still the same file, else all."""
    asked = request.headers.get("range")
    if asked is None or request.headers.get("if-range") != tag:
        return Reply(content, headers={"ETag": tag}, cut=cut)
    start = int(asked.removeprefix("bytes=").removesuffix("-"))
    where = f"bytes {start}-{len(content) - 1}/{len(content)}"
    return Reply(content[start:], "206 Partial Content", {"ETag": tag, "Content-Range": where}, cut)


def url_of(server: ScriptedServer, path: str = "/blender.tar.xz") -> str:
    return f"http://127.0.0.1:{server.port}{path}"


def left(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def ranges(server: ScriptedServer) -> list[str | None]:
    return [request.headers.get("range") for request in server.requests]


async def refused(
    client: httpx.AsyncClient, script: Script, target: Path, *, size: int | None = None, keep_free: int = 0
) -> tuple[SourceError, ScriptedServer]:
    async with scripted_server(script) as server:
        with pytest.raises(SourceError) as caught:
            await download(
                client,
                url_of(server),
                target,
                unwatched,
                size=size,
                checksum=SHA256,
                keep_free=keep_free,
                patience=HASTY,
            )
    assert not target.exists()
    return caught.value, server


async def test_a_whole_file(client: httpx.AsyncClient, tmp_path: Path) -> None:
    seen: list[tuple[int, int | None]] = []
    async with scripted_server(lambda request, number: part_of(request)) as server:
        await download(
            client,
            url_of(server),
            tmp_path / "a",
            lambda have, total: seen.append((have, total)),
            size=len(CONTENT),
            checksum=SHA256,
        )
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert left(tmp_path) == ["a"]
    assert seen[0] == (0, len(CONTENT))
    assert seen[-1] == (len(CONTENT), len(CONTENT))
    assert server.requests[0].headers["accept-encoding"] == "identity"


async def test_a_packed_answer_is_kept_as_it_is(client: httpx.AsyncClient, tmp_path: Path) -> None:
    packed = gzip.compress(b"a release" * 1000)
    reply = Reply(packed, headers={"Content-Encoding": "gzip"})
    async with scripted_server(lambda request, number: reply) as server:
        await download(client, url_of(server), tmp_path / "a.tar.gz", unwatched, size=len(packed))
    assert (tmp_path / "a.tar.gz").read_bytes() == packed


async def test_a_broken_connection_goes_on_with_exactly_the_missing_bytes(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    def script(request: Request, number: int) -> Reply | None:
        if number == 2:
            return None  # gone for a moment
        return part_of(request, cut=[5_000_001, 1_000_000, None, None][number])

    async with scripted_server(script) as server:
        await download(client, url_of(server), tmp_path / "a", unwatched, checksum=SHA256, patience=HASTY)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=5000001-", "bytes=6000001-", "bytes=6000001-"]
    assert server.requests[1].headers["if-range"] == '"one"'


async def test_a_later_call_goes_on_where_an_earlier_one_gave_up(client: httpx.AsyncClient, tmp_path: Path) -> None:
    back = False

    def script(request: Request, number: int) -> Reply | None:
        if number == 0:
            return part_of(request, cut=4_000_000)
        return part_of(request) if back else None

    async with scripted_server(script) as server:
        with pytest.raises(SourceError) as caught:
            await download(client, url_of(server), tmp_path / "a", unwatched, checksum=SHA256, patience=HASTY)
        assert caught.value.transient
        assert left(tmp_path) == ["a.part", "a.part.json"]
        assert (tmp_path / "a.part").read_bytes() == CONTENT[:4_000_000]
        back = True
        await download(client, url_of(server), tmp_path / "a", unwatched, checksum=SHA256, patience=HASTY)
    assert ranges(server)[-1] == "bytes=4000000-"
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert left(tmp_path) == ["a"]


async def test_a_cancelled_download_goes_on(client: httpx.AsyncClient, tmp_path: Path) -> None:
    asked_again = asyncio.Event()

    def script(request: Request, number: int) -> Reply:
        reply = part_of(request, cut=[6_000_000, 0, None][number])
        if number == 1:
            reply.hold = True
            asked_again.set()
        return reply

    patience = Patience(stall=200.0, first_wait=0.01)
    async with scripted_server(script) as server:
        url = url_of(server)
        task = asyncio.create_task(download(client, url, tmp_path / "a", unwatched, checksum=SHA256, patience=patience))
        await asked_again.wait()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert (tmp_path / "a.part").read_bytes() == CONTENT[:6_000_000]
        await download(client, url, tmp_path / "a", unwatched, checksum=SHA256, patience=patience)
    assert ranges(server) == [None, "bytes=6000000-", "bytes=6000000-"]
    assert (tmp_path / "a").read_bytes() == CONTENT


async def test_a_server_without_ranges_starts_anew(client: httpx.AsyncClient, tmp_path: Path) -> None:
    def script(request: Request, number: int) -> Reply:
        return Reply(CONTENT, headers={"ETag": '"one"'}, cut=3_000_000 if number == 0 else None)

    async with scripted_server(script) as server:
        await download(client, url_of(server), tmp_path / "a", unwatched, checksum=SHA256, patience=HASTY)
    assert ranges(server) == [None, "bytes=3000000-"]
    assert (tmp_path / "a").read_bytes() == CONTENT


async def test_nothing_is_resumed_that_no_validator_vouches_for(client: httpx.AsyncClient, tmp_path: Path) -> None:
    def script(request: Request, number: int) -> Reply:
        return Reply(CONTENT, headers={"ETag": 'W/"weak"'}, cut=3_000_000 if number == 0 else None)

    async with scripted_server(script) as server:
        await download(client, url_of(server), tmp_path / "a", unwatched, checksum=SHA256, patience=HASTY)
    assert ranges(server) == [None, None]
    assert (tmp_path / "a").read_bytes() == CONTENT


@pytest.mark.parametrize("minds_if_range", [True, False])
async def test_a_file_that_changed_between_tries_starts_anew(
    client: httpx.AsyncClient, tmp_path: Path, minds_if_range: bool
) -> None:
    before = os.urandom(len(CONTENT))

    def script(request: Request, number: int) -> Reply:
        if number == 0:
            return part_of(request, before, '"old"', cut=2_000_000)
        if not minds_if_range and "range" in request.headers:
            request.headers["if-range"] = '"new"'
        return part_of(request, CONTENT, '"new"')

    async with scripted_server(script) as server:
        await download(client, url_of(server), tmp_path / "a", unwatched, checksum=SHA256, patience=HASTY)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert ranges(server) == [None, "bytes=2000000-"] + ([] if minds_if_range else [None])


async def test_416_starts_anew(client: httpx.AsyncClient, tmp_path: Path) -> None:
    def script(request: Request, number: int) -> Reply:
        if "range" in request.headers:
            return Reply(b"", "416 Range Not Satisfiable", {"Content-Range": "bytes */5"})
        return part_of(request, cut=2_000_000 if number == 0 else None)

    async with scripted_server(script) as server:
        await download(client, url_of(server), tmp_path / "a", unwatched, checksum=SHA256, patience=HASTY)
    assert ranges(server) == [None, "bytes=2000000-", None]
    assert (tmp_path / "a").read_bytes() == CONTENT


async def test_a_wrong_checksum_leaves_nothing(client: httpx.AsyncClient, tmp_path: Path) -> None:
    wrong = b"x" + CONTENT[1:]
    error, server = await refused(client, lambda request, number: part_of(request, wrong), tmp_path / "a")
    assert SHA256.digest in error.message
    assert hashlib.sha256(wrong).hexdigest() in error.message
    assert not error.transient
    assert len(server.requests) == 1
    assert left(tmp_path) == []


async def test_bytes_that_were_there_before_are_verified_too(client: httpx.AsyncClient, tmp_path: Path) -> None:
    async with scripted_server(
        lambda request, number: part_of(request, cut=2_000_000) if number < 1 else None
    ) as server:
        url = url_of(server)
        with pytest.raises(SourceError):
            await download(client, url, tmp_path / "a", unwatched, checksum=SHA256, patience=HASTY)
        with (tmp_path / "a.part").open("r+b") as file:
            file.write(b"damaged")
    server_again = await asyncio.start_server(
        ScriptedServer(lambda request, number: part_of(request)).handle, "127.0.0.1", server.port
    )
    async with server_again:
        with pytest.raises(SourceError, match="sha256"):
            await download(client, url, tmp_path / "a", unwatched, checksum=SHA256, patience=HASTY)
    assert left(tmp_path) == []


async def test_a_stalled_server_is_given_up_and_asked_again(client: httpx.AsyncClient, tmp_path: Path) -> None:
    def script(request: Request, number: int) -> Reply:
        reply = part_of(request, cut=1_000_000 if number == 0 else None)
        reply.hold = number == 0
        return reply

    patience = Patience(stall=0.5, tries=3, first_wait=0.01)
    async with scripted_server(script) as server:
        await download(client, url_of(server), tmp_path / "a", unwatched, checksum=SHA256, patience=patience)
    assert ranges(server) == [None, "bytes=1000000-"]
    assert (tmp_path / "a").read_bytes() == CONTENT


async def test_a_server_that_always_stalls_is_transient(client: httpx.AsyncClient, tmp_path: Path) -> None:
    patience = Patience(stall=0.2, tries=2, first_wait=0.01)
    async with scripted_server(lambda request, number: Reply(CONTENT, cut=0, hold=True)) as server:
        with pytest.raises(SourceError, match="did not answer for") as caught:
            await download(client, url_of(server), tmp_path / "a", unwatched, patience=patience)
    assert caught.value.transient
    assert len(server.requests) == 2


@pytest.mark.parametrize("status", ["404 Not Found", "403 Forbidden", "410 Gone", "401 Unauthorized"])
async def test_answers_that_are_final(client: httpx.AsyncClient, tmp_path: Path, status: str) -> None:
    error, server = await refused(client, lambda request, number: Reply(status=status), tmp_path / "a")
    assert not error.transient
    assert status in error.message
    assert len(server.requests) == 1


@pytest.mark.parametrize("status", ["503 Service Unavailable", "500 Internal Server Error", "429 Too Many Requests"])
async def test_answers_that_may_pass(client: httpx.AsyncClient, tmp_path: Path, status: str) -> None:
    error, server = await refused(client, lambda request, number: Reply(status=status), tmp_path / "a")
    assert error.transient
    assert len(server.requests) == HASTY.tries


async def test_retry_after_is_waited_for(client: httpx.AsyncClient, tmp_path: Path) -> None:
    def script(request: Request, number: int) -> Reply:
        at.append(asyncio.get_running_loop().time())
        return Reply(status="429 Too Many Requests", headers={"Retry-After": "1"}) if number == 0 else part_of(request)

    at: list[float] = []
    async with scripted_server(script) as server:
        await download(client, url_of(server), tmp_path / "a", unwatched, checksum=SHA256, patience=HASTY)
    assert at[1] - at[0] >= 1.0  # never earlier than it asked for, however fast the machine


async def test_too_long_a_retry_after_is_not_waited_for(client: httpx.AsyncClient, tmp_path: Path) -> None:
    reply = Reply(status="503 Service Unavailable", headers={"Retry-After": "3600"})
    error, server = await refused(client, lambda request, number: reply, tmp_path / "a")
    assert error.transient
    assert "3600" in error.message
    assert len(server.requests) == 1


async def test_nobody_listens(client: httpx.AsyncClient, tmp_path: Path) -> None:
    async with scripted_server(lambda request, number: None) as server:
        url = url_of(server)
    with pytest.raises(SourceError) as caught:
        await download(client, url, tmp_path / "a", unwatched, patience=HASTY)
    assert caught.value.transient


async def test_redirects_are_followed_and_resumed_from_the_first_place(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    def script(request: Request, number: int) -> Reply:
        if request.target == "/blender.tar.xz":
            return Reply(status="302 Found", headers={"Location": f"../signed?key={number}"})
        return part_of(request, cut=1_000_000 if number == 1 else None)

    async with scripted_server(script) as server:
        await download(client, url_of(server), tmp_path / "a", unwatched, checksum=SHA256, patience=HASTY)
    assert (tmp_path / "a").read_bytes() == CONTENT
    assert [request.target for request in server.requests][1::2] == ["/signed?key=0", "/signed?key=2"]
    assert ranges(server)[3] == "bytes=1000000-"


async def test_a_redirect_loop_ends(client: httpx.AsyncClient, tmp_path: Path) -> None:
    loop = Reply(status="301 Moved Permanently", headers={"Location": "/again"})
    error, server = await refused(client, lambda request, number: loop, tmp_path / "a")
    assert "more than 5 times" in error.message
    assert not error.transient
    assert len(server.requests) == 6


async def test_no_redirect_to_another_protocol(client: httpx.AsyncClient, tmp_path: Path) -> None:
    away = Reply(status="302 Found", headers={"Location": "file:///etc/passwd"})
    error, _ = await refused(client, lambda request, number: away, tmp_path / "a")
    assert "not followed" in error.message


@pytest.mark.skipif(shutil.which("openssl") is None, reason="makes a certificate with openssl")
async def test_no_redirect_from_https_to_http(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-keyout", key, "-out", certificate, "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"],
        check=True, capture_output=True,
    )  # fmt: skip
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    away = ScriptedServer(
        lambda request, number: Reply(status="302 Found", headers={"Location": "http://127.0.0.1:9/"})
    )
    async with (
        await asyncio.start_server(away.handle, "127.0.0.1", 0, ssl=context) as server,
        httpx.AsyncClient(trust_env=False, verify=ssl.create_default_context(cafile=certificate)) as trusting,
        httpx.AsyncClient(trust_env=False) as suspicious,
    ):
        url = f"https://127.0.0.1:{server.sockets[0].getsockname()[1]}/a"
        with pytest.raises(SourceError, match="not as safe") as caught:
            await download(trusting, url, tmp_path / "a", unwatched, patience=HASTY)
        assert not caught.value.transient
        with pytest.raises(SourceError, match="CERTIFICATE_VERIFY_FAILED") as caught:
            await download(suspicious, url, tmp_path / "a", unwatched, patience=HASTY)
        assert not caught.value.transient


async def test_another_size_than_offered(client: httpx.AsyncClient, tmp_path: Path) -> None:
    error, _ = await refused(client, lambda request, number: part_of(request), tmp_path / "a", size=10)
    assert "9000000" in error.message
    assert not error.transient


async def test_more_bytes_than_offered_by_a_server_that_does_not_say_how_many(
    client: httpx.AsyncClient, tmp_path: Path
) -> None:
    endless = Reply(CONTENT, length=False)
    error, _ = await refused(client, lambda request, number: endless, tmp_path / "a", size=5_000_000)
    assert "more bytes" in error.message


async def test_a_file_that_ends_too_early_without_a_word(client: httpx.AsyncClient, tmp_path: Path) -> None:
    short = Reply(CONTENT, length=False, cut=5_000_000)
    error, _ = await refused(client, lambda request, number: short, tmp_path / "a", size=len(CONTENT))
    assert "broke off after 5000000" in error.message
    assert error.transient


async def test_no_room_for_what_the_server_announces(client: httpx.AsyncClient, tmp_path: Path) -> None:
    huge = Reply(b"x", headers={"Content-Length": str(1 << 55)}, length=False)
    async with scripted_server(lambda request, number: huge) as server:
        with pytest.raises(SourceError, match="must stay free"):
            await download(client, url_of(server), tmp_path / "a", unwatched, patience=HASTY)
    assert len(server.requests) == 1


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 7 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=7m", "none", place], capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


@pytest.mark.parametrize("keep_free", [1 << 20, 0])
async def test_room_is_looked_at_while_it_comes(client: httpx.AsyncClient, small_disk: Path, keep_free: int) -> None:
    endless = Reply(CONTENT, length=False)
    error, server = await refused(client, lambda request, number: endless, small_disk / "a", keep_free=keep_free)
    assert "must stay free" in error.message
    assert not error.transient
    assert len(server.requests) == 1
    assert (small_disk / "a.part").stat().st_size == 4 << 20  # the first block still had room


async def test_a_page(client: httpx.AsyncClient) -> None:
    def script(request: Request, number: int) -> Reply | None:
        return Reply("Blënder".encode(), headers={"Content-Type": "text/html; charset=utf-8"}) if number else None

    async with scripted_server(script) as server:
        assert await fetch_text(client, url_of(server), patience=HASTY) == "Blënder"
        with pytest.raises(SourceError, match="longer than 3 bytes"):
            await fetch_text(client, url_of(server), limit=3, patience=HASTY)
