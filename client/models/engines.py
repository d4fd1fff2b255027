"""Engines on the wire."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field, JsonValue


class EngineVersionInfo(BaseModel):
    """One installed copy."""

    engine: str
    version: str
    system_os: str
    cpu: str
    path: str
    type: str = Field(description="system, managed, embedded or custom.")
    name: str = Field(
        default="", description="Of a custom build: its own name, which is also its version and what a job asks for."
    )
    base_version: str = Field(default="", description="Of a custom build: the version that it really is.")
    size: int | None = Field(default=None, description="Bytes on the disk, of managed and custom copies.")
    last_used: datetime | None = Field(default=None, description="When a session of it last began, if ever.")


class UnusableEngine(BaseModel):
    """A copy that is there, or that the settings name, and cannot be used."""

    engine: str
    path: str
    type: str = Field(description="system, managed, embedded or custom.")
    name: str = Field(default="", description="Of a custom build: its own name.")
    reason: str


class EngineDetail(BaseModel):
    """What ``GET /api/engines`` says of one engine. The fields after ``is_available`` come with ``full`` only."""

    name: str
    title: str
    versions: list[EngineVersionInfo]
    is_available: bool = Field(description="Whether at least one version is installed.")
    reason: str = Field(default="", description="Why it is not available.")
    unusable: list[UnusableEngine] = Field(default=[], description="Copies that cannot be used, with the reason.")
    supported_extensions: list[str] | None = None
    supported_export_formats: list[str] | None = None
    system_info: dict[str, JsonValue] | None = None
    options: dict[str, JsonValue] | None = Field(
        default=None,
        description="JSON Schema of the typed options, for a form: x-group of a property is the group that it belongs "
        "to, x-groups are all groups in the order in which a form shows them.",
    )


class EngineAvailability(BaseModel):
    """Whether a node can take jobs for an engine now."""

    engine: str
    available: bool
    reason: str
    cpu_count: int
    versions: list[EngineVersionInfo]
    hostname: str
    paused: bool = Field(default=False, description="Whether the node begins nothing new: paused, or out of schedule.")
    tags: list[str] = Field(default_factory=list, description="Tags of the node.")
    memory_total: int = Field(default=0, description="Memory of the node, in bytes.")


class EngineArgs(BaseModel):
    """The typed options of an engine."""

    engine: str
    version: str = Field(default="", description="The version whose options these are; empty: those of all versions.")
    schema_: dict[str, JsonValue] = Field(alias="schema", description="JSON Schema of a job's args.")

    model_config = ConfigDict(populate_by_name=True)


class EngineKey(BaseModel):
    """Body of ``POST /api/engines/delete``."""

    model_config = ConfigDict(extra="forbid")

    engine: str
    version: str
    system_os: str | None = None
    cpu: str | None = None


class EngineDownloadAvailable(BaseModel):
    """Answer of ``GET /api/engines/download_available``."""

    engine: str
    version: str = Field(description="The complete version, where a source offers one.")
    available: bool
    reason: str = ""
    source: str = Field(default="", description="The source that offers it.")
    size: int | None = Field(default=None, description="Bytes to download, where the source says so.")


class MostRecentVersion(BaseModel):
    """Answer of ``GET /api/engines/most_recent_version``."""

    engine: str
    version: str
    system_os: str
    cpu: str
