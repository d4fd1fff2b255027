"""Subjobs between nodes: what a parent's node asks of another one, and what that tells it."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field

from .jobs import JobStatus


class SubjobUpdate(BaseModel):
    """Body of ``POST /api/jobs/{job_id}/subjob_update``: a subjob as its node sees it."""

    model_config = ConfigDict(extra="ignore")

    id: str = Field(min_length=1, max_length=100)
    status: JobStatus
    reason: str = ""
    errors: list[str] = Field(default_factory=list)
    attempt: str | None = Field(default=None, max_length=100, description="The parent's attempt that it is for.")
    revision: int = Field(default=0, ge=0, description="Grows with every change; of two updates the higher one counts.")
    done_frames: str = Field(default="", max_length=100_000, description="Frame set of those that can be fetched.")
    failed_frames: str = Field(default="", max_length=100_000, description="Frame set of those that were given up.")
    cause: str = Field(default="", max_length=100, description="What failed last; see Explanation.")
    percent: float = Field(default=0.0, ge=0, le=100)
    seconds_per_frame: float | None = Field(default=None, ge=0)


class SubjobAnswer(BaseModel):
    """Answer to a :class:`SubjobUpdate` for who accepts JSON."""

    wanted: str = Field(default="", description="Frame set that is still wanted of it; empty: nothing is.")
    known: bool = Field(description="False: nobody here wants it, it may be forgotten.")


class OutputEntry(BaseModel):
    """One verified output of a job."""

    name: str
    size: int = Field(description="Bytes.")
    sha256: str = Field(description="Hexadecimal.")
    frame: int | None = Field(default=None, description="The frame that it is the picture of.")
    width: int | None = Field(default=None, description="Pixels.")
    height: int | None = Field(default=None, description="Pixels.")
    seconds: float | None = Field(default=None, description="What rendering the frame took.")
