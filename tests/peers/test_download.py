"""A large file of another node: read in a thread, whatever becomes of the connection or of whoever wants it."""

from __future__ import annotations

import asyncio
import os
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import pytest
import trustme

from app.peers.download import Download
from client.addresses import Address
from client.errors import ConnectionFailed, NotFound, ProtocolError, Timeout
from client.trust import pinned

CONTENT = os.urandom(9 << 20)
Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@asynccontextmanager
async def node(talk: Talk, context: ssl.SSLContext | None = None) -> AsyncIterator[Address]:
    """A server that reads the head of a request and then talks."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            await talk(reader, writer)
        except (ConnectionError, asyncio.IncompleteReadError):
            pass  # the other side has hung up
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=context)
    try:
        yield Address("127.0.0.1", server.sockets[0].getsockname()[1])
    finally:
        server.close()


def head(length: int, status: str = "200 OK") -> bytes:
    return f'HTTP/1.1 {status}\r\nContent-Length: {length}\r\nETag: "x"\r\nX-API-Version: 0.1\r\n\r\n'.encode()


async def send_all(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(head(len(CONTENT)) + CONTENT)
    await writer.drain()


async def read_all(download: Download, block: int = 4 << 20) -> bytes:
    found = bytearray()
    memory = memoryview(bytearray(block))
    while download.left and (count := await download.read_into(memory)):
        found += memory[:count]
    return bytes(found)


async def test_the_bytes_are_those_that_were_sent_and_their_headers_are_there() -> None:
    async with node(send_all) as address, Download(address, None, "/x", {}, 20) as download:
        assert download.headers["etag"] == '"x"'
        assert download.left == len(CONTENT)
        assert await read_all(download) == CONTENT
        assert download.left == 0


async def test_only_the_certificate_that_is_known_is_believed() -> None:
    ca, other = trustme.CA(), trustme.CA()
    shown = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    certificate = ca.issue_cert("other.example")
    certificate.configure_cert(shown)
    own = ssl.PEM_cert_to_DER_cert(certificate.cert_chain_pems[0].bytes().decode())
    strange = ssl.PEM_cert_to_DER_cert(other.issue_cert("other.example").cert_chain_pems[0].bytes().decode())
    async with node(send_all, shown) as address:
        async with Download(address, pinned(own), "/x", {}, 20) as download:
            assert await read_all(download) == CONTENT
        with pytest.raises(ConnectionFailed, match="certificate"):
            await Download(address, pinned(strange), "/x", {}, 20).__aenter__()


async def test_what_came_before_a_connection_broke_is_handed_over() -> None:
    async def half(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head(len(CONTENT)) + CONTENT[: len(CONTENT) // 2])
        await writer.drain()

    async with node(half) as address, Download(address, None, "/x", {}, 20) as download:
        assert await read_all(download) == CONTENT[: len(CONTENT) // 2]
        assert download.left == len(CONTENT) - len(CONTENT) // 2


async def test_an_error_of_the_other_node_is_one_here() -> None:
    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head(12, "404 Not Found") + b"it is gone..")

    async with node(refuse) as address:
        with pytest.raises(NotFound, match="it is gone"):
            await Download(address, None, "/x", {}, 20).__aenter__()


async def test_another_version_of_the_api_is_not_understood() -> None:
    async def strange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(head(0).replace(b"0.1", b"7.0"))

    async with node(strange) as address:
        with pytest.raises(ProtocolError, match="API version"):
            await Download(address, None, "/x", {}, 20).__aenter__()


async def test_nobody_there_is_said() -> None:
    async with node(send_all) as address:
        pass
    with pytest.raises(ConnectionFailed, match="nothing answers"):
        await Download(address, None, "/x", {}, 20).__aenter__()


async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.write(head(len(CONTENT)) + CONTENT[:1000])
    await reader.read()  # until the other side hangs up


async def test_a_node_that_sends_nothing_more_is_given_up() -> None:
    async with node(silent) as address, Download(address, None, "/x", {}, 0.2) as download:
        memory = bytearray(4096)
        with memoryview(memory) as view:
            assert await download.read_into(view) == 1000
            with pytest.raises(Timeout) as raised:
                await download.read_into(view)
        memory.clear()  # nobody holds it any more, not even what was raised
        assert raised.value.__traceback__ is not None


async def test_whoever_is_cancelled_does_not_wait_for_a_node_that_is_silent() -> None:
    begun = asyncio.Event()

    async def want(address: Address) -> None:
        async with Download(address, None, "/x", {}, 3600) as download:
            memory = memoryview(bytearray(4096))
            while download.left:
                begun.set()
                await download.read_into(memory)

    async with node(silent) as address:
        task = asyncio.create_task(want(address))
        await begun.wait()
        task.cancel()
        async with asyncio.timeout(60):
            with pytest.raises(asyncio.CancelledError):
                await task
