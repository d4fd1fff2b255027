"""Nodes in this very process, behind real servers on loopback: whole farms in a second, for what needs no process."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from app.api.parts import Parts, parts_of
from app.main import Application, create_app
from app.settings import load_settings
from client import RenderServerProxy
from tests.peers.farm import SECRET

TOKEN = "a-token-of-the-tests"


class _Server(uvicorn.Server):
    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        """They are for pytest."""
        yield


@dataclass(frozen=True)
class Served:
    """A node that runs."""

    application: Application
    proxy: RenderServerProxy
    folder: Path

    @property
    def parts(self) -> Parts:
        """Its parts."""
        return parts_of(self.application.api)

    @property
    def id(self) -> str:
        """Its node id."""
        return self.parts.peers.me.id

    @property
    def address(self) -> str:
        """``host:port``."""
        return self.proxy.connection.address

    async def sees(self, other: Served, state: str = "online") -> None:
        """Wait until this node knows the other one to be so."""
        changed = asyncio.Event()
        self.parts.peers.on_change(lambda change: changed.set())
        async with asyncio.timeout(60):
            while (peer := self.parts.peers.get(other.id)) is None or peer.state != state:
                changed.clear()
                await changed.wait()


@asynccontextmanager
async def served(
    folder: Path, name: str, *peers: Served | str, host: str = "127.0.0.1", **more: object
) -> AsyncIterator[Served]:
    """A node while the context lasts; in the tests' farm unless ``farm_secret`` is given as None."""
    place = [peer if isinstance(peer, str) else peer.address for peer in peers]
    given: dict[str, object] = {
        "farm_secret": SECRET,
        "token": TOKEN,
        "engine_sources": [],
        "beat_seconds": 0.1,
        "beat_misses": 20,
        "host": host,
        **more,
    }
    settings = load_settings(data_dir=folder / name, name=name, peers=place, **given)
    application = create_app(settings)
    listener = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    with listener:
        listener.bind((host, 0))
        application.port = listener.getsockname()[1]
        config = uvicorn.Config(
            application,
            lifespan="on",
            log_config=None,
            log_level="warning",
            timeout_graceful_shutdown=2,
            ssl_certfile=settings.tls_cert,
            ssl_keyfile=settings.tls_key,
        )
        server = _Server(config)
        task = asyncio.create_task(server.serve([listener]))
        try:
            async with asyncio.timeout(60):
                while not server.started:
                    assert not task.done(), "the node did not start"
                    await asyncio.sleep(0.005)
            https = settings.tls_cert is not None
            async with RenderServerProxy(
                host, application.port, TOKEN, scheme="https" if https else "http", ca=settings.tls_cert, pin=https
            ) as proxy:
                yield Served(application, proxy, folder / name)
        finally:
            application.release()
            server.should_exit = True
            await task
