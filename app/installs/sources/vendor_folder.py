"""Blender's release folders over HTTP: the vendor's own, and every mirror of a studio with the same layout."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpx

from app.installs.archives import ArchiveLimits
from app.installs.source import Progress, SourceError
from app.installs.sources.archive_fetching import ArchiveFetching
from app.installs.sources.pages import Pages
from engines.installs.blender_releases import releases_in, series_folders
from engines.installs.release import Release


class VendorFolder:
    """A :class:`app.installs.source.Source` of Blender.

    Args:
        name: as the setting names it.
        url: the first folder, in which there is one a series (``Blender4.5/``).
        client: who asks.
        limits: what an archive may hold.
    """

    def __init__(self, name: str, url: str, client: httpx.AsyncClient, limits: ArchiveLimits) -> None:
        self.name = name
        self._url = url.rstrip("/") + "/"
        self._pages = Pages(client)
        self._fetching = ArchiveFetching(client, limits)

    def offers(self, engine: str) -> bool:
        """See :meth:`app.installs.source.Source.offers`."""
        return engine == "blender"

    async def releases(self, engine: str, system_os: str, cpu: str) -> Sequence[Release]:
        """See :meth:`app.installs.source.Source.releases`."""
        folders = series_folders(await self._pages.read(self._url), self._url)
        if not folders:
            raise SourceError(f"{self._url} is no release folder of Blender: it lists no Blender4.5/ or the like")
        pages = await asyncio.gather(*(self._pages.read(folder) for folder in folders))
        return [
            release
            for folder, page in zip(folders, pages, strict=True)
            for release in releases_in(page, folder, self.name, system_os, cpu)
        ]

    async def fetch(self, release: Release, work: Path, place: Path, progress: Progress) -> None:
        """See :meth:`app.installs.source.Source.fetch`."""
        await self._fetching.fetch(release, work, place, progress, checksum_needed=True)
