"""What the OpenAPI document says beyond what FastAPI finds out: both forms of every error, raw bodies, the token.

FastAPI would promise its own 422 for every route; here a wrong parameter is a 400 like every other bad request.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from app.api.permissions import role_of
from app.version import API_VERSION
from client.models import (
    AddJob,
    Beat,
    ChangeNode,
    EditJob,
    EngineKey,
    Exchange,
    FrameNotation,
    Hello,
    JoinFarm,
    Login,
    NewToken,
    NewUpload,
    PauseNode,
    Prepare,
    Problem,
    SubjobAnswer,
    SubjobUpdate,
)

Document = dict[str, Any]  # an OpenAPI document: JSON of any shape
Responses = dict[int | str, dict[str, Any]]

_REF: Final = "#/components/schemas/"
_EXTRA_MODELS: Final[tuple[type[BaseModel], ...]] = (
    Problem,
    AddJob,
    Beat,
    ChangeNode,
    EditJob,
    EngineKey,
    Exchange,
    FrameNotation,
    Hello,
    JoinFarm,
    Login,
    NewToken,
    NewUpload,
    PauseNode,
    SubjobAnswer,
    Prepare,
    SubjobUpdate,
)
"""Models that stand in raw bodies and errors, which FastAPI does not look into."""

DESCRIPTION: Final = f"""One node of a Zordon render farm.

Every request but the heartbeat, the start page, the login, `/healthz` and `/readyz` carries a token: `Authorization:
Bearer <token>`. What it may be used for is its role; the least one for each operation is its `x-zordon-role`. A client
may send the version that it speaks as `X-API-Version`; another major version than {API_VERSION} is refused with 400,
and every answer names ours.
Errors are plain text, or RFC 9457 problem details for clients whose `Accept` names JSON.
"""

_COMMON: Final[Mapping[int, str]] = {
    400: "The request is wrong; the text says what would be right.",
    401: "The token is missing or wrong.",
    403: "The role of the token is too low, or the request comes from a web page of somebody else.",
    429: "Too many wrong tokens came from this address; Retry-After says when to try again.",
    500: "The service has a fault.",
}


def failures(**more: str) -> Responses:
    """The errors of a route, declared in both forms.

    Args:
        more: descriptions of errors of this route, as ``s404="..."``; they replace the common ones.
    """
    told = {**_COMMON, **{int(name.removeprefix("s")): text for name, text in more.items()}}
    return {
        status: {
            "description": told[status],
            # Text first: it is what a client gets that asks for nothing in particular.
            "content": {
                "text/plain": {"schema": {"type": "string"}},
                "application/problem+json": {"schema": {"$ref": _REF + "Problem"}},
            },
        }
        for status in sorted(told)
    }


NO_JOB: Final = "There is no such job, or the request is wrong; the text says what would be right."
"""Description of 400 on the routes of one job."""


def text(description: str, media_type: str = "text/plain") -> Responses:
    """200 with text."""
    return {200: {"description": description, "content": {media_type: {"schema": {"type": "string"}}}}}


def binary(description: str, *media_types: str) -> Responses:
    """200 with bytes."""
    schema = {"type": "string", "format": "binary"}
    return {200: {"description": description, "content": {kind: {"schema": schema} for kind in media_types}}}


def json_body(model: type[BaseModel]) -> Document:
    """``openapi_extra`` of a route that reads its JSON body itself."""
    schema = {"$ref": _REF + model.__name__}
    return {"requestBody": {"required": True, "content": {"application/json": {"schema": schema}}}}


ADD_JOB_BODY: Final[Document] = {
    "requestBody": {
        "description": "One AddJob, or a list of them; with a project as a multipart form.",
        "required": True,
        "content": {
            # The list is in the description only: openapi-python-client makes code that fails at run time from an array
            # beside a form, and a client that sends one job after the other is worth more than none.
            "application/json": {"schema": {"$ref": _REF + "AddJob"}},
            "multipart/form-data": {"schema": {"$ref": _REF + "AddJobUpload"}},
        },
    }
}
_UPLOAD: Final[Document] = {
    "title": "AddJobUpload",
    "type": "object",
    "description": "A submit with a project.",
    "required": ["json"],
    "properties": {
        "json": {
            "type": "string",
            "description": "One AddJob, or a list of them, as JSON text.",
            "contentMediaType": "application/json",
        },
        "file": {
            "type": "string",
            "format": "binary",
            "contentMediaType": "application/octet-stream",
            "description": "The project, or a zip of it. Its own file name counts.",
        },
    },
}


def install(api: FastAPI) -> None:
    """Let ``api.openapi()`` give the whole document."""

    def document() -> Document:
        if api.openapi_schema is None:
            api.openapi_schema = _document(api)
        return api.openapi_schema

    api.openapi = document  # type: ignore[method-assign]  # FastAPI's own documented way to extend the document


def _document(api: FastAPI) -> Document:
    document: Document = get_openapi(
        title=api.title, version=api.version, description=api.description, routes=api.routes
    )
    schemas = document.setdefault("components", {}).setdefault("schemas", {})
    _, definitions = models_json_schema(
        [(model, "validation") for model in _EXTRA_MODELS], ref_template=_REF + "{model}"
    )
    for name, schema in definitions["$defs"].items():
        schemas.setdefault(name, schema)
    schemas["AddJobUpload"] = _UPLOAD
    for unused in ("HTTPValidationError", "ValidationError"):
        schemas.pop(unused, None)
    for operations in document["paths"].values():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            role = role_of(operation["operationId"])
            operation["x-zordon-role"] = None if role is None else role.value
    document["components"]["securitySchemes"] = {"token": {"type": "http", "scheme": "bearer"}}
    document["security"] = [{"token": []}]
    return document
