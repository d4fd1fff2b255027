"""The routes of the farm: who is there, for clients; hello, beat and goodbye, for other nodes."""

from __future__ import annotations

import time
from typing import Final

from fastapi import APIRouter, Request, Response

from app.api.answers import plain, raw_headers
from app.api.bodies import read_model
from app.api.errors import ApiError
from app.api.lifecycle import DONE
from app.api.openapi import failures, json_body, text
from app.api.parts import Parts, PartsOf
from app.api.who import address_of, signed_of
from app.peers.greeting import answer_hello
from app.peers.peer import SameId
from app.peers.signing import SIGNATURE_HEADER
from app.peers.trust import NODE_PREFIX, Trusted
from client.models import Beat, Farm, Hello, HelloAnswer, NodeList

router = APIRouter(prefix="/api", tags=["farm"])

MAX_HELLO: Final = 4 * 1024
MAX_BEAT: Final = 1024 * 1024
_STOPPING: Final = "The node is stopping."


@router.get("/nodes", operation_id="get_nodes", summary="The nodes of the farm", responses=failures())
async def get_nodes(parts: PartsOf) -> NodeList:
    """The farm, this node, and every other one with its state, the reason if it is not used, and how long ago it
    answered."""
    farm = parts.peers.secret.farm
    named = None if farm is None else Farm(id=farm.id, name=farm.name)
    return NodeList(farm=named, nodes=parts.peers.nodes(), fetches=parts.fetching.all())


@router.post(
    "/nodes/{node_id}/forget",
    operation_id="forget_node",
    summary="Take a node off the list",
    response_class=Response,
    responses=text("The word success.") | failures(s404="There is no such node."),
)
async def forget_node(parts: PartsOf, node_id: str) -> Response:
    """Forget a node that is gone for good. One that is there comes back by itself."""
    if not await parts.peers.forget(node_id):
        raise ApiError(404, f"there is no node {node_id[:64]!r}", field="node_id")
    return plain(DONE)


@router.post(
    "/peers/hello",
    operation_id="hello",
    summary="Who is there",
    responses=failures(s503=_STOPPING),
    openapi_extra={**json_body(Hello), "security": []},
)
async def hello(request: Request, parts: PartsOf) -> HelloAnswer:
    """Another node asks who this is, and for a proof that it is of the same farm. Asks for no token."""
    _here(parts)
    asked = await read_model(Hello, raw_headers(request), request.receive, MAX_HELLO)
    return answer_hello(asked, parts.peers.secret.farm, parts.peers.me, time.time())


@router.post(
    "/peers/beat",
    operation_id="beat",
    summary="A node tells how it is",
    responses=failures(
        s400="It is no node that asks.", s409="Another service has the id of the node that asks.", s503=_STOPPING
    ),
    openapi_extra=json_body(Beat),
)
async def beat(request: Request, parts: PartsOf) -> Beat:
    """Another node tells how it is, and hears the same of this one; every two seconds, in both directions."""
    signed = _node(request)
    _here(parts)
    told = await read_model(Beat, raw_headers(request), request.receive, MAX_BEAT)
    try:
        return parts.peers.heard(_id(signed), signed.instance, told, address_of(request.scope))
    except SameId as error:
        raise ApiError(409, str(error), title="Same node id") from error


@router.post(
    "/peers/bye",
    operation_id="bye",
    summary="A node stops",
    response_class=Response,
    responses=text("The word success.") | failures(s400="It is no node that asks."),
)
async def bye(request: Request, parts: PartsOf) -> Response:
    """Another node says goodbye; it is not asked for anything until it is back."""
    signed = _node(request)
    await request.body()
    parts.peers.heard_bye(_id(signed), signed.instance)
    return plain(DONE)


def _here(parts: Parts) -> None:
    if parts.peers.leaving:
        raise ApiError(503, "this node is stopping")


def _node(request: Request) -> Trusted:
    signed = signed_of(request.scope)
    if signed is None:
        raise ApiError(
            400, "only another node of the farm may say this, and it signs its requests", field=SIGNATURE_HEADER
        )
    return signed


def node_of(request: Request) -> str:
    """Id of the node that asks.

    Raises:
        ApiError: it is none.
    """
    return _id(_node(request))


def _id(signed: Trusted) -> str:
    return signed.who.id.removeprefix(NODE_PREFIX)
