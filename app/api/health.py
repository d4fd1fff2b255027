"""The routes that are asked by machines that look after machines: alive, ready, measures.

``/healthz`` and ``/readyz`` are open, because who starts and restarts services has no token; without one they tell
nothing but yes or no.
"""

from __future__ import annotations

from collections import Counter
from typing import Final

from fastapi import APIRouter, Request, Response

from app.api.answers import plain
from app.api.errors import ApiError
from app.api.openapi import failures, text
from app.api.parts import PartsOf
from app.api.who import WHO
from app.node.metrics import CONTENT_TYPE
from client.models import NodeState, Readiness

router = APIRouter(tags=["node"])

_NO_STORE: Final = {"Cache-Control": "no-store"}


@router.get(
    "/healthz",
    operation_id="get_health",
    summary="Whether the service is alive",
    response_class=Response,
    responses=text("ok") | failures(),
    openapi_extra={"security": []},
)
async def get_health() -> Response:
    """`ok`: the service answers. Restart it if it does not. Asks for no token."""
    return plain("ok")


@router.get(
    "/readyz",
    operation_id="get_readiness",
    summary="Whether the node can do its work",
    responses=failures(s503="It cannot do its work now; whoever shows a token is told why."),
    openapi_extra={"security": [{}, {"token": []}]},
)
async def get_readiness(request: Request, response: Response, parts: PartsOf) -> Readiness:
    """200 if it can, 503 if not: the store can be written, the disk has space, an engine is installed, the slots live.

    Asks for no token; only with one it says why, and what else should be mended.
    """
    condition = await parts.node.condition()
    told = WHO in request.scope
    if not condition.ready:
        why = "; ".join(condition.reasons) if told else "with a token it is said why"
        raise ApiError(503, f"not ready: {why}", title="Not ready")
    response.headers.update(_NO_STORE)
    return Readiness(ready=True, notes=list(condition.notes) if told else [])


@router.get(
    "/metrics",
    operation_id="get_metrics",
    summary="What can be measured",
    response_class=Response,
    responses=text("The text format of Prometheus, version 0.0.4.") | failures(),
)
async def get_metrics(parts: PartsOf) -> Response:
    """Queue, frames, durations, failures by cause, waiting clients, nodes, installs, disk, the process itself."""
    nodes = Counter({state.value: 0 for state in NodeState})
    nodes.update(node.state.value for node in parts.peers.nodes())
    body = await parts.node.metrics(parts.hot.waiting, nodes)
    return Response(body, headers={**_NO_STORE, "Content-Type": CONTENT_TYPE})
