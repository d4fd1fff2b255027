"""A store that cannot be written for a while: nothing that happened is lost, nothing that was asked is half done."""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

import pytest

from app.jobs.store import StoreError
from client.models import JobStatus

if TYPE_CHECKING:
    from tests.render.conftest import Node, StartNode

SMALL = {"width": 64, "height": 48}


async def writable(node: Node, yes: bool) -> None:
    """Let SQLite itself refuse every change, as on a full or read-only disk, or take them again."""

    def switch(connection: sqlite3.Connection) -> None:
        connection.execute(f"PRAGMA query_only={0 if yes else 1}")

    await node.parts.store.read(switch)


async def test_what_happened_meanwhile_is_stored_afterwards(start_node: StartNode) -> None:
    async with start_node(slots={"testpattern": 1}) as node:
        job = await node.submit(frames="1-8", args={**SMALL, "seconds_per_frame": 0.1})
        before = await node.until(job.id, lambda now: now.frames_done >= 2)
        await writable(node, False)
        while len(node.outputs(job.id)) < before.frames_done + 2:
            live = node.parts.jobs.live(job.id)
            assert live is not None
            await node.parts.store.read(lambda connection: None)
        assert node.job(job.id).frames_done < 8
        seen = await node.until(job.id, lambda now: "not stored yet" in now.reason)
        assert seen.status is JobStatus.RUNNING, "what is shown is what is stored"
        assert "readonly" in seen.reason, "and why it is no more"
        told = await node.parts.explaining.explain(job.id)
        assert "not stored yet" in told.sentences[0]
        assert "doctor" in told.help[0]
        assert any("cannot be written" in why for why in (await node.parts.node.condition()).reasons)
        await writable(node, True)
        ended = await node.ended(job.id)
        assert "not stored" not in ended.reason
        assert (ended.status, ended.frames_done, ended.file_count) == (JobStatus.COMPLETED, 8, 8)
        assert ended.failed_frames == ""
    async with start_node() as node:
        assert node.job(job.id) == ended


async def test_what_was_asked_is_refused_and_undone(start_node: StartNode) -> None:
    async with start_node(slots={"testpattern": 0}) as node:
        job = await node.submit(frames="1-2", args=SMALL)
        await writable(node, False)
        with pytest.raises(StoreError):
            await node.parts.jobs.cancel(job.id)
        assert node.job(job.id).status is JobStatus.NOT_STARTED
        await writable(node, True)
        await node.parts.jobs.cancel(job.id)
        await writable(node, False)
        with pytest.raises(StoreError):
            await node.parts.jobs.retry(job.id)
        assert node.job(job.id).status is JobStatus.CANCELLED
        assert node.parts.jobs.live(job.id) is None
        await writable(node, True)
        await node.parts.jobs.retry(job.id)
        assert node.job(job.id).status is JobStatus.NOT_STARTED
