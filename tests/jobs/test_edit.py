"""Changing a job: the rule, and what the service makes of it."""

from __future__ import annotations

import pytest

from app.jobs.events import JobEdited, PriorityChanged
from app.jobs.record import JobRecord
from app.jobs.service import JobNotFound
from app.jobs.transitions import transition
from client.models import Job, JobStatus
from tests.jobs.conftest import Farm

PATTERN = {"renderer": "testpattern", "frames": "1-4"}


@pytest.fixture
async def record(farm: Farm) -> JobRecord:
    [record] = await farm.submit({**PATTERN, "name": "before", "notes": "old"})
    return record


def test_only_what_is_given_is_changed(record: JobRecord) -> None:
    edited, effects = transition(record, JobEdited(notes=""))
    assert (edited.spec.name, edited.spec.priority, edited.spec.notes) == ("before", 50, "")
    assert effects == ()
    assert edited.spec.output_name == record.spec.output_name
    assert edited.state is record.state


def test_another_priority_is_told_and_the_same_one_is_not(record: JobRecord) -> None:
    edited, effects = transition(record, JobEdited(priority=80))
    assert effects == (PriorityChanged(80),)
    assert transition(edited, JobEdited(priority=80, name="before")) == (edited, ())


async def test_what_was_changed_is_stored_and_shown(farm: Farm, record: JobRecord) -> None:
    before = farm.feed.token
    shown = Job.model_validate_json(await farm.jobs.edit(record.id, JobEdited("after", 81, "new")))
    assert (shown.name, shown.priority, shown.notes) == ("after", 81, "new")
    assert farm.feed.token != before
    rows = await farm.store.read(lambda connection: connection.execute("SELECT spec FROM jobs").fetchall())
    assert b"after" in bytes(rows[0][0])


async def test_an_ended_job_is_changed_and_stays_ended(farm: Farm, record: JobRecord) -> None:
    await farm.jobs.cancel(record.id)
    shown = Job.model_validate_json(await farm.jobs.edit(record.id, JobEdited("after")))
    assert (shown.name, shown.status) == ("after", JobStatus.CANCELLED)
    assert (await farm.jobs.record(record.id)).spec.name == "after"
    assert farm.jobs.live(record.id) is None


async def test_subjobs_get_the_priority_of_their_parent(farm: Farm) -> None:
    [parent, *children] = await farm.submit(
        {**PATTERN, "child_jobs": [{"frames": "1"}, {"frames": "2", "name": "two"}]}
    )
    await farm.jobs.edit(parent.id, JobEdited(name="both", priority=7))
    await farm.jobs.close()
    specs = [(await farm.jobs.record(child.id)).spec for child in children]
    assert [(spec.priority, spec.name) for spec in specs] == [(7, children[0].spec.name), (7, "two")]


async def test_there_is_no_such_job(farm: Farm) -> None:
    with pytest.raises(JobNotFound):
        await farm.jobs.edit("nobody", JobEdited("after"))


async def test_needs_of_a_job_are_kept(farm: Farm) -> None:
    needs = {"tags": ["gpu", "linux", "gpu"], "max_nodes": 3, "memory_bytes": 1 << 35}
    [record] = await farm.submit({**PATTERN, **needs})
    spec = (await farm.jobs.record(record.id)).spec
    assert (spec.tags, spec.max_nodes, spec.memory_bytes) == (("gpu", "linux"), 3, 1 << 35)
