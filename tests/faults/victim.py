"""A real ``zordon serve`` that faults are done to, and the watched folder in which everything of it has its place.

::

    <base>/watched/data  tmp  home  cwd    what the service is given; only data may ever change
    <base>/spoken/                         what each service said
    <base>/copies/                         copies of the database of a dead service
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.cli.own_service import scrubbed
from app.render.environment import ATTEMPT_COOKIE, STORE_COOKIE
from client import RenderServerProxy

ROOT: Final = Path(__file__).parents[2]
TOKEN: Final = "a-token-of-the-fault-tests"
RUN_MARK: Final = "FAULTS_RUN"
"""In the environment of the service and its workers: names the folder, so that whatever outlives it is found."""
_START_SECONDS: Final = 60.0
_READY: Final = re.compile(rb"Zordon is ready.*address=https?://[^:\s]+:(\d+)")
_COLOURS: Final = re.compile(rb"\x1b\[[0-9;]*m")


class Died(Exception):
    """The service ended before it was ready; the message is what it said."""


@dataclass(frozen=True)
class Place:
    """The folders of one run."""

    base: Path

    def prepare(self) -> Place:
        """Make them."""
        for folder in (self.data, self.watched / "tmp", self.watched / "home", self.watched / "cwd"):
            folder.mkdir(parents=True, exist_ok=True)
        for folder in (self.spoken, self.copies):
            folder.mkdir(exist_ok=True)
        return self

    @property
    def watched(self) -> Path:
        """Nothing may be written in it but in :attr:`data`."""
        return self.base / "watched"

    @property
    def data(self) -> Path:
        """The data folder."""
        return self.watched / "data"

    @property
    def spoken(self) -> Path:
        """What services said."""
        return self.base / "spoken"

    @property
    def copies(self) -> Path:
        """Copies of the database."""
        return self.base / "copies"

    def outside(self) -> dict[str, tuple[int, int]]:
        """Everything in the watched folder that is not in the data folder: size and time of change in ns."""
        found: dict[str, tuple[int, int]] = {}
        for folder, names, files in os.walk(self.watched):
            if Path(folder) == self.watched:
                names.remove("data")
            for name in (*names, *files):
                path = Path(folder) / name
                told = path.lstat()
                found[str(path.relative_to(self.watched))] = (told.st_size, told.st_mtime_ns)
        return found

    def environment(self, settings: Mapping[str, str]) -> dict[str, str]:
        """What the service runs in: nothing of this user's own folders."""
        home = str(self.watched / "home")
        own = {
            "ZORDON_TOKEN": TOKEN,
            "ZORDON_DATA_DIR": str(self.data),
            "ZORDON_PORT": "0",
            "ZORDON_ENGINE_SOURCES": "[]",
            "ZORDON_TERM_SECONDS": "0.5",
            "ZORDON_RETRY_SECONDS": "0.1",
            "ZORDON_WORKER": "1",
            RUN_MARK: str(self.base),
            "HOME": home,
            "TMPDIR": str(self.watched / "tmp"),
            "XDG_CACHE_HOME": f"{home}/.cache",
            "XDG_DATA_HOME": f"{home}/.local/share",
            "XDG_CONFIG_HOME": f"{home}/.config",
            "PYTHONPATH": str(ROOT),
            "PYTHONDONTWRITEBYTECODE": "1",
            "PYTHONUNBUFFERED": "1",
        }
        return scrubbed(os.environ) | own | dict(settings)


class Victim:
    """One process of the service."""

    def __init__(self, process: asyncio.subprocess.Process, spoken: Path) -> None:
        self.process = process
        self.port = 0
        self._spoken = spoken
        self._ready = asyncio.Event()
        self._listening = asyncio.create_task(self._listen())

    @staticmethod
    async def spawn(
        place: Place, settings: Mapping[str, str] | None = None, before: Callable[[], None] | None = None
    ) -> Victim:
        """Start one; :meth:`ready` waits until it answers, :meth:`gone` must follow.

        Args:
            settings: further settings, as environment variables.
            before: called in the new process, such as to lower its limits.
        """
        number = len(list(place.spoken.iterdir()))
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", "serve"),
            env=place.environment(settings or {}),
            cwd=place.watched / "cwd",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
            preexec_fn=before,
        )
        return Victim(process, place.spoken / f"{number:04d}.txt")

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    @property
    def said(self) -> str:
        """What it has said so far."""
        return self._spoken.read_text("utf-8", "replace") if self._spoken.exists() else ""

    def node(self, timeout: float = 60.0) -> RenderServerProxy:
        """A client of it, which asks once."""
        return RenderServerProxy("127.0.0.1", self.port, TOKEN, timeout=timeout, retries=1)

    async def ready(self) -> None:
        """Wait until it listens.

        Raises:
            Died: it ended before.
        """
        async with asyncio.timeout(_START_SECONDS):
            await self._ready.wait()
        if not self.port:
            raise Died(self.said[-3000:])

    def send(self, number: int) -> None:
        """Send a signal, if it lives."""
        if self.process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)  # not Popen's own, which would reap it under asyncio's watcher

    async def kill(self) -> None:
        """End it with -9, at once."""
        self.send(signal.SIGKILL)
        await self.gone()

    async def gone(self) -> int:
        """Wait for its end; its exit code."""
        code = await self.process.wait()
        await self._listening
        return code

    async def _listen(self) -> None:
        assert self.process.stderr is not None
        with self._spoken.open("ab") as file:
            while line := await self.process.stderr.readline():
                plain = _COLOURS.sub(b"", line)
                file.write(plain)
                file.flush()
                if (match := _READY.search(plain)) is not None:
                    self.port = int(match[1])
                    self._ready.set()
        self._ready.set()


def marked(name: str, value: str | None = None) -> dict[int, dict[str, str]]:
    """Living processes with this variable in their environment: pid and environment. Zombies have none."""
    found: dict[int, dict[str, str]] = {}
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            data = (entry / "environ").read_bytes()
        except OSError:
            continue
        wanted = f"{name}=".encode()
        if wanted not in data:
            continue
        pairs = (item.partition(b"=") for item in data.split(b"\0"))
        known = {key.decode("utf-8", "replace"): said.decode("utf-8", "replace") for key, _, said in pairs}
        if name in known and value in (None, known[name]):
            found[int(entry.name)] = known
    return found


def engine_processes(store: str) -> dict[int, str]:
    """Processes that engines of this store have started, engines included: pid and the id of their session."""
    return {pid: known.get(ATTEMPT_COOKIE, "") for pid, known in marked(STORE_COOKIE, store).items()}
