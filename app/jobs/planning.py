"""From what was asked for to what will be done: one ``add_job`` request becomes the specs of its jobs.

Everything that can be known to be wrong is refused here, before anything is stored. The engine itself settles frames
and outputs (:meth:`engines.contract.Engine.plan`); this module reads the request for it and turns what it refuses into
the error of a wire field. Which version renders is settled in :mod:`app.jobs.versions`.
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import Protocol

import orjson
from pydantic import JsonValue, ValidationError

from app.jobs.errors import Forbidden, RequestError, at, from_validation
from app.jobs.names import has_control_characters, safe_stem
from app.jobs.record import JobSpec, Origin
from app.jobs.versions import missing_of, version_of
from client.models import AddJob, ChildJob, JobPart, SubjobOrigin
from engines.contract import (
    Engine,
    EngineOptions,
    EngineVersion,
    Plan,
    PlanRequest,
    ProjectInfo,
    Refusal,
    VersionChoice,
    VersionWish,
)
from engines.frames import FrameSet, FrameSetError, IndexSet

DEFAULT_PRIORITY = 50
_IDS = random.Random(secrets.randbits(256))
_PROJECT_FIELDS = ("project", "file", "local_path")
RAW = "raw_arguments"
MAX_RAW, MAX_RAW_LENGTH = 100, 4096
"""How many raw arguments a job may bring, and how long each may be, in characters."""
MAX_MISSING = 50
"""How many missing files of a project are named among the warnings of its jobs."""
MAX_AHEAD = 10 * 366 * 24 * 3600.0
"""How far ahead a job may be scheduled, in seconds."""


class Catalog(Protocol):
    """The engines of this node and their installed versions."""

    @property
    def engines(self) -> Mapping[str, Engine]:
        """Every engine that works, by name."""

    def engine(self, name: str) -> Engine:
        """The engine of this name.

        Raises:
            LookupError: there is none, or it is broken; the message says so and names those there are.
        """

    def versions(self, name: str) -> Sequence[EngineVersion]:
        """Installed versions, newest first."""

    def for_filename(self, filename: str) -> Engine | None:
        """The engine that opens a project of this name."""


Inspect = Callable[[Engine, Path], Awaitable[ProjectInfo]]
"""Runs :meth:`Engine.inspect` off the event loop. Raises what it raises."""


@dataclass(frozen=True, slots=True)
class Project:
    """A project that is on the disk of this machine."""

    name: str  # file or folder name, for people
    path: Path  # where it can be opened now
    stored: str  # what JobSpec.project_path becomes
    field: str  # wire field that the client gave it by


@dataclass(frozen=True, slots=True)
class Setting:
    """What the jobs of one request have in common."""

    engine: Engine
    wish: VersionWish
    choice: VersionChoice
    project: Project | None
    info: ProjectInfo | None
    hostname: str
    now: float  # seconds since 1970
    submitted_by: str = ""  # id of the token of the request
    raw_allowed: bool = False  # whether the operator lets jobs of this engine bring raw arguments
    helpers: int = 0  # other nodes that could render a part of it


def choose_engine(catalog: Catalog, renderer: str | None, filename: str | None) -> Engine:
    """The engine of a job: the one that was named, else the one that opens the project's file.

    Raises:
        RequestError: there is none, it is broken, or it is another engine's project.
    """
    if renderer is None:
        if filename is None:
            raise RequestError(f"name the engine; this node knows {_names(catalog)}", "renderer")
        found = catalog.for_filename(filename)
        if found is None:
            known = ", ".join(ending for engine in catalog.engines.values() for ending in engine.extensions)
            raise RequestError(f"no engine of this node opens {filename!r}; they open {known}", "file")
        return found
    try:
        engine = catalog.engine(renderer)
    except LookupError as error:
        raise RequestError(str(error), "renderer") from error
    if filename is not None and not engine.opens(filename):
        right = catalog.for_filename(filename)
        if right is not None:
            hint = f"it is a project for {right.name!r}"
        elif engine.extensions:
            hint = f"it opens {', '.join(engine.extensions)}"
        else:
            hint = "it takes no project"
        raise RequestError(f"{engine.title} does not open {filename!r}: {hint}", "renderer")
    return engine


def plan_jobs(request: AddJob, setting: Setting) -> list[JobSpec]:
    """The job of a request, followed by its subjobs. Takes well under a millisecond for ordinary frame sets.

    Raises:
        RequestError: it cannot render; the message names the field to mend.
    """
    parent_id = _new_id()
    children: list[JobSpec] = []
    for index, child in enumerate(request.child_jobs or ()):
        with at(f"child_jobs[{index}]"):
            children.append(_plan_one(_inherit(request, child), setting, parent=parent_id))
    return [_plan_one(request, setting, job_id=parent_id, children=tuple(child.id for child in children)), *children]


def refused(refusal: Refusal, project: Project | None) -> RequestError:
    """An engine's refusal in the words of the request: what an engine calls ``project`` the client gave by a field."""
    if project is None or refusal.field not in _PROJECT_FIELDS:
        return RequestError(refusal.message, refusal.field)
    return RequestError(f"{project.name!r} cannot be rendered: {refusal.message}", project.field)


def _plan_one(
    request: AddJob,
    setting: Setting,
    *,
    job_id: str | None = None,
    parent: str | None = None,
    children: tuple[str, ...] = (),
) -> JobSpec:
    engine, project = setting.engine, setting.project
    args = dict(request.args or {})
    raw = _raw_arguments(args.pop(RAW, None), setting)
    try:
        plan = engine.plan(
            PlanRequest(
                project=None if project is None else project.path,
                info=setting.info,
                frames=_frames(request, setting.info),
                options=_options(engine, args),
                output_format=request.output_format,
                sharers=1 + setting.helpers if request.enable_split_jobs and not raw else 1,
            )
        )
    except Refusal as refusal:
        raise refused(refusal, project) from refusal
    except FrameSetError as error:
        raise RequestError(str(error), "frames") from error
    if request.name is None:
        name = engine.title if project is None else PurePosixPath(project.name).stem
    else:
        name = checked_name(request.name)
    if raw and plan.parts:
        raise RequestError("raw arguments go with a job that is rendered in one piece; set it to false", "args.split")
    if request.part is not None and request.subjob is None:
        raise Forbidden("only the node that puts the parts together may ask for one", "part")
    choice = setting.choice
    frames, parts = (plan.frames, plan.parts) if request.part is None else _part(request.part, plan)
    return JobSpec(
        id=_new_id() if job_id is None else job_id,
        name=name,
        engine=engine.name,
        engine_version=version_of(choice),
        engine_version_reason=choice.reason,
        frames=frames,
        divisible=plan.divisible,
        parts=parts,
        assembles=request.part is None,
        still=plan.still,
        part_failures=0 if request.part is None else request.part.failures,
        created=setting.now,
        project=None if project is None else project.name,
        project_path=None if project is None else project.stored,
        output_name=safe_stem(name),
        options=_plain(plan.options),
        raw_arguments=raw,
        output_format=plan.output_format,
        width=plan.width,
        height=plan.height,
        fps=plan.fps,
        colour=plan.colour,
        details=plan.details,
        priority=DEFAULT_PRIORITY if request.priority is None else request.priority,
        notes=request.notes or "",
        enable_split_jobs=request.enable_split_jobs,
        tags=tuple(dict.fromkeys(request.tags or ())),
        max_nodes=request.max_nodes,
        memory_bytes=request.memory_bytes,
        scheduled_start=_start(request.scheduled_start, setting.now),
        parent=parent,
        origin=_origin(request.subjob, setting),
        children=children,
        hostname=setting.hostname,
        submitted_by=setting.submitted_by,
        warnings=_warnings(setting.info, plan),
        wish=setting.wish,
        missing=missing_of(choice),
    )


def checked_name(name: str) -> str:
    """The display name of a job, as it is.

    Raises:
        RequestError: it cannot be one.
    """
    if has_control_characters(name):
        raise RequestError("it has a control character in it; a name is one line of text", "name")
    return name


def _part(part: JobPart, plan: Plan) -> tuple[FrameSet, tuple[int, ...]]:
    """The frames of one part of a job, and how many they are.

    Raises:
        RequestError: the job has no such part.
    """
    begin = 0
    for count in plan.parts:
        if plan.frames.frame(begin) == part.first:
            return FrameSet.of(plan.frames.frames_at(IndexSet.span(begin, begin + count - 1))), (count,)
        begin += count
    what = "it is not rendered in parts" if not plan.parts else f"none of its {len(plan.parts)} parts begins there"
    raise RequestError(f"the job has no part that begins with frame {part.first}: {what}", "part.first")


def _origin(subjob: SubjobOrigin | None, setting: Setting) -> Origin | None:
    """Whose share the job is.

    Raises:
        Forbidden: the node of its parent has not asked for it.
    """
    if subjob is None:
        return None
    if setting.submitted_by != f"node:{subjob.node}":
        raise Forbidden("only the node of the parent may say so", "subjob")
    return Origin(subjob.parent, subjob.attempt, subjob.node, subjob.address)


def _inherit(parent: AddJob, child: ChildJob) -> AddJob:
    """The request of a subjob: what it leaves out is its parent's."""
    own: dict[str, object] = {name: value for name, value in child if value is not None}
    if "frames" in own:
        own["start_frame"] = own["end_frame"] = None
    elif "start_frame" in own or "end_frame" in own:
        own["frames"] = None
    if child.args is not None:
        own["args"] = {**(parent.args or {}), **child.args}
    own["child_jobs"] = own["subjob"] = own["part"] = None
    return parent.model_copy(update=own)


def _frames(request: AddJob, info: ProjectInfo | None) -> FrameSet | None:
    """The frames asked for; None for the project's own."""
    start, end = request.start_frame, request.end_frame
    if request.frames is not None:
        return FrameSet.parse(request.frames)
    if start is None and end is None:
        return None
    if start is None or end is None:
        if info is None or info.frames is None:
            given, left_out = ("end_frame", "start_frame") if start is None else ("start_frame", "end_frame")
            raise RequestError(f"give it as well as {given}: there is no project with a range of its own", left_out)
        own = FrameSet.parse(info.frames)
        start = own.lowest if start is None else start
        end = own.highest if end is None else end
        if end < start:
            field = "end_frame" if request.start_frame is None else "start_frame"
            raise RequestError(f"it is outside of the project's own frames, {own.lowest} to {own.highest}", field)
    try:
        return FrameSet.between(start, end)
    except FrameSetError as error:
        raise RequestError(str(error), "end_frame") from error


def _options(engine: Engine, args: Mapping[str, JsonValue]) -> EngineOptions:
    try:
        return engine.options_model.model_validate(args)
    except ValidationError as error:
        raise from_validation(error, sorted(engine.options_model.model_fields), "args.") from error


def _raw_arguments(given: JsonValue, setting: Setting) -> tuple[str, ...]:
    """The arguments that go into the engine's command as they are.

    Raises:
        Forbidden: the operator does not allow them.
        RequestError: they are no arguments.
    """
    if given is None:
        return ()
    field, name = f"args.{RAW}", setting.engine.name
    if not setting.raw_allowed:
        raise Forbidden(
            f"raw arguments are off here for {name}: an operator can allow them in the setting allow_raw_arguments "
            "(ZORDON_ALLOW_RAW_ARGUMENTS)",
            field,
        )
    if not isinstance(given, list) or len(given) > MAX_RAW:
        raise RequestError(f"it must be a list of at most {MAX_RAW} arguments", field)
    for index, argument in enumerate(given):
        if not isinstance(argument, str) or not argument or len(argument) > MAX_RAW_LENGTH or "\0" in argument:
            raise RequestError(f"it must be text of 1 to {MAX_RAW_LENGTH} characters", f"{field}[{index}]")
    return tuple(str(argument) for argument in given)


def _plain(options: EngineOptions) -> dict[str, JsonValue]:
    plain: dict[str, JsonValue] = options.model_dump(mode="json")
    try:
        orjson.dumps(plain)
    except TypeError as error:
        # The store and the wire are JSON of orjson, whose whole numbers have 64 bits.
        raise RequestError(f"a value cannot be kept: {error}", "args") from error
    return plain


def _start(scheduled: datetime | None, now: float) -> float | None:
    """When the job may start, in seconds since 1970; None: at once. A time without an offset is UTC."""
    if scheduled is None:
        return None
    at = (scheduled if scheduled.tzinfo is not None else scheduled.replace(tzinfo=UTC)).timestamp()
    if at > now + MAX_AHEAD:
        raise RequestError("it is more than ten years ahead", "scheduled_start")
    return at if at > now else None


def _warnings(info: ProjectInfo | None, plan: Plan) -> tuple[str, ...]:
    if info is None:
        return plan.warnings
    missing = [f"missing file: {name}" for name in info.missing_files[:MAX_MISSING]]
    if len(info.missing_files) > MAX_MISSING:
        missing.append(f"… and {len(info.missing_files) - MAX_MISSING} more missing files")
    return tuple(dict.fromkeys((*info.warnings, *plan.warnings, *missing)))


def _names(catalog: Catalog) -> str:
    return ", ".join(sorted(catalog.engines))


def _new_id() -> str:
    """16 hexadecimal digits. Not from the system each time: that lets go of the interpreter in the busiest path."""
    return f"{_IDS.getrandbits(64):016x}"
