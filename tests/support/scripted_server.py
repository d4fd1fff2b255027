"""An HTTP server over a real socket that answers exactly what a test tells it to, broken connections included."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field


@dataclass
class Request:
    """One request as it came."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Reply:
    """What is sent back. ``cut``: the connection is closed after so many bytes of the body; with ``hold`` it stays open
    without a word until the client closes it. ``pace``: seconds between each twentieth of the body and the next."""

    body: bytes = b""
    status: str = "200 OK"
    headers: dict[str, str] = field(default_factory=dict)
    cut: int | None = None
    length: bool = True
    hold: bool = False
    pace: float = 0.0

    def encoded(self) -> tuple[bytes, bytes]:
        """Head and body as bytes."""
        lines = [f"HTTP/1.1 {self.status}", *(f"{name}: {value}" for name, value in self.headers.items())]
        if self.length:
            lines.append(f"Content-Length: {len(self.body)}")
        lines.append("Connection: close")
        body = self.body if self.cut is None else self.body[: self.cut]
        return "\r\n".join(lines).encode() + b"\r\n\r\n", body


class ScriptedServer:
    """Answers requests in turn with ``script``, called with the request and its number from 0."""

    def __init__(self, script: Callable[[Request, int], Reply | None]) -> None:
        self._script = script
        self.requests: list[Request] = []
        self.port = 0

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection, one request; a reply of None closes it without a word."""
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            first, *lines = head.strip().split("\r\n")
            headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
            body = await reader.readexactly(int(headers.get("content-length", "0")))
            method, target, _ = first.split(" ")
            request = Request(method, target, headers, body)
            self.requests.append(request)
            reply = self._script(request, len(self.requests) - 1)
            if reply is not None:
                await self._send(reply, writer)
                if reply.hold:
                    await reader.read()
        finally:
            writer.close()

    async def _send(self, reply: Reply, writer: asyncio.StreamWriter) -> None:
        head, body = reply.encoded()
        writer.write(head)
        step = len(reply.body) // 20 + 1 if reply.pace else len(body) + 1
        for begin in range(0, len(body), step):
            writer.write(body[begin : begin + step])
            await writer.drain()
            await asyncio.sleep(reply.pace)
        await writer.drain()


@asynccontextmanager
async def scripted_server(script: Callable[[Request, int], Reply | None]) -> AsyncIterator[ScriptedServer]:
    """Listen on a free port of this machine while the context lasts."""
    answering = ScriptedServer(script)
    server = await asyncio.start_server(answering.handle, "127.0.0.1", 0)
    answering.port = server.sockets[0].getsockname()[1]
    try:
        yield answering
    finally:
        server.close()
