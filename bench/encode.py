"""One FFmpeg encode over two nodes of one thread each, beside the same encode on one: how much sooner it is done, and
whether every picture is the one that it should be.

Both run the same service, the same preset and one thread an engine; the clip is cut where the farm cuts it. Pictures
are compared with those of the source one by one, and with the neighbours of these: one that is off by a frame would be
nearer to a neighbour.
"""

from __future__ import annotations

import asyncio
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, Options, Report, run
from bench.nodes import Node, ended, nodes
from bench.processes import ROOT
from client.models import AddJob

Picture = NDArray[np.float64]

GOAL = 1.9
ROUNDS = 3
ONE_THREAD = {"ZORDON_ENGINE_THREADS": "1", "ZORDON_SLOTS": '{"ffmpeg": 1}'}


def measure(options: Options, report: Report) -> None:
    """One node, then two, in turns."""
    clip = options.folder / "clip.mp4"
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-stream_loop", "5" if options.quick else "24"]
    argv += ["-i", str(ROOT / "demo" / "lanterns.mp4"), "-vf", "scale=1280:-2,fps=24", "-c:a", "aac"]
    subprocess.run([*argv, "-c:v", "libx264", "-preset", "veryfast", "-crf", "16", str(clip)], check=True)
    asyncio.run(_measure(clip, options, report))


async def _measure(clip: Path, options: Options, report: Report) -> None:
    alone: list[float] = []
    shared: list[float] = []
    wrong = frames = 0
    for number in range(1 if options.quick else ROUNDS):
        async with nodes(options.folder / f"one-{number}", [1.0], ONE_THREAD) as farm:
            alone.append((await _encode(farm[0], clip, split=False, target=options.folder / f"one-{number}.mp4"))[0])
        async with nodes(options.folder / f"two-{number}", [1.0, 1.0], ONE_THREAD) as farm:
            target = options.folder / f"two-{number}.mp4"
            seconds, at_work = await _encode(farm[0], clip, split=True, target=target)
            shared.append(seconds)
            if at_work < 2:
                raise RuntimeError("only one of the nodes encoded")
        frames, off = await asyncio.to_thread(_compare, clip, target)
        wrong += off
    one, two = sorted(zip(alone, shared, strict=True), key=lambda pair: pair[0] / pair[1])[len(alone) // 2]
    note = "all rounds: " + ", ".join(f"{a:.1f} to {b:.1f} s" for a, b in zip(alone, shared, strict=True))
    what = f"an encode of {frames} frames of 720p on two nodes of one thread, how many times as fast"
    report(Figure(what, "times", one / two, 1.0, "one node", f"≥ {GOAL}", one / two >= GOAL, note))
    what = "pictures that look more like a neighbour of their own of the source, in all rounds"
    report(Figure(what, "pictures", wrong, None, "", "none", not wrong))


async def _encode(node: Node, clip: Path, *, split: bool, target: Path) -> tuple[float, int]:
    """Seconds from the request to the end of the job, and how many nodes have encoded."""
    options = {"preset": "h264_web", "split": split}
    begun = time.monotonic()
    job = (await node.proxy.create_job(AddJob.model_validate({"renderer": "ffmpeg", "args": options}), clip))[0]
    job, at = await ended(node, job, 1800)
    if job.status != "completed":
        raise RuntimeError(f"the job ended as {job.status}: {job.reason} {job.errors[:3]}")
    names = await node.proxy.get_job_files(job.id)
    await node.proxy.download_job_file(job.id, names[0], target)
    log = await node.proxy.get_job_logs(job.id)
    return at - begun, 1 + (" gets frames " in log)


def _compare(source: Path, result: Path) -> tuple[int, int]:
    """How many frames there are, and how many of the result look more like a neighbour of their own of the source."""
    wrong, theirs = 0, _pictures(result)
    before: Picture | None = None
    ours = _pictures(source)
    here = next(ours, None)
    count = 0
    while here is not None:
        after, seen = next(ours, None), next(theirs, None)
        if seen is None:
            raise RuntimeError(f"the result has {count} frames, fewer than its source")
        own = float(np.mean((here - seen) ** 2))
        wrong += any(float(np.mean((other - seen) ** 2)) < own for other in (before, after) if other is not None)
        before, here = here, after
        count += 1
    if next(theirs, None) is not None:
        raise RuntimeError("the result has more frames than its source")
    return count, wrong


def _pictures(path: Path) -> Iterator[Picture]:
    """The brightness of every picture at a quarter of its size: enough to tell one frame from the next."""
    with av.open(str(path)) as container:
        for frame in container.decode(video=0):
            yield frame.to_ndarray(format="gray", width=320, height=180).astype(np.float64)


if __name__ == "__main__":
    run("encode", "one FFmpeg encode over two nodes beside one", measure)
