"""How a job looks as bytes: in the store (spec and state) and on the wire.

The wire bytes are made once per change and kept; every list of jobs is a join of them. They are written with orjson
from a plain dict, which takes microseconds; a test holds that they are exactly what the wire model ``Job`` describes.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime

import orjson

from app.jobs.eta import spread, time_left
from app.jobs.record import NO_WISH, JobRecord, JobSpec, JobState, Origin, Pace
from app.jobs.running import Running, RunningChunk
from client.models import JobStatus
from engines.contract import MissingVersion, VersionWish
from engines.frames import FrameSet, IndexSet


@dataclass(frozen=True, slots=True)
class JobProgress:
    """What is known between two verified frames; never stored."""

    partial_frames: float = 0.0  # sum of the fractions of the frames in work
    current: str = ""
    waiting: str = ""  # how far what it waits for is; shown as its reason while it is configuring


IDLE = JobProgress()

_SPEC_FIELDS = tuple(item.name for item in fields(JobSpec))
_PLAIN_STATE = tuple(
    item.name
    for item in fields(JobState)
    if item.name not in ("status", "ending", "done", "failed", "running", "strikes", "children_ended", "pace")
)


def spec_bytes(spec: JobSpec) -> bytes:
    """The spec as JSON, for the store."""
    plain = {name: getattr(spec, name) for name in _SPEC_FIELDS}
    plain["frames"] = spec.frames.notation()
    plain["options"], plain["colour"], plain["details"] = dict(spec.options), dict(spec.colour), dict(spec.details)
    wish = spec.wish
    plain["wish"] = None if wish is NO_WISH else {"asked": wish.asked, "saved_by": wish.saved_by}
    plain["origin"] = None if spec.origin is None else asdict(spec.origin)
    if (missing := spec.missing) is not None:
        plain["missing"] = {"version": missing.version, "fetch": missing.fetch, "reason": missing.reason}
    return orjson.dumps(plain)


def state_bytes(record: JobRecord) -> bytes:
    """The state as JSON, for the store. Frames stand in the field's notation."""
    state, notation = record.state, record.spec.frames.notation
    plain = {name: getattr(state, name) for name in _PLAIN_STATE}
    plain["status"] = state.status.value
    plain["ending"] = state.ending.value if state.ending is not None else None
    plain["done"], plain["failed"] = record.done_notation, notation(state.failed)
    plain["running"] = [orjson.Fragment(_chunk_bytes(chunk, record.spec.frames)) for chunk in state.running]
    plain["strikes"] = [notation(struck) for struck in state.strikes]
    plain["children_ended"] = dict(state.children_ended)
    pace = state.pace
    plain["pace"] = None if pace is None else (pace.mean, pace.deviation, pace.count)
    return orjson.dumps(plain)


def _chunk_bytes(chunk: RunningChunk, frames: FrameSet) -> bytes:
    """A chunk as JSON: kept with it, for most of thousands are the same after every change of their job."""
    if chunk.encoded is None:
        plain = (chunk.attempt, frames.notation(chunk.positions), chunk.began, chunk.assembles, chunk.node)
        object.__setattr__(chunk, "encoded", orjson.dumps(plain))
    assert chunk.encoded is not None
    return chunk.encoded


def record_from(spec: bytes, state: bytes) -> JobRecord:
    """The job that :func:`spec_bytes` and :func:`state_bytes` wrote.

    Raises:
        ValueError, KeyError, TypeError: they did not write it.
    """
    plain = orjson.loads(spec)
    frames = FrameSet.parse(plain["frames"])
    for name in ("children", "warnings", "raw_arguments", "tags", "parts"):
        plain[name] = tuple(plain.get(name, ()))  # stores of earlier releases have no raw arguments, or no tags
    known = {name: plain[name] for name in _SPEC_FIELDS if name in plain}
    wish, missing = plain.get("wish"), plain.get("missing")  # stores of the first release have neither
    if wish is None:
        known["wish"] = NO_WISH
    else:
        saved_by = None if wish["saved_by"] is None else tuple(wish["saved_by"])
        known["wish"] = VersionWish(wish["asked"], saved_by)
    if missing is not None:
        known["missing"] = MissingVersion(missing["version"], missing["fetch"], missing["reason"])
    if (origin := plain.get("origin")) is not None:
        known["origin"] = Origin(**origin)
    the_spec = JobSpec(**{**known, "frames": frames})

    def positions(notation: str) -> IndexSet:
        return frames.positions(FrameSet.parse(notation)) if notation else IndexSet()

    plain = orjson.loads(state)
    known = {name: plain[name] for name in _PLAIN_STATE if name in plain}
    for name in ("warnings", "errors"):
        known[name] = tuple(known[name])
    the_state = JobState(
        **{
            **known,
            "status": JobStatus(plain["status"]),
            "ending": JobStatus(plain["ending"]) if plain["ending"] is not None else None,
            "done": positions(plain["done"]),
            "failed": positions(plain["failed"]),
            "running": Running(
                RunningChunk(attempt, positions(part), *more) for attempt, part, *more in plain["running"]
            ),
            "strikes": tuple(positions(part) for part in plain["strikes"]),
            "children_ended": plain["children_ended"],
            "pace": Pace(*pace) if (pace := plain.get("pace")) is not None else None,
        }
    )
    return JobRecord(the_spec, the_state)


def _iso(at: float | None) -> str | None:
    return None if at is None else datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")


def wire_bytes(record: JobRecord, progress: JobProgress = IDLE, held: str = "", trouble: str = "") -> bytes:
    """The job as every route answers it: the JSON of the wire model ``Job``.

    Args:
        held: why this node begins nothing of it now, if it does not; shown as its reason while it waits for a slot.
        trouble: takes the place of its reason: what has happened to it and is not stored yet.
    """
    spec, state = record.spec, record.state
    total, done = len(spec.frames), len(state.done)
    in_work = min(done + progress.partial_frames, float(total)) if state.running else float(done)
    shown = _shown(record)
    reason = progress.waiting if progress.waiting and state.status is JobStatus.CONFIGURING else state.reason
    if held and state.status is JobStatus.NOT_STARTED and not state.needs_space:
        reason = held
    reason = trouble or reason
    eta: float | None = None
    low: float | None = None
    high: float | None = None
    if state.running and state.seconds_per_frame is not None:
        left, at_once = total - len(state.failed) - in_work, len(state.running)
        eta = round(time_left(left, at_once, state.seconds_per_frame), 1)
        if (between := spread(left, at_once, state.pace)) is not None:
            low, high = round(min(between[0], eta), 1), round(max(between[1], eta), 1)
    return orjson.dumps(
        {
            "id": spec.id,
            "name": spec.name,
            "status": state.status.value,
            "reason": reason,
            "engine": spec.engine,
            "engine_version": spec.engine_version,
            "engine_version_reason": spec.engine_version_reason,
            "project": spec.project,
            "frames": shown.frames.notation(),
            "start_frame": shown.frames.lowest,
            "end_frame": shown.frames.highest,
            "total_frames": len(shown.frames),
            "done_frames": record.done_notation if shown.done is state.done else shown.frames.notation(shown.done),
            "failed_frames": shown.frames.notation(shown.failed),
            "frames_done": len(shown.done),
            "percent_complete": round(100.0 * in_work / total, 2),
            "current": progress.current if state.running else "",
            "seconds_per_frame": state.seconds_per_frame,
            "eta_seconds": eta,
            "eta_low_seconds": low,
            "eta_high_seconds": high,
            "nodes": tuple(dict.fromkeys(chunk.node or spec.hostname for chunk in state.running)),
            "width": spec.width,
            "height": spec.height,
            "output_format": spec.output_format,
            "args": spec.options,
            "priority": spec.priority,
            "notes": spec.notes,
            "enable_split_jobs": spec.enable_split_jobs,
            "tags": spec.tags,
            "max_nodes": spec.max_nodes,
            "memory_bytes": spec.memory_bytes,
            "parent": spec.parent,
            "origin": None if spec.origin is None else asdict(spec.origin),
            "children": spec.children,
            "date_created": _iso(spec.created),
            "scheduled_start": _iso(spec.scheduled_start),
            "start_time": _iso(state.started),
            "end_time": _iso(state.ended),
            "attempts": state.attempts,
            "file_count": state.file_count,
            "warnings": (*spec.warnings, *state.warnings),
            "errors": state.errors,
            "hostname": spec.hostname,
        }
    )


def id_in(wire: bytes) -> str:
    """The id of a job, of its wire bytes: they begin with it, and reading all of them takes twenty times as long."""
    return wire[len(_BEGIN) : wire.index(b'"', len(_BEGIN))].decode()


_BEGIN = b'{"id":"'


@dataclass(frozen=True, slots=True)
class _Shown:
    """Frames as a person counts them."""

    frames: FrameSet
    done: IndexSet
    failed: IndexSet


_ONE = IndexSet.span(0, 0)


def _shown(record: JobRecord) -> _Shown:
    """Of a still image in parts there is one frame, whatever the parts are called; it is done when they are joined."""
    spec, state = record.spec, record.state
    if spec.still is None:
        return _Shown(spec.frames, state.done, state.failed)
    done = state.assembled or (not spec.assembles and len(state.done) == len(spec.frames))
    return _Shown(FrameSet.of([spec.still]), _ONE if done else IndexSet(), _ONE if state.failed else IndexSet())
