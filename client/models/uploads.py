"""Uploads on the wire: a project that comes in pieces, and what is in it."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field


class NewUpload(BaseModel):
    """Body of ``POST /api/uploads``."""

    model_config = ConfigDict(extra="forbid")

    name: str = Field(min_length=1, max_length=1000, description="File name of the project, or of a zip of it.")
    size: int = Field(ge=1, le=1 << 62, strict=True, description="Bytes.")
    sha256: str | None = Field(
        default=None,
        pattern="^[0-9a-f]{64}$",
        description="Of the whole file, hexadecimal. It is checked in the end; and a repeat with the same name, size "
        "and sha256 answers the upload that is there already.",
    )


class UploadInfo(BaseModel):
    """An upload as it is now."""

    id: str
    name: str = Field(description="The file name under which it is kept.")
    size: int = Field(description="Bytes of the whole file.")
    offset: int = Field(description="Bytes that have come; the next PATCH begins there.")
    complete: bool = Field(description="Whether all of it is there.")
    sha256: str | None = None
    expires: datetime = Field(description="When it is thrown away if no job has taken it.")


class ProjectInspection(BaseModel):
    """What is in an uploaded project. Every field is null or empty where the file does not say."""

    upload: str = Field(description="Id of the upload.")
    project: str | None = Field(default=None, description="Name of the project file, in a zip with its folder.")
    engine: str | None = Field(default=None, description="Name of the engine that opens it; null: none does.")
    kind: str | None = Field(default=None, description="blend, video, image_sequence, ...")
    frames: str | None = Field(default=None, description="The project's own frame set.")
    frame_count: int | None = None
    fps: float | None = Field(default=None, description="Frames per second.")
    width: int | None = Field(default=None, description="Pixels.")
    height: int | None = Field(default=None, description="Pixels.")
    duration: float | None = Field(default=None, description="Seconds.")
    cameras: list[str] = Field(default_factory=list)
    scenes: list[str] = Field(default_factory=list)
    view_layers: list[str] = Field(default_factory=list)
    render_engine: str | None = Field(default=None, description="What the project itself renders with, such as CYCLES.")
    output_format: str | None = None
    missing_files: list[str] = Field(
        default_factory=list, description="Files that it refers to and that are not there."
    )
    warnings: list[str] = Field(default_factory=list)
    format_version: str | None = Field(default=None, description="Of the program that wrote the file, such as 4.5.")
    engine_version: str | None = Field(default=None, description="The version that would render it; null: none can.")
    engine_version_installed: bool = Field(
        default=False, description="Whether it is here, and not to be fetched first."
    )
    reason: str = Field(description="Why this version, or why it cannot render: a sentence.")
    can_render: bool = Field(description="Whether a job of it would be taken.")
