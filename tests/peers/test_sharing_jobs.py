"""One job on several nodes: real services on loopback, the test pattern as engine."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest

from client import RenderServerProxy
from client.models import AddJob, Job, JobStatus
from tests.peers.farm import farm_node, job_until, nodes_until

ONE_SLOT = {"ZORDON_SLOTS": '{"testpattern": 1}'}


def pattern(frames: str, seconds: float = 0.05, **fields: object) -> AddJob:
    """A test pattern job."""
    return AddJob.model_validate(
        {"renderer": "testpattern", "name": "shared", "frames": frames, "args": {"seconds_per_frame": seconds}} | fields
    )


async def submitted(node: RenderServerProxy, job: AddJob) -> Job:
    """The job, as it was when it was made."""
    return (await node.create_job(job))[0]


async def rendered_by(node: RenderServerProxy, job: Job) -> Counter[str]:
    """How many frames each node has rendered, by name."""
    frames = await node.get_job_frames(job.id)
    return Counter(frames.times.nodes)


@pytest.mark.slow
async def test_one_job_is_rendered_by_all_nodes_and_its_frames_come_home(tmp_path: Path) -> None:
    async with (
        farm_node(tmp_path, "first", **ONE_SLOT) as first,
        farm_node(tmp_path, "second", first, **ONE_SLOT) as second,
    ):
        await nodes_until(first, lambda nodes: "second" in nodes and nodes["second"].state == "online")
        job = await submitted(first, pattern("1-60", 0.3))
        done = await job_until(first, job.id, lambda job: job.status.ended)
        assert (done.status, done.frames_done) == (JobStatus.COMPLETED, 60), done.reason
        by = await rendered_by(first, job)
        assert by.total() == 60
        assert set(by) == {"first", "second"}
        files = await first.get_job_manifest(job.id)
        assert sorted(one.frame or 0 for one in files) == list(range(1, 61))
        subjobs = (await second.get_jobs()).jobs
        assert subjobs
        assert {one.origin.parent for one in subjobs if one.origin is not None} == {job.id}
        log = await first.get_job_logs(job.id)
        assert "second gets frames" in log
        # The one whose job it is shows it; the other makes a preview of its share only for who asks.
        assert await first.get_job_thumbnail(job.id)
        assert not [*(tmp_path / "second").glob("jobs/*/previews/*")]
        assert await second.get_job_thumbnail(subjobs[0].id)
        assert [*(tmp_path / "second").glob("jobs/*/previews/*")]


@pytest.mark.slow
async def test_no_more_nodes_have_it_than_are_allowed(tmp_path: Path) -> None:
    async with (
        farm_node(tmp_path, "first", **ONE_SLOT) as first,
        farm_node(tmp_path, "second", first, **ONE_SLOT) as second,
    ):
        await nodes_until(first, lambda nodes: "second" in nodes and nodes["second"].state == "online")
        job = await submitted(first, pattern("1-40", 0.05, max_nodes=1))
        seen: set[tuple[str, ...]] = set()

        def ended(now: Job) -> bool:
            seen.add(tuple(now.nodes))
            return now.status.ended

        done = await job_until(first, job.id, ended)
        assert (done.status, done.frames_done) == (JobStatus.COMPLETED, 40), done.reason
        assert max(len(nodes) for nodes in seen) == 1, seen
        assert len((await second.get_jobs()).jobs) <= 40
