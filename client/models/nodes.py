"""Nodes on the wire: what a machine is and does."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from .jobs import Job, Tag

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
TimeOfDay = Annotated[str, Field(pattern="^([01][0-9]|2[0-3]):[0-5][0-9]$", examples=["18:00"])]


class RenderWindow(BaseModel):
    """A time of the week in which a node may render, in the node's own time zone."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True, serialize_by_alias=True)

    days: list[Day] = Field(min_length=1, max_length=7, description="The days on which it begins.")
    from_: TimeOfDay = Field(alias="from", description="Hours and minutes.")
    to: TimeOfDay = Field(description="Hours and minutes; not after from: on the next day.")


class PauseNode(BaseModel):
    """Body of ``POST /api/node/pause``."""

    model_config = ConfigDict(extra="forbid")

    reason: str | None = Field(default=None, max_length=500, description="Why, for whoever waits for it.")
    until: datetime | None = Field(
        default=None, description="When it goes on by itself (ISO 8601; UTC if no offset is given); left out: never."
    )
    now: bool = Field(default=False, strict=True, description="Stop at once; frames under way go back to their jobs.")


class ChangeNode(BaseModel):
    """Body of ``PATCH /api/node``: what is to be changed; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    tags: list[Tag] | None = Field(default=None, max_length=50, description="All tags that the node shall have.")
    schedule: list[RenderWindow] | None = Field(
        default=None, max_length=50, description="When it may render; an empty list: always."
    )


class NodeLoad(BaseModel):
    """Answer of ``GET /api/node/load``: the last ten minutes, the oldest sample first; columns of one length."""

    interval: float = Field(description="Seconds between two samples.")
    times: list[datetime]
    cpu_percent: list[float] = Field(description="Utilisation of all cores since the sample before, 0 to 100.")
    memory_percent: list[float] = Field(description="Memory in use, 0 to 100.")
    memory_total: int = Field(description="Bytes.")


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
    gpus: list[str] = Field(
        default_factory=list, description="Names of the graphics processors, where the system says."
    )
    paused: bool = Field(default=False, description="Whether somebody has paused it: it begins nothing new.")
    paused_reason: str = ""
    paused_until: datetime | None = Field(default=None, description="When it goes on by itself; null: never.")
    tags: list[str] = Field(default_factory=list, description="What it is good for; jobs may ask for them.")
    schedule: list[RenderWindow] = Field(default_factory=list, description="When it may render; empty: always.")
    resting: str = Field(
        default="", description="Why it begins nothing new now, paused or out of schedule; empty: it does."
    )


class Readiness(BaseModel):
    """Answer of ``GET /readyz`` if the node is ready; if not, the answer is the error 503."""

    ready: bool
    notes: list[str] = Field(description="What should be mended all the same; empty without a token.")


class ServerStatus(BaseModel):
    """One node in :class:`FullStatus`."""

    status: NodeStatus
    jobs: list[Job]
    age: float = Field(0.0, description="Seconds since the node said so; 0 for the one that was asked.")


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
