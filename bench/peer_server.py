"""``python -m bench.peer_server NAME PORT …``: one peer behind the same server, set up the same way as the service."""

from __future__ import annotations

import gc
import socket
import sys

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from app.server import BACKLOG, COLLECTOR, SWITCH_SECONDS
from bench.peer_apps import PEER_APPS
from bench.processes import HOST


class Ready:
    """Answers ``/ready`` so that the benchmark knows when to begin; everything else goes to the peer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] == "http" and scope["path"] == "/ready":
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
        else:
            await self._app(scope, receive, send)


def main() -> None:
    """Serve the peer until SIGTERM."""
    name, port, *arguments = sys.argv[1:]
    sys.setswitchinterval(SWITCH_SECONDS)
    gc.set_threshold(*COLLECTOR)
    app = PEER_APPS[name](*arguments)
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((HOST, int(port)))
    config = uvicorn.Config(
        Ready(app),
        http="httptools",
        loop="uvloop",
        lifespan="off",
        access_log=False,
        log_config=None,
        log_level="warning",
        server_header=False,
        date_header=True,
        timeout_graceful_shutdown=1,
        backlog=BACKLOG,
    )
    gc.collect()
    gc.freeze()
    with listener:
        uvicorn.Server(config).run(sockets=[listener])


if __name__ == "__main__":
    main()
