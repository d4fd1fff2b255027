"""Long-poll and event stream: woken by a change, released when nobody wants them, nothing left behind."""

from __future__ import annotations

import asyncio

import orjson
import pytest
from starlette.types import Message

from app.api.waiting import stays
from tests.api.conftest import Api, Exchange, StartApi, jobs_in

POLL = "/api/jobs/long_poll"


async def begun(api: Api, count: int, query: str) -> list[Exchange]:
    """Long-polls that have begun to wait."""
    waiting = [api.begin(POLL, query) for _ in range(count)]
    for exchange in waiting:
        await asyncio.wait_for(exchange.listens.wait(), 60)
    return waiting


async def test_without_a_token_it_answers_at_once(api: Api) -> None:
    job = await api.submit()
    for query in ("", "token=", "token=of-another-1", f"token={api.parts.feed.token}0"):
        response = await api.client.get(f"{POLL}?{query}")
        assert jobs_in(response.content) == [job.id]


async def test_an_older_token_is_answered_at_once(api: Api) -> None:
    token = api.parts.feed.token
    job = await api.submit()
    assert jobs_in((await api.client.get(POLL, params={"token": token})).content) == [job.id]
    delta = orjson.loads((await api.client.get(POLL, params={"token": token, "delta": "true"})).content)
    assert ([item["id"] for item in delta["jobs"]], delta["full"]) == ([job.id], False)


async def test_one_change_wakes_everybody(api: Api) -> None:
    query = f"token={api.parts.feed.token}"
    waiting = await begun(api, 100, query) + await begun(api, 100, f"{query}&delta=true")
    assert all(exchange.sent.empty() for exchange in waiting)
    job = await api.submit()
    for exchange in waiting:
        assert (await exchange.start())["status"] == 200
        assert jobs_in(await exchange.piece()) == [job.id]
        await exchange.ended()


async def test_no_change_is_lost_between_two_polls(api: Api) -> None:
    seen: list[str] = []

    async def follow() -> None:
        token = ""
        while len(set(seen)) < 30:
            response = await api.client.get(POLL, params={"delta": "true", "token": token})
            delta = response.json()
            seen.extend(job["id"] for job in delta["jobs"])
            token = delta["token"]

    follower = asyncio.ensure_future(follow())
    made = [(await api.submit()).id for _ in range(30)]
    await asyncio.wait_for(follower, 60)
    assert set(seen) == set(made)


async def test_nothing_new_is_204(start_api: StartApi) -> None:
    async with start_api(long_poll_seconds=0.05) as api:
        response = await api.client.get(POLL, params={"token": api.parts.feed.token})
        assert (response.status_code, response.content) == (204, b"")
        assert response.headers["X-API-Version"] == "0.1"
        assert not api.parts.feed._bells


@pytest.mark.parametrize("path", [POLL, "/api/events"])
async def test_who_leaves_is_let_go_at_once(api: Api, path: str) -> None:
    tasks = len(asyncio.all_tasks())
    waiting = [api.begin(path, f"token={api.parts.feed.token}") for _ in range(20)]
    for exchange in waiting:
        await asyncio.wait_for(exchange.listens.wait(), 60)
        exchange.leave()
    for exchange in waiting:
        await exchange.ended()
    assert len(asyncio.all_tasks()) == tasks
    assert not api.parts.feed._bells


def drained(exchange: Exchange) -> list[Message]:
    """What was sent and not looked at."""
    return [exchange.sent.get_nowait() for _ in range(exchange.sent.qsize())]


async def test_a_stop_of_the_service_releases_everybody(api: Api) -> None:
    waiting = await begun(api, 10, f"token={api.parts.feed.token}")
    stream = api.begin("/api/events", f"token={api.parts.feed.token}")
    await stream.start()
    api.application.release()
    for exchange in waiting:
        assert (await exchange.start())["status"] == 204
        await exchange.ended()
    await stream.ended()
    assert drained(stream)[-1].get("more_body", False) is False


async def test_a_cancelled_request_stays_cancelled(api: Api) -> None:
    (exchange,) = await begun(api, 1, f"token={api.parts.feed.token}")
    exchange.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange.task
    assert not api.parts.feed._bells


async def test_a_change_and_a_cancellation_at_once(api: Api) -> None:
    (exchange,) = await begun(api, 1, f"token={api.parts.feed.token}")
    api.parts.feed.publish("x", b"{}")
    exchange.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await exchange.task


async def test_leaving_and_a_change_at_once(api: Api) -> None:
    (exchange,) = await begun(api, 1, f"token={api.parts.feed.token}")
    exchange.leave()
    api.parts.feed.publish("x", b"{}")
    await exchange.ended()
    assert exchange.task.exception() is None


async def test_a_wait_that_ran_out_leaves_the_task_uncancelled() -> None:
    quiet: asyncio.Queue[Message] = asyncio.Queue()
    assert await stays(quiet.get, 0)
    task = asyncio.current_task()
    assert task is not None
    assert task.cancelling() == 0
    quiet.put_nowait({"type": "http.request"})
    quiet.put_nowait({"type": "http.disconnect"})
    assert not await stays(quiet.get, 60)


def events_in(body: bytes) -> list[dict[str, str]]:
    """The events of a stream so far."""
    whole = [block for block in body.decode().split("\n\n")[:-1] if not block.startswith(":")]
    return [dict(line.split(": ", 1) for line in block.split("\n")) for block in whole]


async def test_the_stream_begins_with_the_list_and_follows_it(api: Api) -> None:
    first = await api.submit()
    stream = api.begin("/api/events")
    start = await stream.start()
    headers = dict(start["headers"])
    assert headers[b"content-type"].startswith(b"text/event-stream")
    assert headers[b"x-api-version"] == b"0.1"
    (event,) = events_in(await stream.until(b'"token"'))
    delta = orjson.loads(event["data"])
    assert (event["event"], event["id"]) == ("jobs", delta["token"])
    assert (jobs_in(event["data"].encode()), delta["full"]) == ([first.id], True)
    second = await api.submit()
    event = events_in(await stream.until(second.id.encode()))[-1]
    assert (jobs_in(event["data"].encode()), orjson.loads(event["data"])["full"]) == ([second.id], False)
    stream.leave()
    await stream.ended()


async def test_a_stream_resumes_where_it_broke(api: Api) -> None:
    await api.submit()
    token = api.parts.feed.token
    missed = await api.submit()
    for headers, query in (({"Last-Event-ID": token}, ""), ({}, f"token={token}")):
        stream = api.begin("/api/events", query, headers)
        await stream.start()
        (event,) = events_in(await stream.until(b'"token"'))
        assert (jobs_in(event["data"].encode()), orjson.loads(event["data"])["full"]) == ([missed.id], False)
        stream.leave()
        await stream.ended()


async def test_changes_that_come_together_are_one_event(api: Api) -> None:
    stream = api.begin("/api/events", f"token={api.parts.feed.token}")
    await stream.start()
    jobs = await asyncio.gather(*(api.submit() for _ in range(20)))
    token = api.parts.feed.token
    events = events_in(await stream.until(f"id: {token}".encode()))
    seen = [job_id for event in events for job_id in jobs_in(event["data"].encode())]
    assert sorted(seen) == sorted(job.id for job in jobs)
    assert len(events) < 20
    stream.leave()
    await stream.ended()
