"""Pause, tags and schedule of a node: kept, told, and what they mean for a job."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from app.jobs.record import JobSpec
from app.node.duty import DUTY_FILE, Duty
from app.node.instance import InstanceError
from client.models import RenderWindow
from engines.frames import FrameSet


def spec(tags: tuple[str, ...] = (), memory: int | None = None) -> JobSpec:
    return JobSpec(
        id="j",
        name="a job",
        engine="testpattern",
        engine_version="1",
        engine_version_reason="",
        frames=FrameSet.parse("1"),
        divisible=True,
        created=1.0,
        tags=tags,
        memory_bytes=memory,
    )


@pytest.fixture
async def duty(tmp_path: Path) -> AsyncIterator[Duty]:
    duty = Duty(tmp_path, memory=8 << 30)
    await duty.load()
    duty.start()
    yield duty
    duty.close()


async def again(folder: Path) -> Duty:
    duty = Duty(folder, memory=8 << 30)
    await duty.load()
    return duty


async def test_a_new_node_begins_everything(duty: Duty, tmp_path: Path) -> None:
    assert duty.resting() == duty.held_back(spec()) == ""
    assert not (tmp_path / DUTY_FILE).exists()


async def test_a_pause_is_kept_over_a_restart_until_it_is_ended(duty: Duty, tmp_path: Path) -> None:
    await duty.pause("I am animating")
    for one in (duty, await again(tmp_path)):
        assert one.resting() == "this node is paused: I am animating"
        assert one.held_back(spec()) == "waits: this node is paused: I am animating"
    await duty.resume()
    assert duty.resting() == (await again(tmp_path)).resting() == ""


async def test_a_pause_ends_by_itself_and_tells(duty: Duty) -> None:
    told: asyncio.Queue[str] = asyncio.Queue()
    duty.on_change(lambda: told.put_nowait(duty.resting()))
    await duty.pause("lunch", time.time() + 0.3)
    assert "it goes on at" in await asyncio.wait_for(told.get(), 60)
    assert await asyncio.wait_for(told.get(), 60) == ""
    assert duty.resting() == ""


async def test_out_of_its_schedule_a_node_rests(duty: Duty) -> None:
    tomorrow = (datetime.now().astimezone() + timedelta(days=2)).strftime("%a").lower()
    await duty.change(schedule=[RenderWindow.model_validate({"days": [tomorrow], "from": "10:00", "to": "11:00"})])
    assert duty.resting().startswith(
        f"this node renders only in its schedule ({tomorrow} 10:00-11:00); it goes on on 20"
    )
    await duty.change(schedule=[])
    assert duty.resting() == ""


async def test_tags_and_memory_hold_back_the_jobs_that_need_others(duty: Duty) -> None:
    await duty.change(tags=["linux", "gpu", "linux"])
    assert duty.orders.tags == ("linux", "gpu")
    assert duty.held_back(spec(tags=("gpu",))) == ""
    lacking = duty.held_back(spec(tags=("gpu", "houdini")))
    assert lacking == "waits for a node with the tag houdini; this one has linux, gpu"
    assert duty.held_back(spec(memory=8 << 30)) == ""
    assert "8,589,934,593 bytes of memory" in duty.held_back(spec(memory=(8 << 30) + 1))


async def test_a_damaged_file_is_told_and_not_passed_over(tmp_path: Path) -> None:
    (tmp_path / DUTY_FILE).write_text('{"paused": ')
    with pytest.raises(InstanceError, match="damaged: mend it"):
        await again(tmp_path)


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root writes everywhere")
async def test_what_cannot_be_kept_is_not_done(duty: Duty, tmp_path: Path) -> None:
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(InstanceError, match="cannot be written"):
            await duty.pause()
    finally:
        tmp_path.chmod(0o700)
    assert duty.resting() == ""
