"""``/api/jobs``: reading jobs. The lists and one job are answered by :mod:`app.api.hot`, here they are declared."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response

from app.api.answers import Handover, json_bytes, raw_headers
from app.api.errors import ApiError
from app.api.openapi import NO_JOB, failures
from app.api.parts import PartsOf
from app.jobs.service import JobNotFound
from client.models import Job, JobDelta, JobList, JobStatus

router = APIRouter(prefix="/api", tags=["jobs"])

Token = Annotated[str | None, Query(description="Token of an earlier answer.")]
Delta = Annotated[
    bool, Query(description="Only what changed since the token: answers a JobDelta instead of a JobList.")
]


@router.get(
    "/jobs",
    operation_id="get_jobs",
    summary="All jobs",
    response_model=JobDelta | JobList,
    responses={304: {"description": "The client has this list already (If-None-Match)."}, **failures()},
)
async def get_jobs(
    request: Request,
    parts: PartsOf,
    delta: Delta = False,
    token: Token = None,
    if_none_match: Annotated[str | None, Header(description="ETag of an earlier answer.")] = None,
) -> Response:
    """Every job of this node, and the token of this state. With `delta=true` only the jobs that changed since `token`
    and the ids of those that are gone; the whole list, marked `full`, if the token is too old or left out."""
    headers = raw_headers(request)
    return Handover(lambda scope, receive, send: parts.hot.job_list(scope, receive, send, headers))


@router.get(
    "/jobs/long_poll",
    operation_id="long_poll_jobs",
    summary="Wait for a change",
    response_model=JobDelta | JobList,
    responses={204: {"description": "Nothing changed in time."}, **failures()},
)
async def long_poll(request: Request, parts: PartsOf, token: Token = None, delta: Delta = False) -> Response:
    """Like `/api/jobs`, as soon as the list is not that of `token` any more; 204 if it stays so for 30 seconds."""
    headers = raw_headers(request)
    return Handover(lambda scope, receive, send: parts.hot.long_poll(scope, receive, send, headers))


@router.get(
    "/events",
    operation_id="get_events",
    summary="Changes as server-sent events",
    response_class=Response,
    responses={
        200: {
            "description": "Events named `jobs`; the data of each is a JobDelta, its id the token to resume after.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **failures(),
    },
)
async def get_events(
    request: Request,
    parts: PartsOf,
    token: Token = None,
    last_event_id: Annotated[str | None, Header(description="Id of the last event seen.")] = None,
) -> Response:
    """Every change of the job list as it happens. Begins with what changed since `Last-Event-ID` (or `token`), with the
    whole list if neither is given or it is too old. A comment comes every 15 seconds of silence."""
    headers = raw_headers(request)
    return Handover(lambda scope, receive, send: parts.hot.events(scope, receive, send, headers))


@router.get(
    "/jobs/status/{status_val}",
    operation_id="get_jobs_by_status",
    summary="Jobs in one status",
    response_model=list[Job],
    responses=failures(s400="No job has this status, or there is no such status."),
)
async def get_jobs_by_status(parts: PartsOf, status_val: str) -> Response:
    """The jobs that are in one status; 400 if there are none."""
    try:
        status = JobStatus(status_val.lower())
    except ValueError:
        known = ", ".join(item.value for item in JobStatus)
        raise ApiError(400, f"there is no status {status_val[:40]!r}; there are {known}", field="status_val") from None
    wires = [wire for job_id in parts.jobs.of_status(status) if (wire := parts.feed.job(job_id)) is not None]
    if not wires:
        raise ApiError(400, f"no job is {status.value}", title="No such jobs", field="status_val")
    return json_bytes(b"[" + b",".join(wires) + b"]")


@router.get(
    "/jobs/{job_id}",
    operation_id="get_job",
    summary="One job",
    response_model=Job,
    responses=failures(s400=NO_JOB),
)
async def get_job(parts: PartsOf, job_id: str) -> Response:
    """One job as it is now."""
    wire = parts.feed.job(job_id)
    if wire is None:
        raise JobNotFound(job_id)
    return json_bytes(wire)
