"""The test pattern's process, run for real: what it writes, what it says and how it goes wrong."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from PIL import Image

from engines.contract import (
    Chunk,
    ChunkDone,
    EngineEvent,
    EngineFailed,
    EngineVersion,
    FrameWritten,
    PlanRequest,
    Progress,
    Ready,
    SessionRequest,
)
from engines.testpattern import TestPatternEngine, TestPatternOptions

ENGINE = TestPatternEngine()
COOKIE = "ZORDON_TESTPATTERN_TEST"


class Process:
    """A running test pattern with our ends of its pipes."""

    def __init__(self, folder: Path, options: dict[str, object]) -> None:
        candidate = ENGINE.find_candidates(folder)[0]
        assert candidate.version is not None
        version = EngineVersion(ENGINE.name, candidate.version, candidate.path, candidate.kind, "linux", "x64")
        model = TestPatternOptions.model_validate({"width": 32, "height": 18, **options})
        plan = ENGINE.plan(PlanRequest(None, None, None, model, None))
        self.folder = folder
        self.session = SessionRequest(
            None, plan.frames, version, plan.options, plan.output_format, plan.width, plan.height, None, {}, folder,
            "shot",
        )  # fmt: skip
        argv = ENGINE.command(self.session, Chunk("a0", (), folder)).argv
        self._events, theirs = os.pipe()
        self.log = (folder / "log.txt").open("w+b")
        environment = {"ZORDON_EVENTS_FD": str(theirs), COOKIE: str(folder)}
        self.popen = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=self.log, stderr=self.log, env=environment, pass_fds=(theirs,), cwd="/"
        )
        os.close(theirs)
        self._stream = self.events()
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._events, selectors.EVENT_READ)

    def feed(self, attempt: str, *frames: int) -> Chunk:
        chunk = Chunk(attempt, frames, self.folder / attempt)
        chunk.folder.mkdir()
        self.write(ENGINE.feed(chunk))
        return chunk

    def write(self, data: bytes) -> None:
        assert self.popen.stdin is not None
        self.popen.stdin.write(data)
        self.popen.stdin.flush()

    def events(self) -> Iterator[EngineEvent]:
        """Its events until it closes their pipe; for one reader."""
        rest = b""
        while data := os.read(self._events, 65536):
            *lines, rest = (rest + data).split(b"\n")
            for line in lines:
                events = ENGINE.parse(line.decode())
                assert events, line
                yield from events

    def until(self, last: type[EngineEvent]) -> list[EngineEvent]:
        seen: list[EngineEvent] = []
        for event in self._stream:
            seen.append(event)
            if isinstance(event, last):
                return seen
        raise AssertionError(f"it ended after {seen}")

    def is_silent_for(self, seconds: float) -> bool:
        return not self._selector.select(seconds)

    def printed(self) -> bytes:
        self.log.seek(0)
        return self.log.read()

    def family(self) -> list[psutil.Process]:
        """Whoever has our cookie in the environment, however it was forked."""
        found = []
        for process in psutil.process_iter():
            with contextlib.suppress(psutil.Error):
                if process.environ().get(COOKIE) == str(self.folder):
                    found.append(process)
        return found

    def close(self) -> None:
        for process in self.family():
            process.kill()
        self.popen.kill()
        self.popen.wait()
        assert self.popen.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self.popen.stdin.close()
        self._selector.close()
        os.close(self._events)
        self.log.close()


Starter = Callable[..., Process]


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Starter]:
    started: list[Process] = []

    def begin(**options: object) -> Process:
        started.append(Process(tmp_path, options))
        return started[-1]

    yield begin
    for process in started:
        process.close()


def written(events: list[EngineEvent]) -> list[int]:
    return [event.frame for event in events if isinstance(event, FrameWritten)]


def test_renders_chunk_after_chunk_in_one_process(start: Starter) -> None:
    process = start()
    first, second = process.feed("a1", 1, 2), process.feed("a2", -7)
    events = process.until(ChunkDone) + process.until(ChunkDone)
    process.write(ENGINE.finish())
    assert process.popen.wait() == 0
    assert isinstance(events[0], Ready)
    assert written(events) == [1, 2, -7]
    assert [event.attempt for event in events if isinstance(event, ChunkDone)] == ["a1", "a2"]
    pictures = []
    for chunk in (first, second):
        for output in ENGINE.expected(process.session, chunk):
            with Image.open(chunk.folder / output.name) as picture:
                picture.load()
                assert picture.size == (32, 18)
                pictures.append(picture.convert("RGB").tobytes())
        assert len(list(chunk.folder.iterdir())) == len(chunk.frames)
    assert len(set(pictures)) == 3
    assert process.printed() == b""


@pytest.mark.parametrize(("width", "height"), [(320, 180), (1, 1), (3, 90), (640, 360)])
def test_pictures_of_any_size_decode_and_show_a_number(start: Starter, width: int, height: int) -> None:
    process = start(width=width, height=height)
    chunk = process.feed("a1", 1234567)
    process.until(ChunkDone)
    with Image.open(chunk.folder / "shot_1234567.png") as picture:
        picture.load()
        assert picture.size == (width, height)
        if width > 100:
            colours = picture.convert("RGB").getcolors(1 << 24)
            assert colours is not None
            assert len(colours) > 100
            assert (255, 255, 255) in {colour for _, colour in colours}


def test_ends_when_nobody_is_there_any_more(start: Starter) -> None:
    process = start()
    assert process.popen.stdin is not None
    process.popen.stdin.close()
    assert process.popen.wait() == 0


def test_a_failed_frame_is_said_and_the_others_rendered(start: Starter) -> None:
    process = start(fail_frames="2-3")
    chunk = process.feed("a1", 1, 2, 3, 4)
    events = process.until(ChunkDone)
    assert [event.frame for event in events if isinstance(event, EngineFailed)] == [2, 3]
    assert written(events) == [1, 4]
    assert len(list(chunk.folder.iterdir())) == 2


def test_a_crash_aborts_the_process(start: Starter) -> None:
    process = start(crash_frames="2")
    process.feed("a1", 1, 2, 3)
    assert written(list(process.events())) == [1]
    assert process.popen.wait() == -signal.SIGABRT
    explained = ENGINE.explain_exit(-signal.SIGABRT, process.printed().decode().splitlines())
    assert explained is not None
    assert "frame 2" in explained.message


def test_broken_and_missing_frames_are_said_to_be_written(start: Starter) -> None:
    process = start(broken_frames="1", missing_frames="2")
    chunk = process.feed("a1", 1, 2, 3)
    assert written(process.until(ChunkDone)) == [1, 2, 3]
    assert sorted(path.name for path in chunk.folder.iterdir()) == ["shot_0001.png", "shot_0003.png"]
    with pytest.raises(OSError, match=r"(?i)truncated"), Image.open(chunk.folder / "shot_0001.png") as picture:
        picture.load()


def test_a_file_that_cannot_be_written_is_a_fault_of_the_disk(start: Starter) -> None:
    process = start()
    chunk = Chunk("a1", (1,), process.folder / 'no "such" folder')
    process.write(ENGINE.feed(chunk))
    (failed,) = (event for event in process.until(ChunkDone) if isinstance(event, EngineFailed))
    assert failed.cause == "disk"
    assert 'no "such" folder' in failed.message


def test_tells_its_progress_while_it_takes_its_time(start: Starter) -> None:
    process = start(seconds_per_frame=0.2)
    process.feed("a1", 5)
    events = process.until(ChunkDone)
    fractions = [event.fraction for event in events if isinstance(event, Progress)]
    assert len(fractions) >= 3
    assert fractions == sorted(fractions, key=lambda fraction: fraction or 0.0)
    (last,) = (event for event in events if isinstance(event, FrameWritten))
    assert last.seconds is not None
    assert last.seconds >= 0.2


def test_hangs_without_a_word(start: Starter) -> None:
    process = start(hang_at=2)
    process.feed("a1", 1, 2)
    process.until(FrameWritten)
    assert process.is_silent_for(0.3)
    assert process.popen.poll() is None


def test_ends_on_term_unless_told_otherwise(start: Starter) -> None:
    polite, stubborn = start(hang_at=1), start(hang_at=1, ignore_term=True)
    for process in (polite, stubborn):
        process.until(Ready)
        process.popen.terminate()
    assert polite.popen.wait() == -signal.SIGTERM
    stubborn.write(ENGINE.finish())
    assert stubborn.popen.wait() == 0


def test_grandchildren_outlive_it_in_sessions_of_their_own(start: Starter) -> None:
    process = start(grandchildren=2)
    process.until(Ready)
    family = process.family()
    strangers = [member for member in family if member.pid != process.popen.pid]
    assert len(strangers) == 2
    assert not psutil.Process(process.popen.pid).children(recursive=True)
    assert all(os.getsid(member.pid) not in (os.getsid(0), member.pid) for member in strangers)
    process.popen.kill()
    process.popen.wait()
    assert all(member.is_running() for member in strangers)


def test_noise_goes_to_stdout_in_the_size_asked_for(start: Starter) -> None:
    process = start(noise_bytes=100_001)
    process.feed("a1", 1, 2)
    events = process.until(ChunkDone)
    assert written(events) == [1, 2]
    assert len(process.printed()) == 200_002


def test_asked_for_its_version_and_its_help_it_prints_them() -> None:
    candidate = ENGINE.find_candidates(Path("/nowhere"))[0]
    printed = subprocess.run(ENGINE.version_argv(candidate), capture_output=True, text=True, check=True).stdout
    assert ENGINE.parse_version(printed) == candidate.version
    version = EngineVersion(ENGINE.name, candidate.version or "", candidate.path, candidate.kind, "linux", "x64")
    assert (
        "--grandchildren"
        in subprocess.run(
            ENGINE.help_argv(version), capture_output=True, text=True, check=True, stdin=subprocess.DEVNULL
        ).stdout
    )
