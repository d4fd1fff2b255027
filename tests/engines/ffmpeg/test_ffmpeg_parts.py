"""An encode in parts has exactly the frames of the whole one, its sound and its times, whatever the source is like."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, replace
from itertools import accumulate, pairwise
from pathlib import Path

import av
import pytest

from app.outputs.videos import check_video as verify_video
from engines.contract import Chunk, Command, EngineVersion, FileCheck, PlanRequest, SessionRequest, VideoCheck
from engines.ffmpeg import FFmpegEngine
from engines.ffmpeg.options import FFmpegOptions
from engines.ffmpeg.splitting import lengths
from engines.frames import FrameSet

FramesOf = Callable[[Path], list[bytes]]
LOSSLESS = {"video_codec": "ffv1", "pixel_format": "bgra"}


@pytest.fixture(scope="module", params=["closed.mp4", "open.mkv", "mpeg2.ts", "ntsc.mov", "still.mp4", "late.mkv"])
def source(request: pytest.FixtureRequest, make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """13 s in which seeking goes wrong in different ways; in ``still`` most pictures look the same."""
    path = tmp_path_factory.mktemp("parts") / request.param
    rate = "30000/1001" if path.stem == "ntsc" else "25"
    encoder = {
        "closed.mp4": ("-c:v", "libx264", "-bf", "3", "-g", "40", "-pix_fmt", "yuv420p", "-c:a", "aac"),
        "open.mkv": ("-c:v", "libx264", "-x264-params", "open-gop=1", "-g", "40", "-bf", "3", "-pix_fmt", "yuv420p"),
        "mpeg2.ts": ("-c:v", "mpeg2video", "-g", "40", "-bf", "2", "-c:a", "mp2"),
        "ntsc.mov": ("-c:v", "libx265", "-x265-params", "log-level=none", "-preset", "ultrafast", "-c:a", "pcm_s16le"),
        "still.mp4": ("-c:v", "libx264", "-g", "300", "-bf", "3", "-pix_fmt", "yuv420p", "-c:a", "aac"),
        "late.mkv": ("-vf", "setpts=PTS+0.7/TB", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    }[path.name]
    picture = "color=gray:duration=13" if path.stem == "still" else "testsrc2=duration=13"
    return make(
        path,
        *("-f", "lavfi", "-i", f"{picture}:size=96x64:rate={rate}"),
        *("-f", "lavfi", "-i", "sine=duration=13"),
        *encoder,
    )


@dataclass
class InParts:
    """A job in parts, its commands run one after the other as the service would run them."""

    engine: FFmpegEngine
    session: SessionRequest
    parts: tuple[int, ...]
    warnings: tuple[str, ...]
    root: Path

    def chunks(self) -> list[Chunk]:
        begins = list(accumulate(self.parts, initial=self.session.frames.lowest))
        (self.root / "parts").mkdir(exist_ok=True)
        return [
            Chunk(f"part-{first}", tuple(range(first, first + count)), self.root / "parts")
            for first, count in zip(begins, self.parts, strict=False)
        ]

    def render(self, chunk: Chunk) -> None:
        for path in chunk.folder.glob(f"*_{chunk.frames[0]:06d}.*"):
            path.unlink()
        run(self.engine.command(self.session, chunk), self.session)
        for item in self.engine.expected(self.session, chunk):
            if isinstance(item.check, VideoCheck):
                verify_video(chunk.folder / item.name, item.check)
            else:
                assert isinstance(item.check, FileCheck)
                assert (chunk.folder / item.name).stat().st_size >= item.check.minimum_bytes

    def bad(self) -> list[int]:
        return list(self.engine.bad_parts(self.session, self.root / "parts"))

    def join(self) -> Path:
        """As the service would: what does not fit is made again, then all is joined and verified."""
        for first in self.bad():
            again = next(chunk for chunk in self.chunks() if chunk.frames[0] == first)
            self.render(replace(again, failures=1))
        assert self.bad() == []
        (self.root / "joined").mkdir()
        chunk = Chunk("join", tuple(self.session.frames), self.root / "joined")
        run(self.engine.assembly(self.session, chunk, self.root / "parts"), self.session)
        (item,) = self.engine.assembled(self.session, chunk)
        assert isinstance(item.check, VideoCheck)
        verify_video(chunk.folder / item.name, item.check)
        verify_video(chunk.folder / item.name, replace(item.check, decode=True))
        return chunk.folder / item.name


def run(command: Command, session: SessionRequest) -> None:
    for name, text in command.files.items():
        (session.folder / name).write_text(text)
    done = subprocess.run(
        command.argv, cwd=session.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace"
    )
    assert done.returncode == 0, done.stderr


def in_parts(
    project: Path, root: Path, version: EngineVersion, output_format: str, frames: str | None = None, **options: object
) -> InParts:
    engine = FFmpegEngine()
    asked = engine.options_model.model_validate({"split": True, **options})
    wanted = None if frames is None else FrameSet.parse(frames)
    plan = engine.plan(PlanRequest(project, engine.inspect(project), wanted, asked, output_format))
    (root / "session").mkdir(parents=True)
    session = SessionRequest(
        project=project,
        frames=plan.frames,
        version=version,
        options=plan.options,
        output_format=plan.output_format,
        width=plan.width,
        height=plan.height,
        fps=plan.fps,
        details=json.loads(json.dumps(plan.details)),
        folder=root / "session",
        name="it's 100%d",
    )
    return InParts(engine, session, plan.parts, plan.warnings, root)


@pytest.mark.slow
@pytest.mark.parametrize("frames", [None, "31-290"])
def test_parts_make_exactly_the_whole(
    render, source: Path, version: EngineVersion, frames_of: FramesOf, tmp_path: Path, frames: str | None
) -> None:
    whole = render(source, frames=frames, version=version, output_format="mkv", split=False, **LOSSLESS)
    whole.check()
    job = in_parts(source, tmp_path / "job", version, "mkv", frames, **LOSSLESS)
    assert len(job.parts) >= 2
    for chunk in job.chunks():
        job.render(chunk)
    if source.name == "closed.mp4":
        assert job.bad() == []  # its key pictures are found by their times: none is made again
    joined = job.join()
    assert frames_of(joined) == frames_of(whole.only)
    for path in (joined, whole.only):
        with av.open(str(path)) as container:
            assert container.streams.audio
    times, others = times_of(joined), times_of(whole.only)
    assert [time - times[0] for time in times] == pytest.approx([time - others[0] for time in others], abs=0.002)
    assert times[0] == pytest.approx(others[0], abs=1 / 24)  # the whole rounds its begin to a frame
    assert sound_of(joined) == pytest.approx(sound_of(whole.only), abs=0.03)


@pytest.mark.slow
@pytest.mark.parametrize("source", ["closed.mp4", "late.mkv", "mpeg2.ts"], indirect=True, scope="module")
@pytest.mark.parametrize("frames", [None, "31-290"])
@pytest.mark.parametrize(
    ("output_format", "codec", "audio"),
    [("mp4", "h264", "aac"), ("mov", "h264", "aac"), ("mp4", "h264", "opus"), ("webm", "vp9", "opus")],
)
def test_the_sound_is_that_of_the_whole_to_the_last_sample(
    render,
    source: Path,
    version: EngineVersion,
    tmp_path: Path,
    output_format: str,
    codec: str,
    audio: str,
    frames: str | None,
) -> None:
    options = {"video_codec": codec, "audio": audio, "speed": "ultrafast"}
    whole = render(source, frames=frames, version=version, output_format=output_format, split=False, **options)
    job = in_parts(source, tmp_path / "job", version, output_format, frames, **options)
    for chunk in job.chunks():
        job.render(chunk)
    (sound,) = (tmp_path / "job" / "parts").glob("*_sound_*")
    joined = job.join()
    # Where sound begins before the pictures, FFmpeg 5 takes another moment for the begin of the file.
    vague = version.version.startswith("5.") and source.name == "late.mkv"
    if vague:
        assert len(samples_of(joined)) == pytest.approx(len(samples_of(whole.only)), abs=2)
    else:
        assert samples_of(joined) == samples_of(whole.only)
    if frames is None:  # sound and pictures are as far from each other as in the source
        begins = [sound_of(path)[0] - times_of(path)[0] for path in (joined, source)]
        assert begins[0] == pytest.approx(begins[1], abs=0.04 if vague else 0.01)
    assert sound_of(joined) == pytest.approx(sound_of(whole.only), abs=0.03)
    # Without it nothing is joined: the first part is made again, and brings it.
    sound.unlink()
    assert job.bad() == [job.chunks()[0].frames[0]]
    job.render(replace(job.chunks()[0], failures=1))
    assert job.bad() == []


@pytest.mark.slow
def test_a_part_that_does_not_fit_is_found_and_made_again(
    source: Path, embedded: EngineVersion, frames_of: FramesOf, tmp_path: Path, render
) -> None:
    job = in_parts(source, tmp_path / "job", embedded, "mkv", **LOSSLESS)
    chunks = job.chunks()
    for chunk in chunks:
        job.render(replace(chunk, failures=1))
    assert job.bad() == []
    # The right number of frames, but all of them one too late: what a wrong seek makes.
    wrong = job.engine.command(job.session, replace(chunks[1], failures=1))
    first = chunks[1].frames[0] - 1
    argv = [one.replace(f"start_frame={first}:", f"start_frame={first + 1}:") for one in wrong.argv]
    argv = [
        one.replace(f"end_frame={first + len(chunks[1].frames)}", f"end_frame={first + 1 + len(chunks[1].frames)}")
        for one in argv
    ]
    argv = [one.replace(f"eq(n,{first})", f"eq(n,{first + 1})") for one in argv]
    argv = ["-y" if one == "-n" else one for one in argv]
    assert argv != list(wrong.argv)
    run(Command(tuple(argv)), job.session)
    assert job.bad() == [chunks[1].frames[0]]
    whole = render(source, output_format="mkv", split=False, **LOSSLESS)
    assert frames_of(job.join()) == frames_of(whole.only)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("output_format", "codec"),
    [("mp4", "h264"), ("mp4", "h265"), ("webm", "av1"), ("webm", "vp9"), ("mov", "prores"), ("mov", "dnxhr")],
)
def test_every_codec_can_be_joined(
    make, embedded: EngineVersion, tmp_path: Path, output_format: str, codec: str
) -> None:
    clip = make(
        tmp_path / "clip.mp4",
        *("-f", "lavfi", "-i", "testsrc2=duration=9:size=256x144:rate=24000/1001"),
        *("-f", "lavfi", "-i", "sine=duration=9", "-c:v", "libx264", "-pix_fmt", "yuv420p", "-c:a", "aac"),
    )
    speed = {} if codec in ("prores", "dnxhr") else {"speed": "ultrafast"}
    job = in_parts(clip, tmp_path / "job", embedded, output_format, video_codec=codec, **speed)
    assert len(job.parts) >= 2
    for chunk in job.chunks():
        job.render(chunk)
    times = times_of(job.join())
    steps = {round((after - before) * 24000 / 1001, 2) for before, after in pairwise(times)}
    assert steps <= {0.98, 0.99, 1.0, 1.01, 1.02}  # Matroska and WebM count milliseconds


def test_little_more_is_decoded_than_what_a_part_has(make, embedded: EngineVersion, tmp_path: Path) -> None:
    clip = make(
        tmp_path / "clip.mp4",
        *("-f", "lavfi", "-i", "testsrc2=duration=40:size=64x48:rate=25", "-g", "50", "-pix_fmt", "yuv420p"),
    )
    job = in_parts(clip, tmp_path / "job", embedded, "mkv", **LOSSLESS)
    chunk = job.chunks()[3]
    argv = [one.replace("level+info", "level+verbose") for one in job.engine.command(job.session, chunk).argv]
    done = subprocess.run(argv, cwd=job.session.folder, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (decoded,) = re.findall(r"(\d+) frames decoded", done.stderr)
    assert len(chunk.frames) < int(decoded) < len(chunk.frames) + 100  # it decodes ahead by some; 600 are left


def test_a_sequence_is_made_in_parts(
    make, embedded: EngineVersion, tmp_path: Path, frames_of: FramesOf, render
) -> None:
    (tmp_path / "shot").mkdir()
    make(
        tmp_path / "shot" / "shot_%04d.png",
        *("-f", "lavfi", "-i", "testsrc2=duration=9:size=64x48:rate=25", "-start_number", "11"),
    )
    job = in_parts(tmp_path / "shot", tmp_path / "job", embedded, "mkv", **LOSSLESS)
    assert len(job.parts) >= 2
    for chunk in job.chunks():
        job.render(chunk)
    whole = render(tmp_path / "shot", output_format="mkv", split=False, **LOSSLESS)
    assert frames_of(job.join()) == frames_of(whole.only)


@pytest.mark.parametrize(
    ("options", "why"),
    [
        ({"denoise": "light"}, "noise"),
        ({"deinterlace": True}, "deinterlacing"),
        ({"fps": 12.5}, "frame rate is converted"),
        ({"video_bitrate": 400}, "bitrate"),
    ],
)
def test_what_cannot_be_cut_exactly_runs_whole_and_says_why(
    make, embedded: EngineVersion, tmp_path: Path, options: dict[str, object], why: str
) -> None:
    clip = make(
        tmp_path / "clip.mp4", "-f", "lavfi", "-i", "testsrc2=duration=9:size=64x48:rate=25", "-pix_fmt", "yuv420p"
    )
    job = in_parts(clip, tmp_path / "job", embedded, "mp4", **options)
    assert job.parts == ()
    assert [warning for warning in job.warnings if "in one piece" in warning and why in warning]


def test_only_long_videos_are_cut_by_themselves(make, tmp_path: Path) -> None:
    engine = FFmpegEngine()
    for seconds, sharers, parts in ((22, 1, False), (22, 2, True), (12, 2, False)):
        clip = make(
            tmp_path / f"{seconds}_{sharers}.mp4",
            *("-f", "lavfi", "-i", f"color=gray:duration={seconds}:size=64x48:rate=10", "-pix_fmt", "yuv420p"),
        )
        asked = engine.options_model.model_validate({})
        plan = engine.plan(PlanRequest(clip, engine.inspect(clip), None, asked, "mp4", sharers=sharers))
        assert bool(plan.parts) is parts
        assert sum(plan.parts) == (seconds * 10 if parts else 0)
        assert isinstance(plan.options, FFmpegOptions)
        assert plan.options.split is parts


@pytest.mark.parametrize("frames", [1, 99, 199, 200, 201, 1234, 250_000])
@pytest.mark.parametrize("apart", [0, 1, 12, 130, 250, 1_000_000])
@pytest.mark.parametrize("sharers", [1, 2, 20])
def test_parts_make_up_the_whole_and_become_shorter(frames: int, apart: int, sharers: int) -> None:
    keys = range(0, frames, apart) if apart else ()
    parts = lengths(frames, 25.0, keys, sharers)
    assert sum(parts) == frames
    if frames < 200:
        assert parts == (frames,)
        return
    assert min(parts) >= 12
    assert max(parts) <= 2.5 * max(200, frames / 12)
    if apart <= 12:
        assert max(parts[-2:]) <= 50
        assert all(part <= before + 12 for before, part in pairwise(parts[:-1]))
    assert len(parts) <= frames / 12


def test_parts_begin_with_key_pictures_where_there_are_some() -> None:
    keys = range(0, 3000, 30)
    parts = lengths(3000, 25.0, keys)
    assert set(accumulate(parts[:-1])) <= set(keys)
    # Of the second half alone: counted from its own begin.
    assert lengths(1500, 25.0, [key - 1500 for key in keys]) == lengths(1500, 25.0, range(0, 1500, 30))


def times_of(path: Path) -> list[float]:
    """When each picture begins, in seconds."""
    with av.open(str(path)) as container:
        return [float(frame.time) for frame in container.decode(video=0)]


def sound_of(path: Path) -> tuple[float, float]:
    """When the sound begins and ends, in seconds."""
    with av.open(str(path)) as container:
        spans = [
            (float(frame.time), float(frame.time) + frame.samples / frame.sample_rate)
            for frame in container.decode(audio=0)
        ]
    return spans[0][0], spans[-1][1]


def samples_of(path: Path) -> list[bytes]:
    """All packets of the sound, as they were encoded."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.size]
