"""What this machine is and how busy it is, as ``GET /api/status`` tells it. Nothing here waits or blocks."""

from __future__ import annotations

import asyncio
import shutil
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

import psutil

from app.jobs.folders import DataFolder
from app.node.duty import Duty
from app.node.platforms import cpu_brand, gpu_names, system_os, system_version
from app.settings import Settings
from app.version import API_VERSION, APP_VERSION
from client.models import NodeStatus

LEAST_INTERVAL: Final = 0.5
"""CPU utilisation is measured over at least this, in seconds: shorter spans say nothing."""


class CpuMeter:
    """Utilisation of all cores between two questions."""

    def __init__(self) -> None:
        self._asked = time.monotonic()
        self._busy, self._total = _cpu_seconds()
        self._percent = 0.0

    def percent(self) -> float:
        """0 to 100, since the last question; if that was less than half a second ago, its answer again."""
        now = time.monotonic()
        if now - self._asked >= LEAST_INTERVAL:
            busy, total = _cpu_seconds()
            if total > self._total:
                share = (busy - self._busy) / (total - self._total)
                self._percent = round(100.0 * min(1.0, max(0.0, share)), 1)
            self._asked, self._busy, self._total = now, busy, total
        return self._percent


class NodeStatusReader:
    """Reads the status of this node.

    Args:
        settings: name of the node.
        folders: whose disk is looked at.
        counts: jobs by status.
        slots: sessions at a time, by engine.
        duty: whether it is paused, its tags and its schedule.
        node_id: see :func:`app.node.instance.load_node_id`.
        port: the port that the service really listens on.
    """

    def __init__(
        self,
        settings: Settings,
        folders: DataFolder,
        counts: Callable[[], Mapping[str, int]],
        slots: Callable[[], Mapping[str, int]],
        duty: Duty,
        *,
        node_id: str,
        port: Callable[[], int],
    ) -> None:
        self._name = settings.name
        self._folders = folders
        self._counts = counts
        self._slots = slots
        self._duty = duty
        self._node_id = node_id
        self._port = port
        self._started = time.monotonic()
        self._meter = CpuMeter()
        self._system = system_os()
        self._version = system_version()
        self._brand = cpu_brand() or "unknown"
        self._gpus = gpu_names()
        self._cores = psutil.cpu_count() or 1

    async def read(self) -> NodeStatus:
        """The status now."""
        disk = await asyncio.to_thread(shutil.disk_usage, self._folders.root)
        memory, orders, resting = psutil.virtual_memory(), self._duty.orders, self._duty.resting()
        paused = orders.paused and (orders.until is None or orders.until > time.time())
        return NodeStatus(
            timestamp=datetime.now(UTC),
            system_os=self._system,
            system_os_version=self._version,
            cpu_brand=self._brand,
            cpu_count=self._cores,
            cpu_percent=self._meter.percent(),
            memory_total=memory.total,
            memory_available=memory.available,
            memory_percent=memory.percent,
            disk_total=disk.total,
            disk_free=disk.free,
            job_counts=dict(self._counts()),
            slots=dict(self._slots()),
            hostname=self._name,
            port=self._port(),
            node_id=self._node_id,
            app_version=APP_VERSION,
            api_version=API_VERSION,
            uptime=round(time.monotonic() - self._started, 3),
            gpus=list(self._gpus),
            paused=paused,
            paused_reason=orders.reason if paused else "",
            paused_until=datetime.fromtimestamp(orders.until, UTC) if paused and orders.until is not None else None,
            tags=list(orders.tags),
            schedule=list(orders.schedule),
            resting=resting,
        )


def _cpu_seconds() -> tuple[float, float]:
    """Busy and total seconds of all cores since the machine started."""
    times = psutil.cpu_times()
    # Linux counts guests twice: as their own and as user time.
    guests = getattr(times, "guest", 0.0) + getattr(times, "guest_nice", 0.0)
    total = sum(times) - guests
    return total - times.idle - getattr(times, "iowait", 0.0), total
