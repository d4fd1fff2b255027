"""What a machine does to a service: it is told to stop, its disk fills up, its clock jumps, a folder becomes a link."""

from __future__ import annotations

import asyncio
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from client.errors import RequestRefused, ServerError
from client.models import AddJob, JobStatus
from tests.faults.conftest import Serve, ended, submit, until
from tests.faults.projects import make_video
from tests.faults.tmpfs import mounted
from tests.faults.victim import RUN_MARK, Place, marked

pytestmark = [pytest.mark.slow, pytest.mark.skipif(sys.platform != "linux", reason="reads /proc, mounts a tmpfs")]

SHUTDOWN_SECONDS, TERM_SECONDS = 2, 1
STOP_BOUND = SHUTDOWN_SECONDS + TERM_SECONDS + 57
"""What the settings allow for, and what a busy machine needs besides."""
FAKETIME = Path("/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1")


async def test_sigterm_in_the_middle_of_everything(place: Place, serve: Serve) -> None:
    settings = {"ZORDON_SHUTDOWN_SECONDS": str(SHUTDOWN_SECONDS), "ZORDON_TERM_SECONDS": str(TERM_SECONDS)}
    async with serve(**settings) as (victim, node):
        stubborn = await submit(node, "1-30", seconds_per_frame=0.1, ignore_term=True, grandchildren=2)
        await until(node, stubborn.id, lambda job: job.frames_done >= 3)
        token = (await node.get_jobs()).token
        waiter = asyncio.create_task(node.long_poll(token))
        _, writer = await asyncio.open_connection("127.0.0.1", victim.port)
        writer.write(b"POST /api/add_job HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\nhalf a body")
        await writer.drain()
        victim.process.terminate()
        async with asyncio.timeout(STOP_BOUND):
            assert await victim.gone() == 0
        await asyncio.gather(waiter, return_exceptions=True)
        writer.close()
    assert not marked(RUN_MARK, str(place.base))
    assert not processes_of(stubborn.id)
    async with serve() as (_, node):
        job = await ended(node, stubborn.id)
        assert (job.status, job.frames_done, job.errors) == (JobStatus.COMPLETED, 30, [])


def processes_of(job: str) -> dict[int, str]:
    """Processes of a job, of whatever store."""
    found = marked("ZORDON_ATTEMPT")
    return {pid: known["ZORDON_ATTEMPT"] for pid, known in found.items() if known["ZORDON_ATTEMPT"].startswith(job)}


async def test_a_disk_that_fills_up_costs_no_job(place: Place, serve: Serve, tmp_path: Path) -> None:
    video = await make_video(tmp_path / "clip.mp4")
    with mounted(place.data, "48m") as disk:
        async with serve(ZORDON_MIN_FREE_BYTES="0") as (victim, node):
            kept = await ended(node, (await submit(node)).id)
            # while frames are written
            job = await submit(node, "1-40", seconds_per_frame=0.05, width=256, height=256)
            await until(node, job.id, lambda job: job.frames_done >= 2)
            disk.fill()
            # while an upload comes
            with pytest.raises(RequestRefused) as refused:
                await node.create_job(AddJob(renderer="ffmpeg"), video)
            assert refused.value.status in (413, 507), refused.value
            assert not list((place.data / "uploads").iterdir())
            # while the store is written: refused with a sentence, or stored for good
            answered = []
            for _ in range(40):
                try:
                    answered.append((await submit(node, "1")).id)
                except ServerError as error:
                    assert "stored" in str(error)  # noqa: PT017 - either is right
                    break
            else:
                pytest.fail("the disk was not full: the test shows nothing")
            assert {*answered, kept.id, job.id} <= {one.id for one in (await node.get_jobs()).jobs}
            disk.empty()
            job = await ended(node, job.id)
            assert (job.status, job.frames_done) == (JobStatus.COMPLETED, 40), job.errors
            assert {(await ended(node, one)).status for one in answered} <= {JobStatus.COMPLETED}
            assert (await ended(node, (await submit(node)).id)).status is JobStatus.COMPLETED
            assert "disk is full" in victim.said
            assert "Traceback" not in victim.said
        async with serve() as (_, node):
            assert {*answered, kept.id, job.id} <= {one.id for one in (await node.get_jobs()).jobs}


async def test_an_output_folder_that_became_a_link_leads_nowhere(place: Place, serve: Serve, tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    async with serve() as (_, node):
        job = await submit(node, "1-20", seconds_per_frame=0.1)
        await until(node, job.id, lambda job: job.frames_done >= 2)
        output = place.data / "jobs" / job.id / "output"
        output.rename(output.with_name("moved"))
        output.symlink_to(elsewhere)
        told = await ended(node, job.id)
        assert told.status is JobStatus.ERROR
        assert any("link" in error for error in told.errors), told.errors
        assert list(elsewhere.iterdir()) == []
        for name in await node.get_job_files(job.id):
            with pytest.raises(RequestRefused):
                await node.download_job_file(job.id, name, tmp_path / "fetched")
        await node.delete_job(job.id)
        assert elsewhere.exists()
        other = await ended(node, (await submit(node)).id)
        assert other.status is JobStatus.COMPLETED


@pytest.mark.skipif(not FAKETIME.exists(), reason="libfaketime is not installed (Debian: apt-get install libfaketime)")
@pytest.mark.parametrize("days", [1, -1])
async def test_the_clock_jumps_by_a_day(place: Place, serve: Serve, days: int) -> None:
    """The wall clock of the whole service and its engines; monotonic clocks stay, as they do on a real machine."""
    clock = place.base / "clock"
    clock.write_text("+0")
    faked = {
        "LD_PRELOAD": str(FAKETIME),
        "FAKETIME_TIMESTAMP_FILE": str(clock),
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_NO_CACHE": "1",
    }
    key = "the-clock-jumps"
    document = AddJob.model_validate({"renderer": "testpattern", "frames": "1-2"})
    tomorrow = document.model_copy(update={"scheduled_start": datetime.now(UTC) + timedelta(hours=12)})
    async with serve(**faked) as (_, node):
        [first] = await node.create_job(document, idempotency_key=key)
        [later] = await node.create_job(tomorrow)
        slow = await submit(node, "1-20", seconds_per_frame=0.1)
        await until(node, slow.id, lambda job: job.frames_done >= 2)
        clock.write_text(f"{days * 86400:+d}")
        done = await ended(node, slow.id)
        assert (done.status, done.frames_done, done.errors) == (JobStatus.COMPLETED, 20, [])
        assert (await node.create_job(document, idempotency_key=key))[0].id == first.id
        if days > 0:
            assert (await ended(node, later.id)).status is JobStatus.COMPLETED
    async with serve(**faked) as (_, node):  # killed meanwhile, and started at the other time
        assert (await node.create_job(document, idempotency_key=key))[0].id == first.id
        assert (await ended(node, (await submit(node)).id)).status is JobStatus.COMPLETED
        if days < 0:
            assert (await node.get_job(later.id)).status is JobStatus.SCHEDULED
