"""This machine, as the routes ask for it."""

from __future__ import annotations

from app.node.benchmarks import Benchmarks
from app.node.status import NodeStatusReader
from client.models import DiskBenchmark, NodeStatus


class Node:
    """Status and benchmarks of this node."""

    def __init__(self, reader: NodeStatusReader, benchmarks: Benchmarks) -> None:
        self._reader = reader
        self._benchmarks = benchmarks

    async def status(self) -> NodeStatus:
        """What it is and does now."""
        return await self._reader.read()

    async def cpu_benchmark(self) -> float:
        """The CPU score; takes ten seconds. Raises what :meth:`Benchmarks.cpu` raises."""
        return await self._benchmarks.cpu()

    async def disk_benchmark(self) -> DiskBenchmark:
        """Write and read speed of the data folder's disk. Raises what :meth:`Benchmarks.disk` raises."""
        return await self._benchmarks.disk()
