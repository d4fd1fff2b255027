"""``/api/pairing``: offering this node's farm with a short code, and joining another one's."""

from __future__ import annotations

from typing import Final

from fastapi import APIRouter, Request

from app.api.answers import raw_headers
from app.api.bodies import read_model
from app.api.errors import ApiError
from app.api.guard import refused_try
from app.api.openapi import failures, json_body
from app.api.parts import PartsOf
from app.api.who import address_of, note
from app.peers.joining import JoinFailed
from app.peers.pairing import NothingOffered, WrongCode
from app.peers.pairing_code import ExchangeFailed
from app.peers.secret import FarmSecretError
from client.models import Exchange, ExchangeAnswer, Joined, JoinFarm, Pairing

router = APIRouter(prefix="/api/pairing", tags=["farm"])

MAX_BODY: Final = 4 * 1024


@router.get("", operation_id="get_pairing", summary="What is offered", responses=failures())
async def get_pairing(parts: PartsOf) -> Pairing:
    """The code that is good now, if there is one, and who has joined with one of this node."""
    return parts.pairing.state()


@router.post(
    "",
    operation_id="offer_pairing",
    summary="Offer the farm",
    responses=failures(s409="The farm cannot be founded; the text says why."),
)
async def offer_pairing(parts: PartsOf) -> Pairing:
    """Make a code by which one other node joins this node's farm, within ten minutes. A code of before is good for
    nothing any more. A node that is in no farm founds one."""
    try:
        return await parts.pairing.offer()
    except FarmSecretError as error:
        raise ApiError(409, str(error)) from error


@router.delete("", operation_id="withdraw_pairing", summary="Offer nothing", responses=failures())
async def withdraw_pairing(parts: PartsOf) -> Pairing:
    """Make the code good for nothing."""
    parts.pairing.withdraw()
    return parts.pairing.state()


@router.post(
    "/join",
    operation_id="join_farm",
    summary="Join a farm",
    responses=failures(
        s400="The code is wrong, or the address is none.",
        s409="The node is in another farm, or a setting says in which.",
        s503="The other node was not found, or offers nothing.",
    ),
    openapi_extra=json_body(JoinFarm),
)
async def join_farm(request: Request, parts: PartsOf) -> Joined:
    """Bring this node into the farm of the one that offers it with this code; that is looked for on the network if no
    address is given. The farm's secret crosses the wire sealed by a key that only the two have (SPAKE2)."""
    wanted = await read_model(JoinFarm, raw_headers(request), request.receive, MAX_BODY)
    try:
        joined = await parts.joining.join(wanted)
    except JoinFailed as error:
        raise ApiError(error.status, str(error), field=error.field) from error
    except FarmSecretError as error:
        raise ApiError(409, str(error)) from error
    note(request.scope, farm=joined.farm.name, partner=joined.partner.id)
    return joined


@router.post(
    "/exchange",
    operation_id="exchange_pairing",
    summary="A node that joins",
    responses=failures(s401="The code is wrong.", s404="No code is offered now."),
    openapi_extra={**json_body(Exchange), "security": []},
)
async def exchange(request: Request, parts: PartsOf) -> ExchangeAnswer:
    """One of two steps of another node that joins, by SPAKE2. Asks for no token; five wrong codes end the offer."""
    asked = await read_model(Exchange, raw_headers(request), request.receive, MAX_BODY)
    host = address_of(request.scope)
    try:
        return await parts.pairing.answer(asked, host)
    except NothingOffered as error:
        raise ApiError(404, str(error)) from error
    except ExchangeFailed as error:
        raise ApiError(400, str(error), field="message") from error
    except WrongCode as error:
        raise refused_try(parts.access.tries.failed(host), str(error), "code") from error
