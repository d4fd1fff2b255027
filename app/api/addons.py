"""``/api/blender_addon``: the add-on that submits from inside Blender, of the version that suits this service."""

from __future__ import annotations

import asyncio
import hashlib

from fastapi import APIRouter, Request, Response

from app.api.openapi import binary, failures
from app.version import APP_VERSION
from client.blender.archive import addon_archive, addon_file_name

router = APIRouter(prefix="/api", tags=["add-ons"])


@router.get(
    "/blender_addon",
    operation_id="get_blender_addon",
    summary="The Blender add-on",
    response_class=Response,
    responses={
        **binary("The zip, to be installed as it is.", "application/zip"),
        304: {"description": "It is the one that the client has."},
        **failures(),
    },
)
async def get_blender_addon(request: Request) -> Response:
    """One zip, for Blender 4.2 and later as an extension, for 3.1 to 4.1 as an add-on. Its name has the version."""
    content = await asyncio.to_thread(addon_archive)
    etag = f'"{hashlib.sha256(content).hexdigest()}"'
    headers = {
        "ETag": etag,
        "Cache-Control": "no-cache",
        "Content-Disposition": f'attachment; filename="{addon_file_name(APP_VERSION)}"',
    }
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type="application/zip", headers=headers)
