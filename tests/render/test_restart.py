"""kill -9 of a real service in the middle of its work: the next start ends what was left and renders the rest."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from app.cli.own_service import scrubbed
from app.render.environment import STORE_COOKIE
from client import RenderServerProxy
from client.models import AddJob, Job

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals")
TOKEN = "a-token-of-the-tests"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


@asynccontextmanager
async def service(data: Path) -> AsyncIterator[tuple[RenderServerProxy, asyncio.subprocess.Process]]:
    """``zordon serve`` in a process of its own; asked to stop at the end if it still runs."""
    port = free_port()
    settings = {"ZORDON_TOKEN": TOKEN, "ZORDON_DATA_DIR": str(data), "ZORDON_PORT": str(port)}
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "app.cli", "serve"),
        env=scrubbed(os.environ) | settings,
        stderr=asyncio.subprocess.PIPE,
    )
    assert process.stderr is not None
    try:
        async with asyncio.timeout(60):
            while b"is ready" not in (line := await process.stderr.readline()):
                assert line, "the service did not start"
        async with RenderServerProxy("127.0.0.1", port, TOKEN) as node:
            yield node, process
    finally:
        if process.returncode is None:
            process.terminate()
        await process.communicate()


def engine_pids(folder: Path) -> set[int]:
    """Processes that carry a store's cookie and work in this data folder: other tests have engines as well."""
    found = set()
    for process in psutil.process_iter():
        try:
            environment = process.environ()
            ours = any(value.startswith(str(folder)) for value in environment.values())
            if ours and STORE_COOKIE in environment and process.status() != psutil.STATUS_ZOMBIE:
                found.add(process.pid)
        except (psutil.Error, OSError):
            continue
    return found


async def until(node: RenderServerProxy, job_id: str, frames: int) -> Job:
    """Wait until a job has so many frames, or has ended."""
    token = None
    async with asyncio.timeout(120):
        while True:
            job = await node.get_job(job_id)
            if job.frames_done >= frames or job.status.ended:
                return job
            changed = await node.long_poll(token)
            token = changed.token if changed is not None else token


@pytest.mark.slow
async def test_kill_9_loses_nothing(tmp_path: Path) -> None:
    options: dict[str, object] = {
        "seconds_per_frame": 0.2,
        "ignore_term": True,
        "grandchildren": 1,
        "width": 64,
        "height": 48,
    }
    async with service(tmp_path) as (node, process):
        [job] = await node.create_job(
            AddJob.model_validate({"renderer": "testpattern", "frames": "1-16", "args": options})
        )
        seen = await until(node, job.id, 4)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    output = tmp_path / "jobs" / job.id / "output"
    kept = {path.name: path.stat().st_mtime_ns for path in output.iterdir()}
    assert len(kept) >= seen.frames_done >= 4
    left = engine_pids(tmp_path)
    assert left, "nothing outlived the service: the test shows nothing"
    async with service(tmp_path) as (node, process):
        assert not (left & engine_pids(tmp_path)), "leftovers of the crash are alive"
        ended = await until(node, job.id, 17)
        assert (ended.status, ended.frames_done) == ("completed", 16)
        assert {name: (output / name).stat().st_mtime_ns for name in kept} == kept, "a frame was rendered again"
        process.terminate()
        assert await process.wait() == 0
    assert not engine_pids(tmp_path)
    assert [path.name for path in (tmp_path / "scratch" / "attempts").iterdir()] == []
