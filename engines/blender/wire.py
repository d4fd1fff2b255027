"""The lines between the service and the runner inside Blender.

To the runner, on stdin: ``{"chunk": "<attempt>", "frames": [1, 2], "folder": "/path"}`` and ``{"finish": true}``.
From the runner, on its own pipe, one object a line, told apart by ``event``: ``ready`` (colour), ``progress`` (frame,
fraction, note), ``frame`` (frame, seconds), ``done`` (attempt), ``warning`` (message), ``failed`` (message, cause,
frame or null).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence

from pydantic import JsonValue

from engines.contract import (
    Chunk,
    ChunkDone,
    EngineEvent,
    EngineFailed,
    EngineWarning,
    FailureCause,
    FrameWritten,
    Progress,
    Ready,
)

Facts = Mapping[str, JsonValue]

FINISH = b'{"finish": true}\n'


def chunk_line(chunk: Chunk) -> bytes:
    """The line that gives a chunk to the runner."""
    order = {"chunk": chunk.attempt, "frames": list(chunk.frames), "folder": str(chunk.folder)}
    return (json.dumps(order) + "\n").encode()


def events_of(line: str) -> Sequence[EngineEvent]:
    """What a line says; nothing for a line that is not the runner's."""
    try:
        facts: JsonValue = json.loads(line)
    except (ValueError, RecursionError):
        return ()
    if not isinstance(facts, dict):
        return ()
    kind = facts.get("event")
    read = _READERS.get(kind) if isinstance(kind, str) else None
    event = read(facts) if read else None
    return () if event is None else (event,)


def _ready(facts: Facts) -> EngineEvent | None:
    colour = facts.get("colour")
    return Ready({key: str(value) for key, value in colour.items()} if isinstance(colour, dict) else {})


def _progress(facts: Facts) -> EngineEvent | None:
    fraction = _number(facts.get("fraction"))
    bounded = None if fraction is None else min(1.0, max(0.0, fraction))
    return Progress(bounded, _integer(facts.get("frame")), _text(facts.get("note")))


def _frame(facts: Facts) -> EngineEvent | None:
    frame = _integer(facts.get("frame"))
    seconds = _number(facts.get("seconds"))
    if seconds is not None and seconds < 0:
        seconds = None
    return None if frame is None else FrameWritten(frame, seconds=seconds)


def _done(facts: Facts) -> EngineEvent | None:
    attempt = facts.get("attempt")
    return ChunkDone(attempt) if isinstance(attempt, str) else None


def _warning(facts: Facts) -> EngineEvent | None:
    message = _text(facts.get("message"))
    return EngineWarning(message) if message else None


def _failed(facts: Facts) -> EngineEvent | None:
    cause = facts.get("cause")
    known = next((one for one in FailureCause if one == cause), FailureCause.ERROR)
    return EngineFailed(_text(facts.get("message")) or "Blender failed", known, _integer(facts.get("frame")))


_READERS: Mapping[str, Callable[[Facts], EngineEvent | None]] = {
    "ready": _ready,
    "progress": _progress,
    "frame": _frame,
    "done": _done,
    "warning": _warning,
    "failed": _failed,
}


def _text(value: JsonValue) -> str:
    return value if isinstance(value, str) else ""


def _integer(value: JsonValue) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _number(value: JsonValue) -> float | None:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return None
    try:
        number = float(value)
    except OverflowError:  # an integer of a thousand digits
        return None
    return number if math.isfinite(number) else None
