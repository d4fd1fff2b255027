"""Which cause a failure has, by what the engine said, how it ended and what the machine says."""

from __future__ import annotations

import sys

import pytest

from app.render.attempt import Failed
from app.render.causes import FULL_BYTES, MachineSigns, classify
from app.render.oom_kills import OomKills
from engines.contract import FailureCause

C = FailureCause
WELL = MachineSigns(oom_kills=0, free_bytes=1 << 40)
FULL = MachineSigns(oom_kills=0, free_bytes=FULL_BYTES - 1)


def crash(message: str = "the engine ended (exit code 1)", code: int = 1, cause: FailureCause = C.CRASH) -> Failed:
    return Failed(cause, message, 3, code)


@pytest.mark.parametrize(
    "line",
    [
        "System is out of GPU memory",
        "Malloc returns null: len=123456 in Vertex buffer, total 3",
        "terminate called after throwing an instance of 'std::bad_alloc'",
        "MemoryError",
        "[libx264 @ 0x55] malloc of size 12345 failed: Cannot allocate memory",
        "memory allocation of 4294967296 bytes failed",
    ],
)
def test_an_engine_that_says_that_memory_ran_out(line: str) -> None:
    found = classify(crash(), ["something before", line, "goodbye"], WELL)
    assert (found.cause, found.frame) == (C.OUT_OF_MEMORY, 3)
    assert line.strip() in found.message


@pytest.mark.parametrize(
    "line",
    ["write failed: No space left on device", "OSError: [Errno 28] it is full", "av_interleaved_write_frame(): ENOSPC"],
)
def test_an_engine_that_says_that_the_disk_is_full(line: str) -> None:
    assert classify(crash(), [line], WELL).cause is C.DISK
    assert classify(crash(line), [], WELL).cause is C.DISK


def test_the_kernel_says_whom_it_ended() -> None:
    killed = crash("the engine ended (killed by signal 9)", -9)
    found = classify(killed, [], MachineSigns(oom_kills=1, free_bytes=1 << 40))
    assert found.cause is C.OUT_OF_MEMORY
    assert "memory" in found.message
    guess = crash("killed; if nobody did, memory ran out", -9, C.OUT_OF_MEMORY)
    assert classify(guess, [], WELL).cause is C.MACHINE, "the kernel says that it was not memory"
    assert classify(guess, [], MachineSigns()).cause is C.OUT_OF_MEMORY, "nobody knows: the engine's guess stands"
    assert classify(killed, [], MachineSigns()).cause is C.CRASH
    assert classify(crash(code=-11), [], MachineSigns(oom_kills=1)).cause is C.CRASH, "it was not killed"


@pytest.mark.parametrize("cause", [C.CRASH, C.ERROR, C.BAD_FRAME, C.MISSING_FRAME])
def test_on_a_full_disk_what_goes_wrong_with_a_file_does_so_because_of_it(cause: FailureCause) -> None:
    assert classify(crash(cause=cause), [], FULL).cause is C.DISK
    assert classify(crash(cause=cause), [], WELL).cause is cause


@pytest.mark.parametrize("cause", [C.BAD_OPTION, C.MISSING_ASSET, C.STALL])
def test_what_the_engine_knows_for_sure_stays(cause: FailureCause) -> None:
    assert classify(crash(cause=cause), ["out of memory", "No space left on device"], FULL).cause is cause


def test_ordinary_words_are_no_causes() -> None:
    for line in ("1.2M of memory used", "Memory: 120 MB, peak 340 MB", "space left: 12 GB", "saved to device 28"):
        assert classify(crash(), [line], WELL) == crash(), line


@pytest.mark.skipif(sys.platform != "linux", reason="the kernel's counters")
def test_the_counters_of_this_kernel() -> None:
    kills = OomKills()
    try:
        first = kills.count()
        assert first is not None
        again = kills.count()
        assert again is not None
        assert again >= first >= 0, "they are read anew"
    finally:
        kills.close()
    assert kills.count() is None
