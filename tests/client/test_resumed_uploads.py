"""Uploads over a real socket that breaks: what has come is not sent again."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from client import ConnectionFailed, NotFound, RenderServerProxy
from client.models import AddJob, JobStatus
from tests.support.cutting_proxy import cutting_proxy
from tests.support.running_service import Service

MIB = 1 << 20
LATER = "2035-01-01T00:00:00Z"


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project of 20 MiB: a real one, with much behind its end."""
    path = tmp_path / "lanterns.mp4"
    clip = Path(__file__).parents[2] / "demo" / "lanterns.mp4"
    box = (8 + 20 * MIB).to_bytes(4, "big") + b"free"  # of the file format: a box that readers pass over
    path.write_bytes(clip.read_bytes() + box + os.urandom(20 * MIB))
    return path


async def test_a_broken_upload_goes_on_where_it_was(service: Service, project: Path) -> None:
    async with (
        cutting_proxy(service.port, *[4 * MIB] * 1000) as proxy,
        RenderServerProxy("127.0.0.1", proxy.port, service.token) as node,
    ):
        [job] = await node.create_job(AddJob(scheduled_start=LATER), project, resumable=True)
    assert proxy.broken >= 4, "no connection took more than a fifth of it"
    assert job.project == "lanterns.mp4"
    assert job.status is JobStatus.SCHEDULED
    stored = next((service.data_dir / "projects").glob("*/lanterns.mp4"))
    assert stored.read_bytes() == project.read_bytes()
    async with service.proxy() as node:
        await node.delete_job(job.id)


async def test_another_process_goes_on_with_it(service: Service, project: Path) -> None:
    async with (
        cutting_proxy(service.port, 2 * MIB, *[1] * 30) as proxy,
        RenderServerProxy("127.0.0.1", proxy.port, service.token) as node,
    ):
        with pytest.raises(ConnectionFailed):
            await node.upload(project)
    async with service.proxy() as node:
        [begun] = await node.get_uploads()
        while not begun.offset:  # the service may still be at what has come
            [begun] = await node.get_uploads()
        assert begun.offset < begun.size
        seen: list[int] = []
        done = await node.upload(project, lambda now, _: seen.append(now))
        assert (done.id, done.complete) == (begun.id, True)
        assert seen[0] > begun.offset
        told = await node.inspect_upload(done.id)
        assert (told.engine, told.can_render) == ("ffmpeg", True), told.reason
        assert await node.get_upload(done.id) == done
        await node.delete_upload(done.id)
        with pytest.raises(NotFound):
            await node.get_upload(done.id)


async def test_the_command_line_resumes(service: Service, project: Path) -> None:
    async with cutting_proxy(service.port, 9 * MIB) as proxy:
        process = service.start_zordon("--port", str(proxy.port), "submit", project, "--start-at", "+1d", "--json")
        out, err = await asyncio.to_thread(process.communicate)
        assert process.returncode == 0, err
        assert proxy.broken == 1
    async with service.proxy() as node:
        [job] = [job for job in (await node.get_jobs()).jobs if job.id in out]
        assert job.project == "lanterns.mp4"
        await node.delete_job(job.id)
