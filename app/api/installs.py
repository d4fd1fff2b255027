"""``/api/engines``: which versions could be installed, installing and deleting them.

The requests are read and checked as they will be; what is asked for comes with the management of engine versions, and
until then the answer is 503.
"""

from __future__ import annotations

from typing import Annotated, NoReturn

from fastapi import APIRouter, Query, Request, Response

from app.api.answers import raw_headers
from app.api.bodies import read_model
from app.api.errors import ApiError
from app.api.openapi import failures, json_body, text
from app.api.parts import Parts, PartsOf
from client.models import EngineDownloadAvailable, EngineKey, MostRecentVersion

router = APIRouter(prefix="/api/engines", tags=["engine versions"])

MAX_BODY = 64 * 1024
_FAILURES = failures(s404="There is no such engine.", s503="This version of Zordon does not install engines.")

EngineName = Annotated[str, Query(min_length=1, max_length=100, description="Engine name, such as blender.")]
Version = Annotated[str, Query(min_length=1, max_length=100, description="Engine version, such as 4.5.3.")]
System = Annotated[str | None, Query(max_length=20, description="linux, macos or windows; this node's if left out.")]
Processor = Annotated[str | None, Query(max_length=20, description="x64 or arm64; this node's if left out.")]

SYSTEMS = ("linux", "macos", "windows")
PROCESSORS = ("x64", "arm64")


@router.get(
    "/download_available",
    operation_id="is_engine_available_to_download",
    summary="Whether a version can be installed",
    response_model=EngineDownloadAvailable,
    responses=_FAILURES,
)
async def download_available(
    parts: PartsOf, engine: EngineName, version: Version, system_os: System = None, cpu: Processor = None
) -> Response:
    """Whether a managed version can be downloaded."""
    _check(parts, engine, system_os, cpu)
    _not_yet()


@router.get(
    "/most_recent_version",
    operation_id="get_most_recent_engine_version",
    summary="The newest version there is",
    response_model=MostRecentVersion,
    responses=_FAILURES,
)
async def most_recent_version(
    parts: PartsOf, engine: EngineName, system_os: System = None, cpu: Processor = None
) -> Response:
    """The newest version that can be downloaded."""
    _check(parts, engine, system_os, cpu)
    _not_yet()


@router.post(
    "/download",
    operation_id="download_engine",
    summary="Install a version",
    response_class=Response,
    responses=text("The word success.") | _FAILURES,
)
async def download(
    parts: PartsOf, engine: EngineName, version: Version, system_os: System = None, cpu: Processor = None
) -> Response:
    """Download and install a managed version."""
    _check(parts, engine, system_os, cpu)
    _not_yet()


@router.post(
    "/delete",
    operation_id="delete_engine_download",
    summary="Delete a version",
    response_class=Response,
    responses=text("The word success.") | _FAILURES,
    openapi_extra=json_body(EngineKey),
)
async def delete(request: Request, parts: PartsOf) -> Response:
    """Delete a managed version."""
    key = await read_model(EngineKey, raw_headers(request), request.receive, MAX_BODY)
    _check(parts, key.engine, key.system_os, key.cpu)
    _not_yet()


def _check(parts: Parts, engine: str, system_os: str | None, cpu: str | None) -> None:
    parts.catalog.engine(engine)
    if system_os is not None and system_os not in SYSTEMS:
        raise ApiError(400, f"system_os is {system_os!r}; it must be one of {', '.join(SYSTEMS)}", field="system_os")
    if cpu is not None and cpu not in PROCESSORS:
        raise ApiError(400, f"cpu is {cpu!r}; it must be one of {', '.join(PROCESSORS)}", field="cpu")


def _not_yet() -> NoReturn:
    raise ApiError(
        503,
        "engine downloads come with a later version of Zordon; install the engine yourself and it is found, or name it "
        "in engine_paths (ZORDON_ENGINE_PATHS)",
        title="Not available yet",
    )
