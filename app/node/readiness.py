"""Whether this node can do its work now: store, disk, engines, slots; each reason in a sentence.

Anybody may ask, so the looking is shared: however many ask, the store is written to at most once in two seconds.
"""

from __future__ import annotations

import asyncio
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from app.jobs import queries
from app.jobs.feed import Feed
from app.jobs.folders import DataFolder
from app.jobs.store import Store, StoreError
from app.node.platforms import runs_as_root
from app.node.pulse import Pulse
from app.settings import Settings

FRESH_SECONDS: Final = 2.0
"""How long an answer stands before it is looked again."""
STORE_SECONDS: Final = 5.0
"""How long a write may take before the store counts as stuck."""
LATE_SECONDS: Final = 0.5
"""An event loop that is later than this is worth a note."""
FEW_FILES: Final = 4096
"""With fewer open files allowed than this, waiting clients use them up."""


@dataclass(frozen=True, slots=True)
class Condition:
    """How the node is: not ready for the ``reasons``; ``notes`` are what somebody should mend all the same."""

    reasons: tuple[str, ...]
    notes: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """Whether it can do its work."""
        return not self.reasons


class Readiness:
    """Looks how the node is. For the event loop's thread.

    Args:
        engines: whether a copy of each engine that opens projects is installed, by the engine's title.
        dead_slots: names of the slots that died.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        feed: Feed,
        folders: DataFolder,
        pulse: Pulse,
        *,
        engines: Callable[[], Mapping[str, bool]],
        dead_slots: Callable[[], Sequence[str]],
    ) -> None:
        self._settings = settings
        self._store = store
        self._feed = feed
        self._folders = folders
        self._pulse = pulse
        self._engines = engines
        self._dead_slots = dead_slots
        self._looked = 0.0
        self._looking: asyncio.Task[Condition] | None = None

    async def condition(self) -> Condition:
        """How the node is now, or was less than two seconds ago; that it stops is said at once."""
        if self._feed.closed:
            return Condition(("the service is stopping",), ())
        now = time.monotonic()
        if self._looking is None or (self._looking.done() and now - self._looked >= FRESH_SECONDS):
            self._looked = now
            self._looking = asyncio.get_running_loop().create_task(self._look())
        return await asyncio.shield(self._looking)

    async def close(self) -> None:
        """Wait for a look that is under way."""
        if self._looking is not None:
            await asyncio.wait([self._looking])

    async def _look(self) -> Condition:
        stuck, full = await asyncio.gather(self._store_trouble(), self._disk_trouble())
        engines = self._engines()
        absent = sorted(title for title, there in engines.items() if not there)
        dead = self._dead_slots()
        reasons = [trouble for trouble in (stuck, full) if trouble]
        if absent and len(absent) == len(engines):
            reasons.append(f"no engine is installed: there is no {' and no '.join(absent)}; see zordon doctor")
        if dead:
            reasons.append(f"slots have died ({', '.join(dead)}): restart the service, its log says why")
        return Condition(tuple(reasons), tuple(self._notes(absent if len(absent) < len(engines) else ())))

    async def _store_trouble(self) -> str:
        try:
            async with asyncio.timeout(STORE_SECONDS):
                await self._store.write([queries.note_probe(time.time())])
        except StoreError as error:
            return f"the store cannot be written: {error}"
        except TimeoutError:
            return f"the store has not answered for {STORE_SECONDS:g} seconds"
        return ""

    async def _disk_trouble(self) -> str:
        keep = self._settings.min_free_bytes
        try:
            free = (await asyncio.to_thread(shutil.disk_usage, self._folders.root)).free
        except OSError as error:
            return f"the data folder cannot be looked at: {error.strerror}"
        if free < keep:
            return f"the disk of the data folder has {free} bytes free, less than the {keep} of min_free_bytes"
        return ""

    def _notes(self, absent: Sequence[str]) -> list[str]:
        notes = [f"no {title} is installed; jobs for it wait or are refused" for title in absent]
        if runs_as_root() and self._settings.engine_user is None:
            notes.append("the service runs as root, and so do its engines: run it as another user, or set engine_user")
        if (limit := _open_files()) is not None and limit < FEW_FILES:
            notes.append(f"only {limit} files may be open at a time; each waiting client is one (ulimit -n)")
        if self._pulse.last > LATE_SECONDS:
            notes.append(f"the event loop was {self._pulse.last:.1f} seconds late: the machine is overloaded")
        return notes


def _open_files() -> int | None:
    if sys.platform == "win32":
        return None
    import resource  # there is none on Windows

    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]
