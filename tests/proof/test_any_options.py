"""What an engine takes as options can be planned and makes a command, or is refused with the field to mend."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, JsonValue, ValidationError

from engines.blender import BlenderEngine
from engines.contract import (
    Chunk,
    Engine,
    EngineVersion,
    InstallKind,
    PlanRequest,
    ProjectInfo,
    Refusal,
    SessionRequest,
)
from engines.ffmpeg import FFmpegEngine
from engines.ffmpeg.options import Crop
from engines.frames import FrameSet
from engines.testpattern import TestPatternEngine

pytestmark = pytest.mark.slow

FIXTURES = Path(__file__).resolve().parents[1] / "fixtures"
BLEND = FIXTURES / "workbench.blend"
FRAMES = st.none() | st.sampled_from(["1", "1-10", "3-5", "1-10x3", "10-1", "1,3,7", "-5-5", "1-999999"]).map(
    FrameSet.parse
)
ODD = st.none() | st.booleans() | st.integers(-5, 99999) | st.floats() | st.text(max_size=8)


def values(model: type[BaseModel]) -> st.SearchStrategy[dict[str, JsonValue]]:
    """Options that are mostly right: those of the form, with some of another kind between them."""
    fields: dict[str, st.SearchStrategy[object]] = {}
    for name, about in model.model_json_schema()["properties"].items():
        variants = about.get("anyOf", [about])
        choices: list[st.SearchStrategy[object]] = [ODD]
        for variant in variants:
            if "enum" in variant:
                choices += [st.sampled_from(variant["enum"])] * 6
            elif variant.get("type") in ("integer", "number"):
                low, high = variant.get("minimum", -10), variant.get("maximum", 500)
                choices += [st.integers(int(low) + (int(low) < low), min(int(high), 5000))] * 6
            elif variant.get("type") == "boolean":
                choices += [st.booleans()] * 6
            elif "$ref" in variant:
                numbers = st.integers(0, 80)
                choices += [st.fixed_dictionaries(dict.fromkeys(Crop.model_fields, numbers))] * 6
            elif variant.get("type") == "string":
                choices += [st.sampled_from(["Scene", "Camera", "ViewLayer", "1-3", "5"])] * 3
        fields[name] = st.one_of(choices)
    return st.lists(st.sampled_from(sorted(fields)), max_size=5, unique=True).flatmap(
        lambda names: st.fixed_dictionaries({name: fields[name] for name in names})
    )


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A real video: 12 frames of 64 x 48 pixels."""
    import av
    import numpy as np

    path = tmp_path_factory.mktemp("clip") / "clip.mp4"
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=12)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(12):
            picture = np.full((48, 64, 3), number * 20, dtype=np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode())
    return path


def check(
    engine: Engine,
    project: Path | None,
    info: ProjectInfo | None,
    args: dict[str, JsonValue],
    frames: FrameSet | None,
    wanted: str | None,
) -> bool:
    """Take a job as far as its command. Returns whether it came there."""
    try:
        options = engine.options_model.model_validate(args)
        plan = engine.plan(PlanRequest(project, info, frames, options, wanted))
    except (ValidationError, Refusal):
        return False
    assert len(plan.frames) >= 1
    stored = engine.options_model.model_validate(plan.options.model_dump(mode="json"))
    assert stored == plan.options, "what is kept with the job is not what was planned"
    version = EngineVersion(
        engine.name, "4.5.0", Path("/opt/engine/engine"), InstallKind.SYSTEM, "linux", "x64", "binary"
    )
    session = SessionRequest(
        project=project,
        frames=plan.frames,
        version=version,
        options=stored,
        output_format=plan.output_format,
        width=plan.width,
        height=plan.height,
        fps=plan.fps,
        details=plan.details,
        folder=Path("/data/session"),
        name="shot",
    )
    chunk = Chunk("j-1", tuple(plan.frames)[:50] if plan.divisible else tuple(plan.frames), Path("/data/chunk"))
    command = engine.command(session, chunk)
    assert all(isinstance(argument, str) and "\0" not in argument for argument in command.argv)
    assert command.argv[0] == str(version.path)
    names = [output.name for output in engine.expected(session, chunk)]
    assert names
    assert len(names) == len(set(names))
    assert all("/" not in name for name in names)
    return True


FORMAT = st.none() | st.sampled_from(["PNG", "EXR", "jpg", "mp4", "mkv", "mov", "webm", "gif", "png", "exr", "AVI", ""])


@pytest.fixture(scope="module")
def projects(clip: Path) -> dict[str, Path]:
    """A real project for every engine that needs one."""
    return {"blender": BLEND, "ffmpeg": clip}


@pytest.mark.parametrize("engine", [TestPatternEngine(), BlenderEngine(), FFmpegEngine()], ids=lambda one: one.name)
def test_any_options(engine: Engine, projects: dict[str, Path]) -> None:
    project = projects.get(engine.name)
    info = engine.inspect(project) if project is not None else None
    commands = 0

    @settings(max_examples=200)
    @given(values(engine.options_model), FRAMES, FORMAT)
    def ask(args: dict[str, JsonValue], frames: FrameSet | None, wanted: str | None) -> None:
        nonlocal commands
        commands += check(engine, project, info, args, frames, wanted)

    ask()
    assert commands > 10, "hardly any of them came as far as a command"
