"""A job that is deleted while somebody downloads it: the transfer ends, whole or broken off, and nothing stays open."""

from __future__ import annotations

import asyncio

import pytest
import structlog.testing

from tests.api.conftest import Api
from tests.support.open_files import closed_again, needs_proc, open_now


@pytest.mark.slow
@needs_proc
@pytest.mark.parametrize("noun", ["download_all", "logs"])
async def test_delete_while_it_is_downloaded(api: Api, noun: str) -> None:
    warm = await api.rendered(frames="1-2")
    assert (await api.client.get(f"/api/jobs/{warm.id}/{noun}")).status_code == 200
    await deleted(api, warm.id)  # opens what stays open, such as the audit log
    before = open_now()
    with structlog.testing.capture_logs() as said:
        for turns in range(12):
            job = await api.rendered(frames="1-40")
            download = api.begin(f"/api/jobs/{job.id}/{noun}")
            answer = await download.start()
            assert answer["status"] == 200
            promised = int(dict(answer["headers"]).get(b"content-length", b"-1"))
            for _ in range(turns * 5):
                await asyncio.sleep(0)
            await deleted(api, job.id)
            async with asyncio.timeout(60):
                await asyncio.wait([download.task])
            body = b"".join(bytes(message.get("body", b"")) for message in _rest(download.sent))
            # Whoever got a whole answer got what was promised; a broken one is an error, never a short success.
            assert download.task.exception() is not None or promised in (-1, len(body))
            assert not api.parts.folders.job(job.id).exists()
    assert [line for line in said if "preview" in line["event"]] == [], "nobody makes previews of what is deleted"
    await closed_again(before)


async def deleted(api: Api, job_id: str) -> None:
    response = await api.client.post(f"/api/jobs/{job_id}/delete?confirm=true")
    assert (response.status_code, response.text) == (200, "success")


def _rest(sent: asyncio.Queue[dict[str, object]]) -> list[dict[str, object]]:
    found = []
    while not sent.empty():
        found.append(sent.get_nowait())
    return found
