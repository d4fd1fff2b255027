"""Frames on the wire: what a notation means, and what has become of every frame of a job."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class FrameNotation(BaseModel):
    """Body of ``POST /api/frames``."""

    model_config = ConfigDict(extra="forbid")

    frames: str = Field(max_length=100_000, description="Frames in the field's notation.", examples=["1-100x2"])


class FrameSummary(BaseModel):
    """Answer of ``POST /api/frames``: what a notation means."""

    frames: str = Field(description="The same frames, as a job would show them.")
    count: int = Field(description="How many frames there are.")
    lowest: int
    highest: int


class RunningFrames(BaseModel):
    """Frames that an attempt has now."""

    frames: str = Field(description="Frame set of those that are not verified yet.")
    attempt: str = Field(description="Id of the attempt.")
    node: str = Field(description="Name of the node that renders them.")
    since: datetime | None = Field(default=None, description="When the attempt took them.")
    percent: float = Field(
        default=0.0, description="0 to 100: of the frame it is at, or of all where one run makes one file."
    )
    current: str = Field(default="", description="What is being done just now, such as 'frame 12, sample 3/16'.")


class FrameTimes(BaseModel):
    """How long verified frames took: three columns of one length."""

    frames: list[int] = Field(description="Frame numbers, in the order in which they are rendered.")
    seconds: list[float | None] = Field(description="What the frame took; null where nobody measured it.")
    nodes: list[str] = Field(description="Name of the node that rendered it; empty where nobody wrote it down.")


class JobFrames(BaseModel):
    """Answer of ``GET /api/jobs/{job_id}/frames``: a page of a job's frames. But for ``total``, everything is about
    the frames of the page alone."""

    total: int = Field(description="How many frames the job has.")
    offset: int = Field(description="Position of the first frame of this page, in the order of rendering.")
    next_offset: int | None = Field(default=None, description="Where the next page begins; null: this is the last one.")
    frames: str = Field(description="Frame set of this page.")
    waiting: str = Field(description="Frame set of those that nobody has begun.")
    running: list[RunningFrames]
    done: str = Field(description="Frame set of the verified ones.")
    failed: str = Field(description="Frame set of those given up.")
    times: FrameTimes
    files: dict[int, str] = Field(description="Name of the output by frame, for /download.")
    video: str | None = Field(
        default=None, description="Name of the one output that holds all frames, if there is one."
    )
