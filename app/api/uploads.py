"""``/api/uploads``: projects that come in pieces, and what is in them."""

from __future__ import annotations

from typing import Annotated, Final

from fastapi import APIRouter, Header, Request, Response

from app.access.identity import Identity
from app.api.answers import plain, raw_headers
from app.api.bodies import body_chunks, read_model
from app.api.errors import ApiError
from app.api.openapi import failures, json_body, text
from app.api.parts import PartsOf
from app.api.who import WhoOf
from app.jobs.arriving import OFFSET_FIELD, Uploader
from app.jobs.errors import UploadBusy
from client.models import NewUpload, ProjectInspection, Role, UploadInfo

router = APIRouter(prefix="/api/uploads", tags=["uploads"])

_MAX_BODY: Final = 64 << 10
_NONE: Final = "There is no such upload, it is somebody else's, or a job has taken it."


@router.post(
    "",
    operation_id="add_upload",
    summary="Begin an upload",
    responses=failures(
        s413="The file is larger than max_upload_bytes.",
        s429="The token has as many uploads as one may have.",
        s507="The disk of the data folder is too full for it.",
    ),
    openapi_extra=json_body(NewUpload),
)
async def add_upload(request: Request, parts: PartsOf, who: WhoOf) -> UploadInfo:
    """Announce a project, or a zip of it, that is then sent with PATCH, in as many requests as it takes. With its
    `sha256`, an upload of the same name, size and content that was begun before is gone on with: its `offset` says
    where."""
    wanted = await read_model(NewUpload, raw_headers(request), request.receive, _MAX_BODY)
    return await parts.arriving.begin(wanted, _uploader(who))


@router.get("", operation_id="get_uploads", summary="Uploads under way", responses=failures())
async def get_uploads(parts: PartsOf, who: WhoOf) -> list[UploadInfo]:
    """The uploads of this token that no job has taken yet; of everybody for administrators."""
    return parts.arriving.all(_uploader(who))


@router.get("/{upload_id}", operation_id="get_upload", summary="One upload", responses=failures(s404=_NONE))
async def get_upload(parts: PartsOf, who: WhoOf, upload_id: str) -> UploadInfo:
    """How much of it has come."""
    return parts.arriving.get(upload_id, _uploader(who))


@router.patch(
    "/{upload_id}",
    operation_id="send_upload",
    summary="Send the next bytes",
    responses=failures(
        s400="Upload-Offset is missing, or all came and is not what was announced: the upload is at 0 again.",
        s404=_NONE,
        s409="The upload has another offset, which the header Upload-Offset names; or another request goes on with it.",
        s413="More came than was announced.",
        s507="The disk of the data folder is too full.",
    ),
    openapi_extra={
        "requestBody": {
            "required": False,  # without one, what has come is checked once more
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def send_upload(
    request: Request,
    response: Response,
    parts: PartsOf,
    who: WhoOf,
    upload_id: str,
    upload_offset: Annotated[int, Header(ge=0, description="Where these bytes begin: the offset of the upload.")],
) -> UploadInfo:
    """The bytes of the file from the offset on, as many as there are. If the connection breaks, what has come is kept:
    ask for the upload and go on from its `offset`. Whoever still sends over another connection gives way."""
    length = request.headers.get("content-length", "")
    try:
        upload = await parts.arriving.append(
            upload_id,
            _uploader(who),
            upload_offset,
            body_chunks(request.receive),
            int(length) if length.isdecimal() else None,
        )
    except UploadBusy as busy:
        headers = {OFFSET_FIELD: str(parts.arriving.get(upload_id, _uploader(who)).offset)}
        raise ApiError(busy.status, busy.message, field=busy.field, headers=headers) from busy
    response.headers[OFFSET_FIELD] = str(upload.offset)
    return upload


@router.delete(
    "/{upload_id}",
    operation_id="delete_upload",
    summary="Throw an upload away",
    response_class=Response,
    responses=text("The word success.") | failures(s404=_NONE, s409="A job is being made of it."),
)
async def delete_upload(parts: PartsOf, who: WhoOf, upload_id: str) -> Response:
    """Forget an upload that no job has taken."""
    await parts.arriving.delete(upload_id, _uploader(who))
    return plain("success")


@router.get(
    "/{upload_id}/inspection",
    operation_id="inspect_upload",
    summary="What is in it",
    responses=failures(
        s404=_NONE,
        s409="Not all of it is there.",
        s413="The archive holds more than the settings allow.",
        s507="The disk of the data folder is too full to unpack it.",
    ),
)
async def inspect_upload(parts: PartsOf, who: WhoOf, upload_id: str) -> ProjectInspection:
    """What is in a complete upload, which engine and version would render it and why, or why it cannot: what a submit
    would find out, without a job."""
    return await parts.inspecting.inspect(upload_id, _uploader(who))


def _uploader(who: Identity) -> Uploader:
    return Uploader(who.id, who.may(Role.ADMIN))
