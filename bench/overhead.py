"""What the service adds to the bare engine: 100 frames of Blender, one long encode of FFmpeg.

Blender's peer is one ``blender -a`` of the same frames; FFmpeg's is the very command of the job, from its log. Both
take turns. The service's time runs from sending the request to the end of the job: start, progress, verification of
every output, log, previews and all. The ratio is the median of the ratios of all rounds.

Beside it stands the processor time, of the service and all that it started until it is idle again, through that of the
bare engine. It hardly depends on what else the machine does, but it counts what nobody waits for (the preview video).
"""

from __future__ import annotations

import json
import resource
import shlex
import shutil
import subprocess
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import imageio_ffmpeg

from bench.figures import Figure, Options, Report, run
from bench.processes import ROOT, Server, zordon

GOAL_BLENDER = 1.05
GOAL_FFMPEG = 1.03
BLENDER_ROUNDS = 3  # of a minute or two each
FFMPEG_ROUNDS = 5
_MOST_SECONDS = 1800.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What one run took, in seconds."""

    wall: float
    cpu: float  # of all processes


@dataclass(frozen=True, slots=True)
class Rendered:
    """A job that has ended."""

    id: str
    spent: Spent  # wall: from the request to its end; cpu: until the service is idle again
    command: tuple[str, ...]  # its first command line


def measure(options: Options, report: Report) -> None:
    """Both engines."""
    projects = options.folder / "projects"
    projects.mkdir()
    data = options.folder / "overhead"
    with zordon(data, {"ZORDON_LOCAL_ROOTS": json.dumps([str(projects)])}) as server:
        if shutil.which("blender") is not None:
            _blender(options, report, server, projects)
        else:
            print("   there is no blender on the PATH")
        _ffmpeg(options, report, server, projects)


def _blender(options: Options, report: Report, server: Server, projects: Path) -> None:
    project = projects / "demo.blend"
    shutil.copy(ROOT / "demo" / "demo.blend", project)
    count = 3 if options.quick else 100
    job = {"renderer": "blender", "local_path": str(project), "frames": f"1-{count}", "output_format": "PNG"}
    ours: list[Spent] = []
    bare: list[Spent] = []
    for number in range(1 if options.quick else BLENDER_ROUNDS):
        target = options.folder / f"bare-{number}"
        rendered = _render(server, job)
        ours.append(rendered.spent)
        # The same copy, closed in the same way.
        argv = [rendered.command[0], "--background", "--factory-startup", "--disable-autoexec", str(project)]
        argv += ["-o", f"{target}/demo_####", "-F", "PNG", "-s", "1", "-e", str(count), "-a"]
        bare.append(_run(argv, options.folder))
        if len(list(target.iterdir())) != count:
            raise RuntimeError("the bare Blender did not render all frames")
    _report(report, f"a job of {count} frames in Blender", ours, bare, "blender -a", GOAL_BLENDER)


def _ffmpeg(options: Options, report: Report, server: Server, projects: Path) -> None:
    source = projects / "source.mp4"
    loops = "0" if options.quick else "24"
    argv = [imageio_ffmpeg.get_ffmpeg_exe(), "-nostdin", "-v", "error", "-stream_loop", loops]
    argv += ["-i", str(ROOT / "demo" / "lanterns.mp4"), "-vf", "scale=1280:-2", "-an"]
    subprocess.run([*argv, "-c:v", "libx264", "-preset", "veryfast", str(source)], check=True)
    job = {"renderer": "ffmpeg", "local_path": str(source), "output_format": "mp4", "args": {"preset": "h264_web"}}
    ours: list[Spent] = []
    bare: list[Spent] = []
    rendered = _render(server, job)  # not counted: it says what the command is, and warms the disk up for both
    for number in range(1 if options.quick else FFMPEG_ROUNDS):
        target = options.folder / f"encode-{number}"
        target.mkdir()
        # Only the folder of the attempt is replaced by one of this benchmark.
        argv = [_elsewhere(part, rendered.id, target) for part in rendered.command]
        for peer in (False, True) if number % 2 else (True, False):  # whoever is second finds a warmer machine
            if peer:
                bare.append(_run(argv, target))
            else:
                ours.append(_render(server, job).spent)
    seconds = int(loops) * 4 + 4
    _report(report, f"an encode of {seconds} s of 720p in FFmpeg", ours, bare, "its own command", GOAL_FFMPEG)


def _report(report: Report, what: str, ours: list[Spent], bare: list[Spent], name: str, goal: float) -> None:
    rounds = list(zip(ours, bare, strict=True))
    # The round whose ratio is the median: what disturbs one round disturbs both of its halves.
    mine, limit = _middle([(one.wall, two.wall) for one, two in rounds])
    note = "all rounds: " + ", ".join(f"{one.wall:.1f} to {two.wall:.1f}" for one, two in rounds)
    report(Figure(what, "s", mine, limit, name, f"within {goal - 1:.0%}", mine <= goal * limit, note))
    mine, limit = _middle([(one.cpu, two.cpu) for one, two in rounds])
    note = "all rounds: " + ", ".join(f"{one.cpu:.1f} to {two.cpu:.1f}" for one, two in rounds)
    report(Figure(f"{what}, processor time", "s", mine, limit, name, note=note))


def _middle(pairs: list[tuple[float, float]]) -> tuple[float, float]:
    return sorted(pairs, key=lambda pair: pair[0] / pair[1])[len(pairs) // 2]


def _render(server: Server, job: Mapping[str, object]) -> Rendered:
    server.wait_until_idle()
    used, begun = server.tree_cpu_seconds(), time.perf_counter()
    kind = {"Content-Type": "application/json"}
    status, body = server.request("POST", "/api/add_job", json.dumps(job).encode(), kind)
    if status != 200:
        raise RuntimeError(body.decode())
    known = json.loads(body)[0]
    token = ""
    while known["status"] not in ("completed", "error", "cancelled"):
        if time.perf_counter() - begun > _MOST_SECONDS:
            raise RuntimeError(f"the job took more than {_MOST_SECONDS:g} s")
        # A waiting client, as a person's would be.
        status, body = server.request("GET", f"/api/jobs/long_poll?delta=true&token={token}")
        if status == 200:
            said = json.loads(body)
            token = said["token"]
            known = next((one for one in said["jobs"] if one["id"] == known["id"]), known)
    seconds = time.perf_counter() - begun
    if known["status"] != "completed":
        raise RuntimeError(f"the job ended as {known['status']}: {known['errors']}")
    log = server.request("GET", f"/api/jobs/{known['id']}/logs")[1].decode()
    words = shlex.split(log.partition("\n")[0])  # the first line of every log, alone on it
    while "=" in words[0].partition("/")[0]:
        words.pop(0)  # a variable of the environment
    server.wait_until_idle()  # its preview video must not slow the peer down, either
    return Rendered(known["id"], Spent(seconds, server.tree_cpu_seconds() - used), tuple(words))


def _elsewhere(part: str, job: str, target: Path) -> str:
    if f"/attempts/{job}-" not in part:
        return part
    before, _, name = part.rpartition("/")
    prefix = before.partition("/")[0]  # such as "file:" of a protocol
    return f"{prefix}{target}/{name}"


def _run(argv: list[str], folder: Path) -> Spent:
    used, begun = _children_cpu_seconds(), time.perf_counter()
    subprocess.run(argv, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, check=True)
    seconds = time.perf_counter() - begun
    return Spent(seconds, _children_cpu_seconds() - used)


def _children_cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    run("overhead", "a Blender job and an FFmpeg job beside the bare engines", measure)
