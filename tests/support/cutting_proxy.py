"""A TCP proxy that breaks connections: each one after so many bytes of the client, as the test says."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager


class CuttingProxy:
    """``cuts``: after how many bytes of the client the connections are cut, in turn; those after them are let through.

    What was passed on arrives: the connection to the server is closed in order, the one to the client is broken.
    """

    def __init__(self, port: int, cuts: Sequence[int]) -> None:
        self._target = port
        self._cuts = list(cuts)
        self.port = 0
        self.broken = 0
        self.tasks: set[asyncio.Task[None]] = set()

    def accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection."""
        task = asyncio.create_task(self._serve(reader, writer))
        self.tasks.add(task)
        task.add_done_callback(self.tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", self._target)
        back = asyncio.create_task(_copy(server_reader, writer))
        try:
            sent = 0
            while data := await reader.read(1 << 14):
                server_writer.write(data)
                await server_writer.drain()
                sent += len(data)
                if self._cuts and sent >= self._cuts[0]:
                    del self._cuts[0]
                    self.broken += 1
                    break
        except ConnectionError:
            pass  # one of the two has gone by itself
        finally:
            back.cancel()
            writer.transport.abort()
            server_writer.close()
            with contextlib.suppress(asyncio.CancelledError, ConnectionError):
                await back
            with contextlib.suppress(ConnectionError):
                await server_writer.wait_closed()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


@asynccontextmanager
async def cutting_proxy(port: int, *cuts: int) -> AsyncIterator[CuttingProxy]:
    """A proxy before a local port while the context lasts."""
    proxy = CuttingProxy(port, cuts)
    server = await asyncio.start_server(proxy.accept, "127.0.0.1", 0)
    proxy.port = server.sockets[0].getsockname()[1]
    try:
        yield proxy
    finally:
        server.close()
        for task in tuple(proxy.tasks):
            task.cancel()
        await asyncio.gather(*proxy.tasks, return_exceptions=True)
        await server.wait_closed()
