"""This machine, as the routes ask for it."""

from __future__ import annotations

from collections.abc import Mapping

from app.node.benchmarks import Benchmarks
from app.node.duty import Duty
from app.node.load import LoadRing
from app.node.metrics import NodeMetrics
from app.node.readiness import Condition, Readiness
from app.node.status import NodeStatusReader
from client.models import DiskBenchmark, NodeLoad, NodeStatus


class Node:
    """Status, health, measures, benchmarks and duty of this node."""

    def __init__(
        self,
        reader: NodeStatusReader,
        benchmarks: Benchmarks,
        readiness: Readiness,
        metrics: NodeMetrics,
        duty: Duty,
        load: LoadRing,
    ) -> None:
        self.duty = duty
        self._load = load
        self._reader = reader
        self._benchmarks = benchmarks
        self._readiness = readiness
        self._metrics = metrics

    async def status(self) -> NodeStatus:
        """What it is and does now."""
        return await self._reader.read()

    def load(self) -> NodeLoad:
        """How busy it was over the last minutes."""
        return self._load.load()

    async def condition(self) -> Condition:
        """Whether it can do its work, and if not, why."""
        return await self._readiness.condition()

    async def metrics(self, waiters: Mapping[str, int], nodes: Mapping[str, int]) -> bytes:
        """What can be measured; see :meth:`NodeMetrics.text`."""
        return await self._metrics.text(waiters, nodes)

    async def cpu_benchmark(self) -> float:
        """The CPU score; takes ten seconds. Raises what :meth:`Benchmarks.cpu` raises."""
        return await self._benchmarks.cpu()

    async def disk_benchmark(self) -> DiskBenchmark:
        """Write and read speed of the data folder's disk. Raises what :meth:`Benchmarks.disk` raises."""
        return await self._benchmarks.disk()
