"""The store: what was answered is there, all or none, in order; one bad change harms no other."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from app.jobs import queries
from app.jobs.schema import MIGRATIONS
from app.jobs.store import Store, StoreError


@asynccontextmanager
async def opened(path: Path) -> AsyncIterator[Store]:
    store = Store(path)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


def insert(number: int) -> tuple[str, tuple[object, ...]]:
    return queries.insert_job(f"job-{number}", "not_started", number, None, b"{}", b"{}", b"{}")


def ids(connection: sqlite3.Connection) -> list[str]:
    return [row.id for row in queries.load_jobs(connection, after=0, most=10_000)]


async def test_many_writers_share_commits_and_hear_in_order(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as store:
        heard: list[int] = []
        writes = [store.write([insert(number)], lambda number=number: heard.append(number)) for number in range(2000)]
        await asyncio.gather(*writes)
        assert heard == list(range(2000))
        assert await store.read(ids) == [f"job-{number}" for number in range(2000)]


async def test_a_change_is_all_or_nothing_and_harms_no_other(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as store:
        good = store.write([insert(1)])
        bad = store.write([insert(2), insert(1)])
        also_good = store.write([insert(3)])
        results = await asyncio.gather(good, bad, also_good, return_exceptions=True)
        assert [type(result) for result in results] == [type(None), StoreError, type(None)]
        assert await store.read(ids) == ["job-1", "job-3"]


async def test_the_epoch_rises_with_every_start_and_the_store_keeps_its_id(tmp_path: Path) -> None:
    async with opened(tmp_path / "db") as store:
        first = (store.store_id, store.epoch)
    async with opened(tmp_path / "db") as store:
        assert (store.store_id, store.epoch) == (first[0], first[1] + 1)


async def test_a_damaged_store_is_refused_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "zordon.db").write_bytes(b"this is no database at all, not even nearly" * 100)
    with pytest.raises(StoreError, match=r"zordon\.db cannot be opened"):
        await Store(tmp_path / "zordon.db").open()


async def test_a_store_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "db")
    connection.execute(f"PRAGMA user_version={len(MIGRATIONS) + 1}")
    connection.close()
    with pytest.raises(StoreError, match="newer Zordon"):
        await Store(tmp_path / "db").open()


async def test_a_closed_store_says_so(tmp_path: Path) -> None:
    store = Store(tmp_path / "db")
    await store.open()
    await store.close()
    with pytest.raises(StoreError, match="closed"):
        await store.write([insert(1)])


_KILLED = """
import asyncio, sys
from pathlib import Path
from app.jobs import queries
from app.jobs.store import Store

async def main():
    store = Store(Path(sys.argv[1]))
    await store.open()
    for number in range(100000):
        await store.write([queries.insert_job(f"job-{number}", "x", number, None, b"", b"", b"")])
        print(number, flush=True)

asyncio.run(main())
"""


async def test_what_was_answered_survives_kill_9(tmp_path: Path) -> None:
    answered = await asyncio.to_thread(_kill_while_writing, tmp_path / "db")
    async with opened(tmp_path / "db") as store:
        assert len(await store.read(ids)) >= answered + 1


def _kill_while_writing(database: Path) -> int:
    """Kill a writing process. Returns the number of the last change that it answered."""
    answered = -1
    with subprocess.Popen([sys.executable, "-c", _KILLED, str(database)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            answered = int(line)
            if answered == 200:
                os.kill(process.pid, signal.SIGKILL)
    return answered
