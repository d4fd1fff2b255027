"""``GET /api/jobs/{job_id}/explain``: why a job is not running, or how it failed."""

from __future__ import annotations

from fastapi import APIRouter, Response

from app.api.answers import json_bytes
from app.api.openapi import NO_JOB, failures
from app.api.parts import PartsOf
from client.models import Explanation

router = APIRouter(prefix="/api", tags=["jobs"])


@router.get(
    "/jobs/{job_id}/explain",
    operation_id="explain_job",
    summary="Why a job is in its state",
    response_model=Explanation,
    responses=failures(s400=NO_JOB),
)
async def explain_job(parts: PartsOf, job_id: str) -> Response:
    """In sentences: what the job waits for, or how it failed, with the cause, the frames and the last lines of its log;
    and what would help."""
    return json_bytes((await parts.explaining.explain(job_id)).model_dump_json().encode())
