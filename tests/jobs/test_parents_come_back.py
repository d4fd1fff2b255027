"""A parent that was cancelled with its subjobs, and is asked to go on."""

from __future__ import annotations

from app.jobs.record import JobRecord, Present
from client.models import JobStatus
from engines.frames import IndexSet
from tests.jobs.conftest import Farm


async def test_a_parent_goes_on_with_what_its_subjobs_have_and_lack(farm: Farm) -> None:
    subjobs = [{"frames": "1-2"}, {"frames": "3-4"}]
    parent, first, second = await farm.submit({"renderer": "testpattern", "frames": "1-4", "child_jobs": subjobs})
    await farm.jobs.cancel(parent.id)
    for child in (first, second):  # the parent has ended already, and hears of neither
        await farm.jobs.cancel(child.id)

    async def look(record: JobRecord) -> Present:
        return Present(record.spec.frames.all_positions(), 2) if record.id == first.id else Present(IndexSet(), 0)

    farm.jobs.verify_with(look)
    await farm.jobs.retry(parent.id)
    statuses = [farm.jobs.status(job.id) for job in (parent, first, second)]
    assert statuses == [JobStatus.WAITING_FOR_SUBJOBS, JobStatus.COMPLETED, JobStatus.NOT_STARTED]
    again = await farm.jobs.record(parent.id)
    assert again.state.children_ended == {first.id: "completed"}
