"""Worker processes for what must not share the service's interpreter: decoding pictures and videos, reading projects.

Not ``concurrent.futures.ProcessPoolExecutor``: with it a call cannot be stopped, a crash of one call breaks every
other, ``spawn`` imports the whole command line into each worker, and its helpers outlive the pool. Here a worker is a
child with two pipes; a cancelled call costs its worker, a crash costs one more try, and closing leaves no process.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import os
import pickle
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar, cast

from app.outputs.videos import THREADS_VARIABLE
from app.outputs.worker import WorkerUser, load, read_message, write_message

_START = "from app.outputs.worker import main; main()"

P = ParamSpec("P")
T = TypeVar("T")


class WorkerCrashed(Exception):
    """The worker died of a call, and so did the next one that was given the same call."""


class WorkerTimedOut(Exception):
    """The worker was not through with the call in the time that was given, and was killed."""


class WorkersClosed(RuntimeError):
    """The service stops: there are no workers any more."""


class _Worker:
    """One worker process. Its methods block."""

    def __init__(self, user: WorkerUser | None, video_threads: int | None) -> None:
        environment = {name: value for name, value in os.environ.items() if not name.startswith("ZORDON_")}
        environment["ZORDON_WORKER"] = "1"  # known as ours to whoever looks for leftovers of engines
        if user is not None:
            environment["ZORDON_WORKER_USER"] = user.text()
        if video_threads is not None:
            environment[THREADS_VARIABLE] = str(video_threads)
        environment["PYTHONPATH"] = os.pathsep.join(path for path in sys.path if path)
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", _START],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )

    def call(self, message: bytes) -> bytes:
        """The answer; empty if it died."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            write_message(self._process.stdin, message)
            return read_message(self._process.stdout)
        except OSError:
            return b""

    def kill(self) -> None:
        """Kill it; whoever waits for its answer gets none. From any thread."""
        self._process.kill()

    def end(self) -> int:
        """Kill it if it lives, wait for it, close its pipes; its exit code."""
        self._process.kill()
        code = self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            assert pipe is not None
            with contextlib.suppress(BrokenPipeError):  # what it did not read any more
                pipe.close()
        return code


class _Call:
    """A call that is under way, and the worker that has it."""

    def __init__(self, seconds: float | None = None) -> None:
        self._lock = threading.Lock()
        self._worker: _Worker | None = None
        self.seconds = seconds
        self.given_up = False
        self.timed_out = False

    def ask(self, worker: _Worker, message: bytes) -> bytes:
        """The worker's answer; empty if it died, or the call was given up meanwhile."""
        with self._lock:
            if self.given_up:
                return b""
            self._worker = worker
        clock = None if self.seconds is None else threading.Timer(self.seconds, self._time_out)
        if clock is not None:
            clock.daemon = True
            clock.start()
        try:
            answer = worker.call(message)
        finally:
            if clock is not None:
                clock.cancel()
        with self._lock:
            self._worker = None
            return b"" if self.given_up else answer

    def give_up(self) -> None:
        """Nobody wants the answer any more: kill the worker that looks for it."""
        with self._lock:
            self.given_up = True
            if self._worker is not None:
                self._worker.kill()

    def _time_out(self) -> None:
        with self._lock:
            if self._worker is not None:  # else its answer has just come
                self.given_up = self.timed_out = True
                self._worker.kill()


class Workers:
    """At most ``count`` worker processes, started when they are needed, and ``threads`` threads for small work."""

    def __init__(
        self, count: int = 2, threads: int = 4, user: WorkerUser | None = None, video_threads: int | None = None
    ) -> None:
        """``user``: whom workers become before their first call, for what an untrusted file may do to a reader.
        ``video_threads``: how many may decode one video; None: as many as there are processors."""
        self._user = user
        self._video_threads = video_threads
        self._calls = ThreadPoolExecutor(count, "worker")
        self._quick = ThreadPoolExecutor(threads, "quick")
        self._idle: list[_Worker] = []
        self._under_way: set[_Call] = set()
        self._closed = False

    async def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in a worker process. Function, arguments, result and errors must be picklable.

        If the caller is cancelled, the worker is killed.

        Raises:
            WorkerCrashed: see the class.
            Exception: whatever the function raised.
        """
        return cast(T, await self._run(_Call(), pickle.dumps((function, args, kwargs))))

    async def run_within(self, seconds: float, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Like :meth:`run`, for at most so many seconds: then the worker is killed. The clock begins when a worker has
        the call; waiting for a free one does not count.

        Raises:
            WorkerTimedOut: see the class.
            WorkerCrashed: see the class.
            Exception: whatever the function raised.
        """
        return cast(T, await self._run(_Call(seconds), pickle.dumps((function, args, kwargs))))

    async def _run(self, call: _Call, message: bytes) -> object:
        if self._closed:
            raise WorkersClosed
        self._under_way.add(call)
        future = asyncio.get_running_loop().run_in_executor(self._calls, self._call, call, message)
        try:
            answer = await asyncio.shield(future)
        except asyncio.CancelledError:
            call.give_up()
            raise
        finally:
            self._under_way.discard(call)
        good, value = pickle.loads(answer)
        if good:
            return value
        raise value

    async def warm(self, *modules: str) -> None:
        """Have a worker ready that has loaded these modules (``av``, ``OpenImageIO``): the next call goes to it.

        Starting a worker and loading a library takes up to half a second, which a short job would feel at its end.

        Raises:
            WorkerCrashed: see the class.
            ImportError: there is no such module.
        """
        await self.run(load, modules)

    async def run_quick(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function that takes milliseconds and lets go of the interpreter, in a thread of the service."""
        if self._closed:
            raise WorkersClosed
        bound = functools.partial(function, *args, **kwargs)
        return await asyncio.get_running_loop().run_in_executor(self._quick, bound)

    async def close(self) -> None:
        """End every worker, in the middle of its work too. No process is left when it returns."""
        self._closed = True
        for call in tuple(self._under_way):
            call.give_up()
        await asyncio.to_thread(self._shut)

    def _shut(self) -> None:
        self._calls.shutdown(wait=True)
        self._quick.shutdown(wait=True)
        while self._idle:
            self._idle.pop().end()

    def _call(self, call: _Call, message: bytes) -> bytes:
        """In a thread of its own for the whole call: there are as many threads as there may be workers."""
        code = 0
        for _ in range(2):
            if call.given_up:
                break
            worker = self._take()
            answer = call.ask(worker, message)
            if answer:
                self._idle.append(worker)
                return answer
            code = worker.end()
        if call.timed_out:
            return pickle.dumps((False, WorkerTimedOut(f"the worker process was not through in {call.seconds:g} s")))
        if call.given_up:
            return pickle.dumps((False, WorkersClosed()))
        story = f"signal {-code}" if code < 0 else f"exit code {code}"
        return pickle.dumps((False, WorkerCrashed(f"the worker process died of it, twice ({story})")))

    def _take(self) -> _Worker:
        try:
            return self._idle.pop()
        except IndexError:
            return _Worker(self._user, self._video_threads)
