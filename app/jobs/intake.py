"""The way in for jobs: what came over HTTP is read, its project put where it belongs, inspected, planned, submitted.

All or nothing: whatever is wrong with one job of a request, no job of it is made and no file of it is left.
"""

from __future__ import annotations

import asyncio
import errno
import hashlib
import re
import secrets
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from app.jobs.durable import settle_file
from app.jobs.errors import Forbidden, NoSpace, RequestError, TooLarge, at
from app.jobs.folders import DataFolder
from app.jobs.planning import (
    Catalog,
    Inspect,
    Project,
    Setting,
    choose_engine,
    plan_jobs,
    refused,
)
from app.jobs.projects import find_project
from app.jobs.record import NO_WISH, JobSpec
from app.jobs.requests import parse_requests
from app.jobs.service import JobService
from app.jobs.sink import UploadedFile, UploadLimits
from app.jobs.threads import in_thread
from app.jobs.unpack import UnpackLimits, unpack
from app.jobs.uploads import Form, receive_form
from app.jobs.versions import Offered, check_version, choose_version, with_choice
from app.outputs.workers import WorkerCrashed, WorkerTimedOut
from app.settings import Settings
from client.models import AddJob
from engines.contract import Engine, Fetchable, MissingVersion, ProjectInfo, Refusal, VersionChoice, VersionWish

QUICK_BODY: Final = 16 << 10
"""Up to here a body is read on the event loop, in bytes."""
MAX_KEY: Final = 200
"""The longest Idempotency-Key, in characters."""
_QUICK_FRAMES: Final = re.compile(r"-?\d+(--?\d+(x\d+)?)?\Z")
_SLOW_VALUE: Final = re.compile(r"\d[y:,]")


@dataclass(frozen=True, slots=True)
class _Place:
    """Where the project of some jobs is: a file, or a folder in which it has to be found."""

    name: str  # for people
    path: Path
    stored: str  # how JobSpec.project_path begins
    field: str  # wire field that it came from


@dataclass(slots=True)
class _Found:
    """What was found out once for all jobs of a request."""

    projects: dict[tuple[Path, str | None], tuple[Engine, Project]] = field(default_factory=dict)
    infos: dict[tuple[Path, str], ProjectInfo] = field(default_factory=dict)
    fetchable: dict[str, Fetchable] = field(default_factory=dict)  # by engine


class Intake:
    """Takes jobs. One for the whole service; every method is for the event loop's thread."""

    def __init__(
        self,
        settings: Settings,
        folders: DataFolder,
        jobs: JobService,
        catalog: Catalog,
        inspect: Inspect,
        offered: Offered | None = None,
        helpers: Callable[[str], int] = lambda engine: 0,
    ) -> None:
        self._settings = settings
        self._folders = folders
        self._jobs = jobs
        self._catalog = catalog
        self._inspect = inspect
        self._offered = offered
        self._helpers = helpers
        self._finishing: set[asyncio.Task[list[bytes]]] = set()

    async def from_json(self, body: bytes, *, local: bool, key: str | None, by: str = "") -> list[bytes]:
        """Make the jobs of a JSON body.

        Args:
            body: one job or a list of them.
            local: whether the client is on this machine; only then ``local_path`` is read.
            key: the Idempotency-Key, if there was one.
            by: id of the token of the request.

        Returns:
            The wire bytes of the jobs, subjobs after their parents, once they are committed.

        Raises:
            RequestError: see its status.
            KeyReused: the key came with another body.
            StoreError: the jobs could not be stored.
        """
        _check_key(key)
        requests, listed = await self._read(body)
        digest = "" if key is None else hashlib.sha256(body).hexdigest()
        return await self._jobs.once(key, digest, lambda: self._plan(requests, listed, None, local, by))

    async def from_multipart(
        self,
        content_type: str,
        chunks: AsyncIterator[bytes],
        length: int | None,
        *,
        local: bool,
        key: str | None,
        by: str = "",
    ) -> list[bytes]:
        """Make the jobs of a multipart body with the field ``json`` and at most one ``file``.

        Once the body has arrived the jobs are made even if the client does not wait for the answer.

        Args:
            content_type: the header, which has the boundary.
            chunks: the body as it comes from the socket.
            length: the Content-Length, if there was one.
            local: see :meth:`from_json`.
            key: see :meth:`from_json`.
            by: see :meth:`from_json`.

        Raises:
            RequestError, KeyReused, StoreError: as :meth:`from_json`; nothing of the upload is left.
        """
        _check_key(key)
        self._jobs.check_room(by)  # before the upload and not after it
        settings = self._settings
        limits = UploadLimits(settings.max_upload_bytes, settings.max_json_bytes, settings.min_free_bytes)
        form = await receive_form(content_type, chunks, length, self._folders, limits)
        task = asyncio.create_task(self._finish(form, local, key, by))
        self._finishing.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def close(self) -> None:
        """Wait for uploads that have arrived and are being made into jobs."""
        while self._finishing:
            await asyncio.wait(self._finishing)

    # --- uploads -------------------------------------------------------------------------------------------------

    def _finished(self, task: asyncio.Task[list[bytes]]) -> None:
        self._finishing.discard(task)
        if not task.cancelled():
            task.exception()  # whoever waited has it; if nobody did, nobody needs it

    async def _finish(self, form: Form, local: bool, key: str | None, by: str) -> list[bytes]:
        kept: list[Path] = []

        async def make(requests: list[AddJob], listed: bool) -> list[JobSpec]:
            place = None if form.file is None else await self._keep(form.file, kept)
            return await self._plan(requests, listed, place, local, by)

        submitted = False
        try:
            requests, listed = await self._read(form.document)
            digest = hashlib.sha256(form.document)
            if form.file is not None:
                digest.update(f"\0{form.file.name}\0{form.file.sha256}".encode())
            wires = await self._jobs.once(key, digest.hexdigest(), lambda: make(requests, listed))
            submitted = True
            return wires
        finally:
            await asyncio.to_thread(self._folders.throw_away, form.folder)
            if not submitted:
                for folder in kept:
                    await asyncio.to_thread(self._folders.throw_away, folder)

    async def _keep(self, file: UploadedFile, kept: list[Path]) -> _Place:
        """Move an upload to where projects are. What was made there is noted in ``kept``."""
        name = secrets.token_hex(8)
        folder = self._folders.projects / name
        kept.append(folder)
        if not file.name.lower().endswith(".zip"):
            await asyncio.to_thread(_settle, file.path, folder)
            return _Place(file.name, folder / file.name, f"projects/{name}/{file.name}", "file")
        settings = self._settings
        limits = UnpackLimits(settings.max_archive_files, settings.max_unpacked_bytes, settings.min_free_bytes)
        await in_thread(lambda stop: unpack(file.path, folder, limits, stop))
        return _Place(file.name, folder, f"projects/{name}", "file")

    # --- projects ------------------------------------------------------------------------------------------------

    async def _project(
        self, request: AddJob, place: _Place | None, local: bool, found: _Found
    ) -> tuple[Engine, Project | None]:
        """The engine of a request and the project that it opens."""
        if request.local_path is not None:
            if place is not None:
                raise RequestError("give a file or local_path, not both", "local_path")
            place = await self._local(request.local_path, local)
        if place is None:
            engine = choose_engine(self._catalog, request.renderer, None)
            if engine.needs_project:
                raise RequestError(
                    f"{engine.title} needs a project: upload it as the part 'file' or name it in local_path", "file"
                )
            return engine, None
        key = (place.path, request.renderer)
        if key not in found.projects:
            if await asyncio.to_thread(place.path.is_dir):
                found.projects[key] = await self._search(request, place)
            else:
                engine = choose_engine(self._catalog, request.renderer, place.name)
                found.projects[key] = engine, Project(place.name, place.path, place.stored, place.field)
        return found.projects[key]

    async def _search(self, request: AddJob, place: _Place) -> tuple[Engine, Project]:
        named = None if request.renderer is None else choose_engine(self._catalog, request.renderer, None)
        engines = list(self._catalog.engines.values())
        try:
            found = await asyncio.to_thread(find_project, place.path, named, engines, self._settings.max_archive_files)
        except RequestError as error:
            raise type(error)(f"{place.name!r} cannot be used: {error.message}", place.field) from error
        below = found.path.relative_to(place.path)
        name = place.name if found.path == place.path else found.path.name
        stored = place.stored if found.path == place.path else f"{place.stored}/{below.as_posix()}"
        return found.engine, Project(name, found.path, stored, place.field)

    async def _local(self, text: str, local: bool) -> _Place:
        """A project that is read in place."""
        if not local:
            raise Forbidden(
                "it is only for clients on this machine; upload the project as the part 'file'", "local_path"
            )
        if not self._settings.local_roots:
            raise Forbidden(
                "no folder may be read in place here: the setting local_roots (ZORDON_LOCAL_ROOTS) is empty",
                "local_path",
            )
        path = await asyncio.to_thread(_resolve_local, text, self._settings.local_roots)
        return _Place(path.name, path, str(path), "local_path")

    async def _info(self, engine: Engine, project: Project, found: _Found) -> ProjectInfo:
        key = (project.path, engine.name)
        if key not in found.infos:
            try:
                found.infos[key] = await self._inspect(engine, project.path)
            except Refusal as refusal:
                raise refused(refusal, project) from refusal
            except WorkerTimedOut as late:
                raise RequestError(
                    f"{project.name!r} cannot be read: its reader was not through with it in "
                    f"{self._settings.inspect_seconds:g} seconds (inspect_seconds), so it is damaged or too large",
                    project.field,
                ) from late
            except WorkerCrashed as crash:
                raise RequestError(
                    f"{project.name!r} cannot be read: it makes its reader crash, so it is damaged", project.field
                ) from crash
        return found.infos[key]

    # --- requests and plans --------------------------------------------------------------------------------------

    async def _read(self, body: bytes) -> tuple[list[AddJob], bool]:
        if len(body) > self._settings.max_json_bytes:
            raise TooLarge(
                f"the JSON has {len(body)} bytes; at most {self._settings.max_json_bytes} are allowed (max_json_bytes)"
            )
        most = self._settings.max_jobs_per_request
        if len(body) <= QUICK_BODY:
            requests, listed = parse_requests(body, most)
        else:
            requests, listed = await asyncio.to_thread(parse_requests, body, most)
        for index, request in enumerate(requests):
            with at(f"[{index}]" if listed else ""):
                check_version(request.engine_version)
        return requests, listed

    async def _plan(
        self, requests: list[AddJob], listed: bool, place: _Place | None, local: bool, by: str
    ) -> list[JobSpec]:
        found = _Found()
        now = time.time()
        settings: list[Setting] = []
        for index, request in enumerate(requests):
            with at(f"[{index}]" if listed else ""):
                engine, project = await self._project(request, place, local, found)
                info = None if project is None else await self._info(engine, project, found)
                wish = NO_WISH
                if info is not None or request.engine_version is not None:
                    wish = VersionWish(request.engine_version, None if info is None else info.format_version)
                choice = choose_version(engine, wish, self._catalog.versions(engine.name), None)
            raw = engine.name in self._settings.allow_raw_arguments
            settings.append(
                Setting(
                    engine, wish, choice, project, info, self._settings.name, now, by, raw, self._helpers(engine.name)
                )
            )
        if len(requests) == 1 and _is_quick(requests[0]):
            planned = _plan_all(requests, settings, listed)
        else:
            planned = await asyncio.to_thread(_plan_all, requests, settings, listed)
        for index, setting in enumerate(settings):
            if isinstance(setting.choice, MissingVersion):
                with at(f"[{index}]" if listed else ""):
                    choice = await self._choose_again(setting, found)
                planned[index] = [with_choice(spec, choice) for spec in planned[index]]
        return [spec for specs in planned for spec in specs]

    async def _choose_again(self, setting: Setting, found: _Found) -> VersionChoice:
        """The version of a job for which none is installed, once it is known what could be fetched."""
        name = setting.engine.name
        if name not in found.fetchable:
            nothing = Fetchable(allowed=self._settings.auto_install)
            found.fetchable[name] = nothing if self._offered is None else await self._offered(name)
        return choose_version(setting.engine, setting.wish, self._catalog.versions(name), found.fetchable[name])


def _plan_all(requests: list[AddJob], settings: list[Setting], listed: bool) -> list[list[JobSpec]]:
    """The jobs of every request: itself, followed by its subjobs."""
    planned: list[list[JobSpec]] = []
    for index, (request, setting) in enumerate(zip(requests, settings, strict=True)):
        with at(f"[{index}]" if listed else ""):
            planned.append(plan_jobs(request, setting))
    return planned


def _is_quick(request: AddJob) -> bool:
    """Whether planning it takes well under a millisecond: no frame set in it has to be written out."""
    if request.child_jobs or (request.frames is not None and not _QUICK_FRAMES.match(request.frames)):
        return False
    return not any(isinstance(value, str) and _SLOW_VALUE.search(value) for value in (request.args or {}).values())


def _check_key(key: str | None) -> None:
    if key is not None and (not key or len(key) > MAX_KEY or not key.isprintable()):
        raise RequestError(f"it must have 1 to {MAX_KEY} printable characters", "Idempotency-Key")


def _settle(file: Path, folder: Path) -> None:
    try:
        settle_file(file, folder)
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT):  # some disks say it only now
            raise NoSpace(f"the disk of the data folder is full: {error.strerror}", "file") from error
        raise


def _resolve_local(text: str, roots: list[Path]) -> Path:
    """The file or folder meant, links followed, if it lies under one of the roots."""
    path = Path(text)
    if "\0" in text or not path.is_absolute():
        raise RequestError(f"{text[:100]!r} is no absolute path", "local_path")
    try:
        path = path.resolve()
        allowed = any(path.is_relative_to(root.resolve()) for root in roots)
        if not allowed:
            raise Forbidden("it is not below one of the folders in the setting local_roots", "local_path")
        if not (path.is_file() or path.is_dir()):
            raise RequestError(f"there is no file or folder {text[:100]!r}", "local_path")
    except (OSError, RuntimeError) as error:
        raise RequestError(f"{text[:100]!r} cannot be read: {error}", "local_path") from error
    return path
