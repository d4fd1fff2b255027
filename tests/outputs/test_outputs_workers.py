"""Worker processes: their answers, their crashes, their end."""

from __future__ import annotations

import asyncio
import json
import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from app.outputs.verification import VerificationError, verify
from app.outputs.workers import WorkerCrashed, Workers, WorkersClosed, WorkerTimedOut
from engines.contract import ExpectedOutput, FailureCause, PictureCheck


def children() -> list[psutil.Process]:
    return [child for child in psutil.Process().children() if _is_worker(child)]


def _is_worker(process: psutil.Process) -> bool:
    try:
        return "app.outputs.worker" in " ".join(process.cmdline())
    except psutil.Error:  # a dead orphan that this process has adopted
        return False


async def busy(workers: Workers, folder: Path) -> tuple[asyncio.Future[str], int]:
    """A call that reads from a pipe into which nobody writes, and our end of it. The worker is at it already."""
    os.mkfifo(folder / "fifo")
    call = asyncio.ensure_future(workers.run(Path.read_text, folder / "fifo"))
    return call, await asyncio.to_thread(os.open, folder / "fifo", os.O_WRONLY)


async def test_calls_run_in_other_processes(workers: Workers) -> None:
    pids = await asyncio.gather(*(workers.run(os.getpid) for _ in range(6)))
    assert os.getpid() not in pids
    assert len(set(pids)) <= 2
    assert await workers.run(operator.add, [1], [2]) == [1, 2]
    assert await workers.run(int, "ff", base=16) == 255
    assert await workers.run_quick(int, "ff", base=16) == 255
    assert await workers.run_quick(os.getpid) == os.getpid()


async def test_none_is_started_before_it_is_needed() -> None:
    workers = Workers()
    await workers.run_quick(os.getpid)
    assert not children()
    await workers.close()


async def test_a_warm_worker_has_its_libraries_loaded(workers: Workers) -> None:
    assert not await workers.run(eval, "'colorsys' in __import__('sys').modules")
    await workers.warm("colorsys")
    assert await workers.run(eval, "'colorsys' in __import__('sys').modules")
    with pytest.raises(ImportError):
        await workers.warm("no_such_module_anywhere")


async def test_they_give_way_to_the_service(workers: Workers) -> None:
    assert await workers.run(os.nice, 0) > os.nice(0)


async def test_errors_come_back_as_they_were(workers: Workers, tmp_path: Path) -> None:
    with pytest.raises(json.JSONDecodeError):
        await workers.run(json.loads, "{")
    with pytest.raises(VerificationError) as error:
        await workers.run(verify, tmp_path, ExpectedOutput("a.png", PictureCheck()))
    assert error.value.cause is FailureCause.MISSING_FRAME


async def test_what_a_library_prints_does_not_get_between(workers: Workers) -> None:
    assert await workers.run(os.write, 1, b"a library says something\n") == 25
    assert await workers.run(print, "so does this") is None
    assert await workers.run(abs, -3) == 3


async def test_a_call_that_kills_workers_is_given_up_and_others_go_on(workers: Workers) -> None:
    with pytest.raises(WorkerCrashed, match="exit code 3"):
        await workers.run(os._exit, 3)
    with pytest.raises(WorkerCrashed, match="signal 9"):
        await workers.run(os.kill, 0, signal.SIGKILL)  # 0: its own process group, in which it is alone
    assert await workers.run(abs, -3) == 3


async def test_a_worker_killed_while_idle_is_replaced(workers: Workers) -> None:
    first = await workers.run(os.getpid)
    victim = psutil.Process(first)
    victim.kill()
    victim.wait()
    second = await workers.run(os.getpid)
    assert second != first


async def test_a_cancelled_call_costs_its_worker(workers: Workers, tmp_path: Path) -> None:
    victim = psutil.Process(await workers.run(os.getpid))
    call, fifo = await busy(workers, tmp_path)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    await asyncio.to_thread(victim.wait, 60)
    assert await workers.run(abs, -3) == 3
    os.close(fifo)


async def test_closing_leaves_no_process_behind_even_in_the_middle_of_work(tmp_path: Path) -> None:
    workers = Workers()
    call, fifo = await busy(workers, tmp_path)
    await workers.close()
    assert not children()
    os.close(fifo)
    with pytest.raises(WorkersClosed):
        await call
    with pytest.raises(WorkersClosed):
        await workers.run(os.getpid)
    with pytest.raises(WorkersClosed):
        await workers.run_quick(os.getpid)


SERVICE = """
import asyncio, os, sys, time
from app.outputs.workers import Workers

async def main():
    workers = Workers()
    print(await workers.run(os.getpid), flush=True)
    await workers.run(time.sleep, 600)

asyncio.run(main())
"""


def test_a_worker_dies_with_the_service_in_the_middle_of_its_work() -> None:
    service = subprocess.Popen([sys.executable, "-c", SERVICE], stdout=subprocess.PIPE, text=True)
    assert service.stdout is not None
    worker = psutil.Process(int(service.stdout.readline()))
    service.kill()
    service.wait()
    service.stdout.close()
    gone, alive = psutil.wait_procs([worker], timeout=60)
    for process in alive:
        process.kill()
    assert gone
    assert not alive


async def test_the_event_loop_goes_on_meanwhile(workers: Workers) -> None:
    call = asyncio.ensure_future(workers.run(time.sleep, 0.2))
    turns = 0
    while not call.done():
        await asyncio.sleep(0)
        turns += 1
    assert turns > 100


async def test_a_call_that_takes_too_long_costs_its_worker_and_nothing_else(workers: Workers, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(WorkerTimedOut, match=r"0\.5 s"):
        await workers.run_within(0.5, Path.read_text, tmp_path / "fifo")
    assert not children()
    assert await workers.run_within(60, operator.add, 1, 2) == 3
