"""A release that is one archive: its checksum is learnt, the archive comes, is verified and is unpacked."""

from __future__ import annotations

import asyncio
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path

import httpx

from app.installs.archives import ArchiveError, ArchiveLimits, unpack_release
from app.installs.source import Phase, Progress, SourceError
from app.installs.sources.pages import PATIENCE
from app.installs.transfer import download, fetch_text
from engines.installs.checksums import checksum_of
from engines.installs.release import Checksum, Release


@dataclass(frozen=True, slots=True)
class ArchiveFetching:
    """How archives are fetched, for all sources that have some."""

    client: httpx.AsyncClient
    limits: ArchiveLimits

    async def fetch(
        self, release: Release, work: Path, place: Path, progress: Progress, *, checksum_needed: bool
    ) -> None:
        """Leave the unpacked archive in ``place``; see :meth:`app.installs.source.Source.fetch`.

        Args:
            release: an archive. Its file name is a name, not a path.
            work: where the archive is until it is unpacked; what is in it of an earlier try is used.
            place: does not exist yet.
            progress: bytes of the archive, while it comes and while it is unpacked.
            checksum_needed: whether an archive without a checksum is refused.

        Raises:
            SourceError: see there.
        """
        if release.file_name.lower().endswith(".dmg"):  # told before hundreds of megabytes come for nothing
            raise SourceError(f"{release.file_name} is a disk image, which Zordon does not unpack; drag it into place")
        archive = work / release.file_name
        # It gets this name when it is complete and verified: a try before this one was broken off while it unpacked.
        if not await asyncio.to_thread(archive.is_file):
            checksum = await self._checksum(release)
            if checksum is None and checksum_needed:
                raise SourceError(f"there is no checksum for {release.file_name}, so it is not installed")
            progress(Phase.DOWNLOADING, 0, release.size)
            await download(
                self.client,
                release.location,
                archive,
                lambda done, total: progress(Phase.DOWNLOADING, done, total),
                size=release.size,
                checksum=checksum,
                keep_free=self.limits.keep_free,
            )
        await unpack_into_place(archive, place, self.limits, progress)

    async def _checksum(self, release: Release) -> Checksum | None:
        if release.checksum is not None or release.checksum_url is None:
            return release.checksum
        text = await fetch_text(self.client, release.checksum_url, patience=PATIENCE)
        found = checksum_of(text, release.file_name)
        if found is None:
            name = release.checksum_url.rpartition("/")[2]
            raise SourceError(f"the checksum file {name} does not name {release.file_name}, so it is not installed")
        return found


async def unpack_into_place(archive: Path, place: Path, limits: ArchiveLimits, progress: Progress) -> None:
    """Unpack a verified archive and remove it; one that is good for nothing too, one whose unpacking is broken off not.

    Raises:
        SourceError: see :meth:`app.installs.source.Source.fetch`.
    """
    try:
        await _unpack(archive, place, limits, progress)
    except ArchiveError:
        await asyncio.to_thread(archive.unlink)
        raise
    await asyncio.to_thread(archive.unlink)


async def _unpack(archive: Path, place: Path, limits: ArchiveLimits, progress: Progress) -> None:
    total = (await asyncio.to_thread(archive.stat)).st_size
    progress(Phase.UNPACKING, 0, total)
    loop = asyncio.get_running_loop()
    stop = threading.Event()

    def report(done: int) -> None:
        loop.call_soon_threadsafe(progress, Phase.UNPACKING, done, total)

    work = asyncio.create_task(asyncio.to_thread(unpack_release, archive, place, limits, stop, report))
    try:
        await asyncio.shield(work)
    except asyncio.CancelledError:
        stop.set()
        await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # it was told to stop: how it took that is nobody's concern
        await asyncio.to_thread(shutil.rmtree, place, ignore_errors=True)  # it may have been through just then
        raise
