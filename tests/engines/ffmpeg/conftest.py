"""Clips made by the embedded FFmpeg, and a way to run a job's command as the service would: one process, one folder."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import pytest
from PIL import Image

from engines.contract import (
    Chunk,
    EngineEvent,
    EngineVersion,
    ExpectedOutput,
    InstallKind,
    PictureCheck,
    Plan,
    PlanRequest,
    SessionRequest,
    VideoCheck,
)
from engines.ffmpeg import FFmpegEngine
from engines.frames import FrameSet

SYSTEM = Path("/usr/bin/ffmpeg")


def _embedded() -> EngineVersion:
    found = FFmpegEngine().find_candidates(Path("nowhere"))
    candidate = next(item for item in found if item.kind is InstallKind.EMBEDDED)
    assert candidate.version is not None
    return EngineVersion("ffmpeg", candidate.version, candidate.path, candidate.kind, "linux", "x64", candidate.flavour)


@pytest.fixture(scope="session")
def embedded() -> EngineVersion:
    """The FFmpeg that comes with the service."""
    return _embedded()


@pytest.fixture(scope="session")
def system() -> EngineVersion:
    """The FFmpeg of the operating system."""
    if not SYSTEM.is_file():
        pytest.skip(f"{SYSTEM} is not installed (apt-get install ffmpeg)")
    engine = FFmpegEngine()
    printed = subprocess.run([SYSTEM, "-version"], capture_output=True, text=True, check=True).stdout
    number = engine.parse_version(printed)
    assert number is not None
    return EngineVersion("ffmpeg", number, SYSTEM, InstallKind.SYSTEM, "linux", "x64", "binary")


@pytest.fixture(params=["embedded", pytest.param("system", marks=pytest.mark.slow)])
def version(request: pytest.FixtureRequest) -> EngineVersion:
    """Each FFmpeg in turn; in the quick loop only the one that comes with the service."""
    found = request.getfixturevalue(request.param)
    assert isinstance(found, EngineVersion)
    return found


@dataclass
class Done:
    """A job's command after it ran."""

    plan: Plan
    argv: tuple[str, ...]
    expected: Sequence[ExpectedOutput]
    folder: Path
    code: int
    events: list[EngineEvent]
    log: list[str]

    @property
    def only(self) -> Path:
        """The one file that it made."""
        (file,) = self.folder.iterdir()
        return file

    def check(self) -> None:
        """Assert that it made exactly what it said, and that all of it decodes."""
        assert self.code == 0, "\n".join(self.log)
        assert {item.name for item in self.expected} == {path.name for path in self.folder.iterdir()}
        for item in self.expected:
            if isinstance(item.check, PictureCheck):
                with Image.open(self.folder / item.name) as picture:
                    picture.load()
                    assert picture.size == (item.check.width, item.check.height)
            else:
                assert isinstance(item.check, VideoCheck)
                check_video(self.folder / item.name, item.check)


def check_video(path: Path, check: VideoCheck) -> None:
    """Assert that a video is what a check says."""
    assert check.frames is not None
    assert check.duration is not None
    with av.open(str(path)) as container:
        assert container.duration is not None
        duration = container.duration / 1_000_000
        assert bool(container.streams.audio) is check.audio
        frames = list(container.decode(video=0))
        assert abs(len(frames) - check.frames) <= check.frames_tolerance
        assert {(frame.width, frame.height) for frame in frames} == {(check.width, check.height)}
    assert abs(duration - check.duration) <= check.duration_tolerance, (duration, check)
    if check.audio:
        with av.open(str(path)) as container:
            assert sum(frame.samples for frame in container.decode(audio=0)) > 0


Render = Callable[..., Done]


@pytest.fixture
def render(tmp_path: Path, embedded: EngineVersion) -> Render:
    """Plan a job and run its command; what the service keeps in its store goes through JSON on the way."""
    number = itertools.count()
    engine = FFmpegEngine()

    def run(
        project: Path,
        *,
        frames: str | None = None,
        output_format: str | None = None,
        version: EngineVersion = embedded,
        name: str = "out",
        threads: int | None = None,
        meanwhile: Callable[[], object] = lambda: None,
        **options: object,
    ) -> Done:
        plan = engine.plan(
            PlanRequest(
                project=project,
                info=engine.inspect(project),
                frames=FrameSet.parse(frames) if frames else None,
                options=engine.options_model.model_validate(options),
                output_format=output_format,
            )
        )
        meanwhile()
        root = tmp_path / f"attempt {next(number)} 100%d"
        for part in ("session", "chunk"):
            (root / part).mkdir(parents=True)
        session = SessionRequest(
            project=project,
            frames=plan.frames,
            version=version,
            options=engine.options_model.model_validate(json.loads(plan.options.model_dump_json())),
            output_format=plan.output_format,
            width=plan.width,
            height=plan.height,
            fps=plan.fps,
            details=json.loads(json.dumps(plan.details)),
            folder=root / "session",
            name=name,
            threads=threads,
        )
        chunk = Chunk("attempt", tuple(plan.frames), root / "chunk")
        command = engine.command(session, chunk)
        ran = subprocess.run(
            command.argv,
            cwd=session.folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            errors="replace",
            env={"PATH": "/usr/bin:/bin", **command.environment},
            timeout=120,
        )
        events = [event for line in ran.stdout.splitlines() for event in engine.parse(line)]
        return Done(
            plan,
            command.argv,
            engine.expected(session, chunk),
            chunk.folder,
            ran.returncode,
            events,
            ran.stderr.splitlines(),
        )

    return run


Make = Callable[..., Path]


@pytest.fixture(scope="session")
def make(embedded: EngineVersion) -> Make:
    """Run the embedded FFmpeg with arguments of the test's own; returns the file it made."""

    def run(target: Path, *argv: str) -> Path:
        target.parent.mkdir(parents=True, exist_ok=True)
        subprocess.run(
            [embedded.path, "-v", "error", "-nostdin", "-y", *argv, f"file:{target}"], check=True, capture_output=True
        )
        return target

    return run


@pytest.fixture(scope="session")
def clip(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """2 s of 160 × 120 pixels at 25 frames a second (50 frames, each with its number in it) with sound."""
    return make(
        tmp_path_factory.mktemp("clips") / "clip.mp4",
        *("-f", "lavfi", "-i", "testsrc=duration=2:size=160x120:rate=25"),
        *("-f", "lavfi", "-i", "sine=frequency=440:duration=2"),
        *("-c:v", "libx264", "-preset", "ultrafast", "-g", "12", "-bf", "2", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    )


@pytest.fixture(scope="session")
def pictures(make: Make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with shot_0005.png to shot_0014.png, 64 × 48 pixels."""
    folder = tmp_path_factory.mktemp("sequence")
    make(
        folder / "shot_%04d.png",
        *("-f", "lavfi", "-i", "testsrc=duration=1:size=64x48:rate=10", "-start_number", "5"),
    )
    return folder


@pytest.fixture(scope="session")
def frames_of() -> Callable[[Path], list[bytes]]:
    """Reads the decoded frames of a video as comparable bytes."""

    def read(path: Path) -> list[bytes]:
        with av.open(str(path)) as container:
            return [frame.to_ndarray(format="rgb24").tobytes() for frame in container.decode(video=0)]

    return read
