"""Every method of the proxy against a real service, and that none of the reference's methods or routes is missing."""

from __future__ import annotations

import asyncio
import zipfile
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from app.api.errors import JOB_NOT_FOUND_TITLE
from client import BadRequest, JobNotFound, NotFound, RenderServerProxy, RequestRefused, Unauthorized, Unavailable
from client import errors as client_errors
from client.models import AddJob, ChildJob, Job, JobStatus, RenderWindow, SubjobUpdate
from tests.support.running_service import Service

NAMED_BY_THE_REFERENCE = [
    "get_jobs",
    "get_job",
    "get_job_files",
    "download_job_file",
    "download_all_job_files",
    "create_job",
    "cancel_job",
    "delete_job",
    "send_subjob_update_notification",
    "check_connection",
    "get_status",
    "get_full_status",
    "get_engine_for_filename",
    "get_engines",
    "get_engine_names",
    "get_engine",
    "get_engine_availability",
    "delete_engine_download",
]


def pattern(frames: str = "1-3", **args: float | str) -> AddJob:
    """A small job."""
    return AddJob(renderer="testpattern", frames=frames, args={"width": 32, "height": 18, **args})


async def ended(node: RenderServerProxy, job: Job) -> Job:
    """Wait for the end of a job with nothing but the long-poll."""
    token: str | None = None
    while not (found := await node.get_job(job.id)).status.ended:
        delta = await node.long_poll_delta(token)
        token = delta.token if delta is not None else token
    return found


@pytest.fixture
async def finished(node: RenderServerProxy) -> Job:
    """A completed job of three frames."""
    [job] = await node.create_job(pattern())
    found = await ended(node, job)
    assert found.status is JobStatus.COMPLETED
    return found


@pytest.mark.parametrize("name", NAMED_BY_THE_REFERENCE)
def test_the_names_of_the_reference(name: str) -> None:
    assert callable(getattr(RenderServerProxy, name))


def test_client_and_service_agree_how_an_unknown_job_is_told() -> None:
    assert client_errors.JOB_NOT_FOUND_TITLE == JOB_NOT_FOUND_TITLE


async def test_the_heartbeat_needs_no_token(service: Service) -> None:
    async with RenderServerProxy("127.0.0.1", service.port) as anyone:
        assert await anyone.check_connection()
        assert (await anyone.heartbeat()).strip()
        with pytest.raises(Unauthorized):
            await anyone.get_jobs()


async def test_alive_ready_and_measured(node: RenderServerProxy, service: Service) -> None:
    assert await node.get_health() == "ok"
    assert (await node.get_readiness()).ready
    assert "zordon_queue_jobs" in await node.get_metrics()
    async with RenderServerProxy("127.0.0.1", service.port) as anyone:
        assert await anyone.get_health() == "ok"
        assert (await anyone.get_readiness()).notes == []
        with pytest.raises(Unauthorized):
            await anyone.get_metrics()


async def test_reading_jobs(node: RenderServerProxy, finished: Job) -> None:
    assert finished.id in [job.id for job in (await node.get_jobs()).jobs]
    assert finished in await node.get_jobs_by_status("completed")
    assert finished.frames_done == finished.file_count == 3
    with pytest.raises(BadRequest):
        await node.get_jobs_by_status("asleep")
    with pytest.raises(JobNotFound, match="no-such-job"):
        await node.get_job("no-such-job")


async def test_long_poll_answers_the_change(node: RenderServerProxy) -> None:
    before = await node.get_jobs()
    waiting = asyncio.create_task(node.long_poll(before.token))
    waiting_delta = asyncio.create_task(node.long_poll_delta((await node.get_jobs_delta(before.token)).token))
    [job] = await node.create_job(pattern("1"))
    changed, delta = await waiting, await waiting_delta
    assert changed is not None
    assert delta is not None
    assert job.id in [found.id for found in changed.jobs]
    assert [found.id for found in delta.jobs] == [job.id]
    assert delta.full is False


async def test_events_tell_of_a_job(node: RenderServerProxy) -> None:
    async with aclosing(node.get_events()) as events:
        first = await anext(events)
        assert first.full is True
        [job] = await node.create_job(pattern("1"))
        async for event in events:
            if any(found.id == job.id and found.status.ended for found in event.jobs):
                break
    async with aclosing(node.get_events(first.token)) as events:
        resumed = await anext(events)
        assert resumed.full is False
        assert job.id in [found.id for found in resumed.jobs]


async def test_outputs_come_home(node: RenderServerProxy, finished: Job, tmp_path: Path) -> None:
    names = await node.get_job_files(finished.id)
    assert len(names) == 3
    path = await node.download_job_file(finished.id, names[0].upper(), tmp_path / "one.png")
    assert path.read_bytes().startswith(b"\x89PNG")
    archive = await node.download_all_job_files(finished.id, tmp_path)
    with zipfile.ZipFile(archive) as opened:
        assert opened.testzip() is None
        assert [Path(name).name for name in opened.namelist()] == names
    with pytest.raises(NotFound):
        await node.download_job_file(finished.id, "none.png", tmp_path)


async def test_logs_and_previews(node: RenderServerProxy, finished: Job) -> None:
    log = await node.get_job_logs(finished.id)
    pieces = [piece async for piece in node.stream_job_logs(finished.id, follow=True)]
    assert b"".join(pieces).decode() == log != ""
    rest = [piece async for piece in node.stream_job_logs(finished.id, offset=10)]
    assert b"".join(rest) == log.encode()[10:]
    assert [piece async for piece in node.stream_job_logs(finished.id, offset=len(log.encode()))] == []
    media_type, small = await node.get_job_thumbnail(finished.id)
    assert (media_type, small[:2]) == ("image/jpeg", b"\xff\xd8")
    assert (await node.get_job_thumbnail(finished.id, big=True))[1][:2] == b"\xff\xd8"


async def test_a_submit_repeated_under_its_key_is_one_job(node: RenderServerProxy) -> None:
    first = await node.create_job(pattern("1"), idempotency_key="the-same-key")
    second = await node.create_job(pattern("1"), idempotency_key="the-same-key")
    assert [job.id for job in first] == [job.id for job in second]


async def test_several_jobs_at_once_and_as_plain_data(node: RenderServerProxy) -> None:
    two = await node.create_job([pattern("1"), pattern("2")])
    [one] = await node.create_job({"renderer": "testpattern", "frames": "1"})
    assert [job.frames for job in two] == ["1", "2"]
    assert one.total_frames == 1


async def test_a_list_with_one_bad_job_creates_none(node: RenderServerProxy) -> None:
    before = len((await node.get_jobs()).jobs)
    with pytest.raises(BadRequest) as caught:
        await node.create_job([pattern("1"), pattern("1..5")])
    assert "1..5" in str(caught.value)
    assert caught.value.field is not None
    assert "frames" in caught.value.field
    assert len((await node.get_jobs()).jobs) == before


async def test_an_upload_of_no_project_is_refused_with_the_reason(node: RenderServerProxy, tmp_path: Path) -> None:
    garbage = tmp_path / "garbage.blend"
    garbage.write_bytes(b"this is no blend file")
    with pytest.raises(BadRequest, match=r"\w+ \w+"):
        await node.create_job(AddJob(renderer="blender"), garbage)


async def test_cancel_and_delete_want_to_be_confirmed(node: RenderServerProxy) -> None:
    [job] = await node.create_job(pattern("1-500", seconds_per_frame=0.2))
    with pytest.raises(BadRequest, match="confirm"):
        await node.cancel_job(job.id, confirm=False)
    await node.cancel_job(job.id)
    assert (await ended(node, job)).status is JobStatus.CANCELLED
    with pytest.raises(BadRequest, match="confirm"):
        await node.delete_job(job.id, confirm=False)
    await node.delete_job(job.id)
    with pytest.raises(JobNotFound):
        await node.get_job(job.id)


async def test_retry_and_explain(node: RenderServerProxy, finished: Job, service: Service) -> None:
    assert await node.retry_job(finished.id) == finished, "nothing is missing"
    told = await node.explain_job(finished.id)
    assert (told.id, told.status, told.cause) == (finished.id, JobStatus.COMPLETED, None)
    [name, *_] = await node.get_job_files(finished.id)
    (service.data_dir / "jobs" / finished.id / "output" / name).unlink()
    assert (await node.retry_job(finished.id)).frames_done == 2
    assert (await ended(node, finished)).frames_done == 3
    for call in (node.retry_job, node.explain_job):
        with pytest.raises(JobNotFound):
            await call("nobody")


async def test_editing_a_job(node: RenderServerProxy, finished: Job) -> None:
    edited = await node.edit_job(finished.id, name="after", priority=3)
    assert edited == finished.model_copy(update={"name": "after", "priority": 3})
    assert (await node.edit_job(finished.id, notes="seen")).notes == "seen"
    with pytest.raises(BadRequest, match="nothing is to be changed"):
        await node.edit_job(finished.id)


async def test_frames_of_a_job(node: RenderServerProxy, finished: Job) -> None:
    page = await node.get_job_frames(finished.id, offset=1, limit=1)
    assert (page.total, page.done, page.next_offset) == (3, "2", 2)
    assert list(page.files) == [2]
    for size, kind in (("small", "image/jpeg"), ("full", "image/png")):
        told, content = await node.get_frame_preview(finished.id, 2, size)
        assert (told, content[:1] in (b"\xff", b"\x89")) == (kind, True)
    with pytest.raises(NotFound, match="frame 4"):
        await node.get_frame_preview(finished.id, 4)
    assert (await node.check_frames("1-9x3")).count == 3
    with pytest.raises(BadRequest, match="no frame set"):
        await node.check_frames("a-b")


async def test_a_node_that_is_paused(node: RenderServerProxy) -> None:
    paused = await node.pause_node("lunch", datetime.now(UTC) + timedelta(hours=1), now=True)
    assert (paused.paused, paused.paused_reason) == (True, "lunch")
    assert (await node.resume_node()).resting == ""
    window = RenderWindow.model_validate({"days": ["mon"], "from": "00:00", "to": "12:00"})
    changed = await node.change_node(tags=["gpu"], schedule=[window])
    assert (changed.tags, changed.schedule) == (["gpu"], [window])
    assert (await node.change_node(tags=[], schedule=[])).schedule == []
    assert (await node.get_node_load()).memory_total > 0


async def test_a_subjob_reports_to_its_parent(node: RenderServerProxy) -> None:
    children = [ChildJob(frames="1-2"), ChildJob(frames="3-4")]
    created = await node.create_job(pattern("1-4").model_copy(update={"child_jobs": children}))
    above = next(job for job in created if job.parent is None)
    assert (await ended(node, above)).status is JobStatus.COMPLETED
    child = await node.get_job((await node.get_job(above.id)).children[0])
    await node.send_subjob_update_notification(above.id, child)
    with pytest.raises(JobNotFound):
        await node.send_subjob_update_notification("nobody", SubjobUpdate(id="x", status=JobStatus.RUNNING))


async def test_the_node_itself(node: RenderServerProxy, service: Service) -> None:
    status = await node.get_status()
    assert status.port == service.port
    assert set(status.job_counts) == {state.value for state in JobStatus}
    assert (await node.get_snapshot()).status.node_id == status.node_id
    assert [found.status.node_id for found in (await node.get_full_status()).servers.values()] == [status.node_id]
    assert await node.get_presets()
    assert (await node.get_blender_addon())[0].endswith(".zip")


async def test_engines(node: RenderServerProxy) -> None:
    names = await node.get_engine_names()
    assert {"testpattern", "ffmpeg"} <= set(names)
    assert set(await node.get_engines()) >= set(names)
    assert (await node.get_engine("testpattern")).supported_extensions is None
    assert (await node.get_engine("ffmpeg", "full")).supported_export_formats
    assert (await node.get_engine_availability("testpattern")).available is True
    assert "properties" in (await node.get_engine_args("testpattern")).schema_
    assert "ffmpeg" in (await node.get_engine_help("ffmpeg")).lower()
    assert await node.get_engine_for_filename("/some/where/shot.BLEND") == "blender"
    with pytest.raises(RequestRefused):
        await node.get_engine_for_filename("letter.docx")
    with pytest.raises(RequestRefused):
        await node.get_engine("povray")


async def test_managed_versions(node: RenderServerProxy) -> None:
    """This node has no sources; tests/installs fetches for real."""
    with pytest.raises(Unavailable, match=r"\w+ \w+"):
        await node.is_engine_available_to_download("blender", "4.5.0")
    with pytest.raises(Unavailable):
        await node.get_most_recent_version("blender")
    with pytest.raises(Unavailable):
        await node.download_engine("blender", "4.5.0")
    with pytest.raises(NotFound):
        await node.delete_engine_download("blender", "4.5.0")
    assert (await node.get_available_engines("blender")).releases == []
    assert await node.get_installs() == []
    with pytest.raises(NotFound):
        await node.get_install("nope")
    with pytest.raises(NotFound):
        await node.cancel_install("nope")
    pruned = await node.prune_engines(dry_run=True)
    assert pruned.removed == []


async def test_debug_routes(node: RenderServerProxy, finished: Job) -> None:
    assert isinstance(await node.get_detected_clients(), list)
    assert (await node.clear_history()).strip() == "success"
    with pytest.raises(JobNotFound):
        await node.get_job(finished.id)


@pytest.mark.slow
async def test_benchmarks(node: RenderServerProxy) -> None:
    assert await node.run_cpu_benchmark() > 0
    assert (await node.run_disk_benchmark()).write_speed > 0
