"""Durable rows a second: our store beside the same group commit on SQLAlchemy Core, and beside a commit for each row.

All of them write the same rows into the same tables with ``synchronous=FULL``, asked for by the same number of callers
at a time. What docs/decisions/0002-store.md says comes from here.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from app.jobs.schema import MIGRATIONS
from app.jobs.store import Store
from bench.figures import Figure, Options, Report, median, run
from bench.harness import as_served
from bench.peers import installed
from bench.processes import PEERS

CALLERS = 256
ROUNDS = 3
COLUMNS = ("id", "status", "revision", "project", "spec", "state", "wire")
INSERT = f"INSERT INTO jobs ({', '.join(COLUMNS)}) VALUES ({', '.join('?' * len(COLUMNS))})"

Row = tuple[str, str, int, None, bytes, bytes, bytes]
Write = Callable[[Row], Awaitable[None]]


def row(number: int) -> Row:
    """A job as it is stored, about 1.3 KB."""
    return f"{number:016x}", "not_started", number, None, b"s" * 400, b"t" * 200, b"w" * 700


async def ask(write: Write, count: int) -> float:
    """Rows a second, with :data:`CALLERS` callers that each wait for their own row."""
    numbers = iter(range(count))

    async def caller() -> None:
        for number in numbers:
            await write(row(number))

    begin = time.perf_counter()
    await asyncio.gather(*(caller() for _ in range(CALLERS)))
    return count / (time.perf_counter() - begin)


async def ours(path: Path, count: int) -> float:
    """The store as the service has it."""
    store = Store(path)
    await store.open()

    async def write(values: Row) -> None:
        await store.write([(INSERT, values)])

    try:
        return await ask(write, count)
    finally:
        await store.close()


async def grouped_core(path: Path, count: int) -> float:
    """SQLAlchemy Core on one writer thread, with our group commit."""
    import sqlalchemy as sa

    loop = asyncio.get_running_loop()
    waiting: queue.SimpleQueue[tuple[Row, asyncio.Future[None]] | None] = queue.SimpleQueue()
    prepare(path).close()
    engine = sa.create_engine(f"sqlite:///{path}")
    jobs = sa.Table("jobs", sa.MetaData(), *(sa.Column(name) for name in COLUMNS))
    insert = sa.insert(jobs)

    def tell(futures: list[asyncio.Future[None]]) -> None:
        for future in futures:
            future.set_result(None)

    def serve() -> None:
        with engine.connect() as connection:
            connection.exec_driver_sql("PRAGMA synchronous=FULL")
            connection.commit()
            while (item := waiting.get()) is not None:
                batch = [item]
                while len(batch) < 512 and not waiting.empty():
                    more = waiting.get()
                    if more is None:
                        waiting.put(None)
                        break
                    batch.append(more)
                with connection.begin():
                    for values, _ in batch:
                        connection.execute(insert, dict(zip(COLUMNS, values, strict=True)))
                loop.call_soon_threadsafe(tell, [future for _, future in batch])

    async def write(values: Row) -> None:
        future: asyncio.Future[None] = loop.create_future()
        waiting.put((values, future))
        await future

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        return await ask(write, count)
    finally:
        waiting.put(None)
        await asyncio.to_thread(thread.join)
        engine.dispose()


def each_by_itself(path: Path, count: int) -> float:
    """The standard library, one commit a row, on one thread that does nothing else."""
    connection = prepare(path)
    connection.execute("PRAGMA synchronous=FULL")
    begin = time.perf_counter()
    for number in range(count):
        connection.execute(INSERT, row(number))
    seconds = time.perf_counter() - begin
    connection.close()
    return count / seconds


def prepare(path: Path) -> sqlite3.Connection:
    """The store's own tables in a fresh file, in autocommit mode."""
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    for statement in MIGRATIONS[0]:
        connection.execute(statement)
    return connection


def measure(options: Options, report: Report) -> None:
    """Every way in turns, each round in files of its own."""
    count = 2_000 if options.quick else 40_000
    ways: dict[str, Callable[[Path], float]] = {
        "ours": lambda path: as_served(ours(path, count)),
        "a commit for each row": lambda path: each_by_itself(path, count // 10),
    }
    if installed("sqlalchemy"):
        sys.path.append(str(PEERS))
        ways["SQLAlchemy Core, same group commit"] = lambda path: as_served(grouped_core(path, count))
    else:
        print("   SQLAlchemy is left out: python -m bench.peers installs it")
    rates: dict[str, list[float]] = {name: [] for name in ways}
    for turn in range(ROUNDS):
        for name, way in ways.items():
            rates[name].append(way(options.folder / f"{name.replace(' ', '-')}-{turn}.db"))
    mine = median(rates.pop("ours"))
    for name, peer in rates.items():
        report(Figure(f"durable rows, {CALLERS} callers", "rows/s", mine, median(peer), name))


if __name__ == "__main__":
    run("commits", "durable rows a second, with and without group commit, with and without SQLAlchemy", measure)
