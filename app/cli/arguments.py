"""What a person types after an option, read: engine options, times, sizes."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import typer
from pydantic import JsonValue


def split_args(pairs: Sequence[str]) -> dict[str, str]:
    """``key=value`` pairs by key.

    Raises:
        typer.BadParameter: no ``=``, no key, or a key given twice.
    """
    found: dict[str, str] = {}
    for pair in pairs:
        key, equals, text = pair.partition("=")
        key = key.strip()
        if not equals or not key:
            raise typer.BadParameter(f"--arg {pair!r}: write it as key=value")
        if key in found:
            raise typer.BadParameter(f"--arg {key} is given twice")
        found[key] = text
    return found


def read_args(texts: Mapping[str, str], schema: Mapping[str, JsonValue]) -> dict[str, JsonValue]:
    """A job's ``args``: JSON where the text is JSON and the engine's option is not simply text, else the text.

    Args:
        schema: JSON Schema of the engine's options.
    """
    properties = schema.get("properties")
    found: dict[str, JsonValue] = {}
    for key, text in texts.items():
        option = properties.get(key) if isinstance(properties, dict) else None
        try:
            value: JsonValue = json.loads(text)
        except ValueError:
            value = text
        is_text = not isinstance(value, str) and value is not None and _kinds(option) == {"string"}
        found[key] = text if is_text else value
    return found


def _kinds(option: JsonValue) -> set[str]:
    """The JSON types that an option takes, as far as its schema says, null left out."""
    if not isinstance(option, dict):
        return set()
    kinds: set[str] = set()
    choices = option.get("anyOf")
    for part in (option, *(choices if isinstance(choices, list) else [])):
        named = part.get("type") if isinstance(part, dict) else None
        kinds |= {str(kind) for kind in (named if isinstance(named, list) else [named]) if kind}
    return kinds - {"null"}


def read_time(text: str, now: datetime) -> datetime:
    """``+90m``, ``18:00`` (the next one) or an ISO time, local unless it says otherwise.

    Args:
        now: the present, with its time zone.

    Raises:
        typer.BadParameter: it is none of these.
    """
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    if text.startswith("+") and text[1:-1].isdecimal() and text[-1] in units:
        return now + timedelta(**{units[text[-1]]: int(text[1:-1])})
    try:
        if len(text) <= 5 and ":" in text:
            clock = datetime.strptime(text, "%H:%M").time()  # noqa: DTZ007 — a time of day, no moment yet
            today = now.replace(hour=clock.hour, minute=clock.minute, second=0, microsecond=0)
            return today if today > now else today + timedelta(days=1)
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise typer.BadParameter(f"--start-at {text!r}: write 2026-05-01T18:00, 18:00 or +90m") from error
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=now.tzinfo)


def read_size(text: str) -> int:
    """``32GB``, ``512 MiB`` or plain bytes, in bytes.

    Raises:
        typer.BadParameter: it is none of these.
    """
    match = re.fullmatch(r"(\d+(?:\.\d+)?) ?(?:([kmgt])(i?)b?|b)?", text.strip().lower())
    if match is None:
        raise typer.BadParameter(f"--memory {text!r}: write 32GB, 512MiB or plain bytes")
    power = "kmgt".index(match[2]) + 1 if match[2] else 0
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)
