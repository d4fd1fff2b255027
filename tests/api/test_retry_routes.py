"""``POST …/retry`` and ``GET …/explain`` over HTTP."""

from __future__ import annotations

import pytest

from client.models import Explanation, Job, JobStatus
from tests.api.conftest import Api, StartApi


async def explained(api: Api, job_id: str) -> Explanation:
    response = await api.client.get(f"/api/jobs/{job_id}/explain")
    assert response.status_code == 200, response.text
    return Explanation.model_validate(response.json())


async def test_retry_answers_the_job_that_goes_on(api: Api) -> None:
    job = await api.rendered(frames="1-3")
    output = api.parts.folders.output(job.id)
    next(output.iterdir()).unlink()
    response = await api.client.post(f"/api/jobs/{job.id}/retry")
    again = Job.model_validate(response.json())
    assert (again.id, again.frames_done) == (job.id, 2)
    assert again.status in (JobStatus.NOT_STARTED, JobStatus.RUNNING)
    assert (await api.ended(job.id)).status is JobStatus.COMPLETED
    assert len(list(output.iterdir())) == 3


@pytest.mark.parametrize(("method", "noun"), [("POST", "retry"), ("GET", "explain")])
async def test_a_job_that_nobody_knows(api: Api, method: str, noun: str) -> None:
    response = await api.client.request(method, f"/api/jobs/nobody/{noun}")
    assert response.status_code == 400
    assert "nobody" in response.text


async def test_explain_counts_the_jobs_that_come_first(start_api: StartApi) -> None:
    async with start_api(slots={"testpattern": 1}) as api:
        args = {"width": 32, "height": 32, "hang_at": 1}
        busy = await api.submit(scheduled_start=None, frames="1", args=args, name="busy")
        first = await api.submit(scheduled_start=None, frames="1", priority=80, name="first")
        last = await api.submit(scheduled_start=None, frames="1", priority=10, name="last")
        while (await explained(api, busy.id)).status != "running":
            await api.parts.feed.wait(api.parts.feed.token, 5)
        told = await explained(api, last.id)
        assert told.ahead == 1
        assert "1 job is before it, 1 of higher priority" in told.summary
        assert any("at work: busy" in line for line in told.sentences)
        assert (await explained(api, first.id)).ahead == 0
        for job in (last, first, busy):
            await api.parts.jobs.cancel(job.id)


async def test_explain_tells_a_failure_with_its_cause_and_the_log(start_api: StartApi) -> None:
    async with start_api(retry_seconds=0.05) as api:
        args = {"width": 32, "height": 32, "crash_frames": "2"}
        job = await api.ended((await api.submit(scheduled_start=None, frames="1-2", args=args)).id)
        told = await explained(api, job.id)
        assert (told.status, told.cause, told.frames) == (JobStatus.ERROR, "engine_crash", "2")
        assert any("crashes at frame 2" in line for line in told.log)
        assert any(f"zordon retry {job.id}" in line for line in told.help)
