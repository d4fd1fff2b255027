"""Jobs on the wire: what is submitted, what is answered."""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, JsonValue, model_validator

from .installs import Install

FrameNumber = Annotated[int, Field(ge=-999_999_999, le=999_999_999)]
Tag = Annotated[str, Field(min_length=1, max_length=50, pattern=r"^[a-z0-9][a-z0-9._-]*$", examples=["gpu"])]
"""What a node is good for, in a word that the studio chooses."""


class SubjobOrigin(BaseModel):
    """Whose share of frames a subjob is, where its parent is on another node."""

    model_config = ConfigDict(extra="forbid")

    parent: str = Field(min_length=1, max_length=100, description="Id of the parent job.")
    attempt: str = Field(min_length=1, max_length=100, description="The parent's attempt that it is for.")
    node: str = Field(min_length=1, max_length=64, description="Id of the parent's node.")
    address: str = Field(default="", max_length=300, description="Where that node is: host:port.")


class JobStatus(StrEnum):
    """The states of a job, as they are on the wire."""

    CONFIGURING = "configuring"
    SCHEDULED = "scheduled"
    NOT_STARTED = "not_started"
    RUNNING = "running"
    WAITING_FOR_SUBJOBS = "waiting_for_subjobs"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    ERROR = "error"

    @property
    def ended(self) -> bool:
        """Whether nothing more happens in this state by itself."""
        return self in (JobStatus.COMPLETED, JobStatus.CANCELLED, JobStatus.ERROR)


class _JobFields(BaseModel):
    """What a job and a child job share."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(
        default=None, min_length=1, max_length=200, description="Display name; the project's name if left out."
    )
    frames: str | None = Field(
        default=None,
        max_length=100_000,
        description="Frames in the field's notation: 1-100, 1-100x2, 1-10,20,30-40. Left out: the project's own range.",
        examples=["1-100", "1-100x2", "1-10,20,30-40"],
    )
    start_frame: FrameNumber | None = Field(
        default=None, description="First frame; with end_frame an alternative to frames."
    )
    end_frame: FrameNumber | None = Field(default=None, description="Last frame, included.")
    args: dict[str, JsonValue] | None = Field(
        default=None, description="Options of the engine; GET /api/engines/{engine_name}/args has their schema."
    )
    output_format: str | None = Field(default=None, max_length=100, description="One of the engine's output formats.")
    priority: int | None = Field(
        default=None, ge=0, le=100, description="0 to 100; the higher one renders first. Default 50."
    )
    notes: str | None = Field(default=None, max_length=10_000, description="Free text, kept with the job.")

    @model_validator(mode="after")
    def _one_way_to_name_frames(self) -> _JobFields:
        if self.frames is not None and (self.start_frame is not None or self.end_frame is not None):
            raise ValueError("give frames, or start_frame and end_frame, not both")
        if self.start_frame is not None and self.end_frame is not None and self.end_frame < self.start_frame:
            raise ValueError(f"end_frame ({self.end_frame}) is before start_frame ({self.start_frame})")
        return self


class JobPart(BaseModel):
    """A part of a job that another node puts together."""

    model_config = ConfigDict(extra="forbid")

    first: FrameNumber = Field(description="First frame of the part; of a still image: the number of the part, from 1.")
    failures: int = Field(default=0, ge=0, le=1000, description="How many attempts at it have failed before.")


class ChildJob(_JobFields):
    """A subjob definition: whatever it leaves out, it takes from its parent."""


class AddJob(_JobFields):
    """The body of ``POST /api/add_job``."""

    renderer: str | None = Field(
        default=None,
        max_length=100,
        description="Engine name, such as blender or ffmpeg. Left out: chosen by the project's file name.",
        examples=["blender"],
    )
    engine_version: str | None = Field(
        default=None,
        max_length=100,
        description="A version, or its beginning, such as 4.5 or 3.4.1; fetched if it is not installed.",
    )
    enable_split_jobs: bool = Field(default=True, description="Whether other nodes may render part of it.")
    child_jobs: list[ChildJob] | None = Field(
        default=None, max_length=1000, description="Subjobs; the job itself then waits until they have ended."
    )
    local_path: str | None = Field(
        default=None,
        max_length=4096,
        description="Path of a project on this machine, read in place; only for clients on it.",
    )
    upload: str | None = Field(
        default=None, min_length=1, max_length=100, description="Id of a complete upload (POST /api/uploads)."
    )
    project: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="Which file of an uploaded archive, or of the folder in local_path, is the project: its path in "
        "it. Left out: the one that lies nearest to the top.",
        examples=["shots/sh010.blend"],
    )
    project_tree: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="Id of a project's tree that is complete on this node; only from another node of the farm.",
    )
    scheduled_start: datetime | None = Field(
        default=None, description="Not before this time (ISO 8601; UTC if no offset is given)."
    )
    tags: list[Tag] | None = Field(
        default=None, max_length=20, description="Tags that a node must have, all of them, to render it."
    )
    max_nodes: int | None = Field(
        default=None, ge=1, le=10_000, description="At most so many nodes render it at a time."
    )
    memory_bytes: int | None = Field(
        default=None, ge=1, le=1 << 50, description="Memory that it needs: a node with less does not render it."
    )
    part: JobPart | None = Field(
        default=None, description="Render only this part of a job in parts, for the node that puts it together."
    )
    subjob: SubjobOrigin | None = Field(
        default=None, description="Whose share of frames it is; only from the node of its parent."
    )


class EditJob(BaseModel):
    """The body of ``PATCH /api/jobs/{job_id}``: what is to be changed; what is left out stays."""

    model_config = ConfigDict(extra="forbid")

    name: str | None = Field(default=None, min_length=1, max_length=200, description="Display name; files keep theirs.")
    priority: int | None = Field(
        default=None, strict=True, ge=0, le=100, description="0 to 100; of its subjobs as well."
    )
    notes: str | None = Field(default=None, max_length=10_000, description="Free text.")


class Job(BaseModel):
    """A job as every route answers it."""

    id: str
    name: str
    status: JobStatus
    reason: str = Field(description="Why it is in this state, as a sentence.")
    engine: str
    engine_version: str = Field(description="The version that renders it, or that it waits for while configuring.")
    engine_version_reason: str = Field(default="", description="Why this version: a sentence.")
    project: str | None = Field(default=None, description="File name of the project.")
    frames: str = Field(description="Frame set in the field's notation.")
    start_frame: int = Field(description="Lowest frame.")
    end_frame: int = Field(description="Highest frame.")
    total_frames: int
    done_frames: str = Field(default="", description="Frame set of the verified frames.")
    failed_frames: str = Field(default="", description="Frame set of the frames given up.")
    frames_done: int = Field(default=0, description="How many frames are verified.")
    percent_complete: float = Field(default=0.0, description="0 to 100, running frames included by their own progress.")
    current: str = Field(default="", description="What is being done just now, such as 'frame 12, sample 3/16'.")
    seconds_per_frame: float | None = Field(default=None, description="Median of the finished frames, in seconds.")
    eta_seconds: float | None = Field(default=None, description="Expected time to the end, in seconds.")
    eta_low_seconds: float | None = Field(
        default=None, description="With eta_high_seconds: the end comes in between with a probability of nine in ten."
    )
    eta_high_seconds: float | None = None
    nodes: list[str] = Field(default_factory=list, description="Names of the nodes that are at work on it now.")
    width: int | None = Field(default=None, description="Pixels.")
    height: int | None = Field(default=None, description="Pixels.")
    output_format: str | None = None
    args: dict[str, JsonValue] = Field(default_factory=dict)
    priority: int = 50
    notes: str = ""
    enable_split_jobs: bool = True
    tags: list[str] = Field(default_factory=list, description="Tags that a node must have to render it.")
    max_nodes: int | None = Field(default=None, description="At most so many nodes render it at a time.")
    memory_bytes: int | None = Field(default=None, description="Memory that a node must have to render it.")
    parent: str | None = Field(default=None, description="Id of the parent, if this is a subjob.")
    origin: SubjobOrigin | None = Field(default=None, description="Its parent, if that is on another node.")
    children: list[str] = Field(default_factory=list, description="Ids of the subjobs.")
    date_created: datetime
    scheduled_start: datetime | None = None
    start_time: datetime | None = Field(default=None, description="When the first attempt began.")
    end_time: datetime | None = Field(default=None, description="When it reached its last state.")
    attempts: int = Field(default=0, description="How many attempts were begun.")
    file_count: int = Field(default=0, description="Verified outputs in the manifest.")
    warnings: list[str] = Field(default_factory=list)
    errors: list[str] = Field(default_factory=list)
    hostname: str = Field(default="", description="The node that keeps the job.")


class JobList(BaseModel):
    """Answer of ``GET /api/jobs`` and ``/api/jobs/long_poll``."""

    jobs: list[Job]
    token: str = Field(description="Opaque; changes with every visible change.")


class JobDelta(BaseModel):
    """The same with ``delta=true``: what changed since the token."""

    jobs: list[Job] = Field(description="Jobs that are new or changed.")
    gone: list[str] = Field(description="Ids of the jobs that were deleted.")
    full: bool = Field(description="True if the token was too old or unknown: then jobs is the whole list.")
    installs: list[Install] = Field(default_factory=list, description="Installs of engines that have moved.")
    token: str


class HelpAction(StrEnum):
    """What the page can do about a job, with a button beside the sentence that advises it."""

    LOG = "log"
    DETAILS = "details"
    RETRY = "retry"
    SUBMIT = "submit"
    JOBS = "jobs"
    NODES = "nodes"
    ENGINES = "engines"


class HelpStep(BaseModel):
    """One thing that would help, for whoever is at the page."""

    text: str = Field(description="A sentence.")
    action: HelpAction | None = Field(
        default=None,
        description="What it takes: a look at the job's log or details, a retry, another submit, or something among the"
        " jobs, the nodes, the engines; null: nothing that a client could do.",
    )


class Explanation(BaseModel):
    """Answer of ``GET /api/jobs/{job_id}/explain``: why a job is in its state, for a person."""

    id: str
    status: JobStatus
    summary: str = Field(description="The whole of it in a sentence.")
    sentences: list[str] = Field(default_factory=list, description="What else there is to know, a sentence each.")
    help: list[str] = Field(
        default_factory=list, description="What would help, a sentence each, with the commands for a terminal."
    )
    steps: list[HelpStep] = Field(
        default_factory=list, description="The same in the same order, without commands that a client has a button for."
    )
    cause: str | None = Field(
        default=None,
        description="What failed last: engine_crash, engine_error, missing_frame, bad_frame, missing_asset, bad_option,"
        " out_of_memory, disk, stall or machine.",
    )
    frames: str = Field(default="", description="Frame set of the frames given up, or missing in an ended job.")
    ahead: int | None = Field(default=None, description="How many jobs get a slot before it, if it waits for one.")
    log: list[str] = Field(default_factory=list, description="Last lines of its log, if something went wrong.")
