"""A thread that waits for a commit goes on when it is on the disk, and hears why it is not."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from app.jobs.store import Store, StoreError


async def test_a_thread_goes_on_once_the_change_is_in_the_store(tmp_path: Path) -> None:
    store = Store(tmp_path / "zordon.db")
    await store.open()
    try:
        commit = store.write([("INSERT INTO meta VALUES ('one', '1')", ())])
        await asyncio.to_thread(commit.wait_in_thread)
        rows = await store.read(
            lambda connection: connection.execute("SELECT value FROM meta WHERE key='one'").fetchall()
        )
        assert rows == [("1",)]
        await commit
    finally:
        await store.close()


async def test_a_thread_hears_why_nothing_was_committed(tmp_path: Path) -> None:
    store = Store(tmp_path / "zordon.db")
    await store.open()
    bad = store.write([("INSERT INTO nowhere VALUES (1)", ())])
    with pytest.raises(StoreError, match="nowhere"):
        await asyncio.to_thread(bad.wait_in_thread)
    with pytest.raises(StoreError, match="nowhere"):
        await bad
    await store.close()
    late = store.write([])
    with pytest.raises(StoreError, match="closed"):
        await asyncio.to_thread(late.wait_in_thread)
    with pytest.raises(StoreError, match="closed"):
        await late
