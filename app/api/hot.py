"""The requests that come thousands of times: answered on bytes, before any routing.

Each of them is a declared route as well (so that it has its place in the OpenAPI document), which hands over to the
same method here. None of them parses a model, logs or looks anything up that is not in memory. The figures that this
is for are measured in ``bench/``, beside a bare ASGI app.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from starlette.types import Receive, Scope, Send

from app.api.bodies import body_chunks, flag, query_of, read_body
from app.api.errors import ApiError
from app.api.lists import BASE_HEADERS, Answer, Header, JobLists, answer_of, json_answer
from app.api.names import is_loopback
from app.api.parts import Parts
from app.api.waiting import Woken, stays, until_changed
from app.api.who import MAX_NOTED, note, still_good, who_of
from app.jobs.codec import id_in
from app.jobs.service import JobNotFound
from client.models import Role

HEARTBEAT_SECONDS: Final = 15.0
"""Between two comments of a silent event stream, so that proxies and clients know that it is alive."""
EVENT_PAUSE: Final = 0.05
"""Least time between two events of one stream, in seconds; what changes meanwhile comes together."""

_Headers = Mapping[bytes, bytes]
_TEXT: Header = (b"content-type", b"text/plain; charset=utf-8")
_NO_STORE: Header = (b"cache-control", b"no-store")
_NOTHING: Final = Answer(
    {"type": "http.response.start", "status": 204, "headers": [*BASE_HEADERS, _NO_STORE]},
    ({"type": "http.response.body", "body": b""},),
)
_STREAM_START: Final = {
    "type": "http.response.start",
    "status": 200,
    "headers": [
        *BASE_HEADERS,
        (b"content-type", b"text/event-stream; charset=utf-8"),
        _NO_STORE,
        (b"x-accel-buffering", b"no"),
    ],
}
_END: Final = {"type": "http.response.body", "body": b"", "more_body": False}
_COMMENT: Final = {"type": "http.response.body", "body": b":\n\n", "more_body": True}
_JOB_PATH: Final = "/api/jobs/"


class HotPaths:
    """The fast answers of one node."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._feed = parts.feed
        self._seconds = parts.settings.long_poll_seconds
        self._lists = JobLists(parts.feed)
        self.waiting = {"long_poll": 0, "events": 0}
        """How many clients wait for a change, by how they do."""

    async def serve(self, scope: Scope, receive: Receive, send: Send, headers: _Headers) -> bool:
        """Answer the request if it is one of ours; False: it is not, and nothing was sent or read.

        Raises:
            ApiError, and what :func:`app.api.errors.problem_of` knows: it is to be answered with an error.
        """
        path: str = scope["path"]
        method = scope["method"]
        if method == "GET":
            if path == "/api/jobs":
                await self.job_list(scope, receive, send, headers)
            elif path == "/api/jobs/long_poll":
                await self.long_poll(scope, receive, send, headers)
            elif path == "/api/heartbeat":
                await self.heartbeat(send)
            elif path == "/api/events":
                await self.events(scope, receive, send, headers)
            elif path.startswith(_JOB_PATH) and path[len(_JOB_PATH) :] in self._feed:
                await self.job(path[len(_JOB_PATH) :], send)
            else:
                return False
            return True
        if method == "POST" and path == "/api/add_job":
            await self.add_job(scope, receive, send, headers)
            return True
        return False

    # --- reading -------------------------------------------------------------------------------------------------

    async def job_list(self, scope: Scope, receive: Receive, send: Send, headers: _Headers) -> None:
        """``GET /api/jobs``: everything, 304, or with ``delta`` what changed since ``token``."""
        if scope["query_string"]:
            query = query_of(scope["query_string"])
            if flag(query, "delta"):
                await _send(send, self._lists.delta(query.get("token")))
                return
        known = headers.get(b"if-none-match")
        answer = self._lists.unchanged(known) if known is not None else None
        await _send(send, answer or await self._lists.suited(headers))

    async def long_poll(self, scope: Scope, receive: Receive, send: Send, headers: _Headers) -> None:
        """``GET /api/jobs/long_poll``: the same as soon as it is not that of ``token``; 204 after a while."""
        query = query_of(scope["query_string"])
        delta, token = flag(query, "delta"), query.get("token")
        self.waiting["long_poll"] += 1
        try:
            woken = await until_changed(self._feed, token, self._seconds, receive)
        finally:
            self.waiting["long_poll"] -= 1
        still_good(scope)
        if woken is Woken.CHANGED:
            await _send(send, self._lists.delta(token) if delta else await self._lists.suited(headers))
        elif woken is Woken.QUIET:
            await _send(send, _NOTHING)

    async def job(self, job_id: str, send: Send) -> None:
        """``GET /api/jobs/{job_id}``.

        Raises:
            JobNotFound: there is none.
        """
        wire = self._feed.job(job_id)
        if wire is None:
            raise JobNotFound(job_id)
        await _send(send, json_answer(wire))

    async def heartbeat(self, send: Send) -> None:
        """``GET /api/heartbeat``: the time, as ISO 8601 in UTC."""
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        await _send(send, answer_of(now.encode(), (*BASE_HEADERS, _TEXT, _NO_STORE)))

    async def events(self, scope: Scope, receive: Receive, send: Send, headers: _Headers) -> None:
        """``GET /api/events``: every delta as a server-sent event whose id is its token, until somebody leaves."""
        self.waiting["events"] += 1
        try:
            await self._events(scope, receive, send, headers)
        finally:
            self.waiting["events"] -= 1

    async def _events(self, scope: Scope, receive: Receive, send: Send, headers: _Headers) -> None:
        last = headers.get(b"last-event-id")
        token = last.decode("latin-1") if last is not None else query_of(scope["query_string"]).get("token")
        who = who_of(scope)
        await send(_STREAM_START)
        # A first byte at once, so that a proxy passes the headers on and the client knows that it is connected.
        await send(_COMMENT)
        while True:
            woken = await until_changed(self._feed, token, HEARTBEAT_SECONDS, receive)
            if woken is Woken.GONE:
                return
            if not who.good(time.time()):
                await send(_END)  # of the stream: the token was revoked meanwhile
                return
            if woken is Woken.CHANGED:
                pieces = [message["body"] for message in self._lists.delta(token).bodies]
                token = self._feed.token
                event = b"".join((b"id: ", token.encode(), b"\nevent: jobs\ndata: ", *pieces, b"\n\n"))
                await send({"type": "http.response.body", "body": event, "more_body": True})
                if not await stays(receive, EVENT_PAUSE):
                    return
            elif not self._feed.closed:
                await send(_COMMENT)
            if self._feed.closed:
                await send(_END)
                return

    # --- submitting ----------------------------------------------------------------------------------------------

    async def add_job(self, scope: Scope, receive: Receive, send: Send, headers: _Headers) -> None:
        """``POST /api/add_job``: answers when the jobs are committed."""
        given = headers.get(b"idempotency-key")
        key = None if given is None else given.decode("latin-1")
        local, who = is_loopback(scope), who_of(scope)
        by = who.id
        content_type = headers.get(b"content-type", b"").decode("latin-1")
        kind = content_type.partition(";")[0].strip().lower()
        if kind == "application/json":
            body = await read_body(headers, receive, self._parts.settings.max_json_bytes)
            wires = await self._parts.intake.from_json(body, local=local, key=key, by=by, admin=who.may(Role.ADMIN))
        elif kind == "multipart/form-data":
            length = headers.get(b"content-length", b"")
            wires = await self._parts.intake.from_multipart(
                content_type,
                body_chunks(receive),
                int(length) if length.isdigit() else None,
                local=local,
                key=key,
                by=by,
            )
        else:
            raise ApiError(
                400,
                f"the Content-Type is {kind[:60]!r}; it must be application/json or multipart/form-data",
                field="Content-Type",
            )
        note(scope, jobs=[id_in(wire) for wire in wires[:MAX_NOTED]], job_count=len(wires))
        await _send(send, json_answer(b"".join((b"[", b",".join(wires), b"]"))))


async def _send(send: Send, answer: Answer) -> None:
    await send(answer.start)
    for body in answer.bodies:
        await send(body)
