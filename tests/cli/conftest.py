"""One real service for the tests of the command line, and the data it leaves."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.support.running_service import Service, running_service


@pytest.fixture(scope="session")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A running service; tests leave jobs of theirs in it."""
    with running_service(tmp_path_factory.mktemp("cli-service")) as running:
        yield running
