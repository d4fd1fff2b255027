"""Server-sent events: whole events whatever the pieces, and a stream that goes on after a break."""

from __future__ import annotations

import json
from contextlib import aclosing
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from client import RenderServerProxy
from client.events import EventParser, ServerEvent
from client.models import JobDelta
from tests.support.scripted_server import Reply, Request, scripted_server

STREAM = (
    ": hello\r\n\r\n"
    'id: t1\r\nevent: jobs\r\ndata: {"name": "line \u2028 separator"}\r\n\r\n'
    "data: one\ndata:two\n\n"
    "id: t2\n\n"
    "retry: 5\rdata: last\r\r\n"
).encode()
EVENTS = [
    ServerEvent("t1", "jobs", '{"name": "line \u2028 separator"}'),
    ServerEvent("t1", "message", "one\ntwo"),
    ServerEvent("t2", "message", "last"),
]


@given(st.lists(st.integers(0, len(STREAM)), max_size=20))
def test_events_are_the_same_however_the_stream_is_cut(cuts: list[int]) -> None:
    places = [0, *sorted(cuts), len(STREAM)]
    parser = EventParser()
    found = []
    for start, end in pairwise(places):
        found += parser.feed(STREAM[start:end])
    assert found == EVENTS


def test_an_unfinished_event_is_no_event() -> None:
    assert EventParser().feed(b"data: half\n") == []


async def test_a_broken_stream_is_resumed_after_the_last_event() -> None:
    def delta(token: str) -> bytes:
        return f"id: {token}\ndata: {json.dumps({'jobs': [], 'gone': [], 'full': False, 'token': token})}\n\n".encode()

    def answer(request: Request, number: int) -> Reply:
        body = delta("t1") + delta("t2")[:20] if number == 0 else delta("t2")
        return Reply(body, headers={"Content-Type": "text/event-stream"}, length=False)

    seen: list[JobDelta] = []
    async with (
        scripted_server(answer) as server,
        RenderServerProxy("127.0.0.1", server.port) as node,
        aclosing(node.get_events()) as events,
    ):
        async for event in events:
            seen.append(event)
            if len(seen) == 2:
                break
    assert [event.token for event in seen] == ["t1", "t2"]
    assert [request.headers.get("last-event-id") for request in server.requests] == [None, "t1"]
