"""The real application without a server: lifespan run, requests through httpx's ASGI transport or as plain ASGI."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import av
import httpx
import numpy as np
import orjson
import pytest
import pytest_asyncio
from starlette.types import Message

from app.api.parts import Parts, parts_of
from app.main import Application, create_app
from app.settings import load_settings
from client.models import Job

TOKEN = "a-token-of-the-tests"
BASE_URL = "http://127.0.0.1:8080"


@dataclass
class Exchange:
    """One request as a server makes it, for answers that do not end: messages can be awaited one by one."""

    task: asyncio.Task[None]
    sent: asyncio.Queue[Message]
    to_app: asyncio.Queue[Message]
    listens: asyncio.Event  # the application waits for the client to say something
    body: bytearray = field(default_factory=bytearray)

    async def start(self) -> Message:
        """The first message: status and headers."""
        message = await asyncio.wait_for(self.sent.get(), 60)
        assert message["type"] == "http.response.start"
        return message

    async def piece(self) -> bytes:
        """The next piece of the body."""
        message = await asyncio.wait_for(self.sent.get(), 60)
        assert message["type"] == "http.response.body"
        piece: bytes = message.get("body", b"")
        return piece

    async def until(self, text: bytes) -> bytes:
        """The body so far, once ``text`` is in it."""
        while text not in self.body:
            self.body += await self.piece()
        return bytes(self.body)

    def leave(self) -> None:
        """The client closes the connection."""
        self.to_app.put_nowait({"type": "http.disconnect"})

    async def ended(self) -> None:
        """Wait until the application is through with the request."""
        await asyncio.wait_for(asyncio.shield(self.task), 60)


class Api:
    """The application of one node, and clients of it."""

    def __init__(self, application: Application, parts: Parts) -> None:
        self.application = application
        self.parts = parts
        self.client = self.new_client()

    def new_client(
        self, headers: Mapping[str, str] = {"Authorization": f"Bearer {TOKEN}"}, peer: str = "127.0.0.1"
    ) -> httpx.AsyncClient:
        """A client with these headers, at this address."""
        transport = httpx.ASGITransport(self.application, raise_app_exceptions=False, client=(peer, 50_000))
        return httpx.AsyncClient(transport=transport, base_url=BASE_URL, headers=dict(headers))

    def begin(self, path: str, query: str = "", headers: Mapping[str, str] | None = None) -> Exchange:
        """Begin a GET whose answer may never end."""
        given = {"host": "127.0.0.1:8080", "authorization": f"Bearer {TOKEN}", **(headers or {})}
        scope = {
            "type": "http",
            "method": "GET",
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in given.items()],
            "client": ("127.0.0.1", 50_000),
            "server": ("127.0.0.1", 8080),
            "scheme": "http",
            "http_version": "1.1",
            "root_path": "",
        }
        sent: asyncio.Queue[Message] = asyncio.Queue()
        to_app: asyncio.Queue[Message] = asyncio.Queue()
        to_app.put_nowait({"type": "http.request", "body": b"", "more_body": False})
        listens = asyncio.Event()

        async def receive() -> Message:
            if to_app.empty():
                listens.set()
            return await to_app.get()

        task = asyncio.ensure_future(self.application(scope, receive, sent.put))
        return Exchange(task, sent, to_app, listens)

    async def submit(self, **fields: object) -> Job:
        """Submit one job of the test pattern, not to begin before long unless told otherwise."""
        body = {"renderer": "testpattern", "frames": "1-2", "scheduled_start": "2035-01-01T00:00:00Z", **fields}
        response = await self.client.post("/api/add_job", json=body)
        assert response.status_code == 200, response.text
        return Job.model_validate(response.json()[0])

    async def ended(self, job_id: str) -> Job:
        """Wait until a job has ended."""
        async with asyncio.timeout(60):
            while True:
                token = self.parts.feed.token
                wire = self.parts.feed.job(job_id)
                assert wire is not None
                job = Job.model_validate_json(wire)
                if job.status.ended:
                    await self.parts.jobs.settled(job_id)
                    return job
                await self.parts.feed.wait(token, 5)

    async def rendered(self, **fields: object) -> Job:
        """Submit a small job and wait until it is completed."""
        args = {"width": 32, "height": 32}
        job = await self.ended((await self.submit(scheduled_start=None, args=args, **fields)).id)
        assert job.status == "completed", job.reason
        return job


StartApi = Callable[..., AbstractAsyncContextManager[Api]]


@asynccontextmanager
async def _started(**settings: object) -> AsyncIterator[Api]:
    application = create_app(load_settings(**{"token": TOKEN, "debug": True, **settings}))
    async with application.api.router.lifespan_context(application.api):
        api = Api(application, parts_of(application.api))
        async with api.client:
            yield api


@pytest.fixture
def start_api(tmp_path: Path) -> StartApi:
    """Starts the application with the settings that the test names."""
    return partial(_started, data_dir=tmp_path / "data")


@pytest.fixture
async def api(start_api: StartApi) -> AsyncIterator[Api]:
    """The application with the settings of the house and the debug routes."""
    async with start_api() as running:
        yield running


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_api(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Api]:
    """One application for all tests of a module; they run on the module's loop and leave no jobs."""
    async with _started(data_dir=tmp_path_factory.mktemp("shared")) as running:
        yield running


@pytest.fixture(scope="session")
def clip(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A real video: 8 frames of 32 x 24 pixels."""
    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=8)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for grey in range(8):
            picture = np.full((24, 32, 3), grey * 30, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path.read_bytes()


def jobs_in(body: bytes) -> list[str]:
    """The ids in a list of jobs or a delta."""
    return [job["id"] for job in orjson.loads(body)["jobs"]]
