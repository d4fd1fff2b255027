"""An older copy of the store is put back: what it does not know is not lost, and not kept for ever."""

from __future__ import annotations

import os
import shutil
import time
from typing import TYPE_CHECKING

import pytest

from app.jobs.store import StoreError
from client.models import JobStatus
from tests.render.test_store_faults import writable

if TYPE_CHECKING:
    from tests.render.conftest import StartNode

SMALL = {"width": 64, "height": 48}


async def test_outputs_of_jobs_that_an_older_store_does_not_know_are_set_aside(start_node: StartNode) -> None:
    async with start_node() as node:
        folders = node.parts.folders
        known = await node.ended((await node.submit(frames="1-2", args=SMALL)).id)
        await node.parts.jobs.settled(known.id)
    shutil.copy(folders.database, folders.root / "copy.db")
    async with start_node() as node:
        newer = await node.ended((await node.submit(frames="1-3", args=SMALL)).id)
        await node.parts.jobs.settled(newer.id)
        names = node.outputs(newer.id)
        await node.submit(frames="1-3", args=SMALL, scheduled_start="2035-01-01T00:00:00Z")  # nothing came of it yet
    (folders.root / "copy.db").rename(folders.database)
    (folders.jobs / "fedcba9876543210" / "output").mkdir(parents=True)  # of a job that never had one
    async with start_node() as node:
        assert sorted(path.name for path in folders.jobs.iterdir()) == [known.id]
        [aside] = folders.aside.iterdir()
        assert aside.name.startswith(newer.id)
        assert sorted(path.name for path in (aside / "output").iterdir()) == names
        assert (aside / "manifest.jsonl").exists()
        assert newer.id in (aside / "why.txt").read_text("utf-8")
        assert "30 days" in (aside / "why.txt").read_text("utf-8")
        assert node.job(known.id).status is JobStatus.COMPLETED
    long_ago = time.time() - 31 * 86_400
    os.utime(aside / "why.txt", (long_ago, long_ago))
    async with start_node(set_aside_days=0):
        assert aside.exists()
    async with start_node(set_aside_days=40):
        assert aside.exists()
    async with start_node():
        assert list(folders.aside.iterdir()) == []


async def test_a_deletion_that_a_crash_cut_short_is_one_all_the_same(start_node: StartNode) -> None:
    async with start_node() as node:
        folders = node.parts.folders
        job = await node.ended((await node.submit(frames="1", args=SMALL)).id)
        other = await node.ended((await node.submit(frames="1", args=SMALL)).id)
        await node.parts.jobs.settled(job.id)
        shutil.copytree(folders.job(job.id), folders.root / "as-before")
        await node.parts.jobs.delete(job.id)
        folders.mark_deleted(other.id)
    (folders.root / "as-before" / "deleted").touch()
    (folders.root / "as-before").rename(folders.job(job.id))  # committed; then the power went
    async with start_node() as node:
        assert not folders.job(job.id).exists()
        assert not folders.aside.exists()
        assert len(node.outputs(other.id)) == 1
        assert not (folders.job(other.id) / "deleted").exists(), "its deletion was not committed"
        await writable(node, False)
        with pytest.raises(StoreError):
            await node.parts.jobs.delete(other.id)
        await writable(node, True)
        assert not (folders.job(other.id) / "deleted").exists()
        assert len(node.outputs(other.id)) == 1
