"""A way to a service that gets stuck in the middle of an upload."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress


@asynccontextmanager
async def stalling_relay(port: int, *, after: int) -> AsyncIterator[int]:
    """Passes connections on to ``port`` of this machine; of each it takes ``after`` bytes and no more, until the
    context ends.

    Yields:
        The port to connect to.
    """
    over = asyncio.Event()
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        serving.add(task)
        from_service, to_service = await asyncio.open_connection("127.0.0.1", port)
        answering = asyncio.create_task(_copy(from_service, writer))
        try:
            if await _copy(reader, to_service, after):
                await over.wait()
        finally:
            answering.cancel()
            with suppress(asyncio.CancelledError):
                await answering
            to_service.close()
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield server.sockets[0].getsockname()[1]
        over.set()
        await asyncio.gather(*serving)


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, most: int | None = None) -> bool:
    """Pass on what comes; whether that ended at ``most`` bytes and not by itself."""
    passed = 0
    with suppress(ConnectionError):
        while piece := await reader.read(1 << 16):
            writer.write(piece)
            await writer.drain()
            passed += len(piece)
            if most is not None and passed >= most:
                return True
    return False
