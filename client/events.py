"""Server-sent events of ``/api/events``: parsing, and following them across broken connections.

The format is the WHATWG one (HTML standard, 9.2). Lines are split on line ends only: a job's name may hold characters
at which ``str.splitlines`` would cut.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncGenerator, AsyncIterator
from dataclasses import dataclass
from typing import Final

from pydantic import ValidationError

from .connection import Connection, worth_repeating
from .errors import ProtocolError, ServerError, ZordonError
from .models import JobDelta

_SILENCE: Final = 90.0
"""Seconds without even a comment after which a connection counts as broken."""
_LONGEST_WAIT: Final = 5.0


@dataclass(frozen=True, slots=True)
class ServerEvent:
    """One event. ``id`` is what resumes after it."""

    id: str
    name: str
    data: str


class EventParser:
    """Bytes in, whole events out; lines and events may be cut anywhere between two calls."""

    def __init__(self, last_id: str = "") -> None:
        self._id = last_id
        self._name = ""
        self._data: list[str] = []
        self._rest = b""

    def feed(self, piece: bytes) -> list[ServerEvent]:
        """The events that this piece completes."""
        events = []
        # A CR at the very end may be half of a CRLF: it waits for the next piece.
        text = self._rest + piece
        held = b"\r" if text.endswith(b"\r") else b""
        lines = (text[: len(text) - len(held)]).replace(b"\r\n", b"\n").replace(b"\r", b"\n").split(b"\n")
        self._rest = lines.pop() + held
        for line in lines:
            event = self._take(line.decode("utf-8", "replace"))
            if event is not None:
                events.append(event)
        return events

    def _take(self, line: str) -> ServerEvent | None:
        if not line:
            event = ServerEvent(self._id, self._name or "message", "\n".join(self._data)) if self._data else None
            self._name, self._data = "", []
            return event
        name, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if name == "data":
            self._data.append(value)
        elif name == "id" and "\0" not in value:
            self._id = value
        elif name == "event":
            self._name = value
        return None


async def follow_events(connection: Connection, last_id: str | None = None) -> AsyncGenerator[JobDelta, None]:
    """The deltas of the event stream, without end, resumed with ``Last-Event-ID`` after every break.

    Raises:
        ZordonError: the node refuses, so that trying again is of no use.
    """
    seen, failures = last_id, 0
    while True:
        try:
            async for event in _one_connection(connection, seen):
                failures = 0
                seen = event.id or seen
                yield _delta(event)
        except ZordonError as error:
            if not (worth_repeating(error) or isinstance(error, ServerError)):
                raise
        failures += 1
        await asyncio.sleep(min(_LONGEST_WAIT, 0.1 * 2 ** min(failures, 8)) * random.uniform(0.5, 1.0))


async def _one_connection(connection: Connection, last_id: str | None) -> AsyncIterator[ServerEvent]:
    headers = {"Accept": "text/event-stream, application/problem+json", "Cache-Control": "no-store"}
    if last_id:
        headers["Last-Event-ID"] = last_id
    parser = EventParser(last_id or "")
    async with connection.stream("GET", "/api/events", headers=headers, timeout=_SILENCE) as response:
        if not response.headers.get("Content-Type", "").startswith("text/event-stream"):
            raise ProtocolError("the answer to GET /api/events is no event stream")
        async for piece in response.aiter_bytes():
            for event in parser.feed(piece):
                yield event


def _delta(event: ServerEvent) -> JobDelta:
    try:
        return JobDelta.model_validate_json(event.data)
    except ValidationError as error:
        raise ProtocolError(f"an event of GET /api/events is not understood: {error.errors()[0]['msg']}") from error
