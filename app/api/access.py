"""``/api/tokens``, ``/api/login`` and what belongs to them: making and revoking tokens, letting browsers in and out."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from typing import Final

from fastapi import APIRouter, Request, Response

from app.access.codes import CODE_SECONDS
from app.access.identity import Identity
from app.access.tokens import SESSION_SECONDS
from app.api.answers import json_bytes, plain, raw_headers
from app.api.bodies import read_model
from app.api.errors import ApiError
from app.api.guard import refused_try
from app.api.lifecycle import DONE
from app.api.openapi import failures, json_body, text
from app.api.parts import PartsOf
from app.api.who import CHANGE, Change, WhoOf, address_of, note
from client.models import AccessKind, Login, LoginCode, MadeToken, NewToken, TokenInfo

router = APIRouter(prefix="/api", tags=["access"])

MAX_BODY: Final = 4 * 1024
_NO_STORE: Final = {"Cache-Control": "no-store"}


@router.get("/whoami", operation_id="whoami", summary="Who asks", responses=failures())
async def whoami(who: WhoOf) -> TokenInfo:
    """What the token, or the browser's session, is called, and its role."""
    return _info(who)


@router.get("/tokens", operation_id="get_tokens", summary="Tokens and sessions", responses=failures())
async def get_tokens(parts: PartsOf) -> list[TokenInfo]:
    """Everything that lets somebody in now, the oldest first; no secrets."""
    return [_info(identity) for identity in parts.access.tokens.all()]


@router.post(
    "/tokens",
    operation_id="add_token",
    summary="Make a token",
    response_model=MadeToken,
    responses=failures(s409="A token has this name already, or there are too many."),
    openapi_extra=json_body(NewToken),
)
async def add_token(request: Request, parts: PartsOf, who: WhoOf) -> Response:
    """Make a token with a role. Its secret is in this answer and in no other."""
    wanted = await read_model(NewToken, raw_headers(request), request.receive, MAX_BODY)
    identity, secret = await parts.access.tokens.add(wanted, who)
    note(request.scope, made=identity.id, name=identity.name, made_role=identity.role.value)
    made = MadeToken(**dict(_info(identity)), secret=secret)
    return Response(made.model_dump_json(), media_type="application/json", headers=_NO_STORE)


@router.post(
    "/tokens/{token_id}/revoke",
    operation_id="revoke_token",
    summary="Revoke a token",
    responses=failures(s404="There is no such token.", s409="It is the first token, which no call can revoke."),
)
async def revoke_token(request: Request, parts: PartsOf, token_id: str) -> TokenInfo:
    """Make a token or a session worthless, at once and for good, and the sessions of browsers that were let in with
    it. Jobs that came with it go on."""
    identity = await parts.access.tokens.revoke(token_id)
    note(request.scope, name=identity.name)
    return _info(identity)


@router.post(
    "/login_code",
    operation_id="make_login_code",
    summary="Make a login code",
    response_model=LoginCode,
    responses=failures(),
)
async def make_login_code(parts: PartsOf, who: WhoOf) -> Response:
    """A code that lets one browser in, once, within ten minutes: open `/#code=<code>` with it."""
    until = datetime.now(UTC) + timedelta(seconds=CODE_SECONDS)
    made = LoginCode(code=parts.access.codes.make(who), expires=until)
    return Response(made.model_dump_json(), media_type="application/json", headers=_NO_STORE)


@router.post(
    "/login",
    operation_id="login",
    summary="Let a browser in",
    response_model=TokenInfo,
    responses=failures(s401="The code is not right: it was used, or is older than ten minutes. Or the token is wrong."),
    openapi_extra={**json_body(Login), "security": []},
)
async def login(request: Request, parts: PartsOf) -> Response:
    """Trade a login code, or a token, for a cookie, which scripts cannot read and other sites cannot use. The page does
    this with the code behind the # of its address. A code gives all rights, a token its own."""
    wanted = await read_model(Login, raw_headers(request), request.receive, MAX_BODY)
    begun = await parts.access.login(wanted)
    if begun is None:
        seconds = parts.access.tries.failed(address_of(request.scope))
        if wanted.code is None:
            raise refused_try(seconds, "the token is wrong", "token")
        raise refused_try(
            seconds, "this login code was used, or is older than ten minutes; `zordon login` makes a new one", "code"
        )
    session, secret = begun
    change = request.scope.get(CHANGE)
    if isinstance(change, Change):
        change.who = session
    note(request.scope, let_in_by=session.made_by)
    answer = json_bytes(_info(session).model_dump_json().encode())
    seconds_left = SESSION_SECONDS if session.expires is None else session.expires - time.time()
    _set_cookie(answer, request, parts.access.cookie, secret, seconds_left)
    return answer


@router.post(
    "/logout",
    operation_id="logout",
    summary="Let a browser out",
    response_class=Response,
    responses=text("The word success.") | failures(),
)
async def logout(request: Request, parts: PartsOf, who: WhoOf) -> Response:
    """End the session that the request's cookie stands for. A token is no session; it is revoked."""
    if who.kind is not AccessKind.SESSION:
        raise ApiError(400, "only a browser's session can be ended so; a token is revoked", field="Authorization")
    await parts.access.tokens.revoke(who.id)
    answer = plain(DONE)
    _set_cookie(answer, request, parts.access.cookie, "", 0)
    return answer


def _set_cookie(answer: Response, request: Request, name: str, secret: str, seconds: float) -> None:
    answer.headers["Cache-Control"] = "no-store"
    answer.set_cookie(
        name,
        secret,
        max_age=int(seconds),
        path="/",
        secure=request.scope.get("scheme") == "https",
        httponly=True,
        samesite="strict",
    )


def _info(identity: Identity) -> TokenInfo:
    return TokenInfo(
        id=identity.id,
        name=identity.name,
        role=identity.role,
        kind=identity.kind,
        made_by=identity.made_by,
        date_created=_moment(identity.created),
        expires=_moment(identity.expires),
    )


def _moment(at: float | None) -> datetime | None:
    return None if at is None else datetime.fromtimestamp(at, UTC)
