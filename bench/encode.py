"""One FFmpeg encode over two nodes of one thread each, beside the same encode on one: how much sooner it is done, and
whether every picture is the one that it should be.

Each node stands for a machine with one processor: it has one of this machine's for itself, its service, its engines and
what verifies their files, and may use no other. So the node that is alone cannot decode on one and encode on the other,
and two do not share what would be each one's own. Both run the same service, the same preset and one thread an engine;
the clip is cut where the farm cuts it.

The clip is what a person would have encoded by two machines: a minute of 1080p with a key picture a second, as cameras
write it, with sound (``--quick``: 24 s of 720p, of which what does not shrink is a larger part). Both runs take some
four minutes when nothing else is at work.

What others do on the machine meanwhile slows both, and not by the same. So the processor time is told too: what both
nodes used together beside the one alone says what the cut costs, and what the busier of the two used says how much
sooner it would have been done if both had worked all the time.

The limit beside it is what this machine makes of two encoders at a time: FFmpeg alone, the first seconds of the same
clip with the encoder settings of the job, on one processor with the other at rest, then on both. They share caches and
memory, and so are slower together.

Pictures are compared with those of the source one by one, and with the neighbours of these: one that is off by a frame
would be nearer to a neighbour.
"""

from __future__ import annotations

import asyncio
import os
import statistics
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import av
import imageio_ffmpeg
import numpy as np
from numpy.typing import NDArray

from bench.figures import Figure, Options, Report, run
from bench.nodes import ended, nodes, on_core
from bench.processes import ROOT
from client.models import AddJob

Picture = NDArray[np.float64]

GOAL = 1.9
ONE_THREAD = {"ZORDON_ENGINE_THREADS": "1", "ZORDON_SLOTS": '{"ffmpeg": 1}'}


@dataclass(frozen=True)
class Run:
    """One encode."""

    seconds: float  # from the request to the end of the job
    cpu: Sequence[float]  # seconds of processor time of each node, in that time


def measure(options: Options, report: Report) -> None:
    """One node, then two."""
    cores = sorted(os.sched_getaffinity(0))[:2]
    if len(cores) < 2:
        raise RuntimeError("two nodes of one processor each need two processors")
    clip = options.folder / "clip.mp4"
    size, times = ("1280:720", 5) if options.quick else ("1920:1080", 14)
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-stream_loop", str(times)]
    # By number and not by time: where the clip begins again, a picture would be there twice, and be its own neighbour.
    argv += ["-i", str(ROOT / "demo" / "lanterns.mp4"), "-vf", f"scale={size},setpts=N/(24*TB)", "-c:a", "aac"]
    subprocess.run([*argv, "-c:v", "libx264", "-preset", "veryfast", "-crf", "16", "-g", "24", str(clip)], check=True)
    asyncio.run(_measure(clip, cores, options, report))


async def _measure(clip: Path, cores: Sequence[int], options: Options, report: Report) -> None:
    one = await _encode(clip, cores[:1], options.folder / "one", options.folder / "one.mp4")
    target = options.folder / "two.mp4"
    two = await _encode(clip, cores, options.folder / "two", target)
    limit = await asyncio.to_thread(_limit, clip, cores, options.quick)
    frames, wrong = await asyncio.to_thread(_compare, clip, target)
    times = one.seconds / two.seconds
    picture = "720p" if options.quick else "1080p"
    what = f"an encode of {frames} frames of {picture} on two nodes of one processor, how many times as fast"
    note = f"{one.seconds:.1f} to {two.seconds:.1f} s"
    report(Figure(what, "times", times, limit, "two bare encoders at a time", f"≥ {GOAL}", times >= GOAL, note))
    what = "the same by processor time, had both nodes worked all the time"
    note = f"the one {one.cpu[0]:.1f} s, the two {' and '.join(f'{cpu:.1f}' for cpu in two.cpu)} s"
    report(Figure(what, "times", one.cpu[0] / max(two.cpu), 1.0, "one node", "", None, note))
    what = "processor time that the encode takes on two nodes"
    report(Figure(what, "s", sum(two.cpu), one.cpu[0], "on one", "", None, ""))
    what = "pictures that look more like a neighbour of their own of the source"
    report(Figure(what, "pictures", wrong, None, "", "none", not wrong))


async def _encode(clip: Path, cores: Sequence[int], folder: Path, target: Path) -> Run:
    """Encode a clip on as many nodes as there are processors."""
    shared = len(cores) > 1
    async with nodes(folder, [1.0] * len(cores), ONE_THREAD, cores) as farm:
        node = farm[0]
        before = [one.cpu_seconds() for one in farm]
        begun = time.monotonic()
        asked = AddJob.model_validate({"renderer": "ffmpeg", "args": {"preset": "h264_web", "split": shared}})
        job = (await node.proxy.create_job(asked, clip))[0]
        job, at = await ended(node, job, 3600)
        cpu = [one.cpu_seconds() - used for one, used in zip(farm, before, strict=True)]
        if job.status != "completed":
            raise RuntimeError(f"the job ended as {job.status}: {job.reason} {job.errors[:3]}")
        if shared and " gets frames " not in await node.proxy.get_job_logs(job.id):
            raise RuntimeError("only one of the nodes encoded")
        names = await node.proxy.get_job_files(job.id)
        await node.proxy.download_job_file(job.id, names[0], target)
    return Run(at - begun, cpu)


def _limit(clip: Path, cores: Sequence[int], quick: bool) -> float:
    """How many times as much as one FFmpeg on one processor two make on two: the middle of three rounds."""
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-filter_threads", "1", "-threads", "1"]
    argv += ["-t", "2" if quick else "8", "-i", str(clip), "-an", "-c:v", "libx264", "-preset", "medium", "-crf", "20"]
    argv += ["-pix_fmt", "yuv420p", "-threads", "1", "-f", "null", "-"]

    def seconds(at_once: Sequence[int]) -> float:
        begun = time.monotonic()
        with ExitStack() as stack:
            for core in at_once:
                with on_core(core):
                    stack.enter_context(subprocess.Popen(argv))
        return time.monotonic() - begun

    return statistics.median(2 * seconds(cores[:1]) / seconds(cores) for _ in range(3))


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
