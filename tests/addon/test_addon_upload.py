"""The upload over real sockets: to a service, and to a server that answers what a test wants."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from client.blender.zordon.choices import Choices, document_of
from client.blender.zordon.connection import Service as Remote
from client.blender.zordon.discovery import Target
from client.blender.zordon.errors import Cancelled, PackingFailed, Refused, Unreachable
from client.blender.zordon.packing import Project
from client.blender.zordon.submission import State, Step, Submission
from client.blender.zordon.upload import TRIES, Upload
from tests.support.running_service import Service
from tests.support.scripted_server import Reply, Request, scripted_server

DOCUMENT: dict[str, Any] = {"renderer": "testpattern", "frames": "1"}
FIXTURES = Path(__file__).parents[1] / "fixtures"


def remote(port: int, token: str | None = "a-token-of-the-tests") -> Remote:
    return Remote(Target("127.0.0.1", port, token))


def nobody(done: int, total: int) -> None:
    """Nobody looks."""


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    """Three megabytes that are no archive."""
    path = tmp_path / 'a "shot".zip'
    path.write_bytes(bytes(3 << 20))
    return path


async def test_a_broken_upload_is_sent_again_under_the_same_key(archive: Path) -> None:
    def script(request: Request, number: int) -> Reply | None:
        return None if number < 2 else Reply(json.dumps([{"id": "job-1"}]).encode())

    seen: list[tuple[int, int]] = []
    async with scripted_server(script) as server:
        upload = Upload(remote(server.port), DOCUMENT, archive, lambda done, total: seen.append((done, total)))
        assert await asyncio.to_thread(upload.run) == "job-1"
    assert len(server.requests) == 3
    assert len({request.headers["idempotency-key"] for request in server.requests}) == 1
    assert seen[-1] == (3 << 20, 3 << 20)
    body = server.requests[-1].body
    assert b'name="json"' in body
    assert b'filename="a %22shot%22.zip"' in body
    assert json.dumps(DOCUMENT).encode() in body


@pytest.mark.slow
async def test_an_upload_is_not_tried_for_ever(archive: Path) -> None:
    async with scripted_server(lambda request, number: None) as server:
        upload = Upload(remote(server.port), DOCUMENT, archive, nobody)
        with pytest.raises(Unreachable, match="broke"):
            await asyncio.to_thread(upload.run)
    assert len(server.requests) == TRIES


@pytest.mark.parametrize(
    ("reply", "says"),
    [
        (Reply(b"the frames are wrong", "400 Bad Request"), "the frames are wrong"),
        (Reply(b'{"detail": "too large"}', "413 Too Large", {"Content-Type": "application/problem+json"}), "too large"),
        (Reply(b"", "500 Internal Server Error"), "answered 500"),
        (Reply(b"", "401 Unauthorized"), "does not take this token"),
    ],
)
async def test_a_refusal_is_told_and_not_tried_again(archive: Path, reply: Reply, says: str) -> None:
    async with scripted_server(lambda request, number: reply) as server:
        upload = Upload(remote(server.port), DOCUMENT, archive, nobody)
        with pytest.raises(Refused, match=says):
            await asyncio.to_thread(upload.run)
    assert len(server.requests) == 1


async def test_a_wait_for_the_answer_ends_when_it_is_cancelled(archive: Path) -> None:
    arrived = asyncio.Event()

    def script(request: Request, number: int) -> Reply:
        arrived.set()
        return Reply(bytes(100), cut=0, hold=True)

    async with scripted_server(script) as server:
        upload = Upload(remote(server.port), DOCUMENT, archive, nobody)
        running = asyncio.create_task(asyncio.to_thread(upload.run))
        await arrived.wait()
        upload.cancel()
        with pytest.raises(Cancelled):
            await running
    assert len(server.requests) == 1


def test_a_cancelled_upload_makes_no_job(service: Service, archive: Path) -> None:
    upload: Upload

    def enough(done: int, total: int) -> None:
        upload.cancel()

    upload = Upload(remote(service.port, service.token), DOCUMENT, archive, enough)
    with pytest.raises(Cancelled):
        upload.run()


def test_an_archive_that_goes_is_told(service: Service, archive: Path) -> None:
    upload = Upload(
        remote(service.port, service.token), DOCUMENT, archive, lambda done, total: archive.write_bytes(b"")
    )
    with pytest.raises(PackingFailed, match="became shorter"):
        upload.run()
    archive.unlink()
    with pytest.raises(PackingFailed, match="is gone"):
        Upload(remote(service.port, service.token), DOCUMENT, archive, nobody).run()


async def test_who_answers_is_looked_at(nowhere: int) -> None:
    with pytest.raises(Unreachable, match="nothing answers"):
        remote(nowhere).check()
    async with scripted_server(lambda request, number: Reply(b"<html>")) as server:
        with pytest.raises(Exception, match="is no Zordon service"):
            await asyncio.to_thread(remote(server.port).check)
    newer = Reply(b"{}", headers={"X-API-Version": "1.0"})
    async with scripted_server(lambda request, number: newer) as server:
        with pytest.raises(Exception, match="speaks API version 1"):
            await asyncio.to_thread(remote(server.port).check)


def _submission(service: Service, folder: Path, states: list[State], choices: Choices, **more: Any) -> Submission:
    folder.mkdir()
    saved = folder / "saved.blend"
    saved.write_bytes((FIXTURES / "workbench.blend").read_bytes())
    project = Project(folder.parent / "shot.blend", saved, ())
    document = document_of(choices, project.place)
    target = remote(service.port, more.get("token", service.token))
    return Submission(target, project, document, more.get("saved_by", (3, 4)), folder, states.append)


@pytest.mark.blender
def test_a_submission_from_begin_to_end(service: Service, tmp_path: Path) -> None:
    states: list[State] = []
    submission = _submission(service, tmp_path / "work", states, Choices(frames="1", priority=1))
    submission.start()
    submission.wait()
    assert submission.state.step is Step.DONE, submission.state
    assert submission.state.text == f"Submitted as job {submission.state.job_id}"
    assert [state.factor for state in states] == sorted(state.factor for state in states)
    assert {state.step for state in states} == {Step.CHECKING, Step.PACKING, Step.UPLOADING, Step.DONE}
    assert not (tmp_path / "work").exists()


@pytest.mark.parametrize(
    ("choices", "more", "says"),
    [
        (Choices(), {"token": "not-the-right-token"}, "does not take this token"),
        (Choices(engine_version="2.79"), {}, "cannot open a file of Blender 3.4"),
        (Choices(camera="Nobody"), {}, "no camera 'Nobody'"),
    ],
)
@pytest.mark.blender
def test_a_submission_that_fails_says_why(
    service: Service, tmp_path: Path, choices: Choices, more: dict[str, Any], says: str
) -> None:
    submission = _submission(service, tmp_path / "work", [], choices, **more)
    submission.start()
    submission.wait()
    assert submission.state.step is Step.FAILED
    assert says in submission.state.text
    assert not (tmp_path / "work").exists()
