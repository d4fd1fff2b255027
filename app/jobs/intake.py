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
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from pathlib import Path
from typing import Final

from app.jobs.arriving import Arriving, Taken, Uploader
from app.jobs.durable import settle_file
from app.jobs.errors import NoSpace, NoUpload, RequestError, TooLarge, at
from app.jobs.folders import DataFolder
from app.jobs.locating import CheckOut, Found, Place, ProjectFinder
from app.jobs.planning import (
    Catalog,
    Inspect,
    Setting,
    plan_jobs,
)
from app.jobs.record import NO_WISH, JobSpec
from app.jobs.requests import parse_requests
from app.jobs.service import JobService
from app.jobs.sink import UploadedFile, UploadLimits
from app.jobs.uploads import Form, receive_form
from app.jobs.versions import Offered, check_version, choose_version, with_choice
from app.settings import Settings
from client.models import AddJob
from engines.contract import MissingVersion, VersionWish

QUICK_BODY: Final = 16 << 10
"""Up to here a body is read on the event loop, in bytes."""
MAX_KEY: Final = 200
"""The longest Idempotency-Key, in characters."""
_QUICK_FRAMES: Final = re.compile(r"-?\d+(--?\d+(x\d+)?)?\Z")
_NOTHING_TAKEN: Final[Mapping[str, Taken]] = {}
_SLOW_VALUE: Final = re.compile(r"\d[y:,]")


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
        arriving: Arriving | None = None,
        check_out: CheckOut | None = None,
    ) -> None:
        self._settings = settings
        self._folders = folders
        self._jobs = jobs
        self._catalog = catalog
        self._helpers = helpers
        self.finder = ProjectFinder(settings, catalog, inspect, offered, check_out)
        self._arriving = arriving
        self._finishing: set[asyncio.Task[list[bytes]]] = set()

    async def from_json(
        self, body: bytes, *, local: bool, key: str | None, by: str = "", admin: bool = False
    ) -> list[bytes]:
        """Make the jobs of a JSON body.

        Args:
            body: one job or a list of them.
            local: whether the client is on this machine; only then ``local_path`` is read.
            key: the Idempotency-Key, if there was one.
            by: id of the token of the request.
            admin: whether it may take uploads of others.

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
        if not any(request.upload is not None for request in requests):
            return await self._jobs.once(key, digest, lambda: self._plan(requests, listed, None, local, by))
        return await self._to_its_end(self._with_uploads(requests, listed, digest, local, key, Uploader(by, admin)))

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
        return await self._to_its_end(self._finish(form, local, key, by))

    async def close(self) -> None:
        """Wait for uploads that have arrived and are being made into jobs."""
        while self._finishing:
            await asyncio.wait(self._finishing)

    # --- uploads -------------------------------------------------------------------------------------------------

    async def _to_its_end(self, work: Coroutine[None, None, list[bytes]]) -> list[bytes]:
        """Do something whether or not the client waits for it."""
        task = asyncio.create_task(work)
        self._finishing.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def _with_uploads(
        self, requests: list[AddJob], listed: bool, digest: str, local: bool, key: str | None, who: Uploader
    ) -> list[bytes]:
        """Make the jobs of a request with uploads that came in pieces. These belong to the jobs then; if there are
        none, they are given back whole."""
        taken: dict[str, Taken] = {}

        async def make() -> list[JobSpec]:
            for index, request in enumerate(requests):
                if request.upload is not None and request.upload not in taken:
                    with at(f"[{index}]" if listed else ""):
                        taken[request.upload] = await self._take(request.upload, who)
            return await self._plan(requests, listed, None, local, who.id, taken)

        submitted = False
        try:
            wires = await self._jobs.once(key, digest, make)
            submitted = True
            return wires
        finally:
            for one in taken.values():
                if submitted:
                    await one.keep()
                else:
                    await one.give_back()

    async def _take(self, upload_id: str, who: Uploader) -> Taken:
        if self._arriving is None:
            raise NoUpload("there are no uploads here", "upload")
        return await self._arriving.take(upload_id, who, self.finder)

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

    async def _keep(self, file: UploadedFile, kept: list[Path]) -> Place:
        """Move an upload to where projects are. What was made there is noted in ``kept``."""
        name = secrets.token_hex(8)
        folder = self._folders.projects / name
        kept.append(folder)
        if not file.name.lower().endswith(".zip"):
            await asyncio.to_thread(_settle, file.path, folder)
            return Place(file.name, folder / file.name, f"projects/{name}/{file.name}", "file")
        await self.finder.unpack(file.path, folder)
        return Place(file.name, folder, f"projects/{name}", "file")

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
        self,
        requests: list[AddJob],
        listed: bool,
        place: Place | None,
        local: bool,
        by: str,
        taken: Mapping[str, Taken] = _NOTHING_TAKEN,
    ) -> list[JobSpec]:
        found = Found()
        now = time.time()
        settings: list[Setting] = []
        for index, request in enumerate(requests):
            with at(f"[{index}]" if listed else ""):
                its_place = await self._place(request, place, local, by, taken)
                engine, project = await self.finder.project(its_place, request.renderer, request.project, found)
                info = None if project is None else await self.finder.info(engine, project, found)
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
                    choice = await self.finder.fetched_version(setting.engine, setting.wish, found)
                planned[index] = [with_choice(spec, choice) for spec in planned[index]]
        return [spec for specs in planned for spec in specs]

    async def _place(
        self, request: AddJob, uploaded: Place | None, local: bool, by: str, taken: Mapping[str, Taken]
    ) -> Place | None:
        """Where the project of a request is, named in one way."""
        ways = {
            "file": uploaded,
            "local_path": request.local_path,
            "upload": request.upload,
            "project_tree": request.project_tree,
        }
        given = [name for name, way in ways.items() if way is not None]
        if len(given) > 1:
            raise RequestError(f"give a {given[0]} or {given[1]}, not both", given[1])
        if request.upload is not None:
            return taken[request.upload].place
        if request.project_tree is not None:
            return await self.finder.of_tree(request.project_tree, by)
        return uploaded if request.local_path is None else await self.finder.local(request.local_path, local)


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
