"""The public names, and which error stands for which answer."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable

import pytest

import client
from client import errors
from client.connection import Connection
from tests.support.scripted_server import Reply, Request, scripted_server

TREE = {
    "ZordonError": "Exception",
    "ConnectionFailed": "ZordonError",
    "Timeout": "ZordonError",
    "ProtocolError": "ZordonError",
    "TransferFailed": "ZordonError",
    "RequestRefused": "ZordonError",
    "BadRequest": "RequestRefused",
    "Unauthorized": "RequestRefused",
    "Forbidden": "RequestRefused",
    "NotFound": "RequestRefused",
    "JobNotFound": "NotFound",
    "Conflict": "RequestRefused",
    "TooLarge": "RequestRefused",
    "ServerError": "RequestRefused",
    "Unavailable": "ServerError",
}

OTHER_NAMES = {"API_VERSION", "JobCache", "Progress", "RenderServerProxy", "Target", "find_target"}


GZIP = {"Content-Encoding": "gzip"}


def test_public_names() -> None:
    assert set(client.__all__) == set(TREE) | OTHER_NAMES
    assert all(hasattr(client, name) for name in client.__all__)


def test_the_tree_is_the_one_that_is_drawn() -> None:
    found = {
        name: kind.__base__.__name__
        for name, kind in vars(errors).items()
        if isinstance(kind, type) and issubclass(kind, Exception) and kind.__base__ is not None
    }
    assert found == TREE
    drawn = [line.replace("│", " ") for line in (errors.__doc__ or "").splitlines() if "──" in line]
    stack = ["ZordonError"]
    line_start = drawn[0].index("──")
    for line in drawn:
        depth = (line.index("──") - line_start) // 4 + 1
        name = line.split("──")[1].split()[0]
        assert TREE[name] == stack[depth - 1]
        stack = [*stack[:depth], name]
    assert len(drawn) == len(TREE) - 1


def answering(status: str, body: bytes, kind: str = "text/plain", **headers: str) -> Callable[[Request, int], Reply]:
    """A server that always says the same."""
    return lambda request, number: Reply(body, status, {"Content-Type": kind, **headers})


@pytest.mark.parametrize(
    ("status", "kind"),
    [
        ("400 Bad Request", client.BadRequest),
        ("422 Unprocessable Content", client.BadRequest),
        ("401 Unauthorized", client.Unauthorized),
        ("403 Forbidden", client.Forbidden),
        ("404 Not Found", client.NotFound),
        ("405 Method Not Allowed", client.RequestRefused),
        ("409 Conflict", client.Conflict),
        ("413 Content Too Large", client.TooLarge),
        ("500 Internal Server Error", client.ServerError),
        ("503 Service Unavailable", client.Unavailable),
        ("507 Insufficient Storage", client.ServerError),
    ],
)
async def test_a_status_becomes_its_error_with_the_servers_sentence(
    status: str, kind: type[client.RequestRefused]
) -> None:
    async with (
        scripted_server(answering(status, b"frames: write them as 1-100")) as server,
        client.RenderServerProxy("127.0.0.1", server.port) as node,
    ):
        with pytest.raises(client.RequestRefused) as caught:
            await node.get_job("x")
    assert type(caught.value) is kind
    assert str(caught.value) == "frames: write them as 1-100"
    assert caught.value.status == int(status[:3])


async def test_a_problem_document_gives_its_detail_title_and_field() -> None:
    kind = "application/problem+json"
    problem = {"type": "about:blank", "title": "Bad request", "status": 400, "detail": "no such scene", "field": "args"}
    async with (
        scripted_server(answering("400 Bad Request", json.dumps(problem).encode(), kind)) as server,
        client.RenderServerProxy("127.0.0.1", server.port) as node,
    ):
        with pytest.raises(client.BadRequest, match="no such scene") as caught:
            await node.get_job("x")
    assert (caught.value.field, caught.value.title) == ("args", "Bad request")


async def test_a_503_that_names_a_time_is_asked_again() -> None:
    def busy_once(request: Request, number: int) -> Reply:
        if number == 0:
            return Reply(b"starting", "503 Service Unavailable", {"Retry-After": "1"})
        return Reply(b'["blender"]')

    async with (
        scripted_server(busy_once) as server,
        client.RenderServerProxy("127.0.0.1", server.port) as node,
    ):
        assert await node.get_engine_names() == ["blender"]


async def test_a_post_is_not_sent_twice() -> None:
    async with (
        scripted_server(lambda request, number: None) as server,
        client.RenderServerProxy("127.0.0.1", server.port) as node,
    ):
        with pytest.raises(client.ConnectionFailed):
            await node.delete_job("x")
    assert len(server.requests) == 1


async def test_nobody_there_says_where_and_why() -> None:
    async with scripted_server(lambda request, number: None) as server:
        port = server.port
    async with client.RenderServerProxy("127.0.0.1", port) as node:
        with pytest.raises(client.ConnectionFailed, match=f"nothing answers at 127.0.0.1:{port}: connection refused"):
            await node.get_status()
        assert await node.check_connection() is False


@pytest.mark.parametrize(
    ("body", "word"), [(b"<html>hello</html>", "the body"), (b'{"jobs": [], "token": 5}', "token")]
)
async def test_an_answer_that_is_none_of_ours_is_named(body: bytes, word: str) -> None:
    async with (
        scripted_server(answering("200 OK", body)) as server,
        client.RenderServerProxy("127.0.0.1", server.port) as node,
    ):
        with pytest.raises(client.ProtocolError, match=f"GET /api/jobs is not understood: {word}"):
            await node.get_jobs()


@pytest.mark.parametrize("status", ["200 OK", "500 Internal Server Error"])
async def test_an_answer_that_is_longer_than_what_is_taken_is_broken_off(status: str) -> None:
    bomb = gzip.compress(bytes(4 << 20))  # 4 kB on the way
    replies = {"/short": answering(status, gzip.compress(b"hello"), **GZIP), "/bomb": answering(status, bomb, **GZIP)}
    async with scripted_server(lambda request, number: replies[request.target](request, number)) as server:
        node = Connection("127.0.0.1", server.port, longest=1 << 20)
        try:
            with pytest.raises(client.ProtocolError, match="answers with more than 1048576 bytes"):
                await node.get("/bomb")
            if status.startswith("200"):
                answer = await node.get("/short")
                assert (answer.text, answer.headers["Content-Length"]) == ("hello", "5")
            else:
                with pytest.raises(client.ServerError, match="hello"):
                    await node.get("/short")
        finally:
            await node.aclose()


async def test_a_server_of_another_major_version_is_named() -> None:
    async with (
        scripted_server(answering("200 OK", b"now", **{"X-API-Version": "1.0"})) as server,
        client.RenderServerProxy("127.0.0.1", server.port) as node,
    ):
        with pytest.raises(client.ProtocolError, match=r"speaks API version 1\.0"):
            await node.get_status()


async def test_every_request_carries_version_token_and_asks_for_problems() -> None:
    async with (
        scripted_server(answering("200 OK", b"[]")) as server,
        client.RenderServerProxy("127.0.0.1", server.port, "secret-token-0123") as node,
    ):
        await node.get_engine_names()
    headers = server.requests[0].headers
    assert headers["x-api-version"] == client.API_VERSION
    assert headers["authorization"] == "Bearer secret-token-0123"
    assert "application/problem+json" in headers["accept"]


async def test_an_id_stays_in_its_path_segment() -> None:
    async with (
        scripted_server(answering("200 OK", b"[]")) as server,
        client.RenderServerProxy("127.0.0.1", server.port) as node,
    ):
        await node.get_job_files("a/../b?c")
        with pytest.raises(client.NotFound):
            await node.get_job("..")
    assert [request.target for request in server.requests] == ["/api/jobs/a%2F..%2Fb%3Fc/files"]
