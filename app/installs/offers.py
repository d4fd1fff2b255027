"""What all sources together offer, in the order of the settings, remembered for a while."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from app.installs.source import Source, SourceError
from app.render.finding import version_key
from engines.installs.release import Release

KEPT_SECONDS = 600.0
"""How long an answer counts."""
TROUBLE_SECONDS = 20.0
"""How long an answer counts if a source could not be asked."""


@dataclass(frozen=True, slots=True)
class Offered:
    """What there is for one engine on one kind of machine."""

    releases: tuple[Release, ...]  # newest first; of one version the source that comes first in the settings is first
    troubles: Mapping[str, str]  # sources that could not be asked: why
    asked: int  # how many sources answered

    def versions(self) -> list[str]:
        """The versions, newest first, each once."""
        return list(dict.fromkeys(release.version for release in self.releases))

    def of_version(self, wanted: str) -> list[Release]:
        """The releases of a version, best source first; of the newest one that fits where ``wanted`` is short (4.5)."""
        newest = next((release.version for release in self.releases if fits(release.version, wanted)), None)
        return [release for release in self.releases if release.version == newest]


def fits(version: str, wanted: str) -> bool:
    """Whether a complete version is what a short or complete one means: 4.5.3 is 4.5, and 4.50.1 is not."""
    return version == wanted or version.startswith(wanted + ".")


class Offers:
    """Asks the sources. One for the whole service; for the event loop."""

    def __init__(self, sources: Sequence[Source]) -> None:
        self.sources = {source.name: source for source in sources}
        self._known: dict[tuple[str, str, str], tuple[float, Offered]] = {}
        self._asking: dict[tuple[str, str, str], asyncio.Task[Offered]] = {}

    async def of(self, engine: str, system_os: str, cpu: str) -> Offered:
        """What is offered; who asks at the same time shares the answer."""
        key = (engine, system_os, cpu)
        until, known = self._known.get(key, (0.0, None))
        if known is not None and time.monotonic() < until:
            return known
        task = self._asking.get(key)
        if task is None:
            task = self._asking[key] = asyncio.create_task(self._ask(*key))
            task.add_done_callback(lambda done: self._asking.pop(key, None))
        # Shielded: others may wait for the same answer when this one goes away.
        return await asyncio.shield(task)

    def forget(self, engine: str | None = None) -> None:
        """Ask anew when something is asked for next: of one engine, or of all."""
        for key in [key for key in self._known if engine in (None, key[0])]:
            del self._known[key]

    async def close(self) -> None:
        """End what is being asked."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _ask(self, engine: str, system_os: str, cpu: str) -> Offered:
        sources = [source for source in self.sources.values() if source.offers(engine)]
        answers = await asyncio.gather(*(_ask_one(source, engine, system_os, cpu) for source in sources))
        releases: list[Release] = []
        troubles: dict[str, str] = {}
        for source, answer in zip(sources, answers, strict=True):
            if isinstance(answer, SourceError):
                troubles[source.name] = answer.message
            else:
                releases += answer
        releases.sort(key=lambda release: version_key(release.version), reverse=True)
        offered = Offered(tuple(releases), troubles, len(sources) - len(troubles))
        until = time.monotonic() + (TROUBLE_SECONDS if troubles else KEPT_SECONDS)
        self._known[engine, system_os, cpu] = (until, offered)
        return offered


async def _ask_one(source: Source, engine: str, system_os: str, cpu: str) -> Sequence[Release] | SourceError:
    try:
        return await source.releases(engine, system_os, cpu)
    except SourceError as error:
        return error
