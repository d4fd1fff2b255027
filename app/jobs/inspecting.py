"""What is in an uploaded project, before any job is made of it: for a form that offers what fits."""

from __future__ import annotations

import asyncio
from pathlib import Path

from pydantic import ValidationError

from app.jobs.arriving import Arriving, Uploader
from app.jobs.errors import RequestError
from app.jobs.locating import Found, Place, ProjectFinder
from app.jobs.planning import Catalog, Project, refused
from app.jobs.versions import choose_version, missing_of, version_of
from client.models import ProjectInspection
from engines.contract import Engine, MissingVersion, PlanRequest, ProjectInfo, Refusal, VersionWish
from engines.frames import FrameSet, FrameSetError


class Inspecting:
    """Looks into uploads."""

    def __init__(self, arriving: Arriving, finder: ProjectFinder, catalog: Catalog) -> None:
        self._arriving = arriving
        self._finder = finder
        self._catalog = catalog

    async def inspect(self, upload_id: str, who: Uploader) -> ProjectInspection:
        """What is in a complete upload. What cannot render is an answer as well, with the reason.

        Raises:
            NoUpload: there is none of this id for them.
            UploadBusy: not all of it is there.
            RequestError: with another status than 400: the disk or the settings do not allow it to be unpacked.
        """
        try:
            async with self._arriving.opened(upload_id, who, self._finder) as place:
                return await self._look(upload_id, place)
        except RequestError as error:
            if error.status != RequestError.status:
                raise
            return ProjectInspection(upload=upload_id, reason=error.message, can_render=False)

    async def _look(self, upload_id: str, place: Place) -> ProjectInspection:
        found = Found()
        engine, project = await self._finder.project(place, None, None, found)
        assert project is not None  # a place was given
        told = ProjectInspection(
            upload=upload_id,
            project=_name_in(place, project),
            engine=engine.name,
            reason="",
            can_render=False,
        )
        try:
            info = await self._finder.info(engine, project, found)
        except RequestError as error:
            return told.model_copy(update={"reason": error.message})
        told = told.model_copy(update=_facts(info))
        try:
            wish = VersionWish(None, info.format_version)
            choice = choose_version(engine, wish, self._catalog.versions(engine.name), None)
            if isinstance(choice, MissingVersion):
                choice = await self._finder.fetched_version(engine, wish, found)
            warnings = await asyncio.to_thread(_plan, engine, project, info)
        except RequestError as error:
            return told.model_copy(update={"reason": error.message})
        return told.model_copy(
            update={
                "warnings": list(dict.fromkeys((*told.warnings, *warnings))),
                "engine_version": version_of(choice),
                "engine_version_installed": missing_of(choice) is None,
                "reason": choice.reason,
                "can_render": True,
            }
        )


def _facts(info: ProjectInfo) -> dict[str, object]:
    """What inspection found, as fields of the answer."""
    count: int | None = None
    if info.frames is not None:
        try:
            count = len(FrameSet.parse(info.frames))
        except FrameSetError:
            count = None
    version = info.format_version
    return {
        "kind": info.kind,
        "frames": info.frames,
        "frame_count": count,
        "fps": info.fps,
        "width": info.width,
        "height": info.height,
        "duration": info.duration,
        "cameras": list(info.cameras),
        "scenes": list(info.scenes),
        "view_layers": list(info.view_layers),
        "render_engine": info.render_engine,
        "output_format": info.output_format,
        "missing_files": list(info.missing_files),
        "warnings": list(info.warnings),
        "format_version": None if version is None else ".".join(str(part) for part in version),
    }


def _plan(engine: Engine, project: Project, info: ProjectInfo) -> tuple[str, ...]:
    """What the engine would warn of, with its options as they are by themselves.

    Raises:
        RequestError: it would refuse.
    """
    try:
        options = engine.options_model.model_validate({})
    except ValidationError:  # it takes options that only a person can give
        return ()
    try:
        return engine.plan(PlanRequest(project.path, info, None, options, None)).warnings
    except Refusal as refusal:
        raise refused(refusal, project) from refusal
    except FrameSetError as error:
        raise RequestError(str(error), "frames") from error


def _name_in(place: Place, project: Project) -> str:
    """The project's file by its path in the zip, or its plain name."""
    below = project.path.relative_to(place.path)
    return project.name if below == Path() else below.as_posix()
