"""The well-known static builds of FFmpeg."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import httpx

from app.installs.archives import ArchiveLimits
from app.installs.source import Progress, SourceError
from app.installs.sources.archive_fetching import ArchiveFetching
from app.installs.sources.pages import Pages
from engines.choosing import numbers
from engines.installs.ffmpeg_builds import BUILDS, Build
from engines.installs.release import Release


class StaticBuilds:
    """A :class:`app.installs.source.Source` of FFmpeg.

    Args:
        name: as the setting names it.
        client: who asks.
        limits: what an archive may hold.
        builds: who builds them.
    """

    def __init__(
        self, name: str, client: httpx.AsyncClient, limits: ArchiveLimits, builds: Sequence[Build] = BUILDS
    ) -> None:
        self.name = name
        self._builds = builds
        self._pages = Pages(client)
        self._fetching = ArchiveFetching(client, limits)

    def offers(self, engine: str) -> bool:
        """See :meth:`app.installs.source.Source.offers`."""
        return engine == "ffmpeg"

    async def releases(self, engine: str, system_os: str, cpu: str) -> Sequence[Release]:
        """See :meth:`app.installs.source.Source.releases`. Who cannot be asked is passed over while another can."""
        asked = [build for build in self._builds if (system_os, cpu) in build.archives]
        answers = await asyncio.gather(*(self._read(build, system_os, cpu) for build in asked))
        troubles = [answer for answer in answers if isinstance(answer, SourceError)]
        if troubles and len(troubles) == len(asked):
            message = "; ".join(trouble.message for trouble in troubles)
            raise SourceError(message, transient=any(trouble.transient for trouble in troubles))
        found = [release for answer in answers if not isinstance(answer, SourceError) for release in answer]
        return sorted(found, key=lambda release: numbers(release.version), reverse=True)

    async def fetch(self, release: Release, work: Path, place: Path, progress: Progress) -> None:
        """See :meth:`app.installs.source.Source.fetch`."""
        # A size that was told over TLS is all that some have; see engines.installs.ffmpeg_builds.
        await self._fetching.fetch(release, work, place, progress, checksum_needed=release.size is None)

    async def _read(self, build: Build, system_os: str, cpu: str) -> Sequence[Release] | SourceError:
        try:
            page = await self._pages.read(build.page)
            return build.read(page, self.name, system_os, cpu)
        except SourceError as error:
            return error
        except ValueError as error:
            return SourceError(f"the page of {build.maker} cannot be read: {error}")
