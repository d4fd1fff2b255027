"""A job as far as its project goes."""

from __future__ import annotations

from app.jobs.record import JobSpec
from engines.frames import FrameSet


def spec_of(project_path: str) -> JobSpec:
    """The spec of a job with this project."""
    return JobSpec(
        id="job",
        name="job",
        engine="any",
        engine_version="1",
        engine_version_reason="",
        divisible=True,
        frames=FrameSet.parse("1"),
        created=0.0,
        project="project",
        project_path=project_path,
        output_name="job",
    )
