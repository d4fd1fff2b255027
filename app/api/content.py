"""``/api/content`` and what else nodes fetch from each other: projects by content, engines as archives."""

from __future__ import annotations

import asyncio
from typing import Annotated, Final

from fastapi import APIRouter, Path, Request, Response

from app.api.answers import Handover, json_bytes, raw_headers
from app.api.bodies import read_model
from app.api.errors import ApiError
from app.api.openapi import Responses, binary, failures, json_body
from app.api.parts import PartsOf
from app.api.peers import node_of
from app.content.store import ContentGone
from app.content.tree import tree_bytes
from app.outputs.sending import FileAnswer
from client.models import Preparation, Prepare, Tree
from engines.contract import InstallKind

router = APIRouter(prefix="/api", tags=["farm"])

MAX_PREPARE: Final = 64 * 1024

Sha256 = Annotated[str, Path(pattern="^[0-9a-f]{64}$", description="Hexadecimal.")]
_PARTIAL: Final[Responses] = {
    206: {
        "description": "The part that Range asked for.",
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    },
    416: {"description": "The range begins behind the end."},
}


@router.get(
    "/content/trees/{tree_id}",
    operation_id="get_content_tree",
    summary="What belongs to a project",
    response_model=Tree,
    responses=failures(s404="The project is not complete on this node."),
)
async def get_content_tree(parts: PartsOf, tree_id: Sha256) -> Response:
    """The files of a project that is complete on this node, by path and content. For other nodes of the farm."""
    tree = await asyncio.to_thread(parts.content.tree, tree_id)
    if tree is None:
        raise ApiError(404, f"the project {tree_id[:16]}… is not complete on this node", field="tree_id")
    return json_bytes(tree_bytes(tree))


@router.get(
    "/content/blobs/{sha256}",
    operation_id="get_content_blob",
    summary="The content of a file",
    response_class=Response,
    responses={
        **binary("The content.", "application/octet-stream"),
        **_PARTIAL,
        **failures(s404="This content is not on this node, or not any more."),
    },
)
async def get_content_blob(parts: PartsOf, sha256: Sha256) -> Response:
    """The content of one file of a project, by its SHA-256; takes Range and If-Range. For other nodes of the farm."""
    try:
        folder, entry = await asyncio.to_thread(parts.content.entry, sha256)
    except ContentGone as error:
        raise ApiError(404, str(error), field="sha256") from error
    return Handover(FileAnswer(folder, entry, name=sha256, media_type="application/octet-stream"))


@router.post(
    "/peers/prepare",
    operation_id="prepare",
    summary="What will be needed soon",
    responses=failures(s400="It is no node that asks."),
    openapi_extra=json_body(Prepare),
)
async def prepare(request: Request, parts: PartsOf) -> Preparation:
    """Another node announces what a share of a job will need here: a project, an engine version. What is missing is
    fetched, the project from the nodes that are named; the answer says at once how far it is. The same, asked again,
    begins nothing twice; what did not come is tried anew."""
    asked_by = node_of(request)
    asked = await read_model(Prepare, raw_headers(request), request.receive, MAX_PREPARE)
    return await parts.preparing.prepare(asked, asked_by)


@router.get(
    "/engines/{engine_name}/{version}/archive",
    operation_id="get_engine_archive",
    summary="A managed copy as an archive",
    response_class=Response,
    responses={
        **binary("A tar; its ETag is its SHA-256.", "application/x-tar"),
        **_PARTIAL,
        **failures(s404="There is no such engine, or no managed copy of this version."),
    },
)
async def get_engine_archive(parts: PartsOf, engine_name: str, version: str) -> Response:
    """A copy of an engine that this node has fetched, for other nodes of the same kind; takes Range and If-Range."""
    engine = parts.catalog.engine(engine_name)
    copies = [copy for copy in parts.catalog.versions(engine.name) if copy.kind is InstallKind.MANAGED]
    if all(copy.version != version for copy in copies):
        known = ", ".join(copy.version for copy in copies) or "none"
        raise ApiError(
            404, f"this node has no managed copy of {engine.title} {version[:40]}; it has {known}", field="version"
        )
    folder = parts.folders.engines / engine.name / version
    return Handover(await parts.giving.of(folder, f"{engine.name}-{version}.tar"))
