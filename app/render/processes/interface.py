"""What every system's engine process can do."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, TypedDict


class LaunchError(Exception):
    """The process could not be started."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What an engine process, and whatever it starts, may take. None: no bound of ours; a lower one of the system's
    stands. What a system does not know is left out there."""

    memory_bytes: int | None = None  # for data, each process for itself
    open_files: int | None = None
    cpu_seconds: int | None = None
    file_bytes: int | None = None  # of one file that it writes
    core_dumps: bool = True
    nice: int = 0  # how much it stands back, 0 to 19


@dataclass(frozen=True, slots=True)
class RunAs:
    """Another user as whom a process runs (POSIX)."""

    uid: int
    gid: int
    groups: tuple[int, ...]


class PopenUser(TypedDict, total=False):
    """The arguments of Popen that name another user."""

    user: int
    group: int
    extra_groups: list[int]


def popen_user(run_as: RunAs | None) -> PopenUser:
    """What Popen is told of another user. Only if there is one: with it, Python forks, and vfork is quicker."""
    if run_as is None:
        return {}
    return {"user": run_as.uid, "group": run_as.gid, "extra_groups": list(run_as.groups)}


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start and who hears of it.

    ``on_event`` gets the lines of the event stream, ``on_output`` everything else that the process prints, both as
    bytes, on the event loop. ``on_event`` lines come without their line end and are at most :data:`MAX_LINE` long;
    what is longer is cut.
    """

    session: str  # id of the attempt that starts it; becomes the cookie
    argv: tuple[str, ...]
    environment: Mapping[str, str]
    folder: Path
    events_on_stdout: bool
    on_event: Callable[[bytes], None]
    on_output: Callable[[bytes], None]
    prepare: Callable[[], None] | None = None
    """Called before the process is started, in the same thread; an OSError of it means that it cannot be started."""
    limits: Limits = Limits()
    run_as: RunAs | None = None


MAX_LINE = 1 << 20
"""The most bytes of one line of an event stream."""


class EngineProcess(Protocol):
    """A running engine process. It is over when :meth:`wait` returns; :meth:`sweep` must follow."""

    pid: int

    @property
    def started(self) -> float:
        """When it was started, in seconds since 1970, as the system tells it (to recognise the process later)."""

    def write(self, data: bytes) -> None:
        """Give it bytes on stdin; never waits. Silently dropped once the process has closed its end."""

    def close_stdin(self) -> None:
        """Let it see the end of its stdin."""

    async def wait(self) -> int:
        """Wait until it has ended and its process group was killed.

        Returns:
            Its exit code; a negative one is the signal that ended it.
        """

    def terminate(self) -> None:
        """Ask its whole group to end (TERM)."""

    def kill(self) -> None:
        """End it and every descendant that can be seen now (KILL)."""

    def cpu_seconds(self) -> float:
        """CPU time of the process and its descendants so far, in seconds."""

    async def sweep(self) -> int:
        """After :meth:`wait`: end whatever it started that is still alive, and close its pipes.

        Returns:
            How many processes were found and ended.
        """


class LineSplitter:
    """Cuts a byte stream into lines, in bounded memory."""

    def __init__(self, on_line: Callable[[bytes], None]) -> None:
        self._on_line = on_line
        self._rest = bytearray()
        self._cut = False

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the stream."""
        *lines, rest = data.replace(b"\r", b"\n").split(b"\n")
        for line in lines:
            if self._rest:
                line = bytes(self._rest) + line
                self._rest.clear()
            if line and not self._cut:
                self._on_line(line[:MAX_LINE])
            self._cut = False
        self._rest += rest
        if len(self._rest) > MAX_LINE:
            if not self._cut:
                self._on_line(bytes(self._rest[:MAX_LINE]))
            self._cut = True
            self._rest.clear()

    def finish(self) -> None:
        """The stream is over: a last line without an end counts too."""
        if self._rest and not self._cut:
            self._on_line(bytes(self._rest))
        self._rest.clear()
