"""The way back to the service: one JSON object a line, on a pipe of its own.

Blender prints what it likes on stdout, and differently in every version; nothing of it can be relied on.
"""

from __future__ import annotations

import json
import os
import sys
import threading
from types import TracebackType

FD_VARIABLE = "ZORDON_EVENTS_FD"

EXIT_LISTENER_GONE = 72


class Fatal(Exception):
    """The session cannot go on. ``cause`` is a word of the service's failure causes."""

    def __init__(self, message: str, cause: str = "engine_error") -> None:
        super().__init__(message)
        self.message = message
        self.cause = cause


class Events:
    """Writes events. Any thread may: Blender calls its handlers from where it renders."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._lock = threading.Lock()

    @classmethod
    def open(cls) -> Events:
        """The pipe that the service gave us; stdout where somebody runs the copied command line by hand."""
        given = os.environ.pop(FD_VARIABLE, "")
        if not given:
            return cls(os.dup(sys.__stdout__.fileno()))
        if sys.platform == "win32":
            import msvcrt

            return cls(msvcrt.open_osfhandle(int(given), os.O_WRONLY | os.O_APPEND))
        # Whatever Blender starts must not hold the pipe open after we are gone.
        os.set_inheritable(int(given), False)
        return cls(int(given))

    def say(self, event: str, **facts: object) -> None:
        """Write one event at once. If nobody listens any more, this process has no reason to live."""
        line = memoryview((json.dumps(dict(facts, event=event)) + "\n").encode())
        with self._lock:
            try:
                while line:
                    line = line[os.write(self._descriptor, line) :]
            except BrokenPipeError:
                os._exit(EXIT_LISTENER_GONE)

    def warning(self, message: str) -> None:
        self.say("warning", message=message)

    def failed(self, message: str, cause: str, frame: int | None = None) -> None:
        self.say("failed", message=message, cause=cause, frame=frame)

    def __enter__(self) -> Events:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """An exception that leaves the session is its failure, whatever it is; it goes on to Blender's own report."""
        if isinstance(error, Fatal):
            self.failed(error.message, error.cause)
        elif isinstance(error, MemoryError):
            self.failed("Blender ran out of memory", "out_of_memory")
        elif error is not None and not isinstance(error, SystemExit):
            self.failed(f"the render script failed: {type(error).__name__}: {error}", "engine_error")
