"""Load on a server: ``wrk`` where it is installed, else a small generator of ours (slower; the figures say which)."""

from __future__ import annotations

import http.client
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass
from multiprocessing.pool import ThreadPool
from pathlib import Path

from bench.figures import percentile
from bench.processes import HOST, Server

CONNECTIONS = 8
_UNITS = {"us": 1e-3, "ms": 1.0, "s": 1e3}


@dataclass(frozen=True, slots=True)
class Load:
    """What came of it."""

    rate: float  # answers a second
    p50: float  # ms
    p99: float  # ms
    errors: int  # answers of another status than 2xx and 3xx, and broken connections
    tool: str


def load(
    server: Server,
    path: str,
    seconds: float,
    folder: Path,
    *,
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
) -> Load:
    """Ask as fast as it answers, on 8 connections: GET, or POST if there is a body."""
    known = {**server.headers, **(headers or {})}
    if shutil.which("wrk") is None:
        return _own(server, path, seconds, body, known)
    argv = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{max(1, round(seconds))}s", "--timeout", "30s", "--latency"]
    for name, value in known.items():
        argv += ["-H", f"{name}: {value}"]
    if body is not None:
        script = folder / "post.lua"
        script.write_text(f'wrk.method = "POST"\nwrk.body = [==[{body.decode()}]==]\n')
        argv += ["-s", str(script)]
    printed = subprocess.run([*argv, server.url(path)], capture_output=True, text=True, check=True).stdout
    rate = re.search(r"Requests/sec:\s+([\d.]+)", printed)
    times = dict(re.findall(r"^\s+(50|99)%\s+([\d.]+(?:us|ms|s))", printed, re.MULTILINE))
    if rate is None or len(times) < 2:
        raise RuntimeError(f"wrk printed something else than expected: {printed}")
    bad = re.search(r"Non-2xx or 3xx responses: (\d+)", printed)
    broken = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", printed)
    errors = (int(bad[1]) if bad else 0) + (sum(map(int, broken.groups())) if broken else 0)
    return Load(float(rate[1]), _milliseconds(times["50"]), _milliseconds(times["99"]), errors, "wrk")


def _milliseconds(text: str) -> float:
    match = re.fullmatch(r"([\d.]+)(us|ms|s)", text)
    assert match is not None, text
    return float(match[1]) * _UNITS[match[2]]


def _own(server: Server, path: str, seconds: float, body: bytes | None, headers: Mapping[str, str]) -> Load:
    def ask(number: int) -> tuple[list[float], int]:
        connection = http.client.HTTPConnection(HOST, server.port, timeout=60)
        times: list[float] = []
        errors, end = 0, time.perf_counter() + seconds
        while (begun := time.perf_counter()) < end:
            connection.request("GET" if body is None else "POST", path, body, dict(headers))
            answer = connection.getresponse()
            answer.read()
            errors += answer.status >= 400
            times.append((time.perf_counter() - begun) * 1e3)
        connection.close()
        return times, errors

    begun = time.perf_counter()
    with ThreadPool(CONNECTIONS) as pool:
        found = pool.map(ask, range(CONNECTIONS))
    times = [one for some, _ in found for one in some]
    rate = len(times) / (time.perf_counter() - begun)
    errors = sum(count for _, count in found)
    print(
        "   wrk is not installed: the load is made by Python threads, which are slower than the servers",
        file=sys.stderr,
    )
    return Load(rate, percentile(times, 0.5), percentile(times, 0.99), errors, "python threads")
