"""Starting with many jobs: 100,000 in the store until the first answer; the memory of a service with 10,000."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path

from bench.figures import Figure, Options, Report, median, run
from bench.filling import fill
from bench.processes import zordon

GOAL_SECONDS = 3.5
GOAL_MB = 110.0
ROUNDS = 3


def measure(options: Options, report: Report) -> None:
    """Both figures."""
    many, some = (1_000, 100) if options.quick else (100_000, 10_000)
    empty, full = options.folder / "empty", options.folder / "full"
    fill(empty, 0)
    fill(full, many)
    ours: list[float] = []
    bare: list[float] = []
    reads: list[float] = []
    for _ in range(1 if options.quick else ROUNDS):
        ours.append(_ready(full))
        bare.append(_ready(empty))
        reads.append(_read(full))
    mine = median(ours)
    note = f"an empty store: {median(bare):.2f} s"
    goal = f"≤ {GOAL_SECONDS:g} s"
    what = f"process start to first answer, {many:,} jobs in the store"
    report(Figure(what, "s", mine, median(reads), "reading the rows alone", goal, mine <= GOAL_SECONDS, note))
    data = options.folder / "memory"
    fill(data, some)
    with zordon(data) as server:
        ready = server.rss() / 1e6
        server.request("GET", "/api/jobs")
        listed = server.rss() / 1e6
    with zordon(empty) as server:
        nothing = server.rss() / 1e6
    note = f"without jobs {nothing:.0f} MB; after the first list {listed:.0f} MB"
    fits = listed <= GOAL_MB
    report(Figure(f"memory with {some:,} jobs", "MB", ready, nothing, "without jobs", f"≤ {GOAL_MB:g} MB", fits, note))


def _ready(data: Path) -> float:
    with zordon(data) as server:
        return server.seconds


def _read(data: Path) -> float:
    begun = time.perf_counter()
    connection = sqlite3.connect(data / "zordon.db")
    connection.execute("SELECT id, status, wire FROM jobs ORDER BY seq").fetchall()
    connection.close()
    return time.perf_counter() - begun


if __name__ == "__main__":
    run("start", "ready to serve with 100,000 jobs; memory with 10,000", measure)
