"""One attempt: one try at one chunk. Watches what the session says, has every frame verified as it comes, and tells
in the end how it went."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

from app.outputs.verification import VerificationError
from app.render.logs import in_short
from app.render.session import Exited, Session, SessionEvent
from app.render.stall import GpuSeconds, Signs, StallWatch, patience
from engines.contract import (
    Chunk,
    ChunkDone,
    EngineFailed,
    EngineWarning,
    ExpectedOutput,
    FailureCause,
    FrameWritten,
    Progress,
    Ready,
    VideoCheck,
)


@dataclass(frozen=True, slots=True)
class Succeeded:
    """Every frame of the chunk is verified or was reported as failed.

    ``frames`` are those verified just now, in one go; ``seconds`` is what one of them took.
    """

    frames: tuple[int, ...] = ()
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Failed:
    """The attempt ended without all its frames."""

    cause: FailureCause
    message: str
    frame: int | None = None  # the one it was at
    code: int | None = None  # how the process ended, if it did: an exit code, or a signal as a negative one
    refused: tuple[int, ...] = ()  # first frames of parts that do not go together with the others


@dataclass(frozen=True, slots=True)
class Stopped:
    """We ended it."""

    reason: str


@dataclass(frozen=True, slots=True)
class Held:
    """It cannot go on before there is space on the disk."""

    reason: str


Outcome = Succeeded | Failed | Stopped | Held


@dataclass(slots=True)
class AttemptPorts:
    """Whom an attempt tells, and who verifies for it. All are called on the event loop."""

    deliver: Callable[[Chunk, Sequence[ExpectedOutput], float | None], Awaitable[None]]
    """Verify files of the chunk's folder and move them to the outputs; seconds that one frame of them took. Raises
    VerificationError."""
    verified: Callable[[Sequence[int], float | None], None]
    """Frames are delivered; seconds that the last one took."""
    frame_failed: Callable[[int, FailureCause, str], None]
    out_of_space: Callable[[FailureCause, str], Awaitable[bool]]
    """Whether something failed because the disk is full."""
    warned: Callable[[str], None]
    ready: Callable[[Ready], None]
    progress: Callable[[float, str], None]
    """Frames in work (0…1, or up to the chunk's length for an indivisible job), and what is being done."""
    seconds_per_frame: Callable[[], float | None]
    """Median of the job's frames so far."""
    gpu_seconds: GpuSeconds


@dataclass(slots=True)
class Attempt:
    """See the module. ``stall_seconds``: the setting; see :mod:`app.render.stall`."""

    session: Session
    chunk: Chunk
    expected: Sequence[ExpectedOutput]
    divisible: bool
    ports: AttemptPorts
    stall_seconds: float
    _events: asyncio.Queue[SessionEvent] = field(default_factory=asyncio.Queue)
    _by_frame: dict[int, ExpectedOutput] = field(default_factory=dict)
    _left: set[int] = field(default_factory=set)
    _frame: int | None = None
    _frame_began: float = 0.0
    _progressed: float = 0.0
    _stalled: str = ""
    _watch: asyncio.Task[None] | None = None

    def listen(self) -> None:
        """Hear the session from now on; called before the process is started, so that nothing it says is missed."""
        self.session.listener = self._events.put_nowait

    async def run(self) -> Outcome:
        """Render the chunk in the session, which is open."""
        self._left = set(self.chunk.frames)
        self._by_frame = {item.frame: item for item in self.expected if item.frame is not None}
        self._frame_began = self._progressed = time.monotonic()
        self.listen()
        if self.session.takes_chunks:
            self.session.feed(self.chunk)
        # A task only once there is something to watch: most chunks of quick frames are over before.
        watch = asyncio.get_running_loop().call_later(_pause(self.stall_seconds), self._begin_watch)
        try:
            while True:
                outcome = await self._handle(await self._events.get())
                if outcome is not None:
                    return outcome
        finally:
            watch.cancel()
            if self._watch is not None:
                self._watch.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await self._watch
            self.session.listener = None

    async def _handle(self, event: SessionEvent) -> Outcome | None:
        if not isinstance(event, Exited | EngineWarning):
            self._progressed = time.monotonic()
        if isinstance(event, Progress):
            self._progress(event)
        elif isinstance(event, FrameWritten):
            return await self._frame_written(event)
        elif isinstance(event, ChunkDone):
            if event.attempt == self.chunk.attempt:
                return await self._finish()
        elif isinstance(event, EngineFailed):
            if event.frame is None or not self.divisible:  # one frame less, and the whole file is not there
                return await self._session_failed(event)
            if event.frame in self._left:
                return await self._frame_failed(event.frame, event.cause, in_short(event.message))
        elif isinstance(event, EngineWarning):
            self.ports.warned(in_short(event.message))
        elif isinstance(event, Ready):
            self._frame_began = time.monotonic()
            self.session.opened = True
            self.ports.ready(event)
        else:
            return await self._exited(event)
        return None

    def _progress(self, event: Progress) -> None:
        if self.divisible and event.frame is not None and event.frame not in self._left:
            return  # it is done already, and counted as such
        if event.frame is not None:
            self._frame = event.frame
        if self.divisible:
            label = f"frame {self._frame}" if self._frame is not None else ""
            fraction = event.fraction or 0.0
        else:
            label, fraction = "", event.fraction * len(self.chunk.frames) if event.fraction is not None else 0.0
            if event.fraction is None and event.frame is not None:
                total = self._frames_to_write()
                fraction = min(event.frame / total, 1.0) * len(self.chunk.frames)
                label = f"frame {event.frame} of {total}"
        self.ports.progress(fraction, ", ".join(part for part in (label, event.note) if part))

    def _frames_to_write(self) -> int:
        """Frames of the one file that an indivisible job makes; other than its source's where the rate is changed."""
        for item in self.expected:
            if isinstance(item.check, VideoCheck) and item.check.frames:
                return item.check.frames
        return len(self.chunk.frames)

    async def _frame_written(self, event: FrameWritten) -> Outcome | None:
        now = time.monotonic()
        seconds = event.seconds if event.seconds is not None else now - self._frame_began
        self._frame_began = now
        expected = self._by_frame.get(event.frame)
        if not self.divisible or expected is None or event.frame not in self._left:
            return None
        self.session.opened = True
        return await self._take(event.frame, expected, seconds)

    async def _take(self, frame: int, expected: ExpectedOutput, seconds: float | None) -> Outcome | None:
        try:
            await self.ports.deliver(self.chunk, [expected], seconds)
        except VerificationError as error:
            return await self._frame_failed(frame, error.cause, str(error))
        self._left.discard(frame)
        self.ports.verified([frame], seconds)
        return None

    async def _frame_failed(self, frame: int, cause: FailureCause, message: str) -> Outcome | None:
        if await self.ports.out_of_space(cause, message):
            return Held(message)
        self._left.discard(frame)
        self.ports.frame_failed(frame, cause, message)
        return None

    async def _finish(self) -> Outcome:
        """The engine says that it is through: what it did not report must be there all the same."""
        if not self.divisible:
            seconds = (time.monotonic() - self._frame_began) / len(self.chunk.frames)
            try:
                await self.ports.deliver(self.chunk, self.expected, seconds)
            except VerificationError as error:
                return Failed(error.cause, str(error))
            return Succeeded(self.chunk.frames, seconds)
        for frame in self.chunk.frames:
            if frame in self._left and frame in self._by_frame:
                held = await self._take(frame, self._by_frame[frame], None)
                if held is not None:
                    return held
        try:
            await self.ports.deliver(self.chunk, [item for item in self.expected if item.frame is None], None)
        except VerificationError as error:
            return Failed(error.cause, str(error), self._first_left())
        return Succeeded(tuple(frame for frame in self.chunk.frames if frame in self._left))

    async def _session_failed(self, event: EngineFailed) -> Outcome:
        self.session.stop("it reported a failure")
        await self._until_exited()
        return Failed(event.cause, in_short(event.message), self._first_left())

    async def _exited(self, event: Exited) -> Outcome:
        if self._stalled:
            return Failed(FailureCause.STALL, self._stalled, self._first_left(), event.code)
        if self.session.excess:
            return Failed(FailureCause.ERROR, self.session.excess, self._first_left(), event.code)
        if self.session.stopping:
            return Stopped(self.session.stopping)
        if event.code == 0 and not self.session.takes_chunks:
            return await self._finish()
        known = self.session.engine.explain_exit(event.code, self.session.tail)
        if known is not None:
            return Failed(known.cause, in_short(known.message), self._first_left(), event.code)
        story = f"killed by signal {-event.code}" if event.code < 0 else f"exit code {event.code}"
        last = next((line for line in reversed(self.session.tail) if line.strip()), "")
        message = f"the engine ended before the chunk was done ({story})" + (f": {last[:300]}" if last else "")
        return Failed(FailureCause.CRASH, message, self._first_left(), event.code)

    async def _until_exited(self) -> None:
        while not isinstance(await self._events.get(), Exited):
            pass

    def _first_left(self) -> int | None:
        return next((frame for frame in self.chunk.frames if frame in self._left), None)

    def _begin_watch(self) -> None:
        self._watch = asyncio.get_running_loop().create_task(self._watch_stall())

    async def _watch_stall(self) -> None:
        """Ends the session when it is stalled, by the rule of :mod:`app.render.stall`."""
        watch = StallWatch()
        while True:
            known = self.ports.seconds_per_frame() if self.divisible and self.session.opened else None
            seconds = patience(self.stall_seconds, known)
            process = self.session.process
            if process is not None:
                cpu = await asyncio.to_thread(process.cpu_seconds)
                gpu = await asyncio.to_thread(self.ports.gpu_seconds, process.pid)
                signs = Signs(time.monotonic(), self._progressed, self.session.last_sign, cpu, gpu)
                if story := watch.look(signs, seconds):
                    self._stalled = story
                    self.session.stop("it is stalled")
                    return
            await asyncio.sleep(_pause(seconds))


def _pause(patience: float) -> float:
    """Seconds between two looks at an attempt that may be without a sign for so many."""
    return min(patience / 4, 15.0)
