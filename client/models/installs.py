"""Engine versions that can be fetched, and those that are being fetched, on the wire."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field


class InstallState(StrEnum):
    """Where an install stands."""

    WAITING = "waiting"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    UNPACKING = "unpacking"
    PROVING = "proving"
    INSTALLED = "installed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens in this state."""
        return self in (InstallState.INSTALLED, InstallState.FAILED, InstallState.CANCELLED)


class Install(BaseModel):
    """One engine version on its way to this node. Requests for the same version share one."""

    id: str
    engine: str
    version: str
    system_os: str
    cpu: str
    state: InstallState
    reason: str = Field(description="What is being done, or why it ended as it did, as a sentence.")
    source: str = Field(default="", description="Which source it comes from just now.")
    bytes_done: int = 0
    bytes_total: int | None = Field(default=None, description="Of the present step, where it is known.")
    percent_complete: float | None = Field(default=None, description="Of the present step, 0 to 100.")
    bytes_per_second: float | None = None
    eta_seconds: float | None = Field(default=None, description="Expected time to the end of the present step.")
    jobs: list[str] = Field(default_factory=list, description="Ids of the jobs that wait for it.")
    date_created: datetime
    end_time: datetime | None = None


class EngineRelease(BaseModel):
    """A version that a source offers."""

    engine: str
    version: str
    system_os: str
    cpu: str
    source: str = Field(description="The first source, in the order of the settings, that offers it.")
    size: int | None = Field(default=None, description="Bytes to download, where the source says so.")
    lts: bool = Field(default=False, description="A version with long-term support.")
    installed: bool = Field(default=False, description="Whether this node has it.")


class EngineReleases(BaseModel):
    """Answer of ``GET /api/engines/available``."""

    releases: list[EngineRelease] = Field(description="Newest first.")
    troubles: dict[str, str] = Field(default_factory=dict, description="Sources that could not be asked, and why.")


class EnginePruned(BaseModel):
    """Answer of ``POST /api/engines/prune``: managed versions that went, or would go."""

    model_config = ConfigDict(extra="forbid")

    removed: list[str] = Field(description="Such as 'blender 4.2.9'.")
    bytes_freed: int
    kept: dict[str, str] = Field(description="Every other managed version, and why it stays.")
