"""``/api/engines``: which engines there are, what they take, what they say about themselves."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Literal

import psutil
from fastapi import APIRouter, Query, Response

from app.api.answers import plain
from app.api.errors import ApiError
from app.api.openapi import failures, text
from app.api.parts import Parts, PartsOf
from app.render.probe import ProbeError
from client.models import EngineArgs, EngineAvailability, EngineDetail, EngineVersionInfo, UnusableEngine
from engines.choosing import fits, listed
from engines.contract import Engine, EngineVersion

router = APIRouter(prefix="/api/engines", tags=["engines"])

ResponseType = Annotated[
    Literal["standard", "full"],
    Query(description="full adds extensions, export formats, system info and the form of the options."),
]
NO_ENGINE = "There is no such engine."


@router.get(
    "/for_filename",
    operation_id="get_engine_for_filename",
    summary="The engine for a project",
    response_class=Response,
    responses=text("The engine's name.") | failures(s404="No engine opens such a file."),
)
async def get_engine_for_filename(
    parts: PartsOf, filename: Annotated[str, Query(description="Name or path of a project.")]
) -> Response:
    """The name of the engine that opens a project of this name; only the name is looked at."""
    engine = parts.catalog.for_filename(filename.replace("\\", "/").rpartition("/")[2])
    if engine is None:
        known = ", ".join(ending for engine in parts.catalog.engines.values() for ending in engine.extensions)
        raise ApiError(404, f"no engine opens {filename[:100]!r}; they open {known}", field="filename")
    return plain(engine.name)


@router.get("/names", operation_id="get_engine_names", summary="Names of the installed engines", responses=failures())
async def get_engine_names(parts: PartsOf) -> list[str]:
    """The engines of which a version is installed. Nothing is started."""
    return [name for name in parts.catalog.engines if parts.catalog.versions(name)]


@router.get("", operation_id="get_engines", summary="All engines", responses=failures())
async def get_engines(parts: PartsOf, response_type: ResponseType = "standard") -> dict[str, EngineDetail]:
    """Every engine that this node knows, by name, with its installed versions."""
    details = {name: await _detail(parts, name, response_type) for name in parts.catalog.engines}
    for name, reason in parts.catalog.broken.items():
        details[name] = EngineDetail(
            name=name, title=name, versions=[], is_available=False, reason=f"the plug-in is broken: {reason}"
        )
    return details


@router.get("/{engine_name}", operation_id="get_engine", summary="One engine", responses=failures(s404=NO_ENGINE))
async def get_engine(parts: PartsOf, engine_name: str, response_type: ResponseType = "standard") -> EngineDetail:
    """One engine and its installed versions."""
    return await _detail(parts, engine_name, response_type)


@router.get(
    "/{engine_name}/availability",
    operation_id="get_engine_availability",
    summary="Whether an engine takes jobs",
    responses=failures(s404=NO_ENGINE),
)
async def get_engine_availability(parts: PartsOf, engine_name: str) -> EngineAvailability:
    """Whether this node begins jobs for an engine now, and why not; the tags and the memory that jobs may ask for."""
    versions, slots = parts.catalog.versions(engine_name), parts.catalog.slots(engine_name)
    resting, duty = parts.node.duty.resting(), parts.node.duty
    reason = resting if slots else "its slots are set to 0 here"
    if not versions:
        reason = _not_installed(engine_name)
    return EngineAvailability(
        engine=engine_name,
        available=bool(versions) and slots > 0 and not resting,
        reason=reason,
        cpu_count=psutil.cpu_count() or 1,
        versions=[await _info(parts, version) for version in versions],
        hostname=parts.settings.name,
        paused=bool(resting),
        tags=list(duty.orders.tags),
        memory_total=duty.memory,
    )


@router.get(
    "/{engine_name}/args",
    operation_id="get_engine_args",
    summary="The options of an engine",
    responses=failures(s404="There is no such engine or version.", s503="The version does not start."),
)
async def get_engine_args(
    parts: PartsOf,
    engine_name: str,
    version: Annotated[
        str | None,
        Query(description="An installed version, or its beginning; what it does not have is left out of the schema."),
    ] = None,
) -> EngineArgs:
    """The JSON Schema of what `args` of a job may hold, grouped for a form."""
    engine = parts.catalog.engine(engine_name)
    if version is not None:
        return await _options_of(parts, engine, version)
    return EngineArgs(engine=engine.name, schema_=engine.options_schema())


@router.get(
    "/{engine_name}/help",
    operation_id="get_engine_help",
    summary="What an engine prints about itself",
    response_class=Response,
    responses=text("The help.") | failures(s404=NO_ENGINE, s503="It is not installed or does not start."),
)
async def get_engine_help(parts: PartsOf, engine_name: str) -> Response:
    """The help text of the newest installed version that prints one (Blender as a Python module does not)."""
    versions = parts.catalog.versions(engine_name)
    if not versions:
        raise ApiError(503, _not_installed(engine_name))
    printed = ""
    try:
        for version in versions:
            printed = printed or await parts.catalog.help(version)
    except ProbeError as error:
        raise ApiError(503, str(error)) from error
    return plain(printed or f"{parts.catalog.engine(engine_name).title} prints no help; its options are under args.\n")


async def _detail(parts: Parts, name: str, response_type: str) -> EngineDetail:
    engine, versions = parts.catalog.engine(name), parts.catalog.versions(name)
    detail = EngineDetail(
        name=engine.name,
        title=engine.title,
        versions=[await _info(parts, version) for version in versions],
        is_available=bool(versions),
        reason="" if versions else _not_installed(name),
        unusable=[
            UnusableEngine(
                engine=copy.engine, path=str(copy.path), type=copy.kind.value, name=copy.name, reason=copy.reason
            )
            for copy in parts.catalog.unusable(name)
        ],
    )
    if response_type == "full":
        detail.supported_extensions = list(engine.extensions)
        detail.supported_export_formats = list(engine.output_formats)
        detail.options = engine.options_schema()
        detail.system_info = {}
        if versions:
            try:
                detail.system_info = dict(await parts.catalog.info(versions[0]))
            except ProbeError as error:
                detail.reason = f"it does not tell about itself: {error}"
    return detail


async def _info(parts: Parts, version: EngineVersion) -> EngineVersionInfo:
    used = parts.catalog.last_used(version)
    return EngineVersionInfo(
        engine=version.engine,
        version=version.version,
        system_os=version.system_os,
        cpu=version.cpu,
        path=str(version.path),
        type=version.kind.value,
        name=version.version if version.base else "",
        base_version=version.base,
        size=await parts.catalog.size(version),
        last_used=None if used is None else datetime.fromtimestamp(used, UTC),
    )


async def _options_of(parts: Parts, engine: Engine, asked: str) -> EngineArgs:
    """The options of an installed version, asked for by its name, its number or the beginning of that."""
    versions = parts.catalog.versions(engine.name)
    version = next((version for version in versions if fits(version.version, asked)), None)
    if version is None:
        here = listed(version.version for version in versions)
        raise ApiError(
            404, f"{engine.title} {asked[:60]!r} is not installed on this node; there is {here}", field="version"
        )
    try:
        facts = await parts.catalog.info(version)
    except ProbeError as error:
        raise ApiError(503, str(error)) from error
    schema = engine.options_schema(version.number, facts)
    return EngineArgs(engine=engine.name, version=version.version, schema_=schema)


def _not_installed(name: str) -> str:
    return f"no version of {name} is installed on this node; 'zordon doctor' says how to install one"
