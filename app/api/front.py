"""The outermost application: guard, then the fast paths, then FastAPI. Whatever happens, the answer is one of ours."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from fastapi import FastAPI
from starlette.types import Message, Receive, Scope, Send

from app.access.access import Access
from app.api.bodies import signed_body
from app.api.errors import ApiError, ClientGone, error_answer, problem_of
from app.api.guard import HARMLESS, Guard
from app.api.lists import BASE_HEADERS
from app.api.parts import parts_of
from app.api.permissions import UNNOTED, Permissions
from app.api.who import CHANGE, WHO, Change, address_of, signed_of
from app.peers.trust import Trust
from app.settings import Settings

_LARGE = 64 * 1024
"""A larger body that was not read makes an error close the connection: nobody wants the rest of it."""
_LINGER_SECONDS = 30.0
"""How long the rest of such a body is thrown away before. A client that is still sending when the connection is closed
loses the answer with it: few read before they have sent everything."""
_CLOSE = (b"connection", b"close")


class Front:
    """ASGI: what the server runs."""

    def __init__(self, api: FastAPI, settings: Settings, access: Access, trust: Trust) -> None:
        self.api = api
        self._permissions: Permissions = api.state.permissions
        self._guard = Guard(settings, access, self._permissions, trust)
        self._access = access
        self._hot = parts_of(api).hot

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, or the lifespan."""
        if scope["type"] == "lifespan":
            await self.api(scope, receive, send)
            return
        if scope["type"] != "http":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "there are no web sockets here"})
            return
        method: str = scope["method"]
        if method in HARMLESS or self._permissions.of(method, scope["path"]).operation in UNNOTED:
            await self._answer(scope, receive, send)
        else:
            await self._answer_noted(scope, receive, send)

    async def _answer_noted(self, scope: Scope, receive: Receive, send: Send) -> None:
        """A request that changes something: the audit is told who asked, and how it ended."""
        change = scope[CHANGE] = Change(None)
        status: int | None = None

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._answer(scope, receive, watched)
        finally:
            who = scope.get(WHO) or change.who
            if who is not None:
                asked = self._permissions.of(scope["method"], scope["path"])
                if asked.operation:
                    facts = {**asked.subject(scope["path"]), **change.facts}
                    self._access.audit.note(who, asked.operation, address_of(scope), status, facts)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers: dict[bytes, bytes] = dict(scope["headers"])
        body = _Body(receive) if _is_large(headers) else None
        receive = body or receive
        refusal = self._guard.check(scope, headers)
        if refusal is not None:
            await _refuse(send, refusal, headers, body)
            return
        if (signed := signed_of(scope)) is not None:
            receive = signed_body(receive, signed.body)
        try:
            done = await self._hot.serve(scope, receive, send, headers)
        except ClientGone:
            return
        except Exception as error:  # noqa: BLE001 - the edge of the service: every fault is logged and answered
            await _refuse(send, problem_of(error), headers, body)
            return
        if not done:
            await self._route(scope, receive, send, body)

    async def _route(self, scope: Scope, receive: Receive, send: Send, large: _Body | None) -> None:
        complete = False
        rest: _Body | None = None

        async def stamped(message: Message) -> None:
            nonlocal complete, rest
            if message["type"] == "http.response.start":
                given = message.get("headers", ())
                named = {name for name, _ in given}
                more = [header for header in BASE_HEADERS if header[0] not in named]
                if message["status"] >= 400 and large is not None and not large.complete:
                    rest = large
                    more.append(_CLOSE)
                message = {**message, "headers": [*given, *more]}
            elif message["type"] == "http.response.body":
                complete = not message.get("more_body", False)
            if complete and rest is not None:
                await _send_last(send, message.get("body", b""), rest)
            else:
                await send(message)

        try:
            await self.api(scope, receive, stamped)
        except Exception:
            # Starlette answers a fault through our handler, which logs it, and then raises it once more.
            if not complete:
                raise


class _Body:
    """``receive()`` of a request with a large body; remembers whether all of it has come."""

    def __init__(self, receive: Receive) -> None:
        self._receive = receive
        self.complete = False

    async def __call__(self) -> Message:
        message = await self._receive()
        self.complete = message["type"] != "http.request" or not message.get("more_body", False)
        return message


def _is_large(headers: Mapping[bytes, bytes]) -> bool:
    length = headers.get(b"content-length", b"0")
    return b"transfer-encoding" in headers or not length.isdigit() or int(length) > _LARGE


async def _refuse(send: Send, error: ApiError, headers: Mapping[bytes, bytes], large: _Body | None) -> None:
    own, body = error_answer(error, headers.get(b"accept", b""))
    rest = large if large is not None and not large.complete else None
    if rest is not None:
        own.append(_CLOSE)
    await send({"type": "http.response.start", "status": error.status, "headers": [*BASE_HEADERS, *own]})
    if rest is None:
        await send({"type": "http.response.body", "body": body})
    else:
        await _send_last(send, body, rest)


async def _send_last(send: Send, body: bytes, rest: _Body) -> None:
    """Send the end of an error, and close the connection when the client has sent what it wanted to send."""
    await send({"type": "http.response.body", "body": body, "more_body": True})
    with suppress(TimeoutError):
        async with asyncio.timeout(_LINGER_SECONDS):
            while not rest.complete:
                await rest()
    await send({"type": "http.response.body", "body": b""})
