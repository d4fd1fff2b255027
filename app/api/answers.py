"""How a declared route answers with what other rooms made: stored bytes, ASGI applications, plain text."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from fastapi import Request, Response
from fastapi.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

Application = Callable[[Scope, Receive, Send], Awaitable[None]]


class Handover(Response):
    """An answer that an ASGI application gives; what it raises before it sends anything is answered as an error."""

    def __init__(self, application: Application) -> None:
        super().__init__()
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let the application answer."""
        await self._application(scope, receive, send)


def json_bytes(body: bytes) -> Response:
    """200 with JSON that is bytes already."""
    return Response(body, media_type="application/json")


def plain(text: str) -> Response:
    """200 with plain text."""
    return PlainTextResponse(text)


def raw_headers(request: Request) -> dict[bytes, bytes]:
    """The headers of a request as the fast paths take them."""
    return dict(request.scope["headers"])
