"""The life of a job through the command line, against a real service and real pictures."""

from __future__ import annotations

import json
import signal
import sys
import zipfile
from pathlib import Path

import pytest
from PIL import Image
from pydantic import TypeAdapter

from app.cli.exits import Exit
from client.models import Job, JobStatus
from tests.support.running_service import Ran, Service

_JOBS = TypeAdapter(list[Job])
PATTERN = ("submit", "--renderer", "testpattern", "--arg", "width=64", "--arg", "height=36")


def jobs_in(ran: Ran) -> list[Job]:
    """The jobs that a command printed as JSON."""
    return _JOBS.validate_json(ran.out)


def submitted(service: Service, *arguments: str) -> Job:
    """Submit one small job and come back at once."""
    ran = service.zordon(*PATTERN, *arguments, "--json")
    assert ran.code == Exit.OK, ran.err
    [job] = jobs_in(ran)
    return job


@pytest.fixture(scope="module")
def finished(service: Service) -> Job:
    """A job of three frames that is completed."""
    ran = service.zordon(*PATTERN, "--frames", "1-3", "--name", "finished", "--watch", "--json")
    assert ran.code == Exit.OK, ran.err
    [job] = jobs_in(ran)
    assert job.status is JobStatus.COMPLETED
    return job


def test_submit_watch_get_leaves_the_pictures(service: Service, tmp_path: Path) -> None:
    ran = service.zordon(*PATTERN, "--frames", "1-4", "--name", "four", "--get", tmp_path / "out")
    assert ran.code == Exit.OK, ran.err
    pictures = sorted((tmp_path / "out").iterdir())
    assert len(pictures) == 4
    assert {Image.open(picture).size for picture in pictures} == {(64, 36)}
    assert "four: completed" in ran.out
    assert str(tmp_path / "out") in ran.out


@pytest.mark.slow
def test_a_job_that_fails_says_why_and_exits_1(service: Service) -> None:
    ran = service.zordon(*PATTERN, "--frames", "1-2", "--arg", "fail_frames=2", "--watch")
    assert ran.code == Exit.FAILED
    assert "error: " in ran.out


def test_jobs_lists_it(service: Service, finished: Job) -> None:
    table = service.zordon("jobs")
    assert "finished" in table.out
    assert finished.id[:8] in table.out
    assert finished.id in [job.id for job in jobs_in(service.zordon("jobs", "--json"))]
    assert finished.id in [job.id for job in jobs_in(service.zordon("jobs", "--status", "completed", "--json"))]
    assert finished.id not in [job.id for job in jobs_in(service.zordon("jobs", "--status", "running", "--json"))]


def test_watch_of_an_ended_job_ends_at_once(service: Service, finished: Job) -> None:
    assert service.zordon("watch", finished.id).code == Exit.OK
    lines = service.zordon("watch", finished.id, "--json").out.splitlines()
    assert [json.loads(line)["status"] for line in lines] == ["completed"]


def test_watch_says_where_the_pictures_are(service: Service, finished: Job) -> None:
    ran = service.zordon("watch", finished.id)
    place = service.data_dir / "jobs" / finished.id / "output"
    assert f"3 outputs in {place}" in ran.out
    assert len(list(place.iterdir())) == 3


def test_watch_as_json_follows_to_the_end(service: Service) -> None:
    job = submitted(service, "--frames", "1-6", "--arg", "seconds_per_frame=0.1")
    ran = service.zordon("watch", job.id, "--json")
    seen = [Job.model_validate_json(line) for line in ran.out.splitlines()]
    assert seen[-1].status is JobStatus.COMPLETED
    assert [job.frames_done for job in seen] == sorted(job.frames_done for job in seen)


def test_a_beginning_of_the_id_will_do(service: Service, finished: Job) -> None:
    assert service.zordon("watch", finished.id[:20]).code == Exit.OK


def test_logs_begin_with_the_command_line(service: Service, finished: Job) -> None:
    text = service.zordon("logs", finished.id).out
    assert any("--width 64" in line for line in text.splitlines()[:2])
    followed = service.zordon("logs", "-f", finished.id)
    assert (followed.code, followed.out) == (Exit.OK, text)
    assert json.loads(service.zordon("logs", finished.id, "--json").out) == {"id": finished.id, "log": text}


def test_logs_follow_a_job_to_its_end(service: Service) -> None:
    job = submitted(service, "--frames", "1-5", "--arg", "seconds_per_frame=0.2", "--arg", "noise_bytes=2000")
    followed = service.zordon("logs", "-f", job.id)
    assert followed.code == Exit.OK
    assert followed.out == service.zordon("logs", job.id).out


def test_get_downloads_into_a_folder_of_its_own(service: Service, finished: Job, tmp_path: Path) -> None:
    ran = service.zordon("get", finished.id, "--json", cwd=tmp_path)
    [folder] = tmp_path.iterdir()
    assert folder.name == f"finished-{finished.id[:8]}"
    assert sorted(json.loads(ran.out)["files"]) == sorted(str(path) for path in folder.iterdir())
    before = {path: path.stat().st_ino for path in folder.iterdir()}
    assert service.zordon("get", finished.id, cwd=tmp_path).code == Exit.OK
    assert {path: path.stat().st_ino for path in folder.iterdir()} == before


def test_get_as_one_zip(service: Service, finished: Job, tmp_path: Path) -> None:
    ran = service.zordon("get", finished.id, "--zip", "-o", tmp_path, "--json")
    [path] = json.loads(ran.out)["files"]
    with zipfile.ZipFile(path) as archive:
        assert archive.testzip() is None
        assert len(archive.namelist()) == 3


def test_a_folder_that_cannot_be_written(service: Service, finished: Job, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    ran = service.zordon("get", finished.id, "-o", tmp_path / "file" / "folder")
    assert ran.code == Exit.LOCAL
    assert str(tmp_path / "file") in ran.err


def test_cancel_ends_a_running_job(service: Service) -> None:
    job = submitted(service, "--frames", "1-1000", "--arg", "seconds_per_frame=0.2")
    ran = service.zordon("cancel", job.id, "--json")
    assert ran.code == Exit.OK, ran.err
    assert service.zordon("watch", job.id).code == Exit.FAILED
    [ended] = [found for found in jobs_in(service.zordon("jobs", "--json")) if found.id == job.id]
    assert ended.status is JobStatus.CANCELLED


def test_retry_renders_what_is_missing(service: Service) -> None:
    job = submitted(service, "--frames", "1-3")
    assert service.zordon("watch", job.id).code == Exit.OK
    place = service.data_dir / "jobs" / job.id / "output"
    next(place.iterdir()).unlink()
    ran = service.zordon("retry", job.id)
    assert ran.code == Exit.OK, ran.err
    assert "1 missing frame of 3" in ran.out
    assert service.zordon("watch", job.id).code == Exit.OK
    assert len(list(place.iterdir())) == 3
    assert jobs_in(service.zordon("retry", job.id, "--json"))[0].status is JobStatus.COMPLETED
    assert service.zordon("retry", "nobody").code == Exit.NOT_FOUND


def test_explain_says_it_in_sentences(service: Service, finished: Job) -> None:
    assert "all 3 frames are verified" in service.zordon("explain", finished.id).out
    job = submitted(service, "--frames", "1", "--start-at", "+3h")
    ran = service.zordon("explain", job.id)
    assert "It waits for its time" in ran.out
    assert "What would help:" in ran.out
    assert json.loads(service.zordon("explain", job.id, "--json").out)["status"] == "scheduled"
    assert service.zordon("cancel", job.id).code == Exit.OK


def test_delete_asks_first(service: Service) -> None:
    job = submitted(service, "--frames", "1")
    assert service.zordon("delete", job.id, stdin="n\n").code == Exit.FAILED
    assert service.zordon("watch", job.id).code == Exit.OK
    assert service.zordon("delete", job.id, stdin="y\n").code == Exit.OK
    assert service.zordon("watch", job.id).code == Exit.NOT_FOUND


def test_delete_without_asking(service: Service) -> None:
    job = submitted(service, "--frames", "1")
    assert json.loads(service.zordon("delete", "--yes", "--json", job.id).out) == {"deleted": [job.id]}


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no SIGINT for another process")
def test_ctrl_c_leaves_the_job_running(service: Service) -> None:
    process = service.start_zordon(*PATTERN, "--frames", "1-1000", "--arg", "seconds_per_frame=0.2", "--watch")
    assert process.stdout is not None
    try:
        for line in process.stdout:
            if "running" in line:
                break
        process.send_signal(signal.SIGINT)
        out, err = process.communicate()
    finally:
        process.kill()
        process.wait()
    assert process.returncode == Exit.INTERRUPTED
    assert "interrupted" in err
    assert "The job goes on" in out
    assert "Traceback" not in err
    job = jobs_in(service.zordon("jobs", "--status", "running", "--json"))[-1]
    assert service.zordon("cancel", job.id).code == Exit.OK


def test_a_scheduled_job_waits(service: Service) -> None:
    job = submitted(service, "--frames", "1", "--start-at", "+1h")
    assert job.status is JobStatus.SCHEDULED
    assert service.zordon("cancel", job.id).code == Exit.OK


def test_a_name_cannot_command_the_terminal(service: Service) -> None:
    refused = service.zordon(*PATTERN, "--frames", "1", "--name", "red \x1b[31m")
    assert refused.code == Exit.REFUSED
    assert "\x1b" not in refused.err
    job = submitted(service, "--frames", "1", "--name", "[bold]name[/bold]")
    ran = service.zordon("jobs")
    assert "[bold]name[/bold]" in ran.out
    assert job.name in [found.name for found in jobs_in(service.zordon("jobs", "--json"))]


def test_engines_and_status(service: Service) -> None:
    assert "testpattern" in service.zordon("engines").out
    assert json.loads(service.zordon("engines", "--json").out)["testpattern"]["is_available"] is True
    assert "seconds_per_frame" in service.zordon("engines", "--full").out
    status = json.loads(service.zordon("status", "--json").out)
    assert status["port"] == service.port
    assert "cores" in service.zordon("status").out


@pytest.mark.slow
def test_bench(service: Service) -> None:
    found = json.loads(service.zordon("bench", "--json").out)
    assert found["cpu"] > 0
    assert found["disk"]["write_speed"] > 0
    assert "MB/s" in service.zordon("bench", "disk").out
