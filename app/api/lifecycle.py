"""How a job begins, changes and ends by request: ``add_job``, edit, ``cancel``, ``delete``, ``subjob_update``."""

from __future__ import annotations

import time
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.responses import RedirectResponse

from app.api.answers import Handover, json_bytes, plain, raw_headers
from app.api.bodies import read_model
from app.api.errors import ApiError
from app.api.openapi import ADD_JOB_BODY, NO_JOB, failures, json_body, text
from app.api.parts import PartsOf
from app.api.who import WhoOf, check_is_own
from app.jobs.events import ChildEnded, JobEdited
from app.jobs.planning import checked_name
from app.jobs.service import JobNotFound
from app.peers.trust import NODE_PREFIX
from client.models import AccessKind, EditJob, Job, SubjobUpdate

router = APIRouter(prefix="/api", tags=["lifecycle"])

DONE = "success"

Confirm = Annotated[bool, Query(description="Must be true: nothing is done by accident.")]


@router.post(
    "/add_job",
    operation_id="add_job",
    summary="Submit jobs",
    response_model=list[Job],
    responses=failures(
        s400="A field is wrong, the project cannot render, or the body is no JSON; nothing was made.",
        s403="local_path from another machine or outside of the allowed folders, or a foreign web page.",
        s409="The Idempotency-Key was used for another request.",
        s413="The body or the upload is too large.",
        s507="The disk of the data folder is too full for the upload.",
    ),
    openapi_extra=ADD_JOB_BODY,
)
async def add_job(
    request: Request,
    parts: PartsOf,
    idempotency_key: Annotated[
        str | None, Header(description="1 to 200 printable characters; a repeat with the same key makes no new jobs.")
    ] = None,
) -> Response:
    """One job or several, as JSON, or as a multipart form with the project. Answers the jobs, subjobs after their
    parents, when they are stored for good. All are made, or none."""
    headers = raw_headers(request)
    return Handover(lambda scope, receive, send: parts.hot.add_job(scope, receive, send, headers))


@router.patch(
    "/jobs/{job_id}",
    operation_id="edit_job",
    summary="Change a job",
    response_model=Job,
    responses=failures(s400=NO_JOB),
    openapi_extra=json_body(EditJob),
)
async def edit_job(request: Request, parts: PartsOf, who: WhoOf, job_id: str) -> Response:
    """Change the name, the priority or the notes of a job, whatever its state. Another priority gives it another place
    in the queue at once, and its subjobs with it. Files keep their names. A job that was submitted with another token
    takes the role `admin`."""
    wanted = await read_model(EditJob, raw_headers(request), request.receive, parts.settings.max_json_bytes)
    if wanted.name is None and wanted.priority is None and wanted.notes is None:
        raise ApiError(400, "nothing is to be changed: give name, priority or notes")
    if wanted.name is not None:
        checked_name(wanted.name)
    await check_is_own(who, parts.jobs, job_id)
    return json_bytes(await parts.jobs.edit(job_id, JobEdited(wanted.name, wanted.priority, wanted.notes)))


@router.post(
    "/jobs/{job_id}/cancel",
    operation_id="cancel_job",
    summary="Cancel a job",
    response_model=Job,
    responses={302: {"description": "Cancelled; the Location is the start page."}, **failures(s400=NO_JOB)},
)
async def cancel_job(
    parts: PartsOf,
    who: WhoOf,
    job_id: str,
    confirm: Confirm,
    redirect: Annotated[bool, Query(description="Redirect to the start page instead of answering the job.")] = False,
) -> Response:
    """Stop a job and its subjobs; answers the job when none of its processes is alive. What is finished stays. A job
    that was submitted with another token takes the role `admin`."""
    _confirmed(confirm)
    await check_is_own(who, parts.jobs, job_id)
    wire = await parts.jobs.cancel(job_id)
    return RedirectResponse("/", status_code=302) if redirect else json_bytes(wire)


@router.post(
    "/jobs/{job_id}/retry",
    operation_id="retry_job",
    summary="Render missing or bad frames",
    response_model=Job,
    responses=failures(
        s400=NO_JOB,
        s429="Too many wrong tokens came from this address, or the job's token has as many live jobs as it may have.",
    ),
)
async def retry_job(parts: PartsOf, who: WhoOf, job_id: str) -> Response:
    """Have the frames rendered that are missing or bad, and no others; the job keeps its id, log and outputs. The files
    of a job that has ended are read again and compared first; if none is missing it stays as it is. In a job that has
    not ended, frames that were given up get new chances. Of a parent, this is done for its subjobs."""
    await check_is_own(who, parts.jobs, job_id)
    return json_bytes(await parts.jobs.retry(job_id))


@router.post(
    "/jobs/{job_id}/delete",
    operation_id="delete_job",
    summary="Delete a job",
    response_class=Response,
    responses=text("The word success.") | failures(s400=NO_JOB),
)
async def delete_job(parts: PartsOf, who: WhoOf, job_id: str, confirm: Confirm) -> Response:
    """Stop a job, then remove it with its subjobs, outputs and previews, and its upload if no other job uses it. A
    project that is read in place is never touched. Another node may delete what it has submitted; everything else takes
    the role `admin`."""
    _confirmed(confirm)
    await check_is_own(who, parts.jobs, job_id)
    await parts.jobs.delete(job_id)
    return plain(DONE)


@router.post(
    "/jobs/{job_id}/subjob_update",
    operation_id="update_subjob",
    summary="Tell of a subjob",
    response_class=Response,
    responses={
        200: {
            "description": "The word success; for another node of the farm, what is still wanted of the subjob.",
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "application/json": {"schema": {"$ref": "#/components/schemas/SubjobAnswer"}},
            },
        },
        **failures(s400="There is no such job, or it has no such subjob."),
    },
    openapi_extra=json_body(SubjobUpdate),
)
async def subjob_update(request: Request, parts: PartsOf, who: WhoOf, job_id: str) -> Response:
    """Tell a parent job that one of its subjobs changed. Of a subjob on this node, the node knows better itself.
    Another node of the farm tells of what it renders until nothing more is wanted of it."""
    limit = parts.settings.max_json_bytes
    update = await read_model(SubjobUpdate, raw_headers(request), request.receive, limit)
    if who.kind is AccessKind.NODE and update.attempt is not None:
        answer = parts.lanes.heard(job_id, who.id.removeprefix(NODE_PREFIX), update)
        return json_bytes(answer.model_dump_json().encode())
    record = await parts.jobs.record(job_id)
    if update.id not in record.spec.children:
        raise ApiError(400, f"job {job_id} has no subjob {update.id!r}", field="id")
    try:
        status = parts.jobs.status(update.id)
    except JobNotFound:
        status = update.status
    if status.ended:
        reason = update.reason or "; ".join(update.errors[:3]) or f"it is {status.value}"
        await parts.jobs.apply(job_id, ChildEnded(update.id, status, reason[:1000], time.time()))
    return plain(DONE)


def _confirmed(confirm: bool) -> None:
    if not confirm:
        raise ApiError(400, "nothing was done: confirm must be true", field="confirm")
