"""A whole node without a server in front of it, and a release folder that it fetches from."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import pytest

from app.api.parts import Parts
from app.main import create_app
from app.settings import load_settings

StartNode = Callable[..., AbstractAsyncContextManager[Parts]]


@pytest.fixture
def start_node(tmp_path: Path) -> StartNode:
    """Starts a node on the test's data folder that asks the mirrors which the test names, in this order."""

    @asynccontextmanager
    async def start(*mirrors: str, **settings: object) -> AsyncIterator[Parts]:
        named = {f"mirror-{number}": url for number, url in enumerate(mirrors, 1)}
        quick: dict[str, object] = {
            "data_dir": tmp_path / "data",
            "engine_mirrors": named,
            "engine_sources": list(named),
            "retry_seconds": 0.01,
            "min_free_bytes": 0,
        }
        async with create_app(load_settings(**{**quick, **settings})).running() as parts:
            yield parts

    return start
