"""An upload that the service refuses while it is still coming: the client gets the sentence, not a broken pipe."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from client import TooLarge
from client.models import AddJob
from tests.support.running_service import Service, running_service

LIMIT = 100_000


@pytest.fixture(scope="module")
def strict(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that takes small uploads only."""
    with running_service(tmp_path_factory.mktemp("strict-service"), ZORDON_MAX_UPLOAD_BYTES=str(LIMIT)) as running:
        yield running


@pytest.mark.parametrize("size", [LIMIT + 1, 20_000_000])
async def test_an_upload_that_is_too_large(strict: Service, tmp_path: Path, size: int) -> None:
    project = tmp_path / "large.blend"
    project.write_bytes(b"BLENDER-v304" + bytes(size - 12))
    async with strict.proxy() as node:
        with pytest.raises(TooLarge, match=r"\w+ \w+"):
            await node.create_job(AddJob(renderer="blender"), project)
        assert (await node.get_jobs()).jobs == []
    assert list((strict.data_dir / "uploads").iterdir()) == []
    assert list((strict.data_dir / "projects").iterdir()) == []
