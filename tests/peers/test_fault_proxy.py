"""The bad network of the tests is bad in just the ways that it says."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from tests.support.fault_proxy import FaultProxy, to


@pytest.fixture
async def said() -> AsyncIterator[tuple[FaultProxy, list[str], httpx.AsyncClient]]:
    """A proxy, what comes through it to a small server, and a client of it."""
    heard: list[str] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                path = head.split(b" ")[1].decode()
                heard.append(path)
                body = b"x" * 300_000 if path == "/long" else path.encode()
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body))
                await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with (
        FaultProxy(("127.0.0.1", server.sockets[0].getsockname()[1])) as proxy,
        httpx.AsyncClient(base_url=f"http://{proxy.address}", timeout=60) as client,
    ):
        yield proxy, heard, client
    server.close()


Said = tuple[FaultProxy, list[str], httpx.AsyncClient]


async def test_it_passes_everything_on(said: Said) -> None:
    _, heard, client = said
    assert (await client.get("/a")).text == "/a"
    assert len((await client.get("/long")).content) == 300_000
    assert heard == ["/a", "/long"]


async def test_a_message_comes_twice_and_is_answered_once(said: Said) -> None:
    proxy, heard, client = said
    proxy.duplicate(to("/twice"), times=1)
    assert (await client.get("/twice")).text == "/twice"
    assert (await client.get("/twice")).text == "/twice"
    assert heard == ["/twice"] * 3


async def test_an_answer_is_lost(said: Said) -> None:
    proxy, heard, client = said
    proxy.lose_answers(to("/a"), times=1)
    with pytest.raises(httpx.TransportError):
        await client.get("/a")
    assert heard == ["/a"]
    assert (await client.get("/a")).text == "/a"


async def test_a_message_is_overtaken(said: Said) -> None:
    proxy, heard, client = said
    held = proxy.hold(to("/first"), times=1)
    first = asyncio.create_task(client.get("/first"))
    assert (await held.caught()).path == "/first"
    await client.get("/second")
    held.release()
    await first
    assert heard == ["/second", "/first"]


async def test_cut_and_mended(said: Said) -> None:
    proxy, heard, client = said
    await client.get("/a")
    proxy.cut()
    with pytest.raises(httpx.TransportError):
        await client.get("/b")
    proxy.mend()
    assert (await client.get("/c")).text == "/c"
    assert heard == ["/a", "/c"]


async def test_swallowed_and_mended(said: Said) -> None:
    proxy, heard, client = said
    proxy.swallow()
    with pytest.raises(httpx.ReadTimeout):
        await client.get("/a", timeout=0.2)
    proxy.mend()
    assert (await client.get("/b")).text == "/b"
    assert heard == ["/b"]


async def test_an_answer_breaks_off(said: Said) -> None:
    proxy, _, client = said
    proxy.cut_answers_after = 100_000
    got = bytearray()

    async def read() -> None:
        async with client.stream("GET", "/long") as answer:
            async for piece in answer.aiter_raw():
                got.extend(piece)

    with pytest.raises(httpx.TransportError):
        await read()
    assert len(got) == 100_000
