"""What this node does for the farm, and how busy it is: pause, resume, tags, schedule, load."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Final

from fastapi import APIRouter, Request

from app.api.answers import raw_headers
from app.api.bodies import read_model
from app.api.errors import ApiError
from app.api.openapi import failures, json_body
from app.api.parts import PartsOf
from client.models import ChangeNode, NodeLoad, NodeStatus, PauseNode

router = APIRouter(prefix="/api/node", tags=["node"])

_MAX_BODY: Final = 64 << 10
_FARTHEST: Final = 10 * 366 * 24 * 3600.0


@router.post(
    "/pause",
    operation_id="pause_node",
    summary="Begin nothing new",
    responses=failures(),
    openapi_extra=json_body(PauseNode),
)
async def pause_node(request: Request, parts: PartsOf) -> NodeStatus:
    """Frames under way are finished, nothing new begins, also after a restart, until it is resumed or `until` has come.
    With `now`, frames under way are stopped as well and go back to their jobs. A file that one run makes as a whole,
    such as a video, counts as one frame. Answers the status of the node."""
    wanted = await read_model(PauseNode, raw_headers(request), request.receive, _MAX_BODY)
    until = None if wanted.until is None else _moment(wanted.until)
    await parts.node.duty.pause((wanted.reason or "").strip(), until)
    if wanted.now:
        parts.supervisor.stop_all()
    return await parts.node.status()


@router.post("/resume", operation_id="resume_node", summary="Begin new things again", responses=failures())
async def resume_node(parts: PartsOf) -> NodeStatus:
    """Ends the pause; the schedule of the node holds as before. Answers the status of the node."""
    await parts.node.duty.resume()
    return await parts.node.status()


@router.patch(
    "",
    operation_id="change_node",
    summary="Tags and schedule",
    responses=failures(),
    openapi_extra=json_body(ChangeNode),
)
async def change_node(request: Request, parts: PartsOf) -> NodeStatus:
    """Give the node other tags, or other times at which it may render. Frames under way when such a time ends are
    finished. Answers the status of the node."""
    wanted = await read_model(ChangeNode, raw_headers(request), request.receive, _MAX_BODY)
    if wanted.tags is None and wanted.schedule is None:
        raise ApiError(400, "nothing is to be changed: give tags, schedule, or both")
    await parts.node.duty.change(wanted.tags, wanted.schedule)
    return await parts.node.status()


@router.get("/load", operation_id="get_node_load", summary="Load over the last minutes", responses=failures())
async def get_node_load(parts: PartsOf) -> NodeLoad:
    """Processor and memory over the last ten minutes, a sample each five seconds."""
    return parts.node.load()


def _moment(until: datetime) -> float:
    """Seconds since 1970. A time without an offset is UTC."""
    at = (until if until.tzinfo is not None else until.replace(tzinfo=UTC)).timestamp()
    if not time.time() < at < time.time() + _FARTHEST:
        raise ApiError(400, "until must be in the future, and not ten years from now", field="until")
    return at
