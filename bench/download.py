"""Downloads: 1.5 GB of outputs as one zip, and one output of 2 GB; all from memory, as the files were just written.

The limit of the zip is the same files one after the other over the same server, read as blocks of 2 MB in a thread;
the service and it take turns. FileResponse is Starlette's.
"""

from __future__ import annotations

import hashlib
import os
import zlib
from collections.abc import Callable
from pathlib import Path

from app.jobs.folders import DataFolder
from app.outputs.manifest import Entry, Manifest
from bench.figures import Figure, Options, Report, median, run
from bench.filling import fill, record
from bench.peers import installed
from bench.processes import peer, zordon
from bench.transfer import Moved, receive

ROUNDS = 5
GOAL_FIRST = 10.0
GOAL_RATIO = 0.8
GOAL_RATE = 1_000
FLAT_MB = 32.0
"""Growth of memory that still counts as flat, whatever the size of the download."""


def measure(options: Options, report: Report) -> None:
    """Both downloads."""
    data = options.folder / "download"
    fill(data, 2)
    many, one = record(0).id, record(1).id
    count, size, large = (5, 1 << 20, 8 << 20) if options.quick else (100, 15_000_000, 2_000_000_000)
    frames = _outputs(data, many, "frame", count, size)
    single = _outputs(data, one, "video", 1, large)
    rounds = 1 if options.quick else ROUNDS
    with zordon(data) as ours:
        # What a service loads with the first request of a kind is no part of the figures.
        for path in (f"/api/jobs/{many}/download_all", f"/api/jobs/{one}/files"):
            ours.request("GET", path)
        with peer("concatenation", frames) as plain:
            mine, limit = _turns(
                rounds, lambda: receive(ours, f"/api/jobs/{many}/download_all"), lambda: receive(plain, "/")
            )
        _report_zip(report, mine, limit)
        _other_zips(options, report, frames)
        name = next(single.iterdir()).name
        with peer("one_file", single / name) as response:
            path = f"/api/jobs/{one}/download?filename={name}"
            mine, limit = _turns(rounds, lambda: receive(ours, path), lambda: receive(response, "/"))
        rate, theirs = _rate(mine), _rate(limit)
        goal = f"≥ {GOAL_RATE:,} MB/s"
        what = f"one file of {mine[0].size / 1e9:.1f} GB"
        report(Figure(what, "MB/s", rate, theirs, "Starlette FileResponse", goal, rate >= GOAL_RATE, _grown(mine)))


def _report_zip(report: Report, mine: list[Moved], limit: list[Moved]) -> None:
    what, name = f"download_all of {mine[0].size / 1e9:.1f} GB", "plain concatenation"
    rate, most = _rate(mine), _rate(limit)
    report(Figure(what, "MB/s", rate, most, name, f"≥ {GOAL_RATIO:.0%} of it", rate >= GOAL_RATIO * most))
    first = median([one.first for one in mine])
    theirs = median([one.first for one in limit])
    report(Figure(f"{what}, first byte", "ms", first, theirs, name, f"≤ {GOAL_FIRST:g} ms", first <= GOAL_FIRST))
    grown = max(one.grown for one in mine)
    flat = grown <= FLAT_MB
    goal = "flat"
    report(Figure(f"{what}, memory", "MB more", grown, max(one.grown for one in limit), name, goal, flat))
    written = max(one.written for one in mine)
    report(Figure(f"{what}, written to disk", "MB", written, None, "", "no temporary file", written < 1.0))


def _other_zips(options: Options, report: Report, frames: Path) -> None:
    others = {"temporary_zip": "zipfile to a temporary file"}
    if installed("zipstream"):
        others["zipstream_ng"] = "zipstream-ng"
    for name, title in others.items():
        with peer(name, frames) as other:
            moved = receive(other, "/")
        note = f"first byte after {moved.first:.0f} ms, {moved.written:.0f} MB written"
        report(Figure("all of it as a zip", "MB/s", None, moved.rate, title, note=note))


def _turns(rounds: int, ours: Callable[[], Moved], limit: Callable[[], Moved]) -> tuple[list[Moved], list[Moved]]:
    mine: list[Moved] = []
    theirs: list[Moved] = []
    for _ in range(rounds):
        mine.append(ours())
        theirs.append(limit())
    return mine, theirs


def _rate(rounds: list[Moved]) -> float:
    return median([one.rate for one in rounds])


def _grown(rounds: list[Moved]) -> str:
    return f"memory grew by {max(one.grown for one in rounds):.0f} MB at most"


def _outputs(data: Path, job: str, stem: str, count: int, size: int) -> Path:
    folders = DataFolder(data)
    output = folders.output(job)
    output.mkdir(parents=True)
    manifest = Manifest(folders.manifest(job))
    block = os.urandom(min(size, 15_000_000))
    for number in range(1, count + 1):
        path = output / f"{stem}_{number:04d}.bin"
        sha, crc, left = hashlib.sha256(), 0, size
        with path.open("wb") as file:
            while left:
                part = block[:left]
                file.write(part)
                sha.update(part)
                crc = zlib.crc32(part, crc)
                left -= len(part)
        facts = path.stat()
        manifest.add(
            Entry(path.name, size, sha.hexdigest(), crc, number, None, None, facts.st_mtime_ns, f"{job}-{number}")
        )
    return output


if __name__ == "__main__":
    run("download", "a zip of all outputs, and one large output", measure)
