"""What a session is asked for: what the job says, and what the settings of this node say of all of its engine."""

from __future__ import annotations

from app.jobs.folders import DataFolder
from app.jobs.record import JobRecord
from app.settings import Settings
from engines.contract import Engine, EngineVersion, Refusal, SessionRequest


def session_request(
    record: JobRecord, version: EngineVersion, session: str, engine: Engine, settings: Settings, folders: DataFolder
) -> SessionRequest:
    """The request for a session of this id.

    Raises:
        Refusal: the job has what the settings do not allow any more.
        pydantic.ValidationError: the engine does not know its own options any more.
    """
    spec = record.spec
    if spec.raw_arguments and spec.engine not in settings.allow_raw_arguments:
        raise Refusal("args.raw_arguments", "raw arguments are not allowed here any more (allow_raw_arguments)")
    return SessionRequest(
        project=folders.project(spec.project_path) if spec.project_path is not None else None,
        frames=spec.frames,
        version=version,
        options=engine.options_model.model_validate(dict(spec.options)),
        output_format=spec.output_format,
        width=spec.width,
        height=spec.height,
        fps=spec.fps,
        details=spec.details,
        folder=folders.session(session),
        name=spec.output_name,
        threads=settings.engine_threads,
        raw_arguments=spec.raw_arguments,
        autoexec=settings.blender_autoexec,
        addons=tuple(settings.engine_addons.get(spec.engine, ())),
        startup_scripts=tuple(settings.engine_startup_scripts.get(spec.engine, ())),
    )
