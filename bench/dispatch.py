"""Dispatch: trivial chunks on two slots, every attempt durable; a process each, or fed to two live sessions.

The limit of the first takes turns with it: two threads that do nothing but start ``/bin/true``, wait for it, and commit
one row each, with ``synchronous=FULL``.
"""

from __future__ import annotations

import asyncio
import sqlite3
import subprocess
import threading
import time
from pathlib import Path

from bench.figures import Figure, Options, Report, median, run
from bench.harness import as_served, farm

GOAL = 700
SLOTS = 2
ROUNDS = 3


def measure(options: Options, report: Report) -> None:
    """Both figures."""
    as_served(_measure(options, report))


async def _measure(options: Options, report: Report) -> None:
    count = 100 if options.quick else 2_000
    ours: list[float] = []
    limit: list[float] = []
    sessions: list[float] = []
    data = options.folder / "farm"
    async with farm(data) as jobs:
        await jobs.render("noop", 20)
        await jobs.render("testpattern", 20)
        for number in range(1 if options.quick else ROUNDS):
            ours.append(count / await jobs.render("noop", count))
            # Nothing of ours runs meanwhile but an idle loop.
            database = options.folder / f"limit-{number}.db"
            limit.append(count / await asyncio.to_thread(two_threads, database, count))
            sessions.append(count / await jobs.render("testpattern", count))
    mine, most = median(ours), median(limit)
    name = "two threads: Popen, wait, commit"
    note = f"{count} chunks, {SLOTS} slots"
    report(Figure("a process a chunk, attempts durable", "/s", mine, most, name, f"≥ {GOAL}/s", mine >= GOAL, note))
    what = "chunks of one frame in two live sessions, verified and kept"
    report(Figure(what, "/s", median(sessions), note="testpattern, 16 x 16 pixels"))


def two_threads(database: Path, count: int) -> float:
    """Start so many processes on two threads, each followed by its own durable row; returns seconds."""
    connection = sqlite3.connect(database, isolation_level=None, check_same_thread=False)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("CREATE TABLE attempts (id TEXT PRIMARY KEY, ended REAL) WITHOUT ROWID")
    one_at_a_time = threading.Lock()

    def work(slot: int) -> None:
        for number in range(count // SLOTS):
            with subprocess.Popen(
                ["/bin/true"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
            ) as process:
                process.wait()
            with one_at_a_time:
                connection.execute("INSERT INTO attempts VALUES (?, ?)", (f"{slot}-{number}", time.time()))

    threads = [threading.Thread(target=work, args=(slot,)) for slot in range(SLOTS)]
    begun = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - begun
    connection.close()
    return seconds


if __name__ == "__main__":
    run("dispatch", "trivial chunks on two slots, every attempt durable", measure)
