"""No process survives its attempt: real children that refuse to die, fork away and hold on to the pipes."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import psutil
import pytest

from app.render.environment import ATTEMPT_COOKIE, STORE_COOKIE, engine_environment
from app.render.processes import EngineProcess, Launch, LaunchError, adopt_orphans, end_leftovers, launch
from app.render.processes.interface import MAX_LINE, LineSplitter

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX process groups")


@pytest.fixture(autouse=True, scope="module")
def _adopt() -> None:
    adopt_orphans()


STORE = f"store-of-{os.getpid()}"  # tests run beside each other


class Heard:
    """What a process said."""

    def __init__(self) -> None:
        self.events: list[bytes] = []
        self.output = b""
        self.changed = asyncio.Event()

    def event(self, line: bytes) -> None:
        self.events.append(line)
        self.changed.set()

    def print(self, data: bytes) -> None:
        self.output += data
        self.changed.set()

    async def until(self, count: int) -> None:
        """Wait for a number of events."""
        async with asyncio.timeout(60):
            while len(self.events) < count:
                self.changed.clear()
                await self.changed.wait()


@asynccontextmanager
async def started(code: str, folder: Path, heard: Heard, session: str = "attempt-1") -> AsyncIterator[EngineProcess]:
    prelude = "import os, sys, time, signal, json\nevents = os.fdopen(int(os.environ['ZORDON_EVENTS_FD']), 'w')\n"
    prelude += "def say(text):\n    events.write(str(text) + '\\n'); events.flush()\n"
    process = await launch(
        Launch(
            session=session,
            argv=(sys.executable, "-I", "-c", prelude + code),
            environment=engine_environment(folder, {ATTEMPT_COOKIE: session, STORE_COOKIE: STORE}),
            folder=folder,
            events_on_stdout=False,
            on_event=heard.event,
            on_output=heard.print,
        )
    )
    try:
        yield process
    finally:
        process.kill()
        await process.wait()
        await process.sweep()


def alive(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


async def test_talks_on_its_own_pipe_and_exits_with_its_code(tmp_path: Path) -> None:
    heard = Heard()
    code = "print('to the log', flush=True)\nfor line in sys.stdin: say(line.strip().upper())\nsys.exit(7)"
    async with started(code, tmp_path, heard) as process:
        process.write(b"one\ntwo\n")
        await heard.until(2)
        process.close_stdin()
        assert await process.wait() == 7
        assert await process.sweep() == 0
    assert heard.events == [b"ONE", b"TWO"]
    assert heard.output == b"to the log\n"


async def test_a_program_that_is_not_there_is_refused_and_leaves_no_descriptor(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(20):
        with pytest.raises(LaunchError, match="cannot be started"):
            await launch(Launch("a", ("/no/such/program",), {}, tmp_path, False, print, print))
    assert len(os.listdir("/proc/self/fd")) <= before + 1


async def test_a_process_that_ignores_term_is_killed(tmp_path: Path) -> None:
    heard = Heard()
    code = """
signal.signal(signal.SIGTERM, lambda *a: os.write(events.fileno(), b'no\\n'))
say('ready')
while True:
    time.sleep(60)
"""
    async with started(code, tmp_path, heard) as process:
        await heard.until(1)
        process.terminate()
        await heard.until(2)
        process.kill()
        assert await process.wait() == -9


async def test_a_grandchild_that_forked_twice_and_holds_the_pipes_is_found(tmp_path: Path) -> None:
    heard = Heard()
    code = """
for _ in range(3):
    if os.fork() == 0:
        os.setsid()
        if os.fork():
            os._exit(0)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        say(os.getpid())
        time.sleep(300)
        os._exit(0)
time.sleep(300)
"""
    async with started(code, tmp_path, heard) as process:
        await heard.until(3)
        pids = [int(line) for line in heard.events]
        process.kill()
        await process.wait()
        await process.sweep()
        assert [pid for pid in pids if alive(pid)] == []


async def test_a_child_that_is_dead_already_is_reaped_and_no_leftover(tmp_path: Path) -> None:
    heard = Heard()
    code = """
child = os.fork()
if child == 0:
    os._exit(0)
os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
say(child)
"""
    async with started(code, tmp_path, heard) as process:
        await heard.until(1)
        await process.wait()
        assert await process.sweep() == 0
        assert not psutil.pid_exists(int(heard.events[0]))


async def test_the_leftovers_of_one_session_are_not_those_of_another(tmp_path: Path) -> None:
    fork = "\nif os.fork() == 0:\n    os.setsid()\n    say(os.getpid())\n    time.sleep(300)\ntime.sleep(300)"
    first, second = Heard(), Heard()
    async with started(fork, tmp_path, first, "one-1") as one, started(fork, tmp_path, second, "two-1") as two:
        await first.until(1)
        await second.until(1)
        one.kill()
        await one.wait()
        await one.sweep()
        assert not alive(int(first.events[0]))
        assert alive(int(second.events[0]))
        assert alive(two.pid)


linux = pytest.mark.skipif(sys.platform != "linux", reason="how Linux shows processes")


@linux
async def test_a_parent_that_takes_long_to_exit_does_not_hide_its_child(tmp_path: Path) -> None:
    """It has no environment any more, is no zombie yet, and its child is still its own: taking down what watches files
    keeps the kernel busy for some milliseconds each."""
    code = """
import ctypes
if os.fork() == 0:
    os.setsid()
    for _ in range(32):
        ctypes.CDLL(None).inotify_add_watch(ctypes.CDLL(None).inotify_init1(os.O_CLOEXEC), b'/', 2)
    if os.fork() == 0:
        os.closerange(events.fileno() + 1, 1000)
        time.sleep(300)
    say('exits')
    os._exit(0)
time.sleep(300)
"""
    for turn in range(5):
        await assert_swept(code, tmp_path, f"slow-{turn}")


@linux
async def test_who_shows_no_environment_for_a_moment_is_looked_at_again(tmp_path: Path) -> None:
    code = """
service = os.getppid()
if os.fork() == 0:
    os.setsid()
    shown = dict(os.environ)
    wait = f'import os, time\\nwhile os.getppid() != {service}: pass\\nend = time.monotonic() + 0.05\\n'
    wait += 'while time.monotonic() < end: pass\\n'  # at work, as whoever becomes another program is
    wait += f'os.execve(sys.executable, [sys.executable, "-c", "import time; time.sleep(300)"], {shown})'
    say('blank')
    os.execve(sys.executable, [sys.executable, '-I', '-S', '-c', 'import sys\\n' + wait], {})
time.sleep(300)
"""
    await assert_swept(code, tmp_path, "blank-1")


@linux
async def test_a_process_whose_first_thread_has_ended_is_alive(tmp_path: Path) -> None:
    code = """
import ctypes, threading
if os.fork() == 0:
    os.setsid()
    def stay():
        while open('/proc/self/stat').read().rpartition(')')[2].split()[0] != 'Z':
            time.sleep(0.001)
        say('looks dead')
        time.sleep(300)
    threading.Thread(target=stay).start()
    ctypes.CDLL(None).pthread_exit(None)
time.sleep(300)
"""
    await assert_swept(code, tmp_path, "headless-1")


@linux
async def test_who_has_emptied_its_environment_is_ended_when_it_can_be_nobodys_that_lives(tmp_path: Path) -> None:
    """It shows no cookie and has a session of its own; it is older than every engine that lives, so none of theirs."""
    code = """
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    nameless = f'import os, time; os.write({events.fileno()}, b"%d" % os.getpid() + bytes([10])); time.sleep(300)'
    os.set_inheritable(events.fileno(), True)
    os.execve(sys.executable, [sys.executable, '-I', '-S', '-c', nameless], {})
time.sleep(300)
"""
    older, ended, younger = Heard(), Heard(), Heard()
    async with started("say('lives')\ntime.sleep(300)", tmp_path, older, "older-1") as first:
        await older.until(1)
        async with started(code, tmp_path, ended, "ended-1") as process:
            await ended.until(1)
            nameless = int(ended.events[0])
            assert Path(f"/proc/{nameless}/environ").read_bytes() == b""
            await asyncio.to_thread(_until_old, nameless)
            process.kill()
            await process.wait()
            await process.sweep()
            assert alive(nameless), "it may be the older engine's"
        async with started("say('lives')\ntime.sleep(300)", tmp_path, younger, "younger-1"):
            await younger.until(1)
            first.kill()
            await first.wait()
            await first.sweep()
            assert not alive(nameless)


def _until_old(pid: int) -> None:
    """Wait until a process has lived for so long that it has become its program for certain."""
    while time.time() - psutil.Process(pid).create_time() < 2.5:
        time.sleep(0.05)


async def assert_swept(code: str, folder: Path, session: str) -> None:
    """Once it has said something, the process is ended by TERM, and nothing that it started is left."""
    heard = Heard()
    async with started(code, folder, heard, session) as process:
        await heard.until(1)
        process.terminate()
        await process.wait()
        await process.sweep()
        assert left_of(session) == []


def left_of(session: str) -> list[int]:
    """Processes that carry the cookie of a session and are no zombies; read from each of their threads."""
    wanted = f"{ATTEMPT_COOKIE}={session}".encode()
    found = set()
    for environ in Path("/proc").glob("[0-9]*/task/*/environ"):
        try:
            if wanted in environ.read_bytes().split(b"\0"):
                found.add(int(environ.parts[2]))
        except OSError:
            continue  # it has ended meanwhile
    return sorted(found)


async def test_leftovers_of_a_crash_are_known_by_their_cookie(tmp_path: Path) -> None:
    heard = Heard()
    async with started("say('ready')\ntime.sleep(300)", tmp_path, heard) as process:
        await heard.until(1)
        assert await asyncio.to_thread(end_leftovers, "another-store", {}) == 0
        assert alive(process.pid)
        assert await asyncio.to_thread(end_leftovers, STORE, {}) == 1
        assert await process.wait() == -9


async def test_a_recycled_pid_is_no_leftover(tmp_path: Path) -> None:
    heard = Heard()
    async with started("say('ready')\ntime.sleep(300)", tmp_path, heard) as process:
        await heard.until(1)
        assert await asyncio.to_thread(end_leftovers, "x", {process.pid: process.started - 100.0}) == 0
        assert await asyncio.to_thread(end_leftovers, "x", {process.pid: process.started}) == 1


async def test_writing_to_a_process_that_does_not_read_does_not_wait(tmp_path: Path) -> None:
    heard = Heard()
    async with started("say('ready')\ntime.sleep(300)", tmp_path, heard) as process:
        await heard.until(1)
        process.write(b"x" * (1 << 20))
        process.kill()
        await process.wait()


def test_lines_are_cut_anywhere_and_bounded() -> None:
    lines: list[bytes] = []
    splitter = LineSplitter(lines.append)
    for piece in (b"on", b"e\ntw", b"o\r\n\nthree"):
        splitter.feed(piece)
    splitter.finish()
    assert lines == [b"one", b"two", b"three"]
    for _ in range(20):
        splitter.feed(b"x" * (MAX_LINE // 4))
    splitter.feed(b"\nnext\n")
    assert lines[3:] == [b"x" * MAX_LINE, b"next"]
