"""The process of the test pattern: reads chunks on stdin, writes pictures, tells its events on their pipe.

Run as ``python -I -S runner.py --name value ...``. It must start within a few milliseconds, which rules out ``json``,
``re``, ``signal`` and whatever imports them: the lines it reads are words, the JSON it writes is put together by hand.

Lines on stdin::

    chunk <attempt> <folder, its bytes in hexadecimal> <frame> <frame> ...
    finish
"""

import os
import sys
import time

# Isolated mode keeps our own folder out of the path, and the package must not be imported: it would bring pydantic.
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))  # noqa: PTH100, PTH120 - pathlib is slow to load
TYPE_CHECKING = False
if TYPE_CHECKING:
    from engines.testpattern.picture import draw
else:
    from picture import draw

USAGE = """\
usage: runner.py --option value ...    (renders the chunks given on stdin; see engines/testpattern/runner.py)

  --name TEXT                 stem of the file names
  --width N  --height N       pixels
  --seconds SECONDS           time that a frame takes
  --fail RUNS  --crash RUNS  --broken RUNS  --missing RUNS
                              frames to go wrong at, as first:end:step,... (the end not included)
  --hang FRAME                frame to stop at for ever
  --ignore-term 1             do not end on SIGTERM
  --grandchildren N           processes to leave behind
  --noise BYTES               noise printed with every frame
  --version NUMBER            print the version and end
"""
GRANDCHILD_SECONDS = 300
CRASH_CODE = 70
_NOISE = b'noise \xff\xfe of the test pattern, which no one should take for an event {"event": "done"}\r\n'


class Runner:
    """One process of the test pattern and what it was told to do."""

    def __init__(self, options: dict[str, str], events: int) -> None:
        self._events = events
        self._name = options.get("name", "testpattern")
        self._width = int(options.get("width", "320"))
        self._height = int(options.get("height", "180"))
        self._seconds = float(options.get("seconds", "0"))
        self._noise = int(options.get("noise", "0"))
        self._hang = int(options["hang"]) if "hang" in options else None
        self._wrong = {what: _runs(options.get(what, "")) for what in ("fail", "crash", "broken", "missing")}

    def run(self) -> None:
        """Render chunk after chunk until told to finish, or until nobody is there any more to tell."""
        self._say('"event": "ready"')
        for line in sys.stdin.buffer:
            words = line.decode("ascii").split()
            if words[:1] == ["finish"]:
                return
            if words[:1] == ["chunk"]:
                attempt, folder = words[1], os.fsdecode(bytes.fromhex(words[2]))
                for frame in map(int, words[3:]):
                    self._render(frame, folder)
                self._say(f'"event": "done", "attempt": {_quoted(attempt)}')

    def _render(self, frame: int, folder: str) -> None:
        started = time.monotonic()
        if self._noise:
            _write_all(1, (_NOISE * (self._noise // len(_NOISE) + 1))[: self._noise])
        if frame == self._hang:
            while True:
                time.sleep(3600)
        if self._goes("crash", frame):
            _crash(frame)
        self._work(frame, started)
        if self._goes("fail", frame):
            self._say(f'"event": "failed", "frame": {frame}, "message": "frame {frame} cannot be rendered, as told"')
            return
        if not self._goes("missing", frame):
            data = draw(frame, self._width, self._height)
            if self._goes("broken", frame):
                data = data[: len(data) * 2 // 3]
            try:
                self._write(os.path.join(folder, f"{self._name}_{frame:04d}.png"), data)  # noqa: PTH118
            except OSError as error:
                message = _quoted(f"frame {frame} cannot be written: {error}")
                self._say(f'"event": "failed", "frame": {frame}, "message": {message}, "cause": "disk"')
                return
        self._say(f'"event": "written", "frame": {frame}, "seconds": {time.monotonic() - started:.4f}')

    def _work(self, frame: int, started: float) -> None:
        step = min(max(self._seconds / 5, 0.02), 0.5)
        while (spent := time.monotonic() - started) < self._seconds:
            self._say(f'"event": "progress", "frame": {frame}, "fraction": {spent / self._seconds:.3f}')
            time.sleep(min(step, self._seconds - spent))

    def _goes(self, what: str, frame: int) -> bool:
        return any(frame in run for run in self._wrong[what])

    def _write(self, path: str, data: bytes) -> None:
        target = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
        try:
            _write_all(target, data)
        finally:
            os.close(target)

    def _say(self, members: str) -> None:
        _write_all(self._events, b"{%s}\n" % members.encode("ascii"))


def _write_all(target: int, data: bytes) -> None:
    rest = memoryview(data)
    while rest:
        rest = rest[os.write(target, rest) :]


def _quoted(text: str) -> str:
    plain = (c if " " <= c <= "~" and c not in '"\\' else f"\\u{ord(c):04x}" if ord(c) < 0x10000 else "?" for c in text)
    return f'"{"".join(plain)}"'


def _runs(text: str) -> list[range]:
    return [range(*map(int, part.split(":"))) for part in text.split(",") if part]


def _crash(frame: int) -> None:
    _write_all(1, f"the test pattern crashes at frame {frame}, as told\n".encode("ascii"))
    if sys.platform == "win32":
        os._exit(CRASH_CODE)
    import resource  # loaded by a process that is about to die, not by every one

    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    os.abort()


def _leave_grandchildren(count: int) -> None:
    """Start processes that nobody can trace to us by parenthood or process group."""
    if sys.platform == "win32":
        import subprocess

        for _ in range(count):
            subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", f"import time; time.sleep({GRANDCHILD_SECONDS})"],
                creationflags=subprocess.DETACHED_PROCESS,
            )
        return
    for _ in range(count):
        child = os.fork()
        if child == 0:
            os.setsid()
            if os.fork() == 0:
                time.sleep(GRANDCHILD_SECONDS)
            os._exit(0)
        os.waitpid(child, 0)


def _events_descriptor() -> int:
    """Where the events go; stdout without the service."""
    given = int(os.environ.get("ZORDON_EVENTS_FD", "1"))
    if sys.platform == "win32" and given != 1:
        import msvcrt  # Windows hands over a handle, not a descriptor

        return msvcrt.open_osfhandle(given, os.O_WRONLY | os.O_APPEND)
    return given


def main(arguments: list[str]) -> None:
    """Do what the command line says."""
    if len(arguments) % 2 or not arguments:
        sys.stdout.write(USAGE)
        return
    options = {name.removeprefix("--"): value for name, value in zip(arguments[::2], arguments[1::2], strict=True)}
    if "version" in options:
        sys.stdout.write(f"testpattern {options['version']}\n")
        return
    if options.get("ignore-term") == "1":
        import signal  # its enums cost more than everything else here

        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    _leave_grandchildren(int(options.get("grandchildren", "0")))
    Runner(options, _events_descriptor()).run()


if __name__ == "__main__":
    main(sys.argv[1:])
