"""Nodes on the wire: what a machine is and does."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, Field

from .jobs import Job


class NodeStatus(BaseModel):
    """Answer of ``GET /api/status``."""

    timestamp: datetime
    system_os: str = Field(description="linux, macos or windows.")
    system_os_version: str
    cpu_brand: str
    cpu_count: int = Field(description="Logical cores.")
    cpu_percent: float = Field(description="Utilisation now, 0 to 100.")
    memory_total: int = Field(description="Bytes.")
    memory_available: int = Field(description="Bytes.")
    memory_percent: float = Field(description="Utilisation now, 0 to 100.")
    disk_total: int = Field(description="Bytes on the disk of the data folder.")
    disk_free: int = Field(description="Bytes on the disk of the data folder.")
    job_counts: dict[str, int] = Field(description="Jobs by status; every status is there.")
    slots: dict[str, int] = Field(description="Sessions at a time, by engine.")
    hostname: str
    port: int
    node_id: str
    app_version: str
    api_version: str
    uptime: float = Field(description="Seconds since the service started.")


class Readiness(BaseModel):
    """Answer of ``GET /readyz`` if the node is ready; if not, the answer is the error 503."""

    ready: bool
    notes: list[str] = Field(description="What should be mended all the same; empty without a token.")


class ServerStatus(BaseModel):
    """One node in :class:`FullStatus`."""

    status: NodeStatus
    jobs: list[Job]


class FullStatus(BaseModel):
    """Answer of ``GET /api/full_status``: every node by ``host:port``."""

    timestamp: datetime
    servers: dict[str, ServerStatus]


class Snapshot(BaseModel):
    """Answer of ``GET /api/snapshot``."""

    timestamp: datetime
    status: NodeStatus
    jobs: list[Job]


class DiskBenchmark(BaseModel):
    """Answer of ``GET /api/disk_benchmark``."""

    write_speed: float = Field(description="MB/s, MB of 1,000,000 bytes, synced to the disk.")
    read_speed: float = Field(description="MB/s; from the disk where the system lets us drop its cache.")
    size: int = Field(description="Bytes written and read.")
