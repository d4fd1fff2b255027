"""One still image in parts is the picture that one machine makes: no seam, the compositor and the denoiser after."""

from __future__ import annotations

import subprocess
from dataclasses import replace
from pathlib import Path

import numpy
import OpenImageIO as oiio
import pytest

from engines.blender.stills import PARTS
from engines.contract import Chunk, ChunkDone, EngineFailed, EngineVersion, FrameWritten
from tests.support.blender_sessions import ENGINE, FIXTURES, Args, Driven, Started, planned

pytestmark = [pytest.mark.blender]

COMPOSITED = """
import bpy, sys
bpy.ops.wm.open_mainfile(filepath=sys.argv[-2])
scene = bpy.context.scene
scene.view_layers[0].use_pass_mist = True
scene.use_nodes = True
tree = scene.node_tree
tree.nodes.clear()
layers = tree.nodes.new("CompositorNodeRLayers")
invert = tree.nodes.new("CompositorNodeInvert")
mix = tree.nodes.new("CompositorNodeMixRGB")
mix.blend_type = "SCREEN"
target = tree.nodes.new("CompositorNodeComposite")
tree.links.new(layers.outputs["Image"], invert.inputs["Color"])
tree.links.new(invert.outputs[0], mix.inputs[1])
tree.links.new(layers.outputs["Mist"], mix.inputs[2])
tree.links.new(mix.outputs[0], target.inputs[0])
bpy.ops.wm.save_as_mainfile(filepath=sys.argv[-1])
"""


@pytest.fixture(scope="module")
def composited(program: EngineVersion, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project whose compositor turns the picture round and mixes a pass into it."""
    folder = tmp_path_factory.mktemp("composited")
    (folder / "make.py").write_text(COMPOSITED)
    target = folder / "composited.blend"
    argv = [program.path, "-b", "--factory-startup", "--python-exit-code", "1", "--python", folder / "make.py"]
    subprocess.run([*argv, "--", FIXTURES / "cycles.blend", target], check=True, capture_output=True)
    return target


def whole(start: Started, project: Path, version: EngineVersion, args: Args, frame: int) -> numpy.ndarray:
    driven = start(project, version, {**args, "split": False}, frames=str(frame))
    driven.ready()
    chunk, events = driven.rendered(frame)
    assert events[-1] == ChunkDone(chunk.attempt), (events, driven.tail())
    assert driven.finish() == 0
    (item,) = ENGINE.expected(driven.request, chunk)
    return pixels(chunk.folder / item.name)


def in_parts(start: Started, project: Path, version: EngineVersion, args: Args, frame: int) -> numpy.ndarray:
    """Two sessions, as of two machines, render the parts; the picture comes from a third."""
    sessions = [start(project, version, {**args, "split": True}, frames=str(frame)) for _ in range(2)]
    parts = sessions[0].request.folder.parent / "parts"
    parts.mkdir()
    for number, driven in enumerate(sessions):
        assert tuple(driven.request.frames) == tuple(range(1, PARTS + 1))
        driven.ready()
        for part in range(number + 1, PARTS + 1, 2):
            chunk, events = driven.rendered(part)
            assert events[-1] == ChunkDone(chunk.attempt), (events, driven.tail())
            assert [event.frame for event in events if isinstance(event, FrameWritten)] == [part]
            (item,) = ENGINE.expected(driven.request, chunk)
            (chunk.folder / item.name).rename(parts / item.name)
        assert driven.finish() == 0
    return assembled(sessions[0], parts)


def assembled(driven: Driven, parts: Path) -> numpy.ndarray:
    into, scratch = parts.with_name("into"), parts.with_name("scratch of the assembly")
    into.mkdir()
    scratch.mkdir()
    request = replace(driven.request, folder=scratch)
    chunk = Chunk("assembly", tuple(request.frames), into)
    command = ENGINE.assembly(request, chunk, parts)
    assert not command.takes_chunks
    done = subprocess.run(command.argv, cwd=scratch, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stdout + done.stderr
    events = [event for line in done.stdout.splitlines() for event in ENGINE.parse(line)]
    assert not [event for event in events if isinstance(event, EngineFailed)]
    (item,) = ENGINE.assembled(request, chunk)
    assert [path.name for path in into.iterdir()] == [item.name]
    return pixels(into / item.name)


def pixels(path: Path) -> numpy.ndarray:
    picture = oiio.ImageBuf(str(path))
    assert picture.read(force=True), picture.geterror()
    return numpy.asarray(picture.get_pixels(oiio.FLOAT))[..., :3]


def psnr(one: numpy.ndarray, other: numpy.ndarray) -> float:
    """Peak signal to noise in dB; of pictures with values from 0 to 1."""
    assert one.shape == other.shape
    error = float(numpy.mean((one.astype(float) - other.astype(float)) ** 2))
    return 99.0 if error == 0 else float(-10 * numpy.log10(error))


@pytest.mark.slow
@pytest.mark.parametrize("output_format", ["PNG", "OPEN_EXR"])
def test_no_seam(blender: EngineVersion, start: Started, output_format: str) -> None:
    args: Args = {"samples": 50, "output_format": output_format, "resolution_percentage": 300}
    one = whole(start, FIXTURES / "cycles.blend", blender, args, 2)
    other = in_parts(start, FIXTURES / "cycles.blend", blender, args, 2)
    assert psnr(one, other) > 45


@pytest.mark.slow
def test_the_compositor_comes_after_the_merge(composited: Path, blender: EngineVersion, start: Started) -> None:
    one = whole(start, composited, blender, {"samples": 48}, 1)
    other = in_parts(start, composited, blender, {"samples": 48}, 1)
    assert psnr(one, other) > 45
    plain = whole(start, FIXTURES / "cycles.blend", blender, {"samples": 48}, 1)
    assert psnr(one, plain) < 20  # the compositor does something


@pytest.mark.slow
def test_the_denoiser_comes_after_the_merge(module: EngineVersion, start: Started) -> None:
    args: Args = {"samples": 24, "resolution_percentage": 400, "denoise": True}
    one = whole(start, FIXTURES / "denoised.blend", module, args, 1)
    other = in_parts(start, FIXTURES / "denoised.blend", module, args, 1)
    noisy = whole(start, FIXTURES / "denoised.blend", module, {**args, "denoise": False}, 1)
    assert psnr(one, other) > 45
    assert psnr(one, other) > psnr(one, noisy)


@pytest.mark.slow
def test_too_few_samples_for_parts_are_refused_with_what_would_help(blender: EngineVersion, start: Started) -> None:
    driven = start(FIXTURES / "cycles.blend", blender, {"samples": 3, "split": True}, frames="1")
    failed = [event for event in driven.events() if isinstance(event, EngineFailed)]
    assert "3 samples are too few for 12 parts" in failed[0].message


@pytest.mark.parametrize(
    ("project", "args", "frames", "why"),
    [
        ("cycles", {"split": True}, "1-2", "single frame"),
        ("workbench", {"split": True}, "1", "only Cycles"),
        ("cycles", {"split": True, "output_format": "OPEN_EXR_MULTILAYER"}, "1", "multilayer"),
        ("cropped", {"split": True, "render_engine": "CYCLES"}, "1", "cut-out"),
    ],
)
def test_what_cannot_be_shared_runs_whole_and_says_why(project: str, args: Args, frames: str, why: str) -> None:
    plan = planned(FIXTURES / f"{project}.blend", args, frames)
    assert (plan.parts, plan.still, plan.divisible) == ((), None, True)
    assert [warning for warning in plan.warnings if "in one piece" in warning and why in warning]
    assert getattr(plan.options, "split") is False  # noqa: B009


def test_a_still_is_shared_by_itself_if_there_is_somebody_to_help() -> None:
    alone = planned(FIXTURES / "cycles.blend", None, "3")
    assert (alone.parts, list(alone.frames)) == ((), [3])
    shared = planned(FIXTURES / "cycles.blend", None, "3", sharers=2)
    assert (len(shared.parts), shared.still, len(shared.frames)) == (PARTS, 3, PARTS)
    again = planned(FIXTURES / "cycles.blend", {"split": True}, "3")
    assert (again.parts, again.details) == (shared.parts, shared.details)
