"""What an engine said of its colours holds for the previews that a later service makes."""

from __future__ import annotations

from app.outputs.colours import read_colours
from tests.render.conftest import Node, StartNode

SAID = {"display": "sRGB", "view": "Raw", "source": "sRGB"}


async def key_of(node: Node, job_id: str) -> str:
    preview = await node.parts.previews.get(job_id, "small", video_ok=False)
    assert preview is not None
    return preview.key


async def test_colours_that_the_engine_said_outlive_the_service(start_node: StartNode) -> None:
    async with start_node() as node:
        job = await node.submit(frames="1", args={"width": 32, "height": 18})
        await node.ended(job.id)
        await node.parts.jobs.settled(job.id)
        as_planned = await key_of(node, job.id)
        record = await node.parts.jobs.record(job.id)
        [version] = node.parts.catalog.versions("testpattern")
        node.parts.previews.on_frames(record, version, SAID)
        as_said = await key_of(node, job.id)
        assert as_said != as_planned
    async with start_node() as node:
        assert await key_of(node, job.id) == as_said
        assert read_colours(node.parts.folders.colours(job.id)) == SAID
        node.parts.previews.on_frames(record, version, {"display": "other"})
        node.parts.previews.on_frames(record, version, SAID)
    async with start_node() as node:
        assert await key_of(node, job.id) == as_said
        # What was written is damaged: then the plan holds, and nothing fails.
        node.parts.folders.colours(job.id).write_bytes(b"{")
    async with start_node() as node:
        assert await key_of(node, job.id) == as_planned
