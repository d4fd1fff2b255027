"""Long-poll: 1,000 / 5,000 / 9,500 clients woken by one change, what each costs while it waits, and who is forgotten.

The change is a durable submit; a client's time runs from sending it to having its whole answer. The limit is a bare
ASGI app whose handlers wait for one ``asyncio.Event``, with answers of the same size.
"""

from __future__ import annotations

import http.client
import json
import time
from dataclasses import dataclass
from pathlib import Path

from bench.figures import Figure, Options, Report, percentile, run
from bench.filling import fill
from bench.processes import HOST, Server, peer, raise_file_limit, zordon
from bench.waiters import crowd

GOALS = {1_000: 80.0, 5_000: 450.0, 9_500: 600.0}
"""Clients: the 99th percentile that is asked for, in ms."""
GOAL_KB = 20.0
GOAL_IDLE = 0.01
ROUNDS = 3
_JOB = json.dumps({"renderer": "testpattern", "frames": "1", "scheduled_start": "2030-01-01T00:00:00Z"}).encode()


@dataclass(frozen=True, slots=True)
class Woken:
    """One crowd."""

    p50: float  # ms
    p99: float
    lost: int
    kilobytes: float  # of resident memory a waiter
    idle: float  # share of a core, while all wait


def measure(options: Options, report: Report) -> None:
    """All figures about long-polls."""
    limit = raise_file_limit()
    for clients in (50, 200) if options.quick else GOALS:
        if clients + 200 > limit:
            print(f"   {clients} clients need as many open files; the system allows {limit}")
            continue
        ours: list[Woken] = []
        theirs: list[Woken] = []
        for number in range(1 if options.quick else ROUNDS):
            ours.append(_ours(options.folder / f"poll-{clients}-{number}", clients, options.quick))
            theirs.append(_limit(options.folder, clients, options.quick))
        _report(report, clients, _middle(ours), _middle(theirs), sum(one.lost for one in ours))


def _report(report: Report, clients: int, mine: Woken, limit: Woken, lost: int) -> None:
    goal = GOALS.get(clients, 80.0)
    what = f"long-poll, {clients:,} clients woken"
    name = "raw ASGI, one Event"
    report(Figure(f"{what}, p50", "ms", mine.p50, limit.p50, name))
    report(Figure(f"{what}, p99", "ms", mine.p99, limit.p99, name, f"≤ {goal:g} ms", mine.p99 <= goal))
    report(Figure(f"{what}, lost in all rounds", "wake-ups", lost, None, "", "none", lost == 0))
    small = mine.kilobytes <= GOAL_KB
    report(Figure(f"{what}, memory a waiter", "KB", mine.kilobytes, limit.kilobytes, name, f"≤ {GOAL_KB:g} KB", small))
    idle, theirs = mine.idle * 100, limit.idle * 100
    report(Figure(f"{what}, CPU while they wait", "% of a core", idle, theirs, name, "< 1 %", mine.idle < GOAL_IDLE))


def _middle(rounds: list[Woken]) -> Woken:
    return sorted(rounds, key=lambda one: one.p99)[len(rounds) // 2]


def _ours(data: Path, clients: int, quick: bool) -> Woken:
    fill(data, 5)
    with zordon(data, {"ZORDON_LONG_POLL_SECONDS": "300"}) as server:
        token = json.loads(server.request("GET", "/api/jobs")[1])["token"]
        auth = f"Host: {HOST}\r\nAuthorization: {server.headers['Authorization']}\r\n"
        ask = f"GET /api/jobs/long_poll?token={token} HTTP/1.1\r\n{auth}\r\n"
        change = f"POST /api/add_job HTTP/1.1\r\n{auth}Content-Type: application/json\r\nContent-Length: {len(_JOB)}"
        return _wake(server, ask.encode(), change.encode() + b"\r\n\r\n" + _JOB, clients, quick)


def _limit(folder: Path, clients: int, quick: bool) -> Woken:
    body = folder / "six-jobs.json"
    body.write_bytes(b"x" * 4800)
    with peer("event", body) as server:
        ask = f"GET /wait HTTP/1.1\r\nHost: {HOST}\r\n\r\n"
        change = f"POST /change HTTP/1.1\r\nHost: {HOST}\r\nContent-Length: 0\r\n\r\n"
        return _wake(server, ask.encode(), change.encode(), clients, quick)


def _wake(server: Server, ask: bytes, change: bytes, clients: int, quick: bool) -> Woken:
    connection = http.client.HTTPConnection(HOST, server.port)  # so that what the first request loads is not counted
    connection.request("GET", "/ready", headers=dict(server.headers))
    connection.getresponse().read()
    connection.close()
    before = server.rss()
    with crowd(server, ask, clients) as waiting:
        server.wait_until_idle()
        each = (server.rss() - before) / clients / 1024
        seconds = 1.0 if quick else 5.0
        used = server.cpu_seconds()
        time.sleep(seconds)
        idle = (server.cpu_seconds() - used) / seconds
        times = waiting.wake(server, change, 30.0)
    if not times:
        raise RuntimeError("nobody was woken")
    return Woken(percentile(times, 0.5), percentile(times, 0.99), clients - len(times), each, idle)


if __name__ == "__main__":
    run("long_poll", "thousands of waiting clients, woken by one change", measure)
