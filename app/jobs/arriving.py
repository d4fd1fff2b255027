"""Uploads that come in pieces: begun once, appended to by one request after the other, taken by a job in the end.

What has arrived is on the disk, and the length of the file is the truth: a broken connection and a restart of the
service lose nothing of it. The file is moved to its job, never copied. One that nobody takes is thrown away after some
days.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Literal

import structlog

from app.jobs.durable import settle_file, sync_file
from app.jobs.errors import NoUpload, RequestError, TooLarge, TooMany, UploadBusy
from app.jobs.folders import DataFolder
from app.jobs.incoming import Announced, IncomingUpload, Receiving, load, make, move_for_good, write_down
from app.jobs.locating import Place, ProjectFinder
from app.jobs.names import BadName, upload_name
from app.jobs.pieces import PieceWriter, sha256_of, size_of
from app.jobs.threads import in_thread
from app.settings import Settings
from client.models import NewUpload, UploadInfo

log = structlog.get_logger(__name__)

OFFSET_FIELD: Final = "Upload-Offset"
_DAY: Final = 24 * 3600.0
_SWEEP_SECONDS: Final = 3600.0


@dataclass(frozen=True, slots=True)
class Uploader:
    """Who asks. Uploads are for whoever began them, and for administrators."""

    id: str  # of their token
    admin: bool = False


class Taken:
    """An upload on its way to a job: :meth:`keep` or :meth:`give_back` must follow."""

    def __init__(self, place: Place, keep: Callable[[], None], give_back: Callable[[], None]) -> None:
        self.place = place
        self._keep = keep
        self._give_back = give_back

    async def keep(self) -> None:
        """It belongs to a job now."""
        await asyncio.to_thread(self._keep)

    async def give_back(self) -> None:
        """No job was made of it: it is an upload as before."""
        await asyncio.to_thread(self._give_back)


class Arriving:
    """All uploads in pieces. For the event loop's thread; :meth:`load` it, :meth:`start` it, :meth:`close` it."""

    def __init__(self, settings: Settings, folders: DataFolder) -> None:
        self._settings = settings
        self._folders = folders
        self._uploads: dict[str, IncomingUpload] = {}
        self._sweeping: asyncio.Task[None] | None = None

    async def load(self) -> None:
        """Take up what came before a restart."""
        self._uploads = await asyncio.to_thread(load, self._folders)
        await self._sweep()

    def start(self) -> None:
        """Throw away what is too old from now on."""
        self._sweeping = asyncio.get_running_loop().create_task(self._sweep_on())

    async def close(self) -> None:
        """End it."""
        if self._sweeping is not None:
            self._sweeping.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sweeping

    # --- for the routes ------------------------------------------------------------------------------------------

    async def begin(self, new: NewUpload, who: Uploader) -> UploadInfo:
        """Begin an upload; one of the same name, size and SHA-256 of the same person is gone on with instead.

        Raises:
            RequestError: the name cannot be one.
            TooLarge, TooMany, NoSpace: it is more than the settings or the disk allow.
        """
        settings = self._settings
        try:
            name = upload_name(new.name)
        except BadName as error:
            raise RequestError(str(error), "name") from error
        if new.size > settings.max_upload_bytes:
            raise TooLarge(
                f"the file has {new.size} bytes; at most {settings.max_upload_bytes} are allowed (max_upload_bytes)",
                "size",
            )
        own = [one for one in self._uploads.values() if one.announced.by == who.id]
        announced = Announced(name=name, size=new.size, sha256=new.sha256, by=who.id)
        for one in own:
            if new.sha256 is not None and one.announced.model_copy(update={"complete": False}) == announced:
                return self._info(one)
        if len(own) >= settings.max_uploads_per_token:
            raise TooMany(
                f"this token has {len(own)} uploads that no job has taken; {settings.max_uploads_per_token} are "
                "allowed (max_uploads_per_token): delete some"
            )
        upload_id = secrets.token_hex(8)
        upload = IncomingUpload(upload_id, self._folders.incoming / upload_id, announced, 0, time.time())
        self._uploads[upload_id] = upload  # before the disk is looked at, so that its bytes are counted
        try:
            coming = sum(one.announced.size - one.offset for one in self._uploads.values())
            await asyncio.to_thread(make, upload, coming, settings.min_free_bytes)
        except BaseException:
            del self._uploads[upload_id]
            raise
        return self._info(upload)

    def all(self, who: Uploader) -> list[UploadInfo]:
        """The uploads of somebody, the oldest first."""
        return [self._info(one) for one in self._uploads.values() if who.admin or one.announced.by == who.id]

    def get(self, upload_id: str, who: Uploader) -> UploadInfo:
        """One upload.

        Raises:
            NoUpload: there is none of this id for them.
        """
        return self._info(self._find(upload_id, who))

    async def append(
        self, upload_id: str, who: Uploader, offset: int, chunks: AsyncIterator[bytes], length: int | None
    ) -> UploadInfo:
        """Add what comes to an upload. A request that still does so, over a connection that may be dead, gives way.

        Args:
            offset: where the client takes it to be.
            chunks: the bytes as they come from the socket; what it raises is raised, and what came before is kept.
            length: the Content-Length, if there was one.

        Raises:
            NoUpload: there is none of this id for them.
            UploadBusy: the offset is another one, or another request goes on with it.
            TooLarge: more came than was announced.
            NoSpace: the disk is full.
            RequestError: all came, and it is not what was announced; the upload is at 0 again.
        """
        upload = self._find(upload_id, who)
        while upload.receiving is not None:
            upload.receiving.give_way.set()
            await upload.receiving.over.wait()
        if upload.id not in self._uploads:
            raise _no_upload(upload_id)
        if offset != upload.offset:
            raise UploadBusy(f"the upload has {upload.offset} bytes, not {offset}: go on from there", OFFSET_FIELD)
        if length is not None and offset + length > upload.announced.size:
            raise _too_much(upload)
        receiving = upload.receiving = Receiving()
        try:
            await self._receive(upload, chunks, receiving)
            if upload.offset == upload.announced.size and not upload.announced.complete:
                await self._complete(upload)
        finally:
            upload.receiving, upload.touched = None, time.time()
            receiving.over.set()
        return self._info(upload)

    async def delete(self, upload_id: str, who: Uploader) -> None:
        """Throw an upload away.

        Raises:
            NoUpload: there is none of this id for them.
            UploadBusy: a job is being made of it.
        """
        upload = self._find(upload_id, who)
        if upload.lock.locked():
            raise UploadBusy("somebody works with this upload just now")
        del self._uploads[upload_id]
        if upload.receiving is not None:
            upload.receiving.give_way.set()
            await upload.receiving.over.wait()
        await asyncio.to_thread(self._folders.throw_away, upload.folder)

    @asynccontextmanager
    async def opened(self, upload_id: str, who: Uploader, finder: ProjectFinder) -> AsyncIterator[Place]:
        """Look into a complete upload; nobody else takes it meanwhile.

        Raises:
            NoUpload: there is none of this id for them.
            UploadBusy: not all of it is there.
            RequestError: it is a zip that cannot be unpacked.
        """
        upload = await self._lock(upload_id, who)
        try:
            path = await self._content(upload, finder)
            yield Place(upload.announced.name, path, "", "upload")
        finally:
            upload.lock.release()

    # --- for the jobs --------------------------------------------------------------------------------------------

    async def take(self, upload_id: str, who: Uploader, finder: ProjectFinder) -> Taken:
        """Move a complete upload to where the projects of jobs are.

        Raises:
            NoUpload: there is none of this id for them.
            UploadBusy: not all of it is there.
            RequestError: it is a zip that cannot be unpacked.
        """
        upload = await self._lock(upload_id, who)
        try:
            content = await self._content(upload, finder)
            name = secrets.token_hex(8)
            folder = self._folders.projects / name
            if content == upload.file:
                await asyncio.to_thread(settle_file, content, folder)
                place = Place(content.name, folder / content.name, f"projects/{name}/{content.name}", "upload")
            else:
                await asyncio.to_thread(move_for_good, content, folder)
                place = Place(upload.announced.name, folder, f"projects/{name}", "upload")
        except BaseException:
            upload.lock.release()
            raise
        loop = asyncio.get_running_loop()

        def keep() -> None:
            loop.call_soon_threadsafe(self._uploads.pop, upload.id, None)
            self._folders.throw_away(upload.folder)
            loop.call_soon_threadsafe(upload.lock.release)

        def give_back() -> None:
            if content == upload.file:
                move_for_good(place.path, upload.file)
                folder.rmdir()
            else:
                move_for_good(folder, content)
            loop.call_soon_threadsafe(upload.lock.release)

        return Taken(place, keep, give_back)

    # --- parts ---------------------------------------------------------------------------------------------------

    def _find(self, upload_id: str, who: Uploader) -> IncomingUpload:
        upload = self._uploads.get(upload_id)
        if upload is None or not (who.admin or upload.announced.by == who.id):
            raise _no_upload(upload_id)
        return upload

    async def _lock(self, upload_id: str, who: Uploader) -> IncomingUpload:
        upload = self._find(upload_id, who)
        if not upload.announced.complete:
            raise UploadBusy(
                f"{upload.offset} of {upload.announced.size} bytes of the upload {upload_id} have come; send the rest "
                "first",
                "upload",
            )
        await upload.lock.acquire()
        if upload.id not in self._uploads:  # somebody has taken it meanwhile
            upload.lock.release()
            raise _no_upload(upload_id)
        return upload

    async def _content(self, upload: IncomingUpload, finder: ProjectFinder) -> Path:
        """The file, or the folder of what was in it."""
        if not upload.announced.name.lower().endswith(".zip"):
            return upload.file
        if not await asyncio.to_thread(upload.unpacked.exists):
            unpacking = upload.folder / f"unpacking-{secrets.token_hex(4)}"
            try:
                await finder.unpack(upload.file, unpacking)
                await asyncio.to_thread(unpacking.rename, upload.unpacked)
            except BaseException:
                await asyncio.to_thread(self._folders.throw_away, unpacking)
                raise
        return upload.unpacked

    async def _receive(self, upload: IncomingUpload, chunks: AsyncIterator[bytes], receiving: Receiving) -> None:
        writer = PieceWriter(upload.file, self._settings.min_free_bytes)
        begins, left = upload.offset, upload.announced.size - upload.offset
        giving_way = asyncio.ensure_future(receiving.give_way.wait())
        try:
            while (chunk := await _next(chunks, giving_way)) is not None:
                await writer.put(chunk[:left])
                upload.offset = begins + writer.written  # for whoever asks meanwhile
                left -= len(chunk)
                if left < 0:
                    raise _too_much(upload)
        finally:
            giving_way.cancel()
            try:
                await writer.close()
            finally:
                upload.offset = await asyncio.shield(asyncio.create_task(asyncio.to_thread(size_of, upload.file)))

    async def _complete(self, upload: IncomingUpload) -> None:
        announced = upload.announced
        if announced.sha256 is not None:
            found = await in_thread(lambda stop: sha256_of(upload.file, stop))
            if found != announced.sha256:
                await asyncio.to_thread(os.truncate, upload.file, 0)
                upload.offset = 0
                raise RequestError(
                    f"what came has the SHA-256 {found} and not the one that was announced: it is thrown away; send it "
                    "again from 0",
                    "sha256",
                )
        await asyncio.to_thread(sync_file, upload.file)
        upload.announced = announced.model_copy(update={"complete": True})
        await asyncio.to_thread(write_down, upload)

    def _info(self, upload: IncomingUpload) -> UploadInfo:
        announced = upload.announced
        return UploadInfo(
            id=upload.id,
            name=announced.name,
            size=announced.size,
            offset=upload.offset,
            complete=announced.complete,
            sha256=announced.sha256,
            expires=datetime.fromtimestamp(self._expires(upload), UTC),
        )

    def _expires(self, upload: IncomingUpload) -> float:
        return upload.touched + self._settings.upload_days * _DAY

    async def _sweep_on(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            await self._sweep()

    async def _sweep(self) -> None:
        now = time.time()
        for upload in list(self._uploads.values()):
            if self._expires(upload) <= now and upload.receiving is None and not upload.lock.locked():
                del self._uploads[upload.id]
                log.info("an upload is thrown away: no job has taken it", upload=upload.id)
                try:
                    await asyncio.to_thread(self._folders.throw_away, upload.folder)
                except OSError as error:  # the next start tries again
                    log.warning("an upload could not be thrown away", upload=upload.id, reason=str(error))


async def _next(chunks: AsyncIterator[bytes], giving_way: asyncio.Task[Literal[True]]) -> bytes | None:
    """The next piece; None at the end.

    Raises:
        UploadBusy: another request goes on with the upload.
    """
    coming = asyncio.ensure_future(anext(chunks, None))
    try:
        await asyncio.wait((coming, giving_way), return_when=asyncio.FIRST_COMPLETED)
    finally:
        if not coming.done():
            coming.cancel()
    if not coming.cancelled() and coming.done():
        return coming.result()
    with contextlib.suppress(asyncio.CancelledError):
        await coming
    raise UploadBusy("another request goes on with this upload, or it was deleted")


def _no_upload(upload_id: str) -> NoUpload:
    return NoUpload(
        f"there is no upload {upload_id[:100]!r}: it was never begun with this token, a job has taken it, or it is too "
        "old",
        "upload",
    )


def _too_much(upload: IncomingUpload) -> TooLarge:
    return TooLarge(f"more would come than the {upload.announced.size} bytes that were announced", "size")
