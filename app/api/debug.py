"""``/api/_debug``: for developers, and only with ``--debug``."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from app.api.answers import plain
from app.api.lifecycle import DONE
from app.api.openapi import failures, text
from app.api.parts import PartsOf
from app.api.who import MAX_NOTED, note
from client.models import JobStatus

router = APIRouter(prefix="/api/_debug", tags=["debug"])


@router.get(
    "/detected_clients", operation_id="get_detected_clients", summary="Nodes seen on the network", responses=failures()
)
async def detected_clients(parts: PartsOf) -> list[str]:
    """Names of the other nodes that are announced on the network now, of whatever farm."""
    return list(dict.fromkeys(one.name for one in parts.discovery.found()))


@router.post(
    "/clear_history",
    operation_id="clear_history",
    summary="Forget what has ended",
    response_class=Response,
    responses=text("The word success.") | failures(),
)
async def clear_history(request: Request, parts: PartsOf) -> Response:
    """Delete every job that has ended, with its outputs. Subjobs of a job that goes on are kept."""
    deleted: list[str] = []
    for status in JobStatus:
        for job_id in parts.jobs.of_status(status) if status.ended else ():
            if job_id not in parts.jobs:
                continue
            parent = (await parts.jobs.record(job_id)).spec.parent
            if parent is None or parent not in parts.jobs or parts.jobs.status(parent).ended:
                await parts.jobs.delete(job_id)
                deleted.append(job_id)
    note(request.scope, jobs=deleted[:MAX_NOTED], job_count=len(deleted))
    return plain(DONE)
