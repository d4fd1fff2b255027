"""Reading progress and last words: the lines FFmpeg really writes, and lines nobody wrote."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engines.contract import EngineVersion, FailureCause, Progress
from engines.ffmpeg import FFmpegEngine

ENGINE = FFmpegEngine()


@pytest.mark.parametrize(
    ("line", "events"),
    [
        ("frame=12", (Progress(frame=12),)),
        ("frame=   12", (Progress(frame=12),)),
        ("speed=2.13x", (Progress(note="speed 2.13x"),)),
        ("speed=1.03e+03x", (Progress(note="speed 1.03e+03x"),)),
        ("speed=   4x", (Progress(note="speed 4x"),)),
        ("speed=N/A", ()),
        ("fps=0.00", ()),
        ("frame=0", ()),
        ("frame=N/A", ()),
        ("frame=-3", ()),
        ("frame=²", ()),
        ("frame=99999999999999999999", ()),
        ("progress=end", ()),
        ("out_time_ms=N/A", ()),
        ("", ()),
        ("=", ()),
        ("frame", ()),
        ("\x00\xff garbage = frame=1", ()),
    ],
)
def test_progress_line(line: str, events: tuple[Progress, ...]) -> None:
    assert tuple(ENGINE.parse(line)) == events


@given(st.text())
def test_no_line_raises(line: str) -> None:
    for text in (line, f"frame={line}", f"speed={line}x"):
        for event in ENGINE.parse(text):
            assert isinstance(event, Progress)


@given(st.integers(-64, 255), st.lists(st.text()))
def test_no_last_words_raise(code: int, tail: list[str]) -> None:
    failure = ENGINE.explain_exit(code, tail)
    assert code != 0 or failure is None


@pytest.mark.parametrize(
    ("tail", "cause"),
    [
        (["[out#0/mp4 @ 0x1] [error] Error writing trailer: No space left on device"], FailureCause.DISK),
        (["[error] Unknown encoder 'libx265'"], FailureCause.BAD_OPTION),
        (["[libx264 @ 0x1] [error] x264 [error]: malloc of size 99 failed", "[error] Cannot allocate memory"],
         FailureCause.OUT_OF_MEMORY),
        (["[error] Error opening input: No such file or directory"], FailureCause.MISSING_ASSET),
        (["[mov @ 0x1] [error] moov atom not found"], FailureCause.ERROR),
        (["[tcp @ 0x1] [error] Protocol 'tcp' not on whitelist 'file,pipe'!"], FailureCause.MISSING_ASSET),
        (["[vf @ 0x1] [error] something nobody has seen before"], FailureCause.ERROR),
    ],
)  # fmt: skip
def test_last_words(tail: list[str], cause: FailureCause) -> None:
    failure = ENGINE.explain_exit(1, ["[info] Stream mapping:", *tail, "[info] Conversion failed!"])
    assert failure is not None
    assert failure.cause is cause


def test_the_first_thing_that_went_wrong_is_told() -> None:
    failure = ENGINE.explain_exit(
        187,
        [
            "[Parsed_zscale_4 @ 0x1] [error] code 1026: YUV color family cannot have RGB matrix coefficients",
            "[vf#0:0 @ 0x1] [error] Task finished with error code: -22 (Invalid argument)",
        ],
    )
    assert failure is not None
    assert "code 1026" in failure.message


@pytest.mark.parametrize(("code", "tail"), [(0, ["[error] anything"]), (-9, []), (255, ["[info] Exiting normally"])])
def test_nothing_to_add(code: int, tail: list[str]) -> None:
    assert ENGINE.explain_exit(code, tail) is None


def test_a_full_disk_is_told_by_the_real_thing(render, clip: Path, version: EngineVersion) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    done = render(clip, version=version, output_format="mkv", speed="ultrafast")
    argv = [argument for argument in done.argv[:-1] if argument != "-n"] + ["-y", f"file:{full}"]
    ran = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, timeout=60)
    assert ran.returncode != 0
    failure = ENGINE.explain_exit(ran.returncode, ran.stderr.splitlines())
    assert failure is not None
    assert failure.cause is FailureCause.DISK


def test_progress_of_a_real_encode_counts_up(render, clip: Path, version: EngineVersion) -> None:
    done = render(clip, version=version, output_format="png")
    counted = [event.frame for event in done.events if isinstance(event, Progress) and event.frame is not None]
    assert counted == sorted(counted)
    assert counted[-1] == 50
    assert any(event.note.startswith("speed ") for event in done.events if isinstance(event, Progress))
