"""What came out of a job: files, the zip, previews, the log."""

from __future__ import annotations

import zipfile
from io import BytesIO
from pathlib import Path

import pytest

from tests.api.conftest import Api

pytestmark = pytest.mark.asyncio(loop_scope="module")


async def test_a_job_from_submit_to_download(shared_api: Api) -> None:
    job = await shared_api.rendered(name="whole", frames="1-3")
    at = f"/api/jobs/{job.id}"
    names = (await shared_api.client.get(f"{at}/files")).json()
    assert names == ["whole_0001.png", "whole_0002.png", "whole_0003.png"]
    one = await shared_api.client.get(f"{at}/download", params={"filename": "WHOLE_0002.PNG"})
    assert one.status_code == 200
    assert one.headers["Content-Disposition"] == 'attachment; filename="whole_0002.png"'
    assert one.headers.get_list("X-Content-Type-Options") == ["nosniff"]
    part = await shared_api.client.get(
        f"{at}/download", params={"filename": names[1]}, headers={"Range": "bytes=4-7", "If-Range": one.headers["ETag"]}
    )
    assert (part.status_code, part.content) == (206, one.content[4:8])
    everything = await shared_api.client.get(f"{at}/download_all")
    assert int(everything.headers["Content-Length"]) == len(everything.content)
    with zipfile.ZipFile(BytesIO(everything.content)) as archive:
        assert [Path(name).name for name in archive.namelist()] == names
        assert archive.read(archive.namelist()[1]) == one.content


async def test_file_names_that_lead_nowhere(shared_api: Api) -> None:
    job = await shared_api.submit()
    wrong = ("", ".", "..", "../x", "a\\b", "a\0b", "a/b", "x" * 300, "é" * 200)
    for filename, status in (*((name, 400) for name in wrong), ("nope.png", 404)):
        response = await shared_api.client.get(
            f"/api/jobs/{job.id}/download", params={"filename": filename}, headers={"Accept": "application/json"}
        )
        assert response.status_code == status, filename
        assert response.json()["field"] == "filename"


async def test_a_job_without_outputs_yet(shared_api: Api) -> None:
    job = await shared_api.submit()
    at = f"/api/jobs/{job.id}"
    assert (await shared_api.client.get(f"{at}/files")).json() == []
    assert (await shared_api.client.get(f"{at}/download_all")).status_code == 404
    assert (await shared_api.client.get(f"{at}/download")).status_code == 400
    assert (await shared_api.client.get(f"{at}/thumbnail")).status_code == 404
    log = await shared_api.client.get(f"{at}/logs")
    assert (log.status_code, log.text, log.headers["Content-Type"]) == (200, "", "text/plain; charset=utf-8")


async def test_an_output_that_was_taken_away_is_404(shared_api: Api) -> None:
    job = await shared_api.rendered(name="gone")
    (shared_api.parts.folders.output(job.id) / "gone_0001.png").unlink()
    for path in ("download?filename=gone_0001.png", "download_all"):
        response = await shared_api.client.get(f"/api/jobs/{job.id}/{path}")
        assert response.status_code == 404
        assert "gone_0001.png" in response.text


async def test_previews_have_two_sizes_and_an_etag(shared_api: Api) -> None:
    job = await shared_api.ended(
        (await shared_api.submit(scheduled_start=None, args={"width": 1600, "height": 900})).id
    )
    at = f"/api/jobs/{job.id}/thumbnail"
    small, big = await shared_api.client.get(at), await shared_api.client.get(at, params={"size": "big"})
    for picture in (small, big):
        assert (picture.status_code, picture.headers["Content-Type"]) == (200, "image/jpeg")
        assert picture.content[:3] == b"\xff\xd8\xff"
    assert len(big.content) > len(small.content)
    unchanged = await shared_api.client.get(at, headers={"If-None-Match": small.headers["ETag"]})
    assert (unchanged.status_code, unchanged.content) == (304, b"")


async def test_a_preview_that_cannot_be_made_is_500(shared_api: Api) -> None:
    job = await shared_api.rendered()
    folder = shared_api.parts.folders
    await shared_api.parts.previews.forget(job.id)
    for picture in folder.output(job.id).iterdir():
        picture.write_bytes(b"no picture any more")
    for preview in folder.previews(job.id).iterdir() if folder.previews(job.id).exists() else ():
        preview.unlink()
    response = await shared_api.client.get(f"/api/jobs/{job.id}/thumbnail", headers={"Accept": "application/json"})
    assert response.status_code == 500
    assert response.json()["title"] == "Preview failed"


async def test_the_log_by_range_by_offset_and_to_its_end(shared_api: Api) -> None:
    job = await shared_api.rendered()
    at = f"/api/jobs/{job.id}/logs"
    whole = await shared_api.client.get(at)
    assert "testpattern" in whole.text
    assert int(whole.headers["Content-Length"]) == len(whole.content)
    part = await shared_api.client.get(at, headers={"Range": "bytes=10-"})
    assert (part.status_code, part.content) == (206, whole.content[10:])
    assert (await shared_api.client.get(at, params={"offset": 10})).content == whole.content[10:]
    assert (await shared_api.client.get(at, params={"offset": 10**12})).content == b""
    behind = await shared_api.client.get(at, headers={"Range": f"bytes={len(whole.content)}-"})
    assert (behind.status_code, behind.headers["Content-Range"]) == (416, f"bytes */{len(whole.content)}")
    followed = await shared_api.client.get(at, params={"follow": "true", "offset": 5})
    assert followed.content == whole.content[5:]


async def test_a_log_is_followed_while_it_grows(shared_api: Api) -> None:
    job = await shared_api.submit()
    follower = shared_api.begin(f"/api/jobs/{job.id}/logs", "follow=true")
    assert (await follower.start())["status"] == 200
    shared_api.parts.folders.job(job.id).mkdir(parents=True, exist_ok=True)
    shared_api.parts.folders.log(job.id).write_bytes(b"first line\n")
    assert await follower.until(b"\n") == b"first line\n"
    with shared_api.parts.folders.log(job.id).open("ab") as log:
        log.write(b"last line\n")
    await shared_api.client.post(f"/api/jobs/{job.id}/cancel", params={"confirm": "true"})
    assert await follower.until(b"last line\n")
    await follower.ended()
    left = shared_api.begin(f"/api/jobs/{job.id}/logs", "follow=true")
    left.leave()
    await left.ended()


SMALL = {"width": 32, "height": 32}


async def _parent(api: Api, *children: dict[str, object], **fields: object) -> str:
    """The id of a completed job with these subjobs."""
    job = await api.submit(scheduled_start=None, args=SMALL, child_jobs=list(children), **fields)
    ended = await api.ended(job.id)
    assert ended.status == "completed", ended.reason
    return job.id


async def test_a_parent_has_the_outputs_of_its_subjobs(shared_api: Api) -> None:
    odd, even, extra = {"frames": "1-3x2"}, {"frames": "2"}, {"name": "extra", "frames": "2"}
    parent = await _parent(shared_api, odd, even, extra, name="split", frames="1-3")
    at = f"/api/jobs/{parent}"
    names = (await shared_api.client.get(f"{at}/files")).json()
    assert names == ["extra_0002.png", "split_0001.png", "split_0002.png", "split_0003.png"]
    one = await shared_api.client.get(f"{at}/download", params={"filename": "SPLIT_0002.png"})
    assert (one.status_code, one.content[:4]) == (200, b"\x89PNG")
    everything = await shared_api.client.get(f"{at}/download_all")
    assert int(everything.headers["Content-Length"]) == len(everything.content)
    with zipfile.ZipFile(BytesIO(everything.content)) as archive:
        assert archive.namelist() == [f"split/{name}" for name in names]
        assert archive.read("split/split_0002.png") == one.content


async def test_subjobs_that_render_the_same_frames_keep_their_files_apart(shared_api: Api) -> None:
    wide = {"frames": "2-3", "args": {"width": 48}}
    parent = await _parent(shared_api, {"frames": "1-2"}, wide, name="twice", frames="1-3")
    at = f"/api/jobs/{parent}"
    names = (await shared_api.client.get(f"{at}/files")).json()
    assert sorted(names) == sorted(["twice_0001.png", "twice_0002.png", "twice_0002 (2).png", "twice_0003 (2).png"])
    widths = {}
    for name in names:
        answer = await shared_api.client.get(f"{at}/download", params={"filename": name.upper()})
        assert answer.headers["Content-Disposition"] == f'attachment; filename="{name}"'
        widths[name] = int.from_bytes(answer.content[16:20])
    assert (widths["twice_0002.png"], widths["twice_0002 (2).png"]) == (32, 48)
    with zipfile.ZipFile(BytesIO((await shared_api.client.get(f"{at}/download_all")).content)) as archive:
        assert archive.testzip() is None
        assert [Path(name).name for name in archive.namelist()] == names


async def test_a_parent_is_shown_by_the_newest_picture_of_its_subjobs(shared_api: Api) -> None:
    parent = await _parent(shared_api, {"frames": "1", "name": "a"}, {"frames": "2", "name": "b"}, frames="1-2")
    record = await shared_api.parts.jobs.record(parent)
    folders = shared_api.parts.folders
    newest = max(
        record.spec.children, key=lambda child: max(path.stat().st_mtime_ns for path in folders.output(child).iterdir())
    )
    shown = [await shared_api.client.get(f"/api/jobs/{job}/thumbnail") for job in (parent, newest)]
    assert [answer.status_code for answer in shown] == [200, 200]
    assert shown[0].headers["ETag"] == shown[1].headers["ETag"]
    assert shown[0].content == shown[1].content
    await shared_api.client.post(f"/api/jobs/{newest}/delete", params={"confirm": True})
    other = await shared_api.client.get(f"/api/jobs/{parent}/thumbnail")
    assert other.status_code == 200
    assert other.content != shown[0].content
