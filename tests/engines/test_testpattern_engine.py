"""The test pattern's side of the contract: what it plans, asks for and understands."""

from __future__ import annotations

from pathlib import Path

import pytest
from pydantic import ValidationError

from engines.contract import (
    Chunk,
    ChunkDone,
    EngineFailed,
    EngineVersion,
    FailureCause,
    FoundVersion,
    FrameWritten,
    InstallKind,
    PictureCheck,
    Plan,
    PlanRequest,
    Progress,
    Ready,
    Refusal,
    SessionRequest,
    VersionWish,
)
from engines.frames import FrameSet
from engines.testpattern import TestPatternEngine, TestPatternOptions

ENGINE = TestPatternEngine()
VERSION = EngineVersion("testpattern", "1.2.3", Path("/bin/python"), InstallKind.EMBEDDED, "linux", "x64")


def plan(
    *,
    project: Path | None = None,
    frames: str | None = None,
    output_format: str | None = None,
    **options: object,
) -> Plan:
    return ENGINE.plan(
        PlanRequest(
            project=project,
            info=None,
            frames=FrameSet.parse(frames) if frames else None,
            options=TestPatternOptions.model_validate(options),
            output_format=output_format,
        )
    )


def session(**options: object) -> SessionRequest:
    settled = plan(**options)
    return SessionRequest(
        project=None,
        frames=settled.frames,
        version=VERSION,
        options=settled.options,
        output_format=settled.output_format,
        width=settled.width,
        height=settled.height,
        fps=None,
        details={},
        folder=Path("/scratch"),
        name="shot",
    )


def test_the_one_copy_is_embedded_and_has_a_version() -> None:
    (candidate,) = ENGINE.find_candidates(Path("/nowhere"))
    assert candidate.kind is InstallKind.EMBEDDED
    assert candidate.version is not None
    assert ENGINE.parse_version(f"testpattern {candidate.version}\n") == candidate.version
    assert ENGINE.parse_version("Blender 3.4.1") is None


def test_ten_frames_unless_others_are_named() -> None:
    assert plan().frames.notation() == "1-10"
    assert plan(frames="3-9x3").frames.notation() == "3-9x3"


def test_the_size_is_that_of_the_options() -> None:
    settled = plan(width=64, height=36)
    assert (settled.width, settled.height, settled.output_format) == (64, 36, "PNG")


@pytest.mark.parametrize(
    ("request_", "field"),
    [
        ({"project": Path("scene.blend")}, "file"),
        ({"output_format": "EXR"}, "output_format"),
    ],
)
def test_refuses_what_it_cannot_render(request_: dict[str, Path | str], field: str) -> None:
    with pytest.raises(Refusal) as refusal:
        plan(**request_)  # type: ignore[arg-type]  # each case is one argument of its own type
    assert refusal.value.field == field


@pytest.mark.parametrize("wanted", [None, "1", "1.2", "1.2.3"])
def test_finds_a_version_by_its_beginning(wanted: str | None) -> None:
    choice = ENGINE.choose(VersionWish(wanted), [VERSION], None)
    assert isinstance(choice, FoundVersion)
    assert choice.version is VERSION


@pytest.mark.parametrize(("wanted", "versions"), [("9.9", [VERSION]), ("1.2.30", [VERSION]), (None, [])])
def test_can_be_had_nowhere_else(wanted: str | None, versions: list[EngineVersion]) -> None:
    with pytest.raises(Refusal) as refusal:
        ENGINE.choose(VersionWish(wanted), versions, None)
    assert refusal.value.field == "engine_version"


@pytest.mark.parametrize(
    "options",
    [
        {"fail_frames": ""},
        {"crash_frames": "one"},
        {"broken_frames": "1..5"},
        {"missing_frames": "1-9000y3"},  # more separate frames than go on a command line
        {"width": 0},
        {"seconds_per_frame": -1},
        {"speed": 3},
    ],
)
def test_refuses_wrong_options(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        TestPatternOptions.model_validate(options)


def test_the_command_line_says_all_of_it(tmp_path: Path) -> None:
    asked = session(
        seconds_per_frame=0.5, fail_frames="2,4-6", crash_frames="10-1x3", hang_at=-3, ignore_term=True, noise_bytes=7
    )
    command = ENGINE.command(asked, Chunk("a1", (1,), tmp_path))
    pairs = dict(zip(command.argv[4::2], command.argv[5::2], strict=True))
    assert pairs == {
        "--name": "shot",
        "--width": "320",
        "--height": "180",
        "--seconds": "0.5",
        "--fail": "2:3:1,4:7:1",
        "--crash": "10:0:-3",
        "--hang": "-3",
        "--ignore-term": "1",
        "--noise": "7",
    }
    assert command.takes_chunks
    assert command.events == "pipe"


def test_expects_one_picture_a_frame(tmp_path: Path) -> None:
    first, second = ENGINE.expected(session(width=8, height=9), Chunk("a1", (7, -2), tmp_path))
    assert (first.name, first.frame, first.check) == ("shot_0007.png", 7, PictureCheck(8, 9))
    assert (second.name, second.frame) == ("shot_-002.png", -2)


def test_a_chunk_is_one_line_whatever_its_folder_is_called() -> None:
    line = ENGINE.feed(Chunk("a1", (1, -2), Path("/a b\n\\ü/c")))
    assert line.count(b"\n") == 1
    assert line.endswith(b" 1 -2\n")


@pytest.mark.parametrize(
    ("line", "events"),
    [
        ('{"event": "ready"}', (Ready(),)),
        ('{"event": "written", "frame": 3, "seconds": 0.25}', (FrameWritten(3, seconds=0.25),)),
        ('{"event": "progress", "frame": 3, "fraction": 0.5}', (Progress(0.5, 3),)),
        ('{"event": "done", "attempt": "a1"}', (ChunkDone("a1"),)),
        (
            '{"event": "failed", "frame": 3, "message": "no space", "cause": "disk"}',
            (EngineFailed("no space", FailureCause.DISK, 3),),
        ),
    ],
)
def test_understands_its_own_lines(line: str, events: tuple[object, ...]) -> None:
    assert ENGINE.parse(line) == events


@pytest.mark.parametrize(
    "line",
    [
        "",
        "noise",
        "3",
        "[]",
        "{}",
        '{"event": 3}',
        '{"event": "written"}',
        '{"event": "failed", "frame": "x"}',
        '{"event": "failed", "frame": 1, "message": "m", "cause": "boredom"}',
        "[" * 100_000,
    ],
)
def test_never_raises_on_other_lines(line: str) -> None:
    assert ENGINE.parse(line) == ()


def test_explains_its_own_crash_only() -> None:
    explained = ENGINE.explain_exit(-6, ["x", "the test pattern crashes at frame 4, as told"])
    assert explained is not None
    assert explained.cause is FailureCause.CRASH
    assert "frame 4" in explained.message
    assert ENGINE.explain_exit(-9, ["x"]) is None
