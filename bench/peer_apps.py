"""The peers that run under our own server: bare ASGI apps that do nothing but the one thing, and two frameworks."""

from __future__ import annotations

import asyncio
import os
import queue
import sqlite3
import threading
import zipfile
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from client.models import JobList

BLOCK = 2 << 20
Blocks = Callable[[Path], AsyncIterator[bytes]]


async def _answer(send: Send, body: bytes) -> None:
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _body_of(receive: Receive) -> AsyncIterator[bytes]:
    more = True
    while more:
        message = await receive()
        yield message.get("body", b"")
        more = message.get("more_body", False)


def raw(file: str) -> ASGIApp:
    """Answers every request with the same stored bytes."""
    body = Path(file).read_bytes()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await _answer(send, body)

    return app


def starlette(file: str) -> ASGIApp:
    """The same bytes through Starlette's routing and Response."""
    body = Path(file).read_bytes()

    async def jobs(request: Request) -> Response:
        return Response(body, media_type="application/json")

    return Starlette(routes=[Route("/api/jobs", jobs)])


def fastapi(file: str) -> ASGIApp:
    """The same list as a response model."""
    stored = JobList.model_validate_json(Path(file).read_bytes())
    api = FastAPI()

    @api.get("/api/jobs")
    async def jobs() -> JobList:
        return stored

    return api


def event(file: str) -> ASGIApp:
    """GET waits for one asyncio.Event, POST sets it."""
    body, changed = Path(file).read_bytes(), asyncio.Event()

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["method"] == "POST":
            changed.set()
        else:
            await changed.wait()
        await _answer(send, body)

    return app


def commits(database: str) -> ASGIApp:
    """POST stores the body as one row: bare sqlite3 with group commit, answered after the commit."""
    waiting: queue.SimpleQueue[tuple[bytes, asyncio.Future[None]]] = queue.SimpleQueue()

    def tell(committed: list[asyncio.Future[None]]) -> None:
        for one in committed:
            one.set_result(None)

    def write(loop: asyncio.AbstractEventLoop) -> None:
        connection = sqlite3.connect(database, isolation_level=None)
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        connection.execute("CREATE TABLE jobs (seq INTEGER PRIMARY KEY, body BLOB NOT NULL)")
        while True:
            batch = [waiting.get()]
            while not waiting.empty():
                batch.append(waiting.get_nowait())
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO jobs (body) VALUES (?)", [(body,) for body, _ in batch])
            connection.execute("COMMIT")
            loop.call_soon_threadsafe(tell, [committed for _, committed in batch])

    writer: threading.Thread | None = None

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        nonlocal writer
        loop = asyncio.get_running_loop()
        if writer is None:
            writer = threading.Thread(target=write, args=(loop,), daemon=True)
            writer.start()
        body = b"".join([part async for part in _body_of(receive)])
        committed: asyncio.Future[None] = loop.create_future()
        waiting.put((body, committed))
        await committed
        await _answer(send, body)

    return app


def concatenation(folder: str) -> ASGIApp:
    """GET sends all files of the folder one after the other, read in the same way as blocks of 2 MB in a thread."""
    files = sorted(Path(folder).iterdir())
    length = sum(file.stat().st_size for file in files)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for path in files:
            with path.open("rb", buffering=0) as file:
                while block := await asyncio.to_thread(file.read, BLOCK):
                    await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def blocking(folder: str) -> ASGIApp:
    """The same, reading on the event loop: no thread, but nobody else is answered meanwhile."""
    files = sorted(Path(folder).iterdir())
    length = sum(file.stat().st_size for file in files)

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        headers = [(b"content-length", b"%d" % length)]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for path in files:
            with path.open("rb", buffering=0) as file:
                while block := file.read(BLOCK):
                    await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def one_file(path: str) -> ASGIApp:
    """Starlette's FileResponse."""
    return FileResponse(path)


def temporary_zip(folder: str) -> ASGIApp:
    """A stored zip written to a temporary file first, then sent by FileResponse."""

    def pack() -> Path:
        target = Path(folder).with_suffix(".zip")
        with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
            for file in sorted(Path(folder).iterdir()):
                archive.write(file, file.name)
        return target

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        path = await asyncio.to_thread(pack)
        await FileResponse(path)(scope, receive, send)
        path.unlink()

    return app


def _streamed(make: Callable[[], Iterator[bytes]]) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        blocks = make()
        while (block := await asyncio.to_thread(next, blocks, None)) is not None:
            await send({"type": "http.response.body", "body": block, "more_body": True})
        await send({"type": "http.response.body", "body": b""})

    return app


def zipstream_ng(folder: str) -> ASGIApp:
    """zipstream-ng, members stored."""
    from zipstream import ZipStream

    return _streamed(lambda: iter(ZipStream.from_path(folder)))


def raw_put(folder: str, synced: str = "") -> ASGIApp:
    """PUT writes the body to a file as it comes, and does nothing else but sync it, if ``synced`` says anything."""
    target = Path(folder) / "put"

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        descriptor = os.open(target, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
        try:
            async for part in _body_of(receive):
                if part:
                    os.write(descriptor, part)
            if synced:
                await asyncio.to_thread(os.fsync, descriptor)
        finally:
            os.close(descriptor)
        await _answer(send, b"{}")

    return app


PEER_APPS: dict[str, Callable[..., ASGIApp]] = {
    "raw": raw,
    "starlette": starlette,
    "fastapi": fastapi,
    "event": event,
    "commits": commits,
    "concatenation": concatenation,
    "blocking": blocking,
    "one_file": one_file,
    "temporary_zip": temporary_zip,
    "zipstream_ng": zipstream_ng,
    "raw_put": raw_put,
}
