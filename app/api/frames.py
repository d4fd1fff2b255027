"""Frames: what a notation means, what has become of every frame of a job, and how one looks."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Header, Path, Query, Request, Response

from app.api.answers import Handover, raw_headers
from app.api.bodies import read_model
from app.api.errors import ApiError
from app.api.openapi import NO_JOB, binary, failures, json_body
from app.api.parts import PartsOf
from app.outputs.frame_previews import PreviewsBusy
from app.outputs.ranges import not_modified
from app.outputs.stills import PreviewError
from client.models import FrameNotation, FrameSummary, JobFrames
from engines.frames import FrameSet, FrameSetError

router = APIRouter(prefix="/api", tags=["frames"])

_MAX_BODY: Final = 1 << 20
MAX_PAGE: Final = 10_000
"""The most frames that one answer tells of."""


@router.post(
    "/frames",
    operation_id="check_frames",
    summary="What a frame notation means",
    responses=failures(s400="It is no frame set; the text says what would be one."),
    openapi_extra=json_body(FrameNotation),
)
async def check_frames(request: Request, parts: PartsOf) -> FrameSummary:
    """Reads frames in the field's notation as a submit does, for a form that is being filled in. Changes nothing."""
    asked = await read_model(FrameNotation, raw_headers(request), request.receive, _MAX_BODY)
    try:
        frames = await asyncio.to_thread(FrameSet.parse, asked.frames)
    except FrameSetError as error:
        raise ApiError(400, str(error), field="frames") from error
    return FrameSummary(frames=frames.notation(), count=len(frames), lowest=frames.lowest, highest=frames.highest)


@router.get(
    "/jobs/{job_id}/frames",
    operation_id="get_job_frames",
    summary="What has become of every frame",
    response_model=JobFrames,
    responses={304: {"description": "The client has this page already (If-None-Match)."}, **failures(s400=NO_JOB)},
)
async def get_job_frames(
    request: Request,
    parts: PartsOf,
    job_id: str,
    offset: Annotated[int, Query(ge=0, le=10_000_000, description="Position of the first frame.")] = 0,
    limit: Annotated[int, Query(ge=1, le=MAX_PAGE, description="At most so many frames.")] = 1000,
    if_none_match: Annotated[str | None, Header(description="ETag of an earlier answer.")] = None,
) -> Response:
    """A page of the frames of a job in the order of rendering: which wait, are being rendered (where, since when, how
    far), are verified or given up, as frame sets; and of the verified ones what they took, on which node, and their
    file. The frames of a parent are those of its subjobs. The ETag changes with every change of the job."""
    tag = f'"{await parts.frames.tag(job_id, offset, limit)}"'
    headers = {"ETag": f"W/{tag}", "Cache-Control": "no-cache"}
    if if_none_match is not None and not_modified({"if-none-match": if_none_match}, tag):
        return Response(status_code=304, headers=headers)
    page = await parts.frames.read(job_id, offset, limit)
    body = await asyncio.to_thread(page.model_dump_json)
    return Response(body, media_type="application/json", headers=headers)


@router.get(
    "/jobs/{job_id}/frames/{frame}/preview",
    operation_id="get_frame_preview",
    summary="One frame to look at",
    response_class=Response,
    responses={
        **binary("The picture.", "image/jpeg", "image/png", "image/webp"),
        206: {"description": "The part that Range asked for."},
        304: {"description": "The client has this picture already (If-None-Match)."},
        416: {"description": "The range begins behind the end of the file."},
        **failures(
            s400=NO_JOB,
            s404="The frame is not done, or no output shows it.",
            s500="The preview cannot be made.",
            s503="Too many previews are being made; Retry-After says when to ask again.",
        ),
    },
)
async def get_frame_preview(
    parts: PartsOf,
    job_id: str,
    frame: Annotated[int, Path(ge=-999_999_999, le=999_999_999, description="Frame number.")],
    size: Annotated[
        Literal["small", "big", "full"],
        Query(description="The longer side: 320 pixels or 1280, or the frame as it is: PNG, JPEG and WebP themselves."),
    ] = "small",
) -> Response:
    """A verified frame as a JPEG for the screen, linear pictures in the colours of their engine; out of a video, the
    picture of that frame. Made when it is asked for, and kept for a while."""
    try:
        answer = await parts.previews.frame(job_id, frame, size)
    except PreviewsBusy as busy:
        raise ApiError(503, str(busy), headers={"Retry-After": "1"}) from busy
    except PreviewError as error:
        raise ApiError(500, f"the preview cannot be made: {error}", title="Preview failed") from error
    if answer is None:
        raise ApiError(404, f"frame {frame} is not done, or no output shows it", field="frame")
    return Handover(answer)
