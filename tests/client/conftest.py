"""One real service for the tests of the client that need one."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

import pytest

from client import RenderServerProxy
from tests.support.running_service import Service, running_service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service with its debug routes; tests leave jobs of theirs in it."""
    with running_service(tmp_path_factory.mktemp("client-service"), ZORDON_DEBUG="1") as running:
        yield running


@pytest.fixture
async def node(service: Service) -> AsyncIterator[RenderServerProxy]:
    """A client of that service."""
    async with service.proxy() as proxy:
        yield proxy
