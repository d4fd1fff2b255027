"""``/api/engines``: which versions can be fetched, fetching, following and deleting them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from app.api.answers import plain, raw_headers
from app.api.bodies import read_model
from app.api.errors import ApiError
from app.api.openapi import failures, json_body, text
from app.api.parts import Parts, PartsOf
from app.api.who import MAX_NOTED, note
from app.installs.errors import checked_version
from app.installs.installs import nothing_found
from app.node.platforms import cpu_name, system_os
from client.models import (
    EngineDownloadAvailable,
    EngineKey,
    EnginePruned,
    EngineRelease,
    EngineReleases,
    Install,
    MostRecentVersion,
)
from engines.installs.release import Release

router = APIRouter(prefix="/api/engines", tags=["engine versions"])

MAX_BODY = 64 * 1024
MAX_NAME = 100
"""The longest name of an engine or a version, in characters."""
SYSTEMS = ("linux", "macos", "windows")
PROCESSORS = ("x64", "arm64")

_NOT_THERE = "There is no such engine, version, system or processor; the text says what there is."
_NO_SOURCE = "No source of engines could be asked; the text names each and why."
_FAILURES = failures(s404=_NOT_THERE, s503=_NO_SOURCE)
_NO_INSTALL = failures(s404="There is no such install.")

EngineName = Annotated[str, Query(min_length=1, max_length=MAX_NAME, description="Engine name, such as blender.")]
Version = Annotated[
    str, Query(min_length=1, max_length=MAX_NAME, description="4.5.3, or 4.5 for the newest of that series.")
]
System = Annotated[str | None, Query(max_length=20, description="linux, macos or windows; this node's if left out.")]
Processor = Annotated[str | None, Query(max_length=20, description="x64 or arm64; this node's if left out.")]


@router.get(
    "/available",
    operation_id="get_available_engines",
    summary="Versions that can be fetched",
    responses=failures(s404=_NOT_THERE),
)
async def get_available_engines(
    parts: PartsOf, engine: EngineName, system_os: System = None, cpu: Processor = None
) -> EngineReleases:
    """Every version that a source offers, newest first, and the sources that could not be asked."""
    _check(parts, engine, system_os, cpu)
    offered = await parts.installs.offered(engine, system_os, cpu)
    have = {copy.version for copy in parts.catalog.versions(engine)} if _is_ours(system_os, cpu) else set[str]()
    first = {release.version: release for release in reversed(offered.releases)}
    releases = [_release(first[version], version in have) for version in offered.versions()]
    return EngineReleases(releases=releases, troubles=dict(offered.troubles))


@router.get(
    "/download_available",
    operation_id="is_engine_available_to_download",
    summary="Whether a version can be fetched",
    responses=_FAILURES,
)
async def download_available(
    parts: PartsOf, engine: EngineName, version: Version, system_os: System = None, cpu: Processor = None
) -> EngineDownloadAvailable:
    """Whether a managed version can be fetched, and from where."""
    _check(parts, engine, system_os, cpu)
    checked_version(version)
    offered = await parts.installs.offered(engine, system_os, cpu)
    found = offered.of_version(version)
    if not found:
        trouble = nothing_found(parts.catalog.engine(engine).title, version, offered)
        if trouble.status != 404:
            raise trouble
        return EngineDownloadAvailable(engine=engine, version=version, available=False, reason=trouble.message)
    best = found[0]
    reason = f"{best.source} offers {best.version}"
    return EngineDownloadAvailable(
        engine=engine, version=best.version, available=True, reason=reason, source=best.source, size=best.size
    )


@router.get(
    "/most_recent_version",
    operation_id="get_most_recent_engine_version",
    summary="The newest version there is",
    responses=_FAILURES,
)
async def most_recent_version(
    parts: PartsOf, engine: EngineName, system_os: System = None, cpu: Processor = None
) -> MostRecentVersion:
    """The newest version that can be fetched."""
    _check(parts, engine, system_os, cpu)
    offered = await parts.installs.offered(engine, system_os, cpu)
    if not offered.releases:
        raise nothing_found(parts.catalog.engine(engine).title, "", offered)
    newest = offered.releases[0]
    return MostRecentVersion(engine=engine, version=newest.version, system_os=newest.system_os, cpu=newest.cpu)


@router.post("/download", operation_id="download_engine", summary="Fetch a version", responses=_FAILURES)
async def download(
    request: Request,
    parts: PartsOf,
    engine: EngineName,
    version: Version,
    system_os: System = None,
    cpu: Processor = None,
) -> Install:
    """Fetch and install a managed version. Answers at once with the install, which goes on by itself: follow it here,
    in the deltas of the job list, or in the event stream. Requests for the same version share one."""
    note(request.scope, engine=engine, version=version)
    _check(parts, engine, system_os, cpu)
    if not _is_ours(system_os, cpu):
        raise ApiError(400, f"this node installs only what it can run, which is {_here()}", field="system_os")
    one = await parts.installs.request(engine, version)
    return one.wire(parts.demand.waiting_for(one))


@router.get("/installs", operation_id="get_installs", summary="Installs", responses=failures())
async def get_installs(parts: PartsOf) -> list[Install]:
    """The installs under way and those that have ended lately, oldest first."""
    return [one.wire(parts.demand.waiting_for(one)) for one in parts.installs.all()]


@router.get("/installs/{install_id}", operation_id="get_install", summary="One install", responses=_NO_INSTALL)
async def get_install(parts: PartsOf, install_id: str) -> Install:
    """One install as it stands."""
    one = parts.installs.find(install_id)
    return one.wire(parts.demand.waiting_for(one))


@router.post(
    "/installs/{install_id}/cancel", operation_id="cancel_install", summary="Stop an install", responses=_NO_INSTALL
)
async def cancel_install(parts: PartsOf, install_id: str) -> Install:
    """Stop an install; what has come of it is thrown away. One that has ended stays as it is."""
    one = await parts.installs.cancel(install_id)
    return one.wire(parts.demand.waiting_for(one))


@router.post(
    "/delete",
    operation_id="delete_engine_download",
    summary="Delete a version",
    response_class=Response,
    responses=text("The word success.")
    | failures(s404=_NOT_THERE, s409="A job uses or needs it, or it is not managed by Zordon."),
    openapi_extra=json_body(EngineKey),
)
async def delete(request: Request, parts: PartsOf) -> Response:
    """Delete a managed version. Copies that others installed are never touched."""
    key = await read_model(EngineKey, raw_headers(request), request.receive, MAX_BODY)
    note(request.scope, engine=key.engine[:MAX_NAME], version=key.version[:MAX_NAME])
    _check(parts, key.engine, key.system_os, key.cpu)
    checked_version(key.version)
    if not _is_ours(key.system_os, key.cpu):
        raise ApiError(404, f"this node has only copies for {_here()}", field="system_os")
    await parts.copies.delete(key.engine, key.version)
    return plain("success")


@router.post("/prune", operation_id="prune_engines", summary="Delete versions that nobody uses", responses=failures())
async def prune(
    request: Request,
    parts: PartsOf,
    dry_run: Annotated[bool, Query(description="Only say what would go.")] = False,
    unused_days: Annotated[
        float | None, Query(ge=0, description="Unused for so long; the setting engine_unused_days if left out.")
    ] = None,
    budget_bytes: Annotated[
        int | None, Query(ge=0, description="What may stay; the setting engine_budget_bytes if left out.")
    ] = None,
) -> EnginePruned:
    """Delete managed versions that were not used for long, least recently used first, until the rest is within the
    budget. What a job needs stays."""
    done = await parts.copies.prune(unused_days, budget_bytes, dry_run=dry_run)
    note(request.scope, dry_run=dry_run, removed=done.removed[:MAX_NOTED])
    return done


def _check(parts: Parts, engine: str, system: str | None, cpu: str | None) -> None:
    parts.catalog.engine(engine)
    if system is not None and system not in SYSTEMS:
        raise ApiError(404, f"there is no system {system!r}; there is {', '.join(SYSTEMS)}", field="system_os")
    if cpu is not None and cpu not in PROCESSORS:
        raise ApiError(404, f"there is no processor {cpu!r}; there is {', '.join(PROCESSORS)}", field="cpu")


def _is_ours(system: str | None, cpu: str | None) -> bool:
    return system in (None, system_os()) and cpu in (None, cpu_name())


def _here() -> str:
    return f"{system_os()} on {cpu_name()}"


def _release(release: Release, installed: bool) -> EngineRelease:
    return EngineRelease(
        engine=release.engine,
        version=release.version,
        system_os=release.system_os,
        cpu=release.cpu,
        source=release.source,
        size=release.size,
        lts=release.lts,
        installed=installed,
    )
