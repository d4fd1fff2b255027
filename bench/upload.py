"""Upload of 2 GB as multipart, beside a raw body PUT to the same disk under the same server.

Ours is on the disk before it is answered. The goal is measured against a PUT that leaves its body in the system's
cache; one that syncs it too is shown beside it.

What is uploaded is the demo's video with a large empty box behind it, so that it is a project like any other and is
inspected; the job is for a far day. Service and limit take turns; the disk is synced and the files are removed between.
"""

from __future__ import annotations

import json
import os
import struct
from pathlib import Path

from bench.figures import Figure, Options, Report, median, run
from bench.processes import ROOT, Server, peer, zordon
from bench.transfer import Moved, send

ROUNDS = 5
GOAL_RATIO = 0.9
FLAT_MB = 32.0
_BOUNDARY = "a-boundary-of-the-benchmark"
_JOB = {"renderer": "ffmpeg", "scheduled_start": "2030-01-01T00:00:00Z"}


def measure(options: Options, report: Report) -> None:
    """Rate, memory and bytes written."""
    size = 32 << 20 if options.quick else 2_000_000_000
    video = options.folder / "large.mp4"
    _large_video(video, size)
    mine: list[Moved] = []
    limit: list[Moved] = []
    synced: list[Moved] = []
    put = options.folder / "put"
    small = options.folder / "small.mp4"
    _large_video(small, 1 << 20)
    with (
        zordon(options.folder / "upload") as ours,
        peer("raw_put", options.folder) as raw,
        peer("raw_put", options.folder, "synced") as safe,
    ):
        _submit(ours, small)  # what a service loads with the first upload is no part of the figures
        for _ in range(1 if options.quick else ROUNDS):
            for one, moved in ((raw, limit), (safe, synced)):
                os.sync()
                moved.append(send(one, "PUT /", {}, b"", video, b""))
                put.unlink()
            os.sync()
            mine.append(_submit(ours, video))
    rate, most = median([one.rate for one in mine]), median([one.rate for one in limit])
    what, name = f"upload of {size / 1e9:.1f} GB", "raw body PUT"
    report(Figure(what, "MB/s", rate, most, name, f"≥ {GOAL_RATIO:.0%} of it", rate >= GOAL_RATIO * most))
    safely = median([one.rate for one in synced])
    report(Figure(f"{what}, on the disk when it is answered", "MB/s", rate, safely, "raw body PUT, then fsync"))
    times = max(one.written * 1e6 / size for one in mine)
    theirs = max(one.written * 1e6 / size for one in limit)
    report(Figure(f"{what}, written", "times", times, theirs, name, "once", times < 1.05))
    grown = max(one.grown for one in mine)
    flat = grown <= FLAT_MB
    report(Figure(f"{what}, memory", "MB more", grown, max(one.grown for one in limit), name, "flat", flat))


def _submit(server: Server, video: Path) -> Moved:
    head = (
        f'--{_BOUNDARY}\r\nContent-Disposition: form-data; name="json"\r\nContent-Type: application/json\r\n\r\n'
        f'{json.dumps(_JOB)}\r\n--{_BOUNDARY}\r\nContent-Disposition: form-data; name="file"; '
        f'filename="{video.name}"\r\nContent-Type: video/mp4\r\n\r\n'
    )
    kind = {"Content-Type": f"multipart/form-data; boundary={_BOUNDARY}"}
    moved = send(server, "POST /api/add_job", kind, head.encode(), video, f"\r\n--{_BOUNDARY}--\r\n".encode())
    job = json.loads(moved.answer)[0]["id"]
    status, said = server.request("POST", f"/api/jobs/{job}/delete?confirm=true")
    if status != 200:
        raise RuntimeError(f"the job could not be deleted: {said!r}")
    return moved


def _large_video(path: Path, size: int) -> None:
    """The demo's video, made ``size`` bytes long by a box that every reader skips (ISO 14496-12, 8.1.2)."""
    video = (ROOT / "demo" / "lanterns.mp4").read_bytes()
    block = os.urandom(1 << 20)
    with path.open("wb") as file:
        file.write(video)
        file.write(struct.pack(">I4sQ", 1, b"free", size - len(video)))
        left = size - file.tell()
        while left:
            left -= file.write(block[:left])


if __name__ == "__main__":
    run("upload", "2 GB as multipart beside a raw body PUT", measure)
