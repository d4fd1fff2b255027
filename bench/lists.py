"""The job list: 1,000 and 10,000 jobs, 304, one job, and what one change costs.

The limit is a bare ASGI app that returns the same stored bytes under the same server with the same settings. The load
takes turns between the service and it, so that both see the same machine.
"""

from __future__ import annotations

import gc
import http.client
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from app.jobs.codec import wire_bytes
from app.jobs.feed import Feed
from bench.figures import Figure, Options, Report, median, run
from bench.filling import fill, record
from bench.load import Load, load
from bench.peers import installed
from bench.processes import Server, peer, zordon
from client.models import JobList

ROUNDS = 3
GOAL_RATIO = 0.8
GOAL_304 = 12_000
GOAL_ONE = 10_000
GOAL_CHANGE_MS = 4.0


def measure(options: Options, report: Report) -> None:
    """All figures about lists."""
    for jobs in (20, 50) if options.quick else (1_000, 10_000):
        _lists(options, report, jobs)
    _one_change(report, 100 if options.quick else 10_000)


def _lists(options: Options, report: Report, jobs: int) -> None:
    data = options.folder / f"lists-{jobs}"
    fill(data, jobs)
    seconds = 1.0 if options.quick else 4.0
    with zordon(data) as ours:
        status, body = ours.request("GET", "/api/jobs")
        assert status == 200, body
        stored = options.folder / f"list-{jobs}.json"
        stored.write_bytes(body)
        note = f"{jobs} jobs, {len(body) / jobs:.0f} bytes each"
        ask = partial(load, path="/api/jobs", seconds=seconds, folder=options.folder)
        with peer("raw", stored) as raw:
            mine, limit = turns(partial(ask, ours), partial(ask, raw))
        report(_rate(f"list of {jobs} jobs", mine, limit, "raw ASGI, stored bytes", GOAL_RATIO, note))
        _others(report, ask, stored, jobs)
        if jobs <= 1_000:
            _small_answers(options, report, ours, body, seconds)


def _others(report: Report, ask: Callable[[Server], Load], stored: Path, jobs: int) -> None:
    what = f"list of {jobs} jobs"
    for name in ("starlette", "fastapi"):
        with peer(name, stored) as other:
            rate = ask(other).rate
            report(Figure(what, "/s", None, rate, {"starlette": "Starlette", "fastapi": "FastAPI, model"}[name]))
    if installed("flask"):
        with peer(str(stored), module="bench.flask_peer") as flask:
            report(Figure(what, "/s", None, ask(flask).rate, "Flask, threads"))


def _small_answers(options: Options, report: Report, ours: Server, body: bytes, seconds: float) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", ours.port)
    connection.request("GET", "/api/jobs", headers=dict(ours.headers))
    answer = connection.getresponse()
    answer.read()
    connection.close()
    tag = answer.headers["ETag"]
    empty, job = options.folder / "nothing", options.folder / "job.json"
    first = JobList.model_validate_json(body).jobs[0].id
    status, one = ours.request("GET", f"/api/jobs/{first}")
    assert status == 200, one
    empty.write_bytes(b"")
    job.write_bytes(one)
    ask = partial(load, seconds=seconds, folder=options.folder)
    with peer("raw", empty) as raw:
        unchanged = partial(ask, ours, "/api/jobs", headers={"If-None-Match": tag})
        mine, limit = turns(unchanged, partial(ask, raw, "/api/jobs"))
        report(_rate("304, nothing has changed", mine, limit, "raw ASGI, empty body", None, "", GOAL_304))
    with peer("raw", job) as raw:
        mine, limit = turns(partial(ask, ours, f"/api/jobs/{first}"), partial(ask, raw, "/api/jobs/one"))
        report(_rate("one job", mine, limit, "raw ASGI, stored bytes", None, "", GOAL_ONE))


def turns(ours: Callable[[], Load], limit: Callable[[], Load]) -> tuple[Load, Load]:
    """Both in turns; of each the round with the median rate."""
    mine: list[Load] = []
    theirs: list[Load] = []
    for _ in range(ROUNDS):
        mine.append(ours())
        theirs.append(limit())
    middle = ROUNDS // 2
    return sorted(mine, key=lambda one: one.rate)[middle], sorted(theirs, key=lambda one: one.rate)[middle]


def _rate(
    what: str, mine: Load, limit: Load, name: str, ratio: float | None, note: str, least: float | None = None
) -> Figure:
    reached = mine.rate >= ratio * limit.rate if ratio is not None else mine.rate >= (least or 0)
    goal = f"≥ {ratio:.0%} of it" if ratio is not None else f"≥ {least or 0:,.0f}/s"
    wrong = f"{mine.errors} errors" if mine.errors else ""
    said = ", ".join(part for part in (note, f"p99 {mine.p99:.1f} ms", mine.tool, wrong) if part)
    return Figure(what, "/s", mine.rate, limit.rate, name, goal, reached and not mine.errors, said)


def _one_change(report: Report, jobs: int) -> None:
    feed = Feed("bench", 1)
    records = [record(number) for number in range(jobs)]
    for job in records:
        feed.load(job.id, wire_bytes(job))
    model = JobList.model_validate_json(b"".join(feed.job_list()))
    gc.collect()
    gc.freeze()
    ours: list[float] = []
    theirs: list[float] = []
    for number in range(50):
        job = records[number * 7 % jobs]
        begun = time.perf_counter()
        feed.publish(job.id, wire_bytes(job))
        feed.job_list()
        ours.append((time.perf_counter() - begun) * 1e3)
        if number % 5 == 0:
            begun = time.perf_counter()
            model.model_dump_json()
            theirs.append((time.perf_counter() - begun) * 1e3)
    gc.unfreeze()
    mine = median(ours)
    goal = f"≤ {GOAL_CHANGE_MS:g} ms"
    what = f"the list of {jobs} jobs after one change, server time"
    report(Figure(what, "ms", mine, median(theirs), "Pydantic, all of it", goal, mine <= GOAL_CHANGE_MS))


if __name__ == "__main__":
    run("lists", "the job list beside the same bytes from a bare ASGI app", measure)
