"""A line for every request, where the setting ``request_log`` asks for it. Otherwise nothing of this is in the way."""

from __future__ import annotations

import time

import structlog
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.access.identity import Identity
from app.api.who import WHO, address_of

log = structlog.get_logger(__name__)


class RequestLog:
    """ASGI: says of every request what was asked, by whom, and how it ended. Queries and headers are left out."""

    def __init__(self, application: ASGIApp) -> None:
        self._application = application

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        began, status = time.monotonic(), 0

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._application(scope, receive, watched)
        finally:
            who = scope.get(WHO)
            log.info(
                "request",
                method=scope.get("method", scope["type"]),
                path=scope["path"],
                status=status,  # 0: nobody was there any more to be answered
                seconds=round(time.monotonic() - began, 6),
                address=address_of(scope),
                token=who.id if isinstance(who, Identity) else None,
            )
