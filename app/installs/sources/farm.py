"""Engine versions from the other nodes of the farm: what one has fetched, the others need not fetch again."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Final, Protocol
from urllib.parse import quote

import httpx
from pydantic import TypeAdapter

from app.installs.archives import ArchiveLimits
from app.installs.part import PartFile
from app.installs.retries import PATIENCE, Patience, Retries, Trouble
from app.installs.source import Phase, Progress, SourceError
from app.installs.sources.archive_fetching import unpack_into_place
from client.connection import Params, read
from client.errors import ProtocolError, ZordonError
from client.models import EngineDetail
from engines.installs.release import Checksum, Packaging, Release

_DETAIL: Final = TypeAdapter(EngineDetail)
_TOTAL: Final = re.compile(r"bytes \d+-\d+/(\d{1,18})")
_TAG: Final = re.compile(r'"([0-9a-f]{64})"')
FIRST_SECONDS: Final = 120.0
"""How long a node may take until it has the hash of a copy that nobody has asked it for before."""


class Asked(Protocol):
    """What asks a node; raises :class:`client.errors.ZordonError`."""

    async def get(self, path: str, params: Params | None = None, *, timeout: float | None = None) -> httpx.Response:
        """Ask for something."""

    def stream(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        *,
        timeout: float | None = None,
        accept_statuses: tuple[int, ...] = (),
    ) -> AbstractAsyncContextManager[httpx.Response]:
        """Ask for a file."""


class Giver(Protocol):
    """Another node that can be asked now."""

    @property
    def id(self) -> str:
        """32 hexadecimal digits."""

    @property
    def name(self) -> str:
        """For people."""

    @property
    def client(self) -> Asked:
        """What asks it."""


Givers = Callable[[], Sequence[Giver]]


class FarmSource:
    """A :class:`app.installs.source.Source` of every engine.

    Args:
        name: as the setting names it.
        givers: the nodes that can be asked now.
        limits: what a copy may hold.
    """

    def __init__(self, name: str, givers: Givers, limits: ArchiveLimits, patience: Patience = PATIENCE) -> None:
        self.name = name
        self._givers = givers
        self._limits = limits
        self._patience = patience

    def offers(self, engine: str) -> bool:
        """See :meth:`app.installs.source.Source.offers`."""
        return bool(self._givers())

    async def releases(self, engine: str, system_os: str, cpu: str) -> Sequence[Release]:
        """See :meth:`app.installs.source.Source.releases`. A node that does not answer offers nothing."""
        givers = self._givers()
        answers = await asyncio.gather(*(self._of(giver, engine, system_os, cpu) for giver in givers))
        if givers and all(isinstance(answer, ZordonError) for answer in answers):
            raise SourceError("; ".join(str(answer) for answer in answers), transient=True)
        return [release for answer in answers if not isinstance(answer, ZordonError) for release in answer]

    async def fetch(self, release: Release, work: Path, place: Path, progress: Progress) -> None:
        """See :meth:`app.installs.source.Source.fetch`."""
        archive = work / release.file_name
        if not await asyncio.to_thread(archive.is_file):
            progress(Phase.DOWNLOADING, 0, None)
            await self._download(release, archive, progress)
        await unpack_into_place(archive, place, self._limits, progress)

    async def _of(self, giver: Giver, engine: str, system_os: str, cpu: str) -> list[Release] | ZordonError:
        try:
            detail = read(_DETAIL, await giver.client.get(f"/api/engines/{quote(engine, safe='')}"))
        except ZordonError as error:
            return error
        return [
            Release(
                engine=engine,
                version=copy.version,
                system_os=system_os,
                cpu=cpu,
                source=self.name,
                packaging=Packaging.ARCHIVE,
                location=giver.id,
                file_name=f"{engine}-{copy.version}.tar",
                size=copy.size,
            )
            for copy in detail.versions
            if copy.type == "managed" and (copy.system_os, copy.cpu) == (system_os, cpu)
        ]

    async def _download(self, release: Release, archive: Path, progress: Progress) -> None:
        checksum, total = await self._ask(release)
        part = PartFile(archive, f"farm:{checksum.digest}", total, checksum, self._limits.keep_free)
        retries = Retries(self._patience)
        try:
            await part.open()
            if not part.have:
                await part.begin(f'"{checksum.digest}"', total)
            await part.make_room()
            async for attempt in retries.again():
                with attempt:
                    try:
                        if not part.complete:
                            await self._take(release, part, checksum, total, progress)
                    finally:
                        await part.flush()
                        retries.reached(part.have)
            progress(Phase.VERIFYING, total, total)
            await part.settle()
        finally:
            await part.close()

    async def _ask(self, release: Release) -> tuple[Checksum, int]:
        """Hash and length of the archive, as the node that has it says."""
        giver = self._giver(release)
        try:
            async with giver.client.stream(_path(release), {"Range": "bytes=0-0"}, timeout=FIRST_SECONDS) as response:
                tag = _TAG.fullmatch(response.headers.get("ETag", ""))
                total = _TOTAL.fullmatch(response.headers.get("Content-Range", ""))
        except ZordonError as error:
            raise SourceError(f"{giver.name}: {error}", transient=True) from error
        if tag is None or total is None:
            raise SourceError(f"{giver.name} does not say what it would send")
        return Checksum("sha256", tag[1]), int(total[1])

    async def _take(self, release: Release, part: PartFile, checksum: Checksum, total: int, progress: Progress) -> None:
        giver = self._giver(release)
        headers = {"Range": f"bytes={part.have}-", "Accept-Encoding": "identity"}
        meter = _Meter(progress, total)
        try:
            async with giver.client.stream(_path(release), headers, timeout=self._patience.stall) as response:
                if response.headers.get("ETag") != f'"{checksum.digest}"' or response.status_code != 206:
                    raise SourceError(f"{giver.name} has another copy of it by now")
                async for piece in response.aiter_raw():
                    if part.have + len(piece) > total:
                        raise ProtocolError(f"{giver.name} sends more than it said")
                    await part.put(piece)
                    meter.reached(part.have)
        except ZordonError as error:
            raise Trouble(f"{giver.name}: {error}") from error
        if part.have < total:
            raise Trouble(f"{giver.name} broke off after {part.have} of {total} bytes")

    def _giver(self, release: Release) -> Giver:
        for giver in self._givers():
            if giver.id == release.location:
                return giver
        raise Trouble("the node that has it does not answer just now")


class _Meter:
    """Passes progress on, a hundred times a download."""

    def __init__(self, progress: Progress, total: int) -> None:
        self._progress = progress
        self._total = total
        self._next = 0

    def reached(self, have: int) -> None:
        if have >= self._next:
            self._next = have + max(1 << 20, self._total // 100)
            self._progress(Phase.DOWNLOADING, have, self._total)


def _path(release: Release) -> str:
    return f"/api/engines/{quote(release.engine, safe='')}/{quote(release.version, safe='')}/archive"
