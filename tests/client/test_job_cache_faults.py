"""What a job cache does when the node refuses or speaks nonsense: it says so and does not wait for ever."""

from __future__ import annotations

import pytest

from client import JobCache, ProtocolError, RenderServerProxy, Unauthorized, ZordonError
from tests.support.scripted_server import Reply, Request, scripted_server

EMPTY = b'{"jobs": [], "gone": [], "full": true, "token": "t1"}'


async def test_a_token_that_is_not_valid_any_more_ends_every_wait() -> None:
    def revoked(request: Request, number: int) -> Reply:
        return Reply(EMPTY) if number == 0 else Reply(b"the token is wrong", "401 Unauthorized")

    async with (
        scripted_server(revoked) as server,
        RenderServerProxy("127.0.0.1", server.port) as node,
        JobCache(node) as cache,
    ):
        with pytest.raises(Unauthorized, match="the token is wrong"):
            await cache.wait_for(lambda jobs: jobs)
        assert cache.stale_since is not None
        with pytest.raises(Unauthorized):
            await cache.wait_for(lambda jobs: jobs)


async def test_an_answer_that_is_not_understood_ends_every_wait() -> None:
    async with (
        scripted_server(lambda request, number: Reply(EMPTY if number == 0 else b"{}")) as server,
        RenderServerProxy("127.0.0.1", server.port) as node,
        JobCache(node) as cache,
    ):
        with pytest.raises(ProtocolError):
            await cache.wait_for(lambda jobs: jobs)


async def test_a_node_that_fails_for_a_while_is_asked_again() -> None:
    def comes_back(request: Request, number: int) -> Reply:
        if number in (1, 2):
            return Reply(b"no", "500 Internal Server Error")
        return Reply(EMPTY.replace(b"t1", b"t%d" % number))

    async with (
        scripted_server(comes_back) as server,
        RenderServerProxy("127.0.0.1", server.port) as node,
        JobCache(node) as cache,
    ):
        await cache.wait_for(lambda jobs: cache.stale_since is not None)
        await cache.wait_for(lambda jobs: cache.stale_since is None and len(server.requests) > 3)


async def test_a_closed_cache_says_so() -> None:
    async with (
        scripted_server(lambda request, number: Reply(EMPTY)) as server,
        RenderServerProxy("127.0.0.1", server.port) as node,
    ):
        async with JobCache(node) as cache:
            pass
        with pytest.raises(ZordonError, match="closed"):
            await cache.wait_for(lambda jobs: jobs)
