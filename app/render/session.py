"""A session: one live engine process with a project open, able to render several chunks in turn."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from app.render.confinement import FIRST_LOOK_SECONDS, LAST_LOOK_SECONDS, Confinement
from app.render.environment import ATTEMPT_COOKIE, STORE_COOKIE, engine_environment
from app.render.logs import JobLog, command_line
from app.render.processes import EngineProcess, Launch, launch
from app.render.scratch import ScratchFolders
from engines.contract import Chunk, Command, Engine, EngineEvent, SessionRequest

log = structlog.get_logger(__name__)

FINISH_SECONDS = 10.0
"""How long a process that was asked to finish may take before it is stopped."""


@dataclass(frozen=True, slots=True)
class Exited:
    """The process is gone, with all that it started."""

    code: int
    leftovers: int  # processes that it left behind and that were ended


SessionEvent = EngineEvent | Exited


class Session:
    """One engine process of one job. Open it once; whatever it says goes to ``listener``."""

    def __init__(
        self,
        engine: Engine,
        request: SessionRequest,
        *,
        job_id: str,
        store_id: str,
        log: JobLog,
        grace: float,
        confinement: Confinement,
        parts: Path | None = None,
    ) -> None:
        self.engine = engine
        self.request = request
        self.job_id = job_id
        self.id = ""
        self.command: Command | None = None
        self.process: EngineProcess | None = None
        self.listener: Callable[[SessionEvent], None] | None = None
        self.last_sign = time.monotonic()
        self.stopping = ""
        self.opened = False  # whether its project is open, as far as it said
        self.oom_kills: int | None = None  # see app.render.oom_kills, at its start
        self._voice = log.voice()
        self._store_id = store_id
        self._log = log
        self._grace = grace
        self._confinement = confinement
        self._parts = parts  # the folder of the parts that it puts together; None: it renders
        self.excess = ""  # what it has written too much of, if it was stopped for that
        self._folders: tuple[Path, ...] = (request.folder,)  # that it may write in now
        self._bounding_timer: asyncio.TimerHandle | None = None
        self._bounding: asyncio.Task[None] | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._stopper: asyncio.Task[None] | None = None

    async def open(
        self, attempt: str, chunk: Chunk, scratch: ScratchFolders, may_begin: Callable[[], None]
    ) -> EngineProcess:
        """Start the process; ``attempt`` becomes the session's id and cookie. Its folders are made, from those of
        ``scratch`` if it has any. ``may_begin`` is called in a thread, with all of that at hand: it returns when the
        process may be started, or raises what says why it may not.

        Raises:
            LaunchError: it cannot be started.
            Refusal: the engine has no command for this.
            Exception: what ``may_begin`` raises.
        """
        self.id = attempt
        if self._parts is None:
            command = self.engine.command(self.request, chunk)
        else:
            command = self.engine.assembly(self.request, chunk, self._parts)
        self.command = command
        cookies = {ATTEMPT_COOKIE: attempt, STORE_COOKIE: self._store_id}
        self._log.command(command_line(command.argv, command.environment))
        self._log.say(f"attempt {attempt} started a session with the command above")
        confinement = self._confinement
        self._folders = (self.request.folder, chunk.folder)
        spares = [(folder, scratch.spare(folder)) for folder in self._folders]
        wanted = Launch(
            session=attempt,
            argv=command.argv,
            environment=engine_environment(self.request.folder, {**command.environment, **cookies}),
            folder=self.request.folder,
            events_on_stdout=command.events == "stdout",
            on_event=self._event_line,
            on_output=self._output,
            prepare=partial(self._prepare, command, spares, may_begin),
            limits=confinement.limits,
            run_as=confinement.run_as,
        )
        self.process = await launch(wanted)
        if not command.takes_chunks:
            self.process.close_stdin()
        self._watcher = asyncio.get_running_loop().create_task(self._watch(self.process))
        self._bounding_timer = asyncio.get_running_loop().call_later(FIRST_LOOK_SECONDS, self._begin_bounding)
        return self.process

    def _prepare(
        self, command: Command, folders: list[tuple[Path, Path | None]], may_begin: Callable[[], None]
    ) -> None:
        """In the thread that starts the process: its folders, and the files that the engine wants in them."""
        parts = [] if self._parts is None else [(self._parts, None)]
        self._confinement.make([*folders, *parts], self.request.project)
        for name, text in command.files.items():
            (self.request.folder / name).write_text(text, encoding="utf-8")
        may_begin()

    @property
    def takes_chunks(self) -> bool:
        """Whether the process can render another chunk when it is through with one."""
        return self.command is not None and self.command.takes_chunks

    @property
    def tail(self) -> tuple[str, ...]:
        """The last lines that the engine printed."""
        return tuple(self._voice.tail)

    @property
    def alive(self) -> bool:
        """Whether the process runs and nobody has asked it to stop."""
        return self._watcher is not None and not self._watcher.done() and not self.stopping

    def feed(self, chunk: Chunk) -> None:
        """Give the process a chunk."""
        assert self.process is not None
        self.last_sign = time.monotonic()
        self._folders = (self.request.folder, chunk.folder)
        self.process.write(self.engine.feed(chunk))

    def stop(self, reason: str) -> None:
        """Begin to end the process: TERM, grace, KILL. Its exit comes to the listener."""
        if not self.stopping and self._watcher is not None and not self._watcher.done():
            self.stopping = reason
            self._stopper = asyncio.get_running_loop().create_task(self._stop())

    async def close(self) -> None:
        """End the process in good order, or by force if it does not; returns when nothing of it is alive."""
        if self._watcher is None:
            return
        self.listener = None
        if self.alive and self.takes_chunks and self.process is not None:
            self.process.write(self.engine.finish())
            self.process.close_stdin()
            await asyncio.wait([self._watcher], timeout=FINISH_SECONDS)
        self.stop("it did not finish by itself")
        if self._stopper is not None:
            await self._stopper
        await self._watcher

    async def _stop(self) -> None:
        assert self.process is not None
        assert self._watcher is not None
        self.process.terminate()
        await asyncio.wait([self._watcher], timeout=self._grace)
        if not self._watcher.done():
            self._log.say(f"it did not end within {self._grace:g} s of TERM and is killed")
            self.process.kill()
            await asyncio.wait([self._watcher])

    async def _watch(self, process: EngineProcess) -> None:
        code = await process.wait()
        leftovers = await process.sweep()
        if leftovers:
            self._log.say(f"{leftovers} processes that it left behind were ended")
        if self._bounding_timer is not None:
            self._bounding_timer.cancel()
        if self._bounding is not None:
            self._bounding.cancel()
            await asyncio.wait([self._bounding])
        if self.listener is not None:
            self.listener(Exited(code, leftovers))

    def _begin_bounding(self) -> None:
        self._bounding = asyncio.get_running_loop().create_task(self._bound())

    async def _bound(self) -> None:
        """Ends the process when it has written more than it may. Files grow slowly: looked at ever less often."""
        pause = FIRST_LOOK_SECONDS
        while not (excess := await asyncio.to_thread(self._confinement.excess, self._folders)):
            pause = min(2 * pause, LAST_LOOK_SECONDS)
            await asyncio.sleep(pause)
        self.excess = excess
        self.stop("it wrote too much")

    def _event_line(self, line: bytes) -> None:
        self.last_sign = time.monotonic()
        if self.listener is None:
            return
        try:
            events = self.engine.parse(line.decode("utf-8", "replace"))
        except Exception as error:  # noqa: BLE001 - a plug-in of somebody else; what it cannot read is no event
            log.warning("an engine cannot read its own events", engine=self.engine.name, reason=repr(error)[:300])
            return
        for event in events:
            self.listener(event)

    def _output(self, data: bytes) -> None:
        self.last_sign = time.monotonic()
        self._voice.hear(data)
