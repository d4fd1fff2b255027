"""What engines are held to, seen from inside of real processes: limits, priority, folders, another user."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import psutil
import pytest

from app.jobs.folders import DataFolder
from app.render.attempt import Failed
from app.render.causes import MachineSigns, classify
from app.render.confinement import Confinement
from app.render.environment import ATTEMPT_COOKIE, engine_environment
from app.render.processes import Launch, Limits, launch
from app.render.processes.shell import limited
from app.settings import load_settings
from engines.contract import FailureCause

if TYPE_CHECKING:
    from tests.render.conftest import Node, StartNode

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX limits")
linux = pytest.mark.skipif(sys.platform != "linux", reason="prlimit")
root = pytest.mark.skipif(sys.platform == "win32" or os.geteuid() != 0, reason="only root becomes another user")

MIB = 1 << 20
SMALL = {"width": 32, "height": 32}
TELL = """
import os, resource as r, sys
sys.stdin.readline()
for what in (r.RLIMIT_CORE, r.RLIMIT_DATA, r.RLIMIT_FSIZE, r.RLIMIT_NOFILE, r.RLIMIT_CPU):
    print(r.getrlimit(what)[0])
print(os.getpriority(os.PRIO_PROCESS, 0), os.getuid())
"""
LIMITS = Limits(memory_bytes=300 * MIB, open_files=77, cpu_seconds=1000, file_bytes=5 * MIB, core_dumps=False, nice=3)


async def run(code: str, folder: Path, limits: Limits = LIMITS, argv: tuple[str, ...] | None = None) -> tuple[int, str]:
    """Run a script within limits, which are set when it goes on. Returns its exit code and what it printed."""
    heard = bytearray()
    process = await launch(
        Launch(
            session="limits-1",
            argv=argv or (sys.executable, "-I", "-S", "-c", code),
            environment=engine_environment(folder),
            folder=folder,
            events_on_stdout=False,
            on_event=heard.extend,
            on_output=heard.extend,
            limits=limits,
        )
    )
    process.write(b"go\n")
    async with asyncio.timeout(60):
        code_of = await process.wait()
        await process.sweep()
    return code_of, heard.decode()


async def test_a_process_has_its_limits(tmp_path: Path) -> None:
    code, said = await run(TELL, tmp_path)
    nice = os.getpriority(os.PRIO_PROCESS, 0) + 3
    assert code == 0
    assert said.split() == ["0", str(300 * MIB), str(5 * MIB), "77", "1000", str(nice), str(os.geteuid())]


async def test_the_shell_sets_the_same_limits(tmp_path: Path) -> None:
    argv = limited((sys.executable, "-I", "-S", "-c", TELL), LIMITS)
    assert argv[0] == "/bin/sh"
    code, said = await run("", tmp_path, Limits(), argv)
    nice = os.getpriority(os.PRIO_PROCESS, 0) + 3
    assert code == 0
    assert said.split() == ["0", str(300 * MIB), str(5 * MIB), "77", "1000", str(nice), str(os.geteuid())]


def test_without_limits_there_is_no_shell() -> None:
    assert limited(("blender", "-b"), Limits()) == ("blender", "-b")


async def test_who_wants_more_memory_is_told_so(tmp_path: Path) -> None:
    code, said = await run("import sys; sys.stdin.readline(); x = bytearray(400 << 20)", tmp_path)
    assert code == 1
    assert "MemoryError" in said


async def test_a_file_cannot_become_larger(tmp_path: Path) -> None:
    script = "import sys; sys.stdin.readline(); big = open('big', 'wb', 0); big.write(bytes(6 << 20)); big.write(b'x')"
    code, said = await run(script, tmp_path)
    assert (code, (tmp_path / "big").stat().st_size) == (1, 5 * MIB)
    assert "File too large" in said


@linux
async def test_when_memory_runs_out_the_engine_goes_first(tmp_path: Path) -> None:
    code, said = await run("import sys; sys.stdin.readline(); print(open('/proc/self/oom_score_adj').read())", tmp_path)
    assert (code, said.strip()) == (0, "500")


async def test_what_an_engine_starts_has_the_same_limits(tmp_path: Path) -> None:
    script = "import os, sys; sys.stdin.readline(); os.execv('/bin/sh', ['sh', '-c', 'ulimit -n; sh -c \"ulimit -c\"'])"
    assert await run(script, tmp_path) == (0, "77\n0\n")


def test_too_many_files_or_bytes_are_seen_and_links_are_not_followed(tmp_path: Path) -> None:
    settings = load_settings(data_dir=tmp_path / "data", max_attempt_files=100, max_attempt_bytes=MIB)
    confinement = Confinement(settings, DataFolder(settings.data_dir))
    folder = tmp_path / "attempt"
    (folder / "below").mkdir(parents=True)
    (folder / "link").symlink_to("/usr")
    (folder / "below" / "sparse").write_bytes(b"x" * 1000)
    assert confinement.excess((folder, tmp_path / "gone")) == ""
    with (folder / "below" / "sparse").open("ab") as file:
        file.truncate(MIB + 1)
    assert "max_attempt_bytes" in confinement.excess((folder,))
    (folder / "below" / "sparse").unlink()
    for number in range(100):
        (folder / "below" / str(number)).touch()
    assert "max_attempt_files" in confinement.excess((folder,))


async def test_an_engine_that_floods_its_folder_is_ended_with_the_reason(start_node: StartNode) -> None:
    def at_the_second(node: Node, job_id: str) -> str:
        """The attempt that hangs; the one before it may be over, and its folder on its way out."""
        record = node.parts.jobs.live(job_id)
        assert record is not None
        wanted = record.spec.frames.positions([2])
        return next((chunk.attempt for chunk in record.state.running if chunk.positions & wanted), "")

    async with start_node(max_attempt_files=100) as node:
        job = await node.submit(frames="1-2", args={**SMALL, "hang_at": 2})
        await node.until(job.id, lambda now: now.frames_done == 1 and bool(at_the_second(node, job.id)))
        flooded = node.parts.folders.attempt(at_the_second(node, job.id))
        flooded.mkdir(parents=True, exist_ok=True)  # its process may be about to be started
        for number in range(101):
            (flooded / f"{number}").touch()
        failed = await node.until(job.id, lambda now: bool(now.errors))
        assert "max_attempt_files" in failed.errors[0]
        assert failed.done_frames == "1"
        await node.parts.jobs.cancel(job.id)


def is_of(process: psutil.Process, job_id: str) -> bool:
    try:
        return process.environ().get(ATTEMPT_COOKIE, "").startswith(job_id)
    except psutil.Error:
        return False  # who stood between the engine and its grandchild is no more than a zombie


@linux
async def test_the_settings_reach_the_engine(start_node: StartNode) -> None:
    wanted = {"engine_memory_bytes": 512 * MIB, "engine_open_files": 99, "engine_cpu_seconds": 500, "engine_nice": 7}
    async with start_node(**wanted, max_attempt_bytes=7 * MIB, slots={"testpattern": 1}) as node:
        job = await node.submit(frames="1-2", args={**SMALL, "hang_at": 2, "grandchildren": 1})
        await node.until(job.id, lambda now: now.frames_done == 1)
        processes = [child for child in psutil.Process().children(recursive=True) if is_of(child, job.id)]
        assert len(processes) >= 2, "the grandchild is one of them"
        for process in processes:
            assert process.rlimit(psutil.RLIMIT_DATA)[0] == 512 * MIB
            assert process.rlimit(psutil.RLIMIT_NOFILE) == (99, 99)
            assert process.rlimit(psutil.RLIMIT_FSIZE) == (7 * MIB, 7 * MIB)
            assert process.rlimit(psutil.RLIMIT_CORE) == (0, 0)
            assert process.rlimit(psutil.RLIMIT_CPU) == (500, 505)
            assert process.nice() == os.getpriority(os.PRIO_PROCESS, 0) + 7
        await node.parts.jobs.cancel(job.id)


@pytest.mark.parametrize(("signal", "setting"), [(-25, "max_attempt_bytes"), (-24, "engine_cpu_seconds")])
def test_who_is_ended_by_a_limit_is_told_which(signal: int, setting: str) -> None:
    crashed = Failed(FailureCause.CRASH, "it ended", code=signal)
    told = classify(crashed, (), MachineSigns())
    assert told.cause is FailureCause.ERROR
    assert setting in told.message
