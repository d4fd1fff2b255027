"""What a job asks for reaches Blender, and what cannot be had is said in the events."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy
import pytest
from PIL import Image

from engines.blender.commands import EXIT_REPORTED
from engines.contract import (
    Chunk,
    ChunkDone,
    EngineEvent,
    EngineFailed,
    EngineVersion,
    EngineWarning,
    FailureCause,
    FrameWritten,
    Progress,
)
from tests.support.blender_sessions import ENGINE, FIXTURES, Started

pytestmark = [pytest.mark.blender, pytest.mark.slow]


def pictures(chunk: Chunk) -> list[numpy.ndarray]:
    shown = []
    for path in sorted(chunk.folder.iterdir()):
        with Image.open(path) as picture:
            shown.append(numpy.asarray(picture.convert("RGB")))
    return shown


def sizes(chunk: Chunk) -> set[tuple[int, int]]:
    return {(shown.shape[1], shown.shape[0]) for shown in pictures(chunk)}


def warnings_in(events: list[EngineEvent]) -> list[str]:
    return [event.message for event in events if isinstance(event, EngineWarning)]


def test_scene_and_size(blender: EngineVersion, start: Started) -> None:
    whole = start(FIXTURES / "studio.blend", blender)
    assert (whole.request.width, whole.request.height) == (32, 24)
    chunk, _ = whole.rendered(0)
    assert sizes(chunk) == {(32, 24)}
    args = {"scene": "Second", "camera": "Side", "resolution_percentage": 200}
    second = start(FIXTURES / "studio.blend", blender, args)
    assert (second.request.width, second.request.height) == (80, 60)
    assert list(second.request.frames) == [10, 11]
    chunk, events = second.rendered(10)
    assert events[-1] == ChunkDone(chunk.attempt), second.tail()
    assert sizes(chunk) == {(80, 60)}


def test_markers_switch_cameras_unless_one_is_asked_for(program: EngineVersion, start: Started) -> None:
    own, _ = start(FIXTURES / "studio.blend", program).rendered(0, 4)
    front, _ = start(FIXTURES / "studio.blend", program, {"camera": "Front"}).rendered(0, 4)
    side, _ = start(FIXTURES / "studio.blend", program, {"camera": "Side"}).rendered(0, 4)
    assert numpy.array_equal(pictures(own)[0], pictures(front)[0])
    assert numpy.array_equal(pictures(own)[1], pictures(side)[1])
    assert not numpy.array_equal(pictures(front)[1], pictures(side)[1])


def test_render_engine_view_layer_and_samples(blender: EngineVersion, start: Started) -> None:
    args = {"render_engine": "cycles", "samples": 3, "device": "cpu", "view_layer": "Extra", "persistent_data": True}
    driven = start(FIXTURES / "studio.blend", blender, args, threads=1)
    chunk, events = driven.rendered(0, 2)
    assert events[-1] == ChunkDone(chunk.attempt), driven.tail()
    with Image.open(next(chunk.folder.iterdir())) as picture:
        assert picture.info["cycles.Extra.samples"] == "3"
        assert not any("ViewLayer.samples" in key for key in picture.info)


def test_progress_within_a_frame(module: EngineVersion, start: Started) -> None:
    args = {"samples": 300, "resolution_percentage": 500, "denoise": False}
    _, events = start(FIXTURES / "cycles.blend", module, args, threads=1).rendered(1)
    moves = [event for event in events if isinstance(event, Progress)]
    assert moves[0] == Progress(0.0, 1)
    shares = [event.fraction for event in moves if event.note.startswith("sample ")]
    assert any(share is not None and 0 < share < 1 for share in shares)
    assert shares == sorted(share or 0.0 for share in shares)


def test_workbench_by_its_short_name(program: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "cycles.blend", program, {"render_engine": "WORKBENCH", "samples": 4})
    chunk, events = driven.rendered(1)
    assert events[-1] == ChunkDone(chunk.attempt)
    assert any("samples" in message for message in warnings_in(events))


def test_a_build_without_denoiser_renders_without(program: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "denoised.blend", program)
    chunk, events = driven.rendered(1)
    assert events[-1] == ChunkDone(chunk.attempt)
    assert any("denoiser" in message for message in warnings_in(events)), "Debian's build has none"
    asked = start(FIXTURES / "denoised.blend", program, {"denoise": True})
    failed = asked.events()[-1]
    assert isinstance(failed, EngineFailed)
    assert failed.frame is None
    assert failed.cause is FailureCause.BAD_OPTION
    assert "denoise" in failed.message
    assert asked.process.wait() == EXIT_REPORTED
    assert ENGINE.explain_exit(EXIT_REPORTED, asked.tail()) is None
    off = start(FIXTURES / "denoised.blend", program, {"denoise": False})
    chunk, events = off.rendered(1)
    assert events[-1] == ChunkDone(chunk.attempt)
    assert not warnings_in(events)


def test_denoising_changes_the_picture_where_it_can_be_had(module: EngineVersion, start: Started) -> None:
    with_it, events = start(FIXTURES / "denoised.blend", module, {"denoise": True}).rendered(1)
    assert events[-1] == ChunkDone(with_it.attempt)
    without, _ = start(FIXTURES / "denoised.blend", module, {"denoise": False}).rendered(1)
    assert not numpy.array_equal(pictures(with_it)[0], pictures(without)[0])


def test_a_device_that_is_not_there(blender: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "cycles.blend", blender, {"device": "HIP"})
    failed = driven.events()[-1]
    if not isinstance(failed, EngineFailed):
        pytest.skip("this machine has a HIP device")
    assert failed.cause is FailureCause.BAD_OPTION
    assert "HIP" in failed.message


@pytest.mark.parametrize(
    ("project", "word"), [("missing_texture", "bricks.png"), ("missing_library", "library_that_goes.blend")]
)
def test_missing_files_are_warnings(project: str, word: str, blender: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / f"{project}.blend", blender, {"render_engine": "CYCLES", "samples": 1})
    chunk, events = driven.rendered(1)
    assert events[-1] == ChunkDone(chunk.attempt), driven.tail()
    assert any(word in message for message in warnings_in(events))


def test_the_compositors_own_files_stay_out(blender: EngineVersion, start: Started, tmp_path: Path) -> None:
    project = tmp_path / "side_files.blend"
    project.write_bytes((FIXTURES / "side_files.blend").read_bytes())
    driven = start(project, blender)
    chunk, events = driven.rendered(1)
    assert events[-1] == ChunkDone(chunk.attempt)
    assert any("File Output" in message for message in warnings_in(events))
    assert [path.name for path in chunk.folder.iterdir()] == ["shot_0001.png"]
    assert not (tmp_path / "beside").exists()


def test_no_script_of_the_project_runs(blender: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "script.blend", blender)
    chunk, _ = driven.rendered(1)
    assert sizes(chunk) == {(64, 48)}, "the text in the file ran and halved the size"


def test_raw_arguments_cannot_open_blender(program: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "script.blend", program, raw_arguments=["--enable-autoexec", "--verbose", "0"])
    chunk, _ = driven.rendered(1)
    assert sizes(chunk) == {(64, 48)}, "the text in the file ran and halved the size"


def test_a_script_of_the_project_runs_where_the_operator_lets_it(blender: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "script.blend", blender, autoexec=True)
    chunk, _ = driven.rendered(1)
    assert sizes(chunk) == {(32, 24)}, "the text in the file did not run"


def test_a_cut_out_has_the_size_that_blender_gives_it(blender: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "cropped.blend", blender)
    assert driven.request.width is None
    chunk, _ = driven.rendered(1)
    assert sizes(chunk) == {(32, 25)}


def test_a_frame_that_cannot_be_written_fails_alone(blender: EngineVersion, start: Started, tmp_path: Path) -> None:
    driven = start(FIXTURES / "cycles.blend", blender)
    driven.ready()
    blocked = tmp_path / "no folder"
    blocked.write_text("a file is in the way")
    assert driven.process.stdin is not None
    driven.process.stdin.write(ENGINE.feed(Chunk("blocked", (1, 2), blocked / "deeper")))
    chunk, events = driven.rendered(3)
    failed = [event for event in events if isinstance(event, EngineFailed)]
    assert [event.frame for event in failed] == [1, 2]
    assert {event.cause for event in failed} == {FailureCause.DISK}
    assert ChunkDone("blocked") in events
    assert [event.frame for event in events if isinstance(event, FrameWritten)] == [3]
    assert driven.finish() == 0
    assert len(list(chunk.folder.iterdir())) == 1


def test_an_exception_in_the_runner_is_an_event(blender: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "cycles.blend", blender)
    assert driven.process.stdin is not None
    driven.process.stdin.write(b'{"chunk": "x"}\n')
    failed = driven.rendered(1)[1][-1]
    assert isinstance(failed, EngineFailed)
    assert failed.frame is None
    assert "KeyError" in failed.message
    assert driven.process.wait() == 70


def test_a_project_that_is_newer_than_the_engine(program: EngineVersion, start: Started) -> None:
    """The plan refuses it; should it come to a render all the same, the story must still be told."""
    driven = start(FIXTURES / "saved_by_5_0.blend", replace(program, version="5.0.0"))
    assert driven.events() == []
    code = driven.process.wait()
    assert code != 0
    failed = ENGINE.explain_exit(code, driven.tail())
    assert failed is not None
    assert "project" in failed.message
