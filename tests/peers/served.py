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
from tests.support.fault_proxy import FaultProxy

TOKEN = "a-token-of-the-tests"


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.ready = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Tell when it listens, or that it never will."""
        try:
            await super().startup(sockets)
        finally:
            self.ready.set()
        assert self.started, "the node did not start"

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
    folder: Path,
    name: str,
    *peers: Served | FaultProxy | str,
    host: str = "127.0.0.1",
    through: FaultProxy | None = None,
    **more: object,
) -> AsyncIterator[Served]:
    """A node while the context lasts; in the tests' farm unless ``farm_secret`` is given as None.

    Args:
        peers: nodes, or addresses, that it is told of.
        through: by which others reach it, and by nothing else; it is pointed at the node.
        more: further settings.
    """
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as listener:
        listener.bind((host, 0))
        port: int = listener.getsockname()[1]
        given: dict[str, object] = {
            "farm_secret": SECRET,
            "token": TOKEN,
            "engine_sources": [],
            "beat_seconds": 0.1,
            "beat_misses": 60,
            "host": host,
            "peers": [peer if isinstance(peer, str) else peer.address for peer in peers],
            **more,
        }
        if through is not None:
            through.target = (host, port)
            given["public_address"] = through.address
        settings = load_settings(data_dir=folder / name, name=name, **given)
        application = create_app(settings)
        application.port = port
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
            await server.ready.wait()
            https = settings.tls_cert is not None
            async with RenderServerProxy(
                host, port, TOKEN, timeout=60, scheme="https" if https else "http", ca=settings.tls_cert, pin=https
            ) as proxy:
                yield Served(application, proxy, folder / name)
        finally:
            application.release()
            server.should_exit = True
            await task
