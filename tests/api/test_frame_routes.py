"""The frames of a job: what a notation means, what has become of each, how one looks."""

from __future__ import annotations

import asyncio
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from app.access.audit import AUDIT_FILE
from client.models import FrameSummary, JobFrames
from tests.api.conftest import Api, StartApi

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def frames(api: Api, job_id: str, query: str = "") -> JobFrames:
    response = await api.client.get(f"/api/jobs/{job_id}/frames{query}")
    assert response.status_code == 200, response.text
    return JobFrames.model_validate(response.json())


async def check(api: Api, text: str) -> tuple[int, str]:
    response = await api.client.post("/api/frames", json={"frames": text})
    return response.status_code, response.text


@pytest.mark.parametrize(
    ("text", "summary"),
    [
        ("1-10", ("1-10", 10, 1, 10)),
        (" 10 , 1-5x2 ", ("10,1-5x2", 4, 1, 10)),
        ("-3--1", ("-3--1", 3, -3, -1)),
        ("1-10000000", ("1-10000000", 10_000_000, 1, 10_000_000)),
    ],
)
async def test_what_a_notation_means(shared_api: Api, text: str, summary: tuple[object, ...]) -> None:
    status, body = await check(shared_api, text)
    assert status == 200, body
    told = FrameSummary.model_validate_json(body)
    assert (told.frames, told.count, told.lowest, told.highest) == summary


@pytest.mark.parametrize("text", ["", "a-b", "1..5", "1-20000000", "1.5-2", "1-5x0"])
async def test_what_is_no_notation_says_what_would_be(shared_api: Api, text: str) -> None:
    status, body = await check(shared_api, text)
    assert status == 400
    assert "frame" in body


async def test_looking_at_a_notation_is_not_in_the_audit(start_api: StartApi, tmp_path: Path) -> None:
    async with start_api() as api:
        await check(api, "1-10")
        job = await api.submit()
        await api.client.patch(f"/api/jobs/{job.id}", json={"priority": 60})
    lines = (tmp_path / "data" / AUDIT_FILE).read_text()
    assert "edit_job" in lines
    assert "check_frames" not in lines


async def test_the_frames_of_a_finished_job(shared_api: Api) -> None:
    job = await shared_api.rendered(frames="1-6x2,10", name="some")
    page = await frames(shared_api, job.id)
    assert (page.total, page.offset, page.next_offset, page.video) == (4, 0, None, None)
    assert (page.frames, page.done, page.waiting, page.failed, page.running) == ("1-5x2,10", "1-5x2,10", "", "", [])
    assert page.times.frames == [1, 3, 5, 10]
    assert all(seconds is not None and seconds >= 0 for seconds in page.times.seconds)
    assert page.times.nodes == [shared_api.parts.settings.name] * 4
    names = (await shared_api.client.get(f"/api/jobs/{job.id}/files")).json()
    assert [page.files[frame] for frame in (1, 3, 5, 10)] == names


async def test_pages_are_about_their_frames_alone(shared_api: Api) -> None:
    job = await shared_api.rendered(frames="1-7")
    found = []
    offset: int | None = 0
    while offset is not None:
        page = await frames(shared_api, job.id, f"?offset={offset}&limit=3")
        assert page.total == 7
        assert page.done == page.frames
        assert list(page.files) == page.times.frames
        found += page.times.frames
        offset = page.next_offset
    assert found == [1, 2, 3, 4, 5, 6, 7]
    beyond = await frames(shared_api, job.id, "?offset=7")
    assert (beyond.frames, beyond.next_offset, beyond.times.frames) == ("", None, [])


async def test_ten_million_frames_are_as_cheap_as_ten(shared_api: Api) -> None:
    job = await shared_api.submit(frames="1-10000000")
    response = await shared_api.client.get(f"/api/jobs/{job.id}/frames?offset=5000000&limit=10000")
    assert len(response.content) < 1000
    page = JobFrames.model_validate(response.json())
    assert (page.total, page.waiting, page.next_offset) == (10_000_000, "5000001-5010000", 5_010_000)


async def test_a_page_that_has_not_changed_is_not_sent_again(shared_api: Api) -> None:
    job = await shared_api.submit(frames="1-3")
    first = await shared_api.client.get(f"/api/jobs/{job.id}/frames")
    known = {"If-None-Match": first.headers["ETag"]}
    again = await shared_api.client.get(f"/api/jobs/{job.id}/frames", headers=known)
    assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", first.headers["ETag"])
    other = await shared_api.client.get(f"/api/jobs/{job.id}/frames?limit=2", headers=known)
    assert other.status_code == 200
    await shared_api.client.post(f"/api/jobs/{job.id}/cancel?confirm=true")
    changed = await shared_api.client.get(f"/api/jobs/{job.id}/frames", headers=known)
    assert changed.status_code == 200


async def test_frames_that_are_being_rendered(shared_api: Api) -> None:
    args = {"width": 32, "height": 32, "seconds_per_frame": 0.05}
    job = await shared_api.submit(scheduled_start=None, frames="1-2000", args=args)
    page, feed = await frames(shared_api, job.id), shared_api.parts.feed
    async with asyncio.timeout(60):
        while not (page.running and page.done):
            await feed.wait(feed.token, 5)
            page = await frames(shared_api, job.id)
    [first, *_] = page.running
    assert first.attempt.startswith(job.id)
    assert first.node == shared_api.parts.settings.name
    assert first.since is not None
    assert 0 <= first.percent <= 100
    await shared_api.client.post(f"/api/jobs/{job.id}/cancel?confirm=true")


async def test_frames_that_were_given_up(start_api: StartApi) -> None:
    async with start_api(retry_seconds=0.05) as api:
        args = {"width": 32, "height": 32, "fail_frames": "2"}
        job = await api.ended((await api.submit(scheduled_start=None, frames="1-3", args=args)).id)
        page = await frames(api, job.id)
        assert (page.done, page.failed, page.waiting, page.running) == ("1,3", "2", "", [])
        assert page.times.frames == [1, 3]


async def test_a_parent_is_put_together_from_its_subjobs(shared_api: Api) -> None:
    children = [{"frames": "1-3"}, {"frames": "4-6"}]
    parent = await shared_api.submit(
        scheduled_start=None, frames="1-6", name="both", child_jobs=children, args={"width": 32, "height": 32}
    )
    await shared_api.ended(parent.id)
    page = await frames(shared_api, parent.id, "?offset=1&limit=4")
    assert (page.total, page.frames, page.done, page.waiting) == (6, "2-5", "2-5", "")
    assert page.times.frames == [2, 3, 4, 5]
    names = (await shared_api.client.get(f"/api/jobs/{parent.id}/files")).json()
    assert [page.files[frame] for frame in (2, 3, 4, 5)] == names[1:5]
    response = await shared_api.client.get(f"/api/jobs/{parent.id}/frames/5/preview")
    assert response.status_code == 200, response.text


async def test_a_frame_in_every_size(shared_api: Api) -> None:
    job = await shared_api.ended(
        (await shared_api.submit(scheduled_start=None, frames="1-2", args={"width": 640, "height": 360})).id
    )
    looks = {}
    for size, width, kind in (("small", 320, "JPEG"), ("big", 640, "JPEG"), ("full", 640, "PNG")):
        response = await shared_api.client.get(f"/api/jobs/{job.id}/frames/2/preview?size={size}")
        assert response.status_code == 200, response.text
        with Image.open(BytesIO(response.content)) as picture:
            assert (picture.width, picture.format) == (width, kind)
            looks[size] = picture.convert("RGB").resize((32, 18))
        assert response.headers["content-type"] == f"image/{kind.lower()}"
        known = {"If-None-Match": response.headers["ETag"]}
        again = await shared_api.client.get(f"/api/jobs/{job.id}/frames/2/preview?size={size}", headers=known)
        assert (again.status_code, again.content) == (304, b"")
    difference = np.abs(np.asarray(looks["small"], dtype=int) - np.asarray(looks["full"], dtype=int))
    assert difference.mean() < 8
    other = await shared_api.client.get(f"/api/jobs/{job.id}/frames/1/preview?size=full")
    assert other.headers["ETag"] != response.headers["ETag"]


async def test_a_frame_that_is_not_done_or_not_of_the_job_is_404(shared_api: Api) -> None:
    job = await shared_api.submit(frames="1-3")
    for frame in (1, 4, -7):
        response = await shared_api.client.get(f"/api/jobs/{job.id}/frames/{frame}/preview")
        assert response.status_code == 404, response.text
        assert f"frame {frame} is not done" in response.text
    for bad in ("preview?size=huge", "x/preview"):
        path = f"/api/jobs/{job.id}/frames/{bad if '/' in bad else f'1/{bad}'}"
        assert (await shared_api.client.get(path)).status_code == 400
    assert (await shared_api.client.get("/api/jobs/nobody/frames/1/preview")).status_code == 400
    assert (await shared_api.client.get("/api/jobs/nobody/frames")).status_code == 400


async def test_of_a_video_the_picture_of_that_frame_is_shown(shared_api: Api, clip: bytes) -> None:
    form = {"json": (None, b'{"name": "clip"}'), "file": ("clip.mp4", clip)}
    response = await shared_api.client.post("/api/add_job", files=form)
    assert response.status_code == 200, response.text
    job = await shared_api.ended(response.json()[0]["id"])
    assert job.status == "completed", job.reason
    page = await frames(shared_api, job.id)
    assert page.video is not None
    assert page.files == dict.fromkeys(page.files, page.video)
    first = page.times.frames[0] if page.times.frames else job.start_frame
    greys = []
    for step in range(8):
        shown = await shared_api.client.get(f"/api/jobs/{job.id}/frames/{first + step}/preview")
        assert shown.status_code == 200, shown.text
        with Image.open(BytesIO(shown.content)) as picture:
            greys.append(float(np.asarray(picture.convert("L")).mean()))
    assert greys == pytest.approx([grey * 30 for grey in range(8)], abs=12)


async def test_deleting_a_job_takes_its_previews_along(shared_api: Api) -> None:
    job = await shared_api.rendered(frames="1")
    await shared_api.client.get(f"/api/jobs/{job.id}/frames/1/preview")
    assert list((shared_api.parts.folders.previews(job.id) / "frames").iterdir())
    response = await shared_api.client.post(f"/api/jobs/{job.id}/delete?confirm=true")
    assert response.status_code == 200
    assert not shared_api.parts.folders.job(job.id).exists()
