"""Windows: a job object holds an engine and everything it starts, and pipes are read by threads.

A process cannot leave the job object it was born in, so ending the job object ends the whole tree, grandchildren of
any kind included; closing its last handle (also by a crash of the service) does the same (see "Job Objects" in the
Windows API documentation, JOB_OBJECT_LIMIT_KILL_ON_JOB_CLOSE). There is no TERM: the polite way is CTRL_BREAK_EVENT.
The event pipe's handle, not a descriptor, is handed over in ``ZORDON_EVENTS_FD``.

Written against the documentation; not run by our tests, which have no Windows.
"""

from __future__ import annotations

import sys

if sys.platform == "win32":
    import asyncio
    import contextlib
    import ctypes
    import msvcrt
    import os
    import signal
    import subprocess
    import threading
    from collections.abc import Callable
    from ctypes import wintypes

    import psutil

    from app.render.processes.interface import EngineProcess, Launch, LaunchError, Limits, LineSplitter
    from app.render.processes.leftovers import end_leftovers

    __all__ = ["adopt_orphans", "boot_id", "end_leftovers", "launch"]

    _BLOCK = 1 << 16
    _KILL_ON_JOB_CLOSE = 0x2000
    _PROCESS_MEMORY = 0x100
    _PROCESS_TIME = 0x2
    _TICKS = 10_000_000  # of 100 ns in a second
    _EXTENDED_LIMIT_INFORMATION = 9
    _kernel32 = ctypes.WinDLL("kernel32", use_last_error=True)
    _kernel32.CreateJobObjectW.restype = wintypes.HANDLE

    class _BasicLimits(ctypes.Structure):
        _fields_ = (
            ("per_process_time", ctypes.c_int64),
            ("per_job_time", ctypes.c_int64),
            ("flags", wintypes.DWORD),
            ("minimum_working_set", ctypes.c_size_t),
            ("maximum_working_set", ctypes.c_size_t),
            ("active_processes", wintypes.DWORD),
            ("affinity", ctypes.c_size_t),
            ("priority_class", wintypes.DWORD),
            ("scheduling_class", wintypes.DWORD),
        )

    class _ExtendedLimits(ctypes.Structure):
        _fields_ = (
            ("basic", _BasicLimits),
            ("io", ctypes.c_uint64 * 6),
            ("process_memory", ctypes.c_size_t),
            ("job_memory", ctypes.c_size_t),
            ("peak_process_memory", ctypes.c_size_t),
            ("peak_job_memory", ctypes.c_size_t),
        )

    def adopt_orphans() -> None:
        """Nothing to do here: nobody leaves a job object."""

    def boot_id() -> str:
        """Changes with every boot of the machine."""
        return f"{psutil.boot_time():.0f}"

    async def launch(wanted: Launch) -> EngineProcess:
        """Start an engine process.

        Raises:
            LaunchError: it cannot be started.
        """
        started = await asyncio.to_thread(_start, wanted)
        return WindowsProcess(wanted, *started)

    def _start(wanted: Launch) -> tuple[subprocess.Popen[bytes], int, int]:
        """The process, its job object and our end of the event pipe (-1 if events come on stdout). For a thread."""
        environment = dict(wanted.environment)
        startup = subprocess.STARTUPINFO()
        ours = theirs = -1
        try:
            if wanted.prepare is not None:
                wanted.prepare()
            if not wanted.events_on_stdout:
                ours, theirs = os.pipe()
                handle = msvcrt.get_osfhandle(theirs)
                os.set_handle_inheritable(handle, True)
                startup.lpAttributeList = {"handle_list": [handle]}
                environment["ZORDON_EVENTS_FD"] = str(handle)
            popen = subprocess.Popen(
                wanted.argv,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE if wanted.events_on_stdout else subprocess.STDOUT,
                cwd=wanted.folder,
                env=environment,
                startupinfo=startup,
                creationflags=subprocess.CREATE_NEW_PROCESS_GROUP
                | subprocess.CREATE_NO_WINDOW
                | (subprocess.BELOW_NORMAL_PRIORITY_CLASS if wanted.limits.nice else 0),
                bufsize=0,
            )
        except (OSError, ValueError) as error:
            if ours >= 0:
                os.close(ours)
            raise LaunchError(f"{wanted.argv[0]} cannot be started: {error}") from error
        finally:
            if theirs >= 0:
                os.close(theirs)
        return popen, _job_object(int(popen._handle), wanted.limits), ours  # type: ignore[attr-defined]  # there is no public name

    def _job_object(process: int, wanted: Limits) -> int:
        """A job object around a process, with what Windows knows of the limits: memory and processor time."""
        job: int = _kernel32.CreateJobObjectW(None, None)
        limits = _ExtendedLimits()
        limits.basic.flags = _KILL_ON_JOB_CLOSE
        if wanted.memory_bytes is not None:
            limits.basic.flags |= _PROCESS_MEMORY
            limits.process_memory = wanted.memory_bytes
        if wanted.cpu_seconds is not None:
            limits.basic.flags |= _PROCESS_TIME
            limits.basic.per_process_time = wanted.cpu_seconds * _TICKS
        _kernel32.SetInformationJobObject(
            wintypes.HANDLE(job), _EXTENDED_LIMIT_INFORMATION, ctypes.byref(limits), ctypes.sizeof(limits)
        )
        _kernel32.AssignProcessToJobObject(wintypes.HANDLE(job), wintypes.HANDLE(process))
        return job

    class WindowsProcess(EngineProcess):
        """An engine process on Windows."""

        def __init__(self, wanted: Launch, popen: subprocess.Popen[bytes], job: int, events: int) -> None:
            self._popen = popen
            self._job = job
            self._loop = asyncio.get_running_loop()
            self._splitter = LineSplitter(wanted.on_event)
            self.pid = popen.pid
            self._started = psutil.Process(popen.pid).create_time()
            self._readers: list[threading.Thread] = []
            assert popen.stdout is not None
            if wanted.events_on_stdout:
                assert popen.stderr is not None
                self._read_in_thread(popen.stdout.fileno(), self._splitter.feed)
                self._read_in_thread(popen.stderr.fileno(), wanted.on_output)
            else:
                self._read_in_thread(popen.stdout.fileno(), wanted.on_output)
                self._read_in_thread(events, self._splitter.feed)
            self._exit = self._loop.run_in_executor(None, popen.wait)

        @property
        def started(self) -> float:
            return self._started

        def _read_in_thread(self, descriptor: int, hear: Callable[[bytes], None]) -> None:
            def read() -> None:
                with contextlib.suppress(OSError, RuntimeError):  # the pipe or the loop is closed: nobody listens
                    while data := os.read(descriptor, _BLOCK):
                        self._loop.call_soon_threadsafe(hear, data)

            thread = threading.Thread(target=read, name=f"pipe of {self.pid}", daemon=True)
            thread.start()
            self._readers.append(thread)

        def write(self, data: bytes) -> None:
            # A chunk's line fits into the pipe's buffer: this does not wait.
            if self._popen.stdin is not None:
                with contextlib.suppress(OSError, ValueError):
                    self._popen.stdin.write(data)

        def close_stdin(self) -> None:
            if self._popen.stdin is not None:
                with contextlib.suppress(OSError):
                    self._popen.stdin.close()

        async def wait(self) -> int:
            return await asyncio.shield(self._exit)

        def terminate(self) -> None:
            with contextlib.suppress(OSError):
                os.kill(self.pid, signal.CTRL_BREAK_EVENT)

        def kill(self) -> None:
            _kernel32.TerminateJobObject(wintypes.HANDLE(self._job), 1)

        def cpu_seconds(self) -> float:
            total = 0.0
            with contextlib.suppress(psutil.Error):
                process = psutil.Process(self.pid)
                for member in (process, *process.children(recursive=True)):
                    times = member.cpu_times()
                    total += times.user + times.system
            return total

        async def sweep(self) -> int:
            self.kill()
            _kernel32.CloseHandle(wintypes.HANDLE(self._job))
            for reader in self._readers:
                await asyncio.to_thread(reader.join, 2.0)
            self._splitter.finish()
            self.close_stdin()
            return 0
