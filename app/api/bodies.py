"""Reading a request: its query and its body, bounded, without FastAPI's help.

The fast paths answer before any routing, and an upload must reach the disk as it comes; neither can use parsed
parameters. JSON bodies of declared routes are read here too, so that one limit and one wording hold for all.
"""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator, Mapping
from typing import TypeVar
from urllib.parse import parse_qsl

from pydantic import BaseModel, ValidationError
from starlette.types import Message, Receive

from app.api.errors import ApiError, ClientGone
from app.peers.signing import BODY_HEADER
from app.peers.trust import NOT_SIGNED

M = TypeVar("M", bound=BaseModel)

_TRUE = frozenset({"true", "1", "yes", "on", "y", "t"})
_FALSE = frozenset({"false", "0", "no", "off", "n", "f"})


def query_of(query_string: bytes) -> dict[str, str]:
    """The query parameters; of a repeated one the last."""
    if not query_string:
        return {}
    if b"%" in query_string or b"+" in query_string:
        return dict(parse_qsl(query_string.decode("latin-1"), keep_blank_values=True))
    pairs = (pair.partition("=") for pair in query_string.decode("latin-1").split("&"))
    return {name: value for name, _, value in pairs}


def flag(query: Mapping[str, str], name: str) -> bool:
    """A parameter that is true or false; false if it is left out.

    Raises:
        ApiError: it is neither.
    """
    value = query.get(name)
    if value is None or value.lower() in _FALSE:
        return False
    if value.lower() in _TRUE:
        return True
    raise ApiError(400, f"the query parameter {name!r} is {value[:40]!r}; it must be true or false", field=name)


async def body_chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body as it comes.

    Raises:
        ClientGone: the connection closed before its end.
    """
    more = True
    while more:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ClientGone
        chunk: bytes = message.get("body", b"")
        if chunk:
            yield chunk
        more = message.get("more_body", False)


async def read_body(headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> bytes:
    """The whole body, at most ``limit`` bytes.

    Raises:
        ApiError: it is larger.
        ClientGone: see :func:`body_chunks`.
    """
    length = headers.get(b"content-length", b"0")
    if length.isdigit() and int(length) > limit:
        raise _too_large(limit)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        whole: bytes = message.get("body", b"")
        if len(whole) > limit:
            raise _too_large(limit)
        return whole
    if message["type"] == "http.disconnect":
        raise ClientGone
    body = bytearray(message.get("body", b""))
    async for chunk in body_chunks(receive):
        body += chunk
        if len(body) > limit:
            raise _too_large(limit)
    return bytes(body)


async def read_model(model: type[M], headers: Mapping[bytes, bytes], receive: Receive, limit: int) -> M:
    """The body as a wire model.

    Raises:
        ApiError: it is no JSON, too large, or has a wrong field.
        ClientGone: see :func:`body_chunks`.
    """
    kind = headers.get(b"content-type", b"application/json").partition(b";")[0].strip().lower()
    if kind != b"application/json":
        raise ApiError(
            400, f"the body must be JSON (Content-Type: application/json), not {kind[:60].decode('latin-1')}"
        )
    body = await read_body(headers, receive, limit)
    try:
        return model.model_validate_json(body)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        field = ".".join(str(part) for part in first["loc"])
        if first["type"] == "json_invalid":
            raise ApiError(400, f"the body is no JSON: {first['msg'].removeprefix('Invalid JSON: ')}") from error
        if first["type"] == "missing":
            raise ApiError(400, f"the field {field!r} is missing", field=field) from error
        name = f"the field {field!r}" if field else "the body"
        raise ApiError(400, f"{name} is wrong: {first['msg']}", field=field or None) from error


def signed_body(receive: Receive, digest: str) -> Receive:
    """``receive()`` of a request whose body another node has signed: its last piece is given on only if all of it is
    what was signed.

    Args:
        digest: SHA-256 that the body must have, in hexadecimal.
    """
    read = hashlib.sha256()
    complete = False

    async def checked() -> Message:
        nonlocal complete
        message = await receive()
        if message["type"] == "http.request" and not complete:
            read.update(message.get("body", b""))
            complete = not message.get("more_body", False)
            if complete and read.hexdigest() != digest:
                raise ApiError(401, "the body is not the one that was signed", title=NOT_SIGNED, field=BODY_HEADER)
        return message

    return checked


def _too_large(limit: int) -> ApiError:
    return ApiError(413, f"the body is larger than {limit} bytes, the most that this route takes")
