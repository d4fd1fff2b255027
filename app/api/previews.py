"""``/api/jobs/{job_id}/thumbnail``: the picture or video that shows how a job looks."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import FileResponse

from app.api.errors import ApiError
from app.api.openapi import NO_JOB, binary, failures
from app.api.parts import PartsOf
from app.outputs.stills import PreviewError

router = APIRouter(prefix="/api/jobs/{job_id}", tags=["outputs"])


@router.get(
    "/thumbnail",
    operation_id="get_job_thumbnail",
    summary="A preview",
    response_class=Response,
    responses={
        **binary("A picture, or with video_ok perhaps a video.", "image/jpeg", "video/mp4"),
        304: {"description": "The client has this preview already (If-None-Match)."},
        **failures(s400=NO_JOB, s404="There is nothing to be shown yet.", s500="The preview cannot be made."),
    },
)
async def get_job_thumbnail(
    request: Request,
    parts: PartsOf,
    job_id: str,
    size: Annotated[Literal["small", "big"], Query(description="The longer side: 320 pixels or 1280.")] = "small",
    video_ok: Annotated[bool, Query(description="The video, if there is one already.")] = False,
) -> Response:
    """The newest frame as a JPEG, made in a process of its own, or the whole job as a small MP4."""
    try:
        preview = await parts.previews.get(job_id, size, video_ok=video_ok)
    except PreviewError as error:
        raise ApiError(500, f"the preview cannot be made: {error}", title="Preview failed") from error
    if preview is None:
        raise ApiError(404, "there is no preview yet: the job has no output that could be shown")
    headers = {"ETag": f'"{preview.key}"', "Cache-Control": "no-cache"}
    known = request.headers.get("if-none-match", "")
    if headers["ETag"] in (tag.strip().removeprefix("W/") for tag in known.split(",")):
        return Response(status_code=304, headers=headers)
    return FileResponse(preview.path, media_type=preview.media_type, headers=headers)
