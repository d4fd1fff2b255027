"""The routes about the node itself: heartbeat, status, pause, tags, schedule, load, presets, benchmarks, debugging."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Final

from pydantic import JsonValue, TypeAdapter

from .connection import Connection, read, read_text
from .errors import ConnectionFailed, ProtocolError, Timeout
from .models import (
    ChangeNode,
    DiskBenchmark,
    FullStatus,
    NodeLoad,
    NodeStatus,
    PauseNode,
    Readiness,
    RenderWindow,
    Snapshot,
)

_STATUS: Final = TypeAdapter(NodeStatus)
_READINESS: Final = TypeAdapter(Readiness)
_FULL_STATUS: Final = TypeAdapter(FullStatus)
_SNAPSHOT: Final = TypeAdapter(Snapshot)
_DISK: Final = TypeAdapter(DiskBenchmark)
_PRESETS: Final[TypeAdapter[dict[str, JsonValue]]] = TypeAdapter(dict[str, JsonValue])
_LOAD: Final = TypeAdapter(NodeLoad)
_NAMES: Final = TypeAdapter(list[str])

_FILE_NAME: Final = re.compile(r'filename="([A-Za-z0-9][\w.-]*)"')
_BENCHMARK_TIMEOUT: Final = 180.0


class NodeCalls:
    """The status and environment routes of a node."""

    connection: Connection

    async def heartbeat(self, timeout: float = 2.0) -> str:
        """The node's clock as text; needs no token.

        Args:
            timeout: seconds.
        """
        return (await self.connection.send("GET", "/api/heartbeat", timeout=timeout)).text

    async def check_connection(self, timeout: float = 2.0) -> bool:
        """Whether the node answers at all.

        Args:
            timeout: seconds.
        """
        try:
            await self.heartbeat(timeout)
        except (ConnectionFailed, Timeout):
            return False
        return True

    async def get_health(self, timeout: float = 2.0) -> str:
        """``ok``; needs no token.

        Args:
            timeout: seconds.
        """
        return read_text(await self.connection.send("GET", "/healthz", timeout=timeout))

    async def get_readiness(self) -> Readiness:
        """That the node can do its work, and what should be mended all the same; needs no token, but says less then.

        Raises:
            Unavailable: it cannot; the message says why.
        """
        return read(_READINESS, await self.connection.get("/readyz"))

    async def get_metrics(self) -> str:
        """What can be measured, in the text format of Prometheus."""
        return read_text(await self.connection.get("/metrics"))

    async def get_status(self) -> NodeStatus:
        """The machine and its queue."""
        return read(_STATUS, await self.connection.get("/api/status"))

    async def get_node_load(self) -> NodeLoad:
        """Processor and memory over the last ten minutes."""
        return read(_LOAD, await self.connection.get("/api/node/load"))

    async def pause_node(
        self, reason: str | None = None, until: datetime | None = None, *, now: bool = False
    ) -> NodeStatus:
        """Let the node finish the frames under way and begin nothing new.

        Args:
            reason: for whoever waits for it.
            until: when it goes on by itself; None: when somebody resumes it.
            now: stop at once; frames under way go back to their jobs.

        Raises:
            BadRequest: ``until`` is over.
        """
        body = PauseNode(reason=reason, until=until, now=now).model_dump(mode="json", exclude_none=True)
        return read(_STATUS, await self.connection.send("POST", "/api/node/pause", json=body))

    async def resume_node(self) -> NodeStatus:
        """End the pause of the node."""
        return read(_STATUS, await self.connection.send("POST", "/api/node/resume"))

    async def change_node(
        self, *, tags: Sequence[str] | None = None, schedule: Sequence[RenderWindow] | None = None
    ) -> NodeStatus:
        """Give the node other tags, or other times at which it may render; what is None stays.

        Raises:
            BadRequest: a value is wrong, or nothing is to be changed.
        """
        wanted = ChangeNode(
            tags=None if tags is None else list(tags), schedule=None if schedule is None else list(schedule)
        )
        body = wanted.model_dump(mode="json", exclude_none=True)
        return read(_STATUS, await self.connection.send("PATCH", "/api/node", json=body))

    async def get_snapshot(self) -> Snapshot:
        """Status and jobs at one moment."""
        return read(_SNAPSHOT, await self.connection.get("/api/snapshot"))

    async def get_full_status(self) -> FullStatus:
        """Status and jobs of every node, by ``host:port``."""
        return read(_FULL_STATUS, await self.connection.get("/api/full_status"))

    async def get_presets(self) -> dict[str, JsonValue]:
        """The named sets of options that the node offers."""
        return read(_PRESETS, await self.connection.get("/api/presets"))

    async def get_blender_addon(self) -> tuple[str, bytes]:
        """The Blender add-on that the node offers: the file name that has its version, and the zip.

        Raises:
            ProtocolError: the name is missing or no plain one.
        """
        response = await self.connection.get("/api/blender_addon")
        name = _FILE_NAME.search(response.headers.get("Content-Disposition", ""))
        if name is None:
            raise ProtocolError("the node does not say how its add-on is called")
        return name[1], response.content

    async def run_cpu_benchmark(self) -> float:
        """The node's CPU score; takes ten seconds.

        Raises:
            RequestRefused: a benchmark is already running there.
        """
        answer = await self.connection.send("GET", "/api/cpu_benchmark", timeout=_BENCHMARK_TIMEOUT)
        try:
            return float(read_text(answer))
        except ValueError as error:
            raise ProtocolError(f"the CPU score {answer.text[:40]!r} is no number") from error

    async def run_disk_benchmark(self) -> DiskBenchmark:
        """Write and read speed of the node's data disk.

        Raises:
            RequestRefused: a benchmark is already running there.
        """
        return read(_DISK, await self.connection.send("GET", "/api/disk_benchmark", timeout=_BENCHMARK_TIMEOUT))

    async def get_detected_clients(self) -> list[str]:
        """Host names seen on the network.

        Raises:
            NotFound: the node runs without ``--debug``.
        """
        return read(_NAMES, await self.connection.get("/api/_debug/detected_clients"))

    async def clear_history(self) -> str:
        """Remove the jobs that have ended; ``success``.

        Raises:
            NotFound: the node runs without ``--debug``.
        """
        return read_text(await self.connection.send("POST", "/api/_debug/clear_history"))
