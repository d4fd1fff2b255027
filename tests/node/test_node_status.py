"""What a node says about its machine."""

from __future__ import annotations

import platform
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psutil
import pytest

from app.jobs.folders import DataFolder
from app.node import status
from app.node.duty import Duty
from app.node.platforms import cpu_brand, system_version
from app.node.status import CpuMeter, NodeStatusReader
from app.settings import load_settings
from app.version import API_VERSION
from client.models import NodeStatus


@pytest.fixture
def reader(tmp_path: Path) -> NodeStatusReader:
    folders = DataFolder(tmp_path / "data")
    folders.prepare()
    settings = load_settings(data_dir=folders.root, name="render-01")
    counts = {"running": 2, "completed": 7}
    duty = Duty(folders.root, 1 << 30)
    return NodeStatusReader(
        settings, folders, lambda: counts, lambda: {"blender": 1}, duty, node_id="abc", port=lambda: 12345
    )


async def test_the_status_is_that_of_this_machine(reader: NodeStatusReader) -> None:
    told = await reader.read()
    assert NodeStatus.model_validate_json(told.model_dump_json()) == told
    assert (told.hostname, told.port, told.node_id) == ("render-01", 12345, "abc")
    assert (told.job_counts, told.slots) == ({"running": 2, "completed": 7}, {"blender": 1})
    assert told.cpu_count == psutil.cpu_count()
    assert told.memory_total == psutil.virtual_memory().total
    assert 0 < told.memory_available <= told.memory_total
    assert 0 < told.disk_free <= told.disk_total
    assert 0 <= told.cpu_percent <= 100
    assert told.api_version == API_VERSION
    assert abs(told.timestamp - datetime.now(UTC)) < timedelta(minutes=1)
    assert told.uptime >= 0
    assert told.cpu_brand
    assert told.system_os in ("linux", "macos", "windows")


@pytest.mark.skipif(platform.system() != "Linux", reason="looks at Linux's own files")
def test_names_of_this_linux() -> None:
    assert cpu_brand() in Path("/proc/cpuinfo").read_text() or cpu_brand() == platform.processor()
    assert platform.release() in system_version()


def test_utilisation_follows_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "LEAST_INTERVAL", 0.0)
    meter = CpuMeter()
    begun = time.process_time()
    while time.process_time() - begun < 0.3:
        pass
    assert meter.percent() > 100 / (psutil.cpu_count() or 1) * 0.25


def test_a_question_too_soon_gets_the_same_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(status, "LEAST_INTERVAL", 1e9)
    meter = CpuMeter()
    assert meter.percent() == meter.percent() == 0.0
