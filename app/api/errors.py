"""How an error looks on the wire: the reference's plain text, or RFC 9457 problem details for who asks for JSON.

Every error of every route, of the guard and of the routing itself goes through :func:`problem_of` and
:func:`error_answer`, so that there is one place that says which status a fault of the service's own parts has.
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus

import structlog
from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from app.access.errors import AccessError
from app.installs.errors import InstallError
from app.jobs.errors import RequestError
from app.jobs.keys import KeyReused
from app.jobs.service import JobNotFound
from app.jobs.store import StoreError
from app.node.instance import InstanceError
from app.outputs.reading import OutputGone
from app.render.catalog import UnknownEngine
from client.models import Problem
from engines.contract import Refusal

log = structlog.get_logger(__name__)

JOB_NOT_FOUND_TITLE = "Job not found"
"""By this title a client tells an unknown job from every other 400."""

_JSON_TYPES = (b"application/json", b"application/problem+json")
_NO_HEADERS: Mapping[str, str] = {}


class ApiError(Exception):
    """An answer with an error status.

    Attributes:
        status: HTTP status, 400 to 599.
        detail: a sentence: what was wrong and what would be right.
        field: the request field to mend, if there is one.
        title: what kind of problem it is; the status's own name if left out.
        headers: further headers of the answer.
    """

    def __init__(
        self,
        status: int,
        detail: str,
        *,
        field: str | None = None,
        title: str | None = None,
        headers: Mapping[str, str] = _NO_HEADERS,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.detail = detail
        self.field = field
        self.title = title if title is not None else HTTPStatus(status).phrase
        self.headers = headers


class ClientGone(Exception):
    """The client closed the connection; nobody is there to be answered."""


_KNOWN = (
    ApiError,
    ClientGone,
    JobNotFound,
    KeyReused,
    RequestError,
    Refusal,
    InstallError,
    AccessError,
    UnknownEngine,
    OutputGone,
    RequestValidationError,
    HTTPException,
    StoreError,
    InstanceError,
)


def problem_of(error: Exception) -> ApiError:
    """The answer that an exception of any part of the service stands for.

    One that no part raises on purpose is logged with its traceback and becomes a 500 that tells nothing of it.
    """
    match error:
        case ApiError():
            return error
        case JobNotFound():
            return ApiError(400, str(error), title=JOB_NOT_FOUND_TITLE)
        case KeyReused():
            return ApiError(409, str(error), field="Idempotency-Key")
        case RequestError():
            return ApiError(error.status, error.message, field=error.field)
        case Refusal():
            return ApiError(400, error.message, field=error.field)
        case InstallError() | AccessError():
            return ApiError(error.status, error.message, field=error.field)
        case UnknownEngine():
            return ApiError(404, str(error), title="Engine not found")
        case OutputGone():
            return ApiError(404, str(error))
        case RequestValidationError():
            return _invalid(error)
        case HTTPException():
            return _of_routing(error)
        case StoreError() | InstanceError():
            log.error("a request failed because of the store or the data folder", reason=str(error))
            return ApiError(500, str(error))
        case _:
            log.error("a request failed because of a fault in the service", exc_info=error)
            return ApiError(500, f"the service has a fault ({type(error).__name__}); its log says more")


def error_answer(error: ApiError, accept: bytes) -> tuple[list[tuple[bytes, bytes]], bytes]:
    """Headers and body of an error for a client that sent this ``Accept``."""
    if wants_problem(accept):
        problem = Problem(title=error.title, status=error.status, detail=error.detail, field=error.field)
        kind, body = b"application/problem+json", problem.model_dump_json(exclude_none=True).encode()
    else:
        kind, body = b"text/plain; charset=utf-8", error.detail.encode("utf-8", "replace")
    headers = [(b"content-type", kind), (b"content-length", b"%d" % len(body)), (b"cache-control", b"no-store")]
    headers += [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in error.headers.items()]
    return headers, body


def wants_problem(accept: bytes) -> bool:
    """Whether an ``Accept`` header names JSON or problem details, and does not weigh them zero.

    >>> wants_problem(b"text/html, application/json"), wants_problem(b"*/*"), wants_problem(b"application/json;q=0")
    (True, False, False)
    """
    if b"json" not in accept.lower():
        return False
    for item in accept.lower().split(b","):
        kind, *parameters = (part.strip() for part in item.split(b";"))
        refused = any(part.replace(b" ", b"") in (b"q=0", b"q=0.0", b"q=0.00", b"q=0.000") for part in parameters)
        if kind in _JSON_TYPES and not refused:
            return True
    return False


def install_handlers(api: FastAPI) -> None:
    """Let every error inside FastAPI be answered in our two forms."""

    async def answer(request: Request, error: Exception) -> Response:
        if isinstance(error, ClientGone):
            return Response(status_code=400)
        if isinstance(error, HTTPException) and error.status_code == 405:
            methods = request.app.state.permissions.methods(request.scope["path"])
            error = HTTPException(405, headers={"Allow": ", ".join(sorted(methods))} if methods else error.headers)
        problem = problem_of(error)
        headers, body = error_answer(problem, request.headers.get("accept", "").encode("latin-1"))
        response = Response(body, problem.status)
        response.raw_headers = headers
        return response

    # Exception is answered too, but Starlette treats it apart: it raises it once more, for the server's log.
    for kind in (*_KNOWN, Exception):
        api.add_exception_handler(kind, answer)


def _invalid(error: RequestValidationError) -> ApiError:
    """A parameter or body that FastAPI refused: 400, and the first field that is wrong."""
    first = error.errors()[0]
    where, *path = (str(part) for part in first["loc"])
    field = ".".join(path) or where
    kind = {"query": "the query parameter", "path": "the path's", "header": "the header"}.get(where, "the field")
    if first["type"] == "missing":
        return ApiError(400, f"{kind} {field!r} is missing", field=field)
    message = str(first["msg"]).removeprefix("Value error, ")
    return ApiError(400, f"{kind} {field!r} is wrong: {message[:1].lower()}{message[1:]}", field=field)


def _of_routing(error: HTTPException) -> ApiError:
    """What Starlette itself refuses: unknown routes and methods."""
    headers = error.headers or {}
    if error.status_code == 404:
        return ApiError(404, "there is no such route; docs/api.md and /api/openapi.json name them all")
    if error.status_code == 405:
        allowed = ", ".join(value for name, value in headers.items() if name.lower() == "allow")
        return ApiError(405, f"this route does not take that method; it takes {allowed}", headers=headers)
    return ApiError(error.status_code, str(error.detail), headers=headers)
