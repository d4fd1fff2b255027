"""Engines that misbehave: whatever they do, the job ends or goes on as promised, no process is left, the outputs are
right, and what the service took (descriptors, threads, memory) it gives back.
"""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest
import structlog.testing

from app.jobs.known import JobNotFound
from client.models import Job, JobStatus
from tests.faults.in_process import MIB, PLUGIN, SMALL, assert_clean, node_at, processes_of, rogue, warmed

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform == "win32", reason="POSIX processes")]


@pytest.fixture(autouse=True)
def _plugin(monkeypatch: pytest.MonkeyPatch) -> None:
    """The third-party engine is installed."""
    monkeypatch.syspath_prepend(str(PLUGIN))


COMPLETED, ERROR = JobStatus.COMPLETED, JobStatus.ERROR
STALLS = ("never_ends", "says_nothing")
"""The others are never silent for long; but on a busy machine they may have to wait for their turn."""


@pytest.mark.parametrize(
    ("way", "count", "status", "said"),
    [
        ("never_ends", 0, COMPLETED, "no progress, no output and no CPU time"),
        ("says_nothing", 0, ERROR, "no progress, no output and no CPU time"),
        ("long_line", 24 * MIB, COMPLETED, ""),
        ("long_event", 24 * MIB, COMPLETED, ""),
        ("much_log", 24 * MIB, COMPLETED, ""),
        ("no_text", 0, COMPLETED, ""),
        ("escapes", 0, COMPLETED, ""),
        ("no_frames", 0, ERROR, "was not written"),
        ("wrong_size", 0, ERROR, "15x15 pixels, not 16x16"),
        ("not_a_picture", 0, ERROR, "damaged"),
        ("empty_files", 0, ERROR, "damaged"),
        ("links", 0, ERROR, "not a regular file"),
        ("folder_is_a_link", 0, ERROR, "cannot be opened"),
        ("removes_its_folder", 0, ERROR, "was not written"),
        ("holds_stdout", 0, COMPLETED, ""),
        ("double_fork", 4, COMPLETED, ""),
        ("forks_on", 0, COMPLETED, ""),
        ("fails_with_escapes", 0, ERROR, "red it broke"),
        ("lies_about_frames", 0, COMPLETED, ""),
        ("stumbles", 0, ERROR, "the plug-in stumbles over an exit code"),
        ("runs_out_of_memory", 0, ERROR, "Malloc returns null"),
    ],
)
async def test_whatever_it_does_the_job_ends_and_nothing_is_left(
    tmp_path: Path, way: str, count: int, status: JobStatus, said: str
) -> None:
    async with node_at(tmp_path / "data", max_log_bytes=MIB, stall_seconds=2 if way in STALLS else 120) as node:
        resources = await warmed(node)
        job = await node.ended((await rogue(node, way, count, frames="1")).id)
        assert job.status is status, (job.reason, job.errors)
        if said:
            assert any(said in error for error in job.errors), job.errors
        else:
            assert job.errors == []
        assert job.frames_done == (1 if status is COMPLETED else 0)
        await assert_clean(node, job)
        log = await node.log(job.id)
        assert len(log.encode()) < 2 * MIB
        for text in (log, *job.errors, job.reason):
            assert all(char in "\n\t" or ord(char) >= 32 for char in text)
            assert not any(0x7F <= ord(char) < 0xA0 for char in text)
        await resources.back()
        after = await node.ended((await rogue(node, "well")).id)
        assert after.status is COMPLETED, "the node renders nothing any more"
    assert processes_of(job.id) == []


async def test_escapes_are_gone_and_words_are_not(tmp_path: Path) -> None:
    async with node_at(tmp_path / "data") as node:
        job = await node.ended((await rogue(node, "escapes", frames="1")).id)
        lines = (await node.log(job.id)).splitlines()
        assert "red link" in lines
        assert any(line.startswith("31m C1") or line.startswith(" C1") for line in lines)
        assert "new  end" in lines, "a carriage return hid what was printed before it"
        assert "old" in lines


@pytest.mark.parametrize("method", ["command", "expected"])
async def test_a_plug_in_that_raises_fails_its_job_only(tmp_path: Path, method: str) -> None:
    async with node_at(tmp_path / "data") as node:
        job = await node.ended((await rogue(node, "well", fault=method)).id)
        assert job.status is ERROR
        assert any(f"stumbles in {method}" in error for error in job.errors), job.errors
        await assert_clean(node, job)
        assert (await node.ended((await rogue(node, "well")).id)).status is COMPLETED


async def test_causes_are_told(tmp_path: Path) -> None:
    causes = {"runs_out_of_memory": "out_of_memory", "no_frames": "missing_frame", "wrong_size": "bad_frame"}
    async with node_at(tmp_path / "data") as node:
        for way, cause in causes.items():
            job = await node.ended((await rogue(node, way, frames="1")).id)
            told = await node.parts.explaining.explain(job.id)
            assert (told.cause, told.frames) == (cause, "1")


async def test_an_engine_that_is_killed_from_outside_is_tried_again(tmp_path: Path) -> None:
    async with node_at(tmp_path / "data", slots={"testpattern": 1}) as node:
        job = await node.submit(frames="1-4", args={**SMALL, "seconds_per_frame": 0.3, "grandchildren": 2})
        await node.until(job.id, lambda now: now.frames_done >= 1)
        engine = next(pid for pid in processes_of(job.id) if psutil.Process(pid).ppid() == os.getpid())
        os.kill(engine, signal.SIGKILL)
        ended = await node.ended(job.id)
        assert (ended.status, ended.frames_done) == (COMPLETED, 4)
        assert any("SIGKILL" in error for error in ended.errors), ended.errors
        await assert_clean(node, ended)


async def test_a_stopped_engine_is_a_stalled_one(tmp_path: Path) -> None:
    async with node_at(tmp_path / "data", stall_seconds=3, slots={"testpattern": 1}) as node:
        job = await node.submit(frames="1-2", args={**SMALL, "seconds_per_frame": 0.3})
        await node.until(job.id, lambda now: now.frames_done >= 1 or bool(now.current))
        engine = next(pid for pid in processes_of(job.id) if psutil.Process(pid).ppid() == os.getpid())
        os.kill(engine, signal.SIGSTOP)
        ended = await node.ended(job.id)
        assert (ended.status, ended.frames_done) == (COMPLETED, 2)
        assert any("no progress" in error for error in ended.errors), ended.errors
        await assert_clean(node, ended)


# --- the output folder ---------------------------------------------------------------------------------------------


async def test_an_output_folder_that_is_removed_meanwhile_is_filled_again(tmp_path: Path) -> None:
    async with node_at(tmp_path / "data", slots={"testpattern": 1}) as node:
        job = await node.submit(frames="1-6", args={**SMALL, "seconds_per_frame": 0.1})
        await node.until(job.id, lambda now: now.frames_done >= 2)
        output = node.parts.folders.output(job.id)
        output.rename(tmp_path / "taken")
        ended = await node.ended(job.id)
        assert (ended.status, ended.frames_done) == (COMPLETED, 6)
        assert len(node.outputs(job.id)) == 6
        assert any("taken out of the output folder" in error for error in ended.errors)
        await assert_clean(node, ended)


async def test_through_an_output_folder_that_became_a_link_nothing_is_written(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with node_at(tmp_path / "data", slots={"testpattern": 1}) as node:
        job = await node.submit(frames="1-4", args={**SMALL, "seconds_per_frame": 0.1})
        await node.until(job.id, lambda now: now.frames_done >= 1)
        output = node.parts.folders.output(job.id)
        output.rename(tmp_path / "real")
        output.symlink_to(elsewhere)
        ended = await node.ended(job.id)
        assert ended.status is ERROR
        assert any("put the folder back" in error for error in ended.errors), ended.errors
        assert list(elsewhere.iterdir()) == []
        output.unlink()
        (tmp_path / "real").rename(output)
        await node.parts.jobs.retry(job.id)
        mended = await node.ended(job.id)
        assert (mended.status, mended.frames_done) == (COMPLETED, 4)
        await assert_clean(node, mended)


# --- whoever comes between -----------------------------------------------------------------------------------------


async def test_cancel_while_it_starts(tmp_path: Path) -> None:
    async with node_at(tmp_path / "data") as node:
        for turns in range(40):
            job = await node.submit(frames="1-50", args={**SMALL, "seconds_per_frame": 1, "grandchildren": turns % 3})
            for _ in range(turns * turns):
                await asyncio.sleep(0)
            await node.parts.jobs.cancel(job.id)
            assert processes_of(job.id) == []
            ended = node.job(job.id)
            assert (ended.status, ended.errors) == (JobStatus.CANCELLED, [])
            await assert_clean(node, ended)


async def test_cancel_against_finish(tmp_path: Path) -> None:
    seen = set()
    async with node_at(tmp_path / "data") as node:
        for turns in range(60):
            job = await node.submit(frames="1-2", args=SMALL)
            if turns % 2:
                await node.until(job.id, lambda now: now.frames_done >= 1)
            for _ in range(turns):
                await asyncio.sleep(0)
            await node.parts.jobs.cancel(job.id)
            ended = node.job(job.id)
            seen.add(ended.status)
            assert ended.status is JobStatus.CANCELLED or (ended.status, ended.frames_done) == (COMPLETED, 2)
            assert ended.errors == []
            await assert_clean(node, ended)
    assert JobStatus.CANCELLED in seen


async def test_cancel_and_shutdown_cost_no_try(tmp_path: Path) -> None:
    options = {**SMALL, "hang_at": 2, "ignore_term": True}
    for _ in range(4):  # one more than a frame has tries
        async with node_at(tmp_path / "data") as node:
            live = [job.id for job in node.parts.jobs.live_records()]
            job_id = live[0] if live else (await node.submit(frames="1-2", args=options)).id
            running = await node.until(job_id, lambda now: now.frames_done == 1 and now.status is JobStatus.RUNNING)
            assert (running.errors, running.failed_frames) == ([], "")
        assert processes_of(job_id) == []
    async with node_at(tmp_path / "data") as node:
        for _ in range(4):
            await node.until(job_id, lambda now: now.status is JobStatus.RUNNING)
            await node.parts.jobs.cancel(job_id)
            assert (node.job(job_id).status, node.job(job_id).errors) == (JobStatus.CANCELLED, [])
            await node.parts.jobs.retry(job_id)
        await node.parts.jobs.delete(job_id)
        assert job_id not in node.parts.jobs


async def test_delete_while_it_renders_and_while_it_is_retried(tmp_path: Path) -> None:
    async with node_at(tmp_path / "data") as node:
        for turns in range(20):
            job = await node.submit(frames="1-4", args={**SMALL, "grandchildren": 1})
            if turns % 2:
                await node.ended(job.id)
                (node.parts.folders.output(job.id) / node.outputs(job.id)[0]).unlink()
                asked = asyncio.ensure_future(node.parts.jobs.retry(job.id))
            else:
                asked = asyncio.ensure_future(node.parts.jobs.settled(job.id))  # type: ignore[arg-type]  # awaited only
            for _ in range(turns * 3):
                await asyncio.sleep(0)
            await node.parts.jobs.delete(job.id)
            [outcome] = await asyncio.gather(asked, return_exceptions=True)
            assert not isinstance(outcome, Exception) or isinstance(outcome, JobNotFound)
            assert processes_of(job.id) == []
            assert job.id not in node.parts.jobs
            assert not node.parts.folders.job(job.id).exists()


# --- a full disk ---------------------------------------------------------------------------------------------------


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 32 MiB."""
    place = tmp_path / "disk"
    place.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=32m", "none", place], capture_output=True).returncode:
        pytest.skip("only root can mount a small disk")
    try:
        yield place
    finally:
        subprocess.run(["umount", place], check=True)


def waits_for_space(job: Job) -> bool:
    return job.status is JobStatus.NOT_STARTED and "waits for space" in job.reason


async def test_a_full_disk_is_waited_for_and_costs_no_try(small_disk: Path) -> None:
    async with node_at(small_disk / "data", min_free_bytes=8 * MIB) as node:
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"x" * (25 * MIB))
        job = await rogue(node, "fills_the_disk", 12 * MIB, frames="1-3")
        # While the disk is full to the last byte not even that can be stored; the job says so then.
        waiting = await node.until(job.id, waits_for_space)
        assert waiting.failed_frames == ""
        told = await node.parts.explaining.explain(job.id)
        assert (told.cause, told.summary) == ("disk", "It waits for space on the disk of the data folder.")
        assert processes_of(job.id) == []
        ballast.unlink()
        ended = await node.ended(job.id)
        assert (ended.status, ended.frames_done, ended.attempts) == (COMPLETED, 3, waiting.attempts + 1)
        await assert_clean(node, ended)


async def test_a_job_that_waits_for_space_can_be_cancelled(small_disk: Path) -> None:
    async with node_at(small_disk / "data", min_free_bytes=8 * MIB) as node:
        (small_disk / "ballast").write_bytes(b"x" * (25 * MIB))
        job = await rogue(node, "fills_the_disk", 12 * MIB)
        await node.until(job.id, waits_for_space)
        await node.parts.jobs.cancel(job.id)
        assert node.job(job.id).status is JobStatus.CANCELLED


async def test_a_log_that_fills_the_disk_costs_no_job(small_disk: Path) -> None:
    async with node_at(small_disk / "data", min_free_bytes=8 * MIB, max_log_bytes=20 * MIB) as node:
        ballast = small_disk / "ballast"
        ballast.write_bytes(b"x" * (16 * MIB))
        with structlog.testing.capture_logs() as said:
            job = await rogue(node, "much_log", 20 * MIB, frames="1-3")
            await node.until(job.id, lambda now: "waits for space" in now.reason or now.status.ended)
            # It may be through already: its frames are small, and nobody needs a log to render.
            if node.job(job.id).status.ended:
                await node.parts.jobs.settled(job.id)
            ballast.unlink()
            ended = await node.ended(job.id)
            await node.parts.jobs.settled(job.id)
        events = [line["event"] for line in said]
        assert "a job's log leaves out what the engine prints" in events, said
        assert "a change of a job could not be stored" not in events, "the log has taken what the store needs"
        assert (ended.status, ended.frames_done) == (COMPLETED, 3), ended.errors
        await assert_clean(node, ended)
        text = await node.log(job.id)
        assert len(text.encode()) > MIB
        assert text.count("the disk is nearly full; what the engine prints is left out until it is not") >= 1
