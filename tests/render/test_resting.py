"""A node that is paused: frames under way are finished, nothing new begins, and everybody can see why."""

from __future__ import annotations

from app.jobs.events import JobEdited
from client.models import JobStatus
from tests.render.conftest import Node, StartNode

SLOW = {"width": 32, "height": 32, "seconds_per_frame": 0.15}


async def test_a_pause_finishes_the_frame_and_gives_the_rest_back(start_node: StartNode) -> None:
    async with start_node(slots={"testpattern": 1}) as node:
        job = await node.submit(frames="1-200", args=SLOW)
        await node.until(job.id, lambda job: job.frames_done >= 1)
        duty = node.parts.node.duty
        await duty.pause("somebody works here")
        waiting = await node.until(job.id, lambda job: job.status is JobStatus.NOT_STARTED)
        assert waiting.reason == "waits: this node is paused: somebody works here"
        assert 1 <= waiting.frames_done < 200
        assert (waiting.failed_frames, waiting.errors, waiting.nodes) == ("", [], [])
        assert waiting.frames_done == len(node.outputs(job.id))
        told = await node.parts.explaining.explain(job.id)
        assert "paused: somebody works here" in told.summary
        assert any("zordon resume" in help for help in told.help)
        before = waiting.frames_done
        await duty.resume()
        going = await node.until(job.id, lambda job: job.frames_done > before)
        assert going.status is JobStatus.RUNNING
        await node.parts.jobs.cancel(job.id)


async def test_now_does_not_wait_for_the_frame(start_node: StartNode) -> None:
    async with start_node() as node:
        job = await node.submit(frames="1", args={**SLOW, "seconds_per_frame": 600})
        await node.until(job.id, lambda job: job.status is JobStatus.RUNNING)
        await node.parts.node.duty.pause()
        assert node.job(job.id).status is JobStatus.RUNNING
        node.parts.supervisor.stop_all()
        waiting = await node.until(job.id, lambda job: job.status is JobStatus.NOT_STARTED)
        assert (waiting.frames_done, waiting.errors) == (0, [])
        await node.parts.jobs.cancel(job.id)


async def test_new_jobs_say_that_the_node_is_paused_and_go_on_after_a_restart(start_node: StartNode) -> None:
    async with start_node() as node:
        await node.parts.node.duty.pause("for the night")
        job = await node.submit(frames="1-2", args={"width": 32, "height": 32})
        assert job.reason == "waits: this node is paused: for the night"
    async with start_node() as node:
        assert node.job(job.id).reason == "waits: this node is paused: for the night"
        await node.parts.node.duty.resume()
        assert (await node.ended(job.id)).status is JobStatus.COMPLETED


async def test_a_tag_that_the_node_gets_lets_its_jobs_go(node: Node) -> None:
    held = await node.submit(frames="1", args={"width": 32, "height": 32}, tags=["gpu"])
    large = await node.submit(frames="1", args={"width": 32, "height": 32}, memory_bytes=1 << 50)
    other = await node.submit(frames="1", args={"width": 32, "height": 32})
    assert held.reason.startswith("waits for a node with the tag gpu; this one has none")
    assert large.reason.startswith("waits for a node with 1,125,899,906,842,624 bytes of memory")
    assert (await node.ended(other.id)).status is JobStatus.COMPLETED
    assert node.job(held.id).status is JobStatus.NOT_STARTED
    await node.parts.node.duty.change(tags=["gpu"])
    assert (await node.ended(held.id)).status is JobStatus.COMPLETED
    assert node.job(large.id).status is JobStatus.NOT_STARTED


async def test_a_higher_priority_goes_first_although_it_came_later(start_node: StartNode) -> None:
    async with start_node(slots={"testpattern": 1}) as node:
        await node.parts.node.duty.pause()
        first, second = [
            await node.submit(frames="1", name=name, args={"width": 32, "height": 32}) for name in ("first", "second")
        ]
        await node.parts.jobs.edit(second.id, JobEdited(priority=90))
        await node.parts.node.duty.resume()
        ended = [await node.ended(job.id) for job in (first, second)]
        assert ended[0].start_time is not None
        assert ended[1].start_time is not None
        assert ended[1].start_time < ended[0].start_time
