"""Typed options as a form: JSON Schema in which every option says to which group it belongs.

Two keywords are our own and are ignored by whoever does not know them: ``x-group`` of a property names its group, and
``x-groups`` of the whole lists the groups in the order in which a form shows them. Options stay in the order of the
model.
"""

from __future__ import annotations

from collections.abc import Collection

from pydantic import BaseModel, JsonValue
from pydantic.config import JsonDict

GROUP = "x-group"
GROUPS = "x-groups"
OTHER = "Options"
"""The group of what names none."""


def group(name: str) -> JsonDict:
    """The ``json_schema_extra`` of a field that belongs to this group."""
    return {GROUP: name}


def form_schema(model: type[BaseModel]) -> dict[str, JsonValue]:
    """The JSON Schema of a model, every property with its ``x-group``, and ``x-groups`` for their order."""
    schema: dict[str, JsonValue] = model.model_json_schema()
    groups: list[JsonValue] = []
    for option in _properties(schema).values():
        if isinstance(option, dict):
            name = option.setdefault(GROUP, OTHER)
            if name not in groups:
                groups.append(name)
    schema[GROUPS] = groups
    return schema


def keep_values(schema: dict[str, JsonValue], option: str, kept: Collection[str]) -> None:
    """Leave only these of the values that an option of the schema offers; None stays where it was allowed."""
    for place in _places(schema, option):
        offered = place.get("enum")
        if isinstance(offered, list):
            place["enum"] = [value for value in offered if value is None or value in kept]


def limit_length(schema: dict[str, JsonValue], option: str, most: int) -> None:
    """Make a text of the schema shorter."""
    for place in _places(schema, option):
        if "maxLength" in place:
            place["maxLength"] = most


def _properties(schema: dict[str, JsonValue]) -> dict[str, JsonValue]:
    properties = schema.setdefault("properties", {})
    return properties if isinstance(properties, dict) else {}


def _places(schema: dict[str, JsonValue], option: str) -> list[dict[str, JsonValue]]:
    """Where an option says what it takes: in itself, or in each of its alternatives (``anyOf``)."""
    found = _properties(schema).get(option)
    if not isinstance(found, dict):
        return []
    choices = found.get("anyOf")
    return [found, *(choice for choice in (choices if isinstance(choices, list) else []) if isinstance(choice, dict))]
