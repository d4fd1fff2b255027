"""Jobs and engine versions that come and go: who waits for one, who can go on, and what those who wait are told.

The choice itself is the engine's (:meth:`engines.contract.Engine.choose`). It is made again, from the wish that the job
keeps, whenever the installed versions may have changed: after a start, an install, a removal.
"""

from __future__ import annotations

from dataclasses import replace

from app.jobs.codec import JobProgress
from app.jobs.events import EngineAwaited, EngineFound, EngineMissing
from app.jobs.record import JobRecord, JobSpec
from app.jobs.service import JobService
from app.render.catalog import EngineCatalog
from client.models import JobStatus
from engines.choosing import fits, series
from engines.contract import Fetchable, FoundVersion, MissingVersion, Refusal, VersionChoice, VersionWish


def check_engines(
    jobs: JobService, catalog: EngineCatalog, engine: str | None = None, fetchable: Fetchable | None = None
) -> None:
    """Look at every job of an engine (of all, if none is named) after its installed versions may have changed.

    Args:
        jobs, catalog: of this node; the catalog was refreshed.
        engine: its name.
        fetchable: what could be fetched of that engine, where it was asked. Then jobs that wait also change what they
            wait for.
    """
    for record in jobs.live_records():
        if engine is None or record.spec.engine == engine:
            check_engine(record, jobs, catalog, fetchable)


def check_engine(
    record: JobRecord, jobs: JobService, catalog: EngineCatalog, fetchable: Fetchable | None = None
) -> None:
    """Look at one job: without its engine version it waits, with one it goes on. A running one is left alone."""
    spec, status = record.spec, record.status
    if record.ended or record.state.running:
        return
    waits = spec.missing is not None or status is JobStatus.CONFIGURING
    if not waits and catalog.find(spec.engine, spec.engine_version) is not None:
        return
    choice = _choose(record, catalog, fetchable)
    if isinstance(choice, FoundVersion):
        version = choice.version.version
        gone = "" if waits else f"Version {spec.engine_version}, chosen before, is not installed any more. "
        jobs.apply(record.id, EngineFound(version, gone + choice.reason))
    elif status is JobStatus.WAITING_FOR_SUBJOBS:
        return  # it renders nothing itself
    elif not waits:
        gone = f"{_title(spec, catalog)} {spec.engine_version} is not installed on this node any more"
        jobs.apply(record.id, EngineMissing(MissingVersion(choice.version, choice.fetch, f"{gone}; {choice.reason}")))
    elif fetchable is not None and choice != spec.missing:
        jobs.apply(record.id, EngineMissing(choice))


def tell_progress(jobs: JobService, engine: str, version: str, story: str) -> None:
    """Let the jobs that wait for a version show how far it is. In memory and in the feed only.

    Args:
        jobs: of this node.
        engine, version: of which. Jobs that wait for "4.5" are told of 4.5.15 too.
        story: a sentence, such as "fetching Blender 4.5.15: 120 of 380 MB".
    """
    for record in _waiting(jobs, engine, version):
        jobs.progress(record.id, JobProgress(waiting=story))


def tell_failure(jobs: JobService, engine: str, version: str, reason: str) -> None:
    """Let the jobs that wait for a version say why it has not come. It is no error of theirs: they go on waiting.

    Args:
        jobs: of this node.
        engine, version: see :func:`tell_progress`.
        reason: a sentence that also says what happens next.
    """
    for record in _waiting(jobs, engine, version):
        jobs.apply(record.id, EngineAwaited(reason))


def waiting_for(jobs: JobService, engine: str, version: str) -> list[str]:
    """The ids of the jobs that wait for a version, oldest first."""
    return [record.id for record in _waiting(jobs, engine, version)]


def _waiting(jobs: JobService, engine: str, version: str) -> list[JobRecord]:
    return [
        record
        for record in jobs.live_records()
        if record.status is JobStatus.CONFIGURING
        and record.spec.engine == engine
        and record.spec.missing is not None
        and (not record.spec.missing.version or fits(version, record.spec.missing.version))
    ]


def _choose(record: JobRecord, catalog: EngineCatalog, fetchable: Fetchable | None) -> VersionChoice:
    spec, wish = record.spec, record.spec.wish
    engine = catalog.engines.get(spec.engine)
    if engine is None:
        return MissingVersion(spec.engine_version, False, f"the engine {spec.engine!r} does not work on this node")
    begun = bool(record.state.done)
    if begun:
        wish = VersionWish(series(spec.engine_version), wish.saved_by)
    try:
        choice = engine.choose(wish, catalog.versions(spec.engine), fetchable)
    except Refusal as refusal:
        return MissingVersion(wish.asked or spec.engine_version, False, refusal.message)
    if not begun:
        return choice
    return replace(choice, reason=f"The other frames are to look like those that are done. {choice.reason}")


def _title(spec: JobSpec, catalog: EngineCatalog) -> str:
    engine = catalog.engines.get(spec.engine)
    return spec.engine if engine is None else engine.title
