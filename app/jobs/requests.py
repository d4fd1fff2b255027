"""The JSON of ``add_job``, read strictly: one job or a list of them, every fault with its place."""

from __future__ import annotations

from typing import Final

import orjson
from pydantic import JsonValue, ValidationError

from app.jobs.errors import RequestError, TooLarge, at, from_validation
from client.models import AddJob

MAX_DEPTH: Final = 64
"""How deep JSON may be nested. Pydantic and orjson give up later and less clearly."""

_KNOWN: Final = tuple(AddJob.model_fields)


def parse_requests(body: bytes, most: int) -> tuple[list[AddJob], bool]:
    """The requests in a body, and whether they came as a list.

    Args:
        body: JSON.
        most: how many jobs there may be, and how many subjobs.

    Raises:
        RequestError: it is no JSON, no job, or a field is wrong; the message names index and field.
    """
    if not body.strip():
        raise RequestError("the body is empty; send a job, or a list of jobs, as JSON")
    try:
        plain: JsonValue = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        if "depth" in str(error) or "recursion" in str(error).lower():
            raise _too_deep() from error
        raise RequestError(f"the body is no JSON: {error}") from error
    if body.count(b"[") + body.count(b"{") > MAX_DEPTH and _deeper_than(plain, MAX_DEPTH):
        raise _too_deep()
    if not isinstance(plain, list):
        requests = [_request(plain)]
        _check_subjobs(requests, most)
        return requests, False
    if not plain:
        raise RequestError("the list of jobs is empty")
    if len(plain) > most:
        raise TooLarge(f"the list has {len(plain)} jobs; at most {most} are allowed (max_jobs_per_request)")
    requests = []
    for index, item in enumerate(plain):
        with at(f"[{index}]"):
            requests.append(_request(item))
    _check_subjobs(requests, most)
    return requests, True


def _request(plain: JsonValue) -> AddJob:
    if not isinstance(plain, dict):
        raise RequestError(f"a job is a JSON object, not {_kind(plain)}")
    try:
        return AddJob.model_validate(plain)
    except ValidationError as error:
        raise from_validation(error, _KNOWN) from error


def _check_subjobs(requests: list[AddJob], most: int) -> None:
    subjobs = sum(len(request.child_jobs or ()) for request in requests)
    if subjobs > most:
        raise TooLarge(f"the request has {subjobs} subjobs; at most {most} are allowed (max_jobs_per_request)")


def _kind(plain: JsonValue) -> str:
    if plain is None:
        return "null"
    kinds = {bool: "true or false", int: "a number", float: "a number", str: "text", list: "a list"}
    return kinds.get(type(plain), "that")


def _deeper_than(plain: JsonValue, most: int) -> bool:
    level: list[JsonValue] = [plain]
    for _ in range(most + 1):
        level = [
            inner
            for value in level
            if isinstance(value, (dict, list))
            for inner in (value.values() if isinstance(value, dict) else value)
        ]
        if not level:
            return False
    return True


def _too_deep() -> RequestError:
    return RequestError(f"the JSON is nested too deeply: at most {MAX_DEPTH} levels")
