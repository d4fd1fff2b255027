"""The interface of a source: somebody who offers engine versions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Protocol

from engines.installs.release import Release


class Phase(StrEnum):
    """What is being done for an install."""

    WAITING = "waiting"
    DOWNLOADING = "downloading"
    VERIFYING = "verifying"
    UNPACKING = "unpacking"
    PROVING = "proving"


Progress = Callable[[Phase, int, int | None], None]
"""``progress(phase, bytes so far, bytes expected or None)``, called on the event loop a few times a second at most."""


class SourceError(Exception):
    """A source cannot be asked, or does not hold what it offers. The message is a sentence that names the reason, and
    whether trying again could help."""

    def __init__(self, message: str, *, transient: bool = False) -> None:
        super().__init__(message)
        self.message = message
        self.transient = transient
        """Whether the same request may succeed later: no network, a server in trouble, a connection that broke."""


class Source(Protocol):
    """Somebody who offers releases. One instance serves the whole service; every method is for the event loop."""

    name: str
    """As the setting ``engine_sources`` names it."""

    def offers(self, engine: str) -> bool:
        """Whether this source may have releases of an engine at all. Asks nobody."""

    async def releases(self, engine: str, system_os: str, cpu: str) -> Sequence[Release]:
        """Every release for a kind of machine, newest first.

        Raises:
            SourceError: it cannot be asked.
        """

    async def fetch(self, release: Release, work: Path, place: Path, progress: Progress) -> None:
        """Leave a complete copy in ``place``, a folder that does not exist yet.

        Args:
            release: one of this source's own.
            work: a folder for what is half done. It exists; if an earlier try was broken off, what that left is in it
                and is used to go on from there.
            place: on the same disk as ``work``. If this raises, there is no ``place``.
            progress: see :data:`Progress`.

        Raises:
            SourceError: it did not come, is damaged, or is not what it should be.
        """
