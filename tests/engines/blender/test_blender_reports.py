"""The runner's lines, and what the end of a process means."""

from __future__ import annotations

import json
import signal
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract import (
    Chunk,
    ChunkDone,
    EngineEvent,
    EngineFailed,
    EngineWarning,
    FailureCause,
    FrameWritten,
    Progress,
    Ready,
)
from tests.support.blender_sessions import ENGINE


@pytest.mark.parametrize(
    ("line", "event"),
    [
        ('{"event": "ready", "colour": {"view": "AgX"}}', Ready({"view": "AgX"})),
        ('{"event": "progress", "frame": 3, "fraction": 0.5, "note": "n"}', Progress(0.5, 3, "n")),
        ('{"event": "progress", "frame": null, "fraction": null, "note": ""}', Progress()),
        ('{"event": "progress", "frame": 1, "fraction": 7}', Progress(1.0, 1)),
        ('{"event": "frame", "frame": -5, "seconds": 1.5}', FrameWritten(-5, seconds=1.5)),
        ('{"event": "done", "attempt": "a"}', ChunkDone("a")),
        ('{"event": "warning", "message": "m"}', EngineWarning("m")),
        ('{"event": "failed", "message": "m", "cause": "disk", "frame": 2}', EngineFailed("m", FailureCause.DISK, 2)),
        ('{"event": "failed", "message": "m", "cause": "what", "frame": null}', EngineFailed("m", FailureCause.ERROR)),
    ],
)
def test_lines_of_the_runner(line: str, event: EngineEvent) -> None:
    assert list(ENGINE.parse(line + "\n")) == [event]


@pytest.mark.parametrize(
    "line",
    [
        "",
        "Saved: '/x.png'",
        "[]",
        "null",
        '{"event": ["ready"]}',
        '{"event": "frame"}',
        "[" * 100_000,
        '{"event": "done"}',
    ],
)
def test_lines_of_others_say_nothing(line: str) -> None:
    assert list(ENGINE.parse(line)) == []


VALUES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = VALUES | st.lists(VALUES, max_size=2) | st.dictionaries(st.text(max_size=3), VALUES, max_size=2)


@given(
    st.sampled_from(["ready", "progress", "frame", "done", "warning", "failed", "?"]),
    st.dictionaries(st.sampled_from(["colour", "frame", "fraction", "note", "seconds", "attempt", "cause"]), JSON),
)
def test_no_line_can_break_the_reader(kind: str, facts: dict[str, object]) -> None:
    assert len(ENGINE.parse(json.dumps({**facts, "event": kind}))) <= 1


def test_a_chunk_is_one_line_whatever_its_folder_is_called() -> None:
    line = ENGINE.feed(Chunk("a-1", (3, -2), Path("/out/line\nbreak ü")))
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    assert json.loads(line) == {"chunk": "a-1", "frames": [3, -2], "folder": "/out/line\nbreak ü"}
    assert json.loads(ENGINE.finish()) == {"finish": True}


@pytest.mark.parametrize(
    ("code", "tail", "cause", "words"),
    [
        (-signal.SIGSEGV, ["", "Writing: /tmp/x.crash.txt", ""], FailureCause.CRASH, ["SIGSEGV", "crash.txt"]),
        (139, [], FailureCause.CRASH, ["SIGSEGV"]),
        (-signal.SIGABRT, [], FailureCause.CRASH, ["SIGABRT"]),
        (-signal.SIGILL, [], FailureCause.CRASH, ["newer processor"]),
        (0xC0000005, [], FailureCause.CRASH, ["crashed"]),
        (-signal.SIGKILL, [], FailureCause.OUT_OF_MEMORY, ["memory"]),
        (-signal.SIGTERM, [], FailureCause.MACHINE, ["SIGTERM"]),
        (1, ["Error: Cannot read file '/x.blend': No such file"], FailureCause.ERROR, ["cannot read", "/x.blend"]),
        (1, ["/x.blend: not a blend file"], FailureCause.ERROR, ["recognise"]),
        (127, ["blender: error while loading shared libraries: libSM.so.6"], FailureCause.MACHINE, ["libSM.so.6"]),
        (1, ["ImportError: libEGL.so.1: cannot open shared object file"], FailureCause.MACHINE, ["libEGL.so.1"]),
        (70, ["Traceback:", "KeyError: 'x'"], FailureCause.ERROR, ["KeyError"]),
    ],
)
def test_ends_that_mean_something(code: int, tail: Sequence[str], cause: FailureCause, words: Sequence[str]) -> None:
    failed = ENGINE.explain_exit(code, tail)
    assert failed is not None
    assert failed.cause is cause
    for word in words:
        assert word in failed.message


def test_ends_that_mean_nothing_more() -> None:
    assert ENGINE.explain_exit(0, ["Error: whatever"]) is None
    assert ENGINE.explain_exit(1, ["Blender quit"]) is None
    assert ENGINE.explain_exit(71, ["Error: said already"]) is None
