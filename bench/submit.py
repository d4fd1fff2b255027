"""Submits: how many a second over HTTP, each answered after its commit; and how long until the engine starts.

The limit of the first is a bare ASGI app that stores the same body as one row, with group commit. The jobs are
scheduled for a far day, so that nothing renders meanwhile. For the second an engine that does nothing is installed
into a real service like anybody's plug-in. Its program is a file of its own, which the kernel tells us is opened when
the process is started (inotify): the time from sending the request to that is what is measured.
"""

from __future__ import annotations

import ctypes
import http.client
import json
import os
import select
import time
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from bench.figures import Figure, Options, Report, median, percentile, run
from bench.filling import fill
from bench.lists import turns
from bench.load import load
from bench.noop import PROGRAM, install
from bench.processes import HOST, ROOT, Server, peer, zordon

GOAL_RATE = 3_000
GOAL_P99 = 15.0
GOAL_START = 3.0
_IN_OPEN = 0x20
_MANY = {"ZORDON_MAX_LIVE_JOBS_PER_TOKEN": "1000000", "ZORDON_MAX_JOBS": "1000000"}
"""What is measured is how fast jobs are taken, not how many."""
_JOB = json.dumps({"renderer": "testpattern", "frames": "1-250", "scheduled_start": "2030-01-01T00:00:00Z"}).encode()


def measure(options: Options, report: Report) -> None:
    """Both figures."""
    _rate(options, report)
    _start(options, report)


def _rate(options: Options, report: Report) -> None:
    seconds = 1.0 if options.quick else 5.0
    data = options.folder / "submit"
    fill(data, 10)
    send = partial(load, path="/api/add_job", seconds=seconds, folder=options.folder, body=_JOB)
    kind = {"Content-Type": "application/json"}
    with zordon(data, _MANY) as ours, peer("commits", options.folder / "limit.db") as limit:
        mine, theirs = turns(partial(send, ours, headers=kind), partial(send, limit))
    name = "raw ASGI, sqlite3 with group commit"
    note = f"{mine.tool}, 8 connections" + (f", {mine.errors} errors" if mine.errors else "")
    good = not mine.errors
    rate = mine.rate >= GOAL_RATE and good
    report(Figure("durable submits", "/s", mine.rate, theirs.rate, name, f"≥ {GOAL_RATE:,}/s", rate, note))
    tail = mine.p99 <= GOAL_P99 and good
    report(Figure("durable submits, p99", "ms", mine.p99, theirs.p99, name, f"≤ {GOAL_P99:g} ms", tail))


def _start(options: Options, report: Report) -> None:
    plugin = options.folder / "plugin"
    program = install(plugin)
    data = options.folder / "start"
    fill(data, 10)
    count = 10 if options.quick else 200
    with zordon(data, {PROGRAM: str(program)}, (ROOT, plugin)) as server, _openings(program) as opened:
        times = [_one_start(server, opened) for _ in range(count + 5)][5:]
    p50 = median(times)
    goal = f"≤ {GOAL_START:g} ms"
    note = f"p99 {percentile(times, 0.99):.1f} ms, {count} jobs one after the other"
    report(Figure("submit to engine start, idle node, p50", "ms", p50, None, "", goal, p50 <= GOAL_START, note))


def _one_start(server: Server, opened: int) -> float:
    body = json.dumps({"renderer": "noop", "frames": "1"}).encode()
    connection = http.client.HTTPConnection(HOST, server.port)
    connection.connect()
    try:
        begun = time.perf_counter()
        connection.request("POST", "/api/add_job", body, {**server.headers, "Content-Type": "application/json"})
        select.select([opened], [], [], 30.0)
        seconds = time.perf_counter() - begun
        os.read(opened, 4096)
        answer = connection.getresponse()
        job = json.loads(answer.read())[0]["id"]
    finally:
        connection.close()
    _until_ended(server, job)
    return seconds * 1e3


def _until_ended(server: Server, job: str) -> None:
    for _ in range(1000):
        if json.loads(server.request("GET", f"/api/jobs/{job}")[1])["status"] == "completed":
            return
        time.sleep(0.01)
    raise RuntimeError(f"the job {job} did not end")


@contextmanager
def _openings(path: Path) -> Iterator[int]:
    """A descriptor that becomes readable when the file is opened, as it is to be executed."""
    libc = ctypes.CDLL(None, use_errno=True)
    descriptor = libc.inotify_init1(os.O_CLOEXEC)
    if descriptor < 0 or libc.inotify_add_watch(descriptor, os.fsencode(path), _IN_OPEN) < 0:
        raise OSError(ctypes.get_errno(), "inotify does not work here")
    try:
        yield descriptor
    finally:
        os.close(descriptor)


if __name__ == "__main__":
    run("submit", "durable submits over HTTP, and from a submit to the start of its engine", measure)
