"""Cutting is exact: the frames of the result are those that were asked for, seen in their decoded pixels."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import av
import numpy as np
import pytest
from PIL import Image

from engines.contract import EngineVersion

FramesOf = Callable[[Path], list[bytes]]


@pytest.fixture(scope="module", params=["closed.mp4", "open.mkv", "mpeg2.ts", "ntsc.mov", "packed.avi", "long.gif"])
def source(request: pytest.FixtureRequest, make, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Clips in which seeking goes wrong in different ways."""
    path = tmp_path_factory.mktemp("cuts") / request.param
    rate = "30000/1001" if path.stem == "ntsc" else "25"
    encoder = {
        "closed.mp4": ("-c:v", "libx264", "-bf", "3", "-g", "10", "-pix_fmt", "yuv420p", "-c:a", "aac"),
        "open.mkv": ("-c:v", "libx264", "-x264-params", "open-gop=1", "-g", "10", "-bf", "3", "-pix_fmt", "yuv420p"),
        "mpeg2.ts": ("-c:v", "mpeg2video", "-g", "10", "-bf", "2", "-c:a", "mp2"),
        "ntsc.mov": ("-c:v", "libx265", "-x265-params", "log-level=none", "-preset", "ultrafast", "-c:a", "pcm_s16le"),
        "packed.avi": ("-c:v", "mpeg4", "-bf", "2", "-c:a", "mp3"),
        "long.gif": ("-an",),
    }[path.name]
    return make(
        path,
        *("-f", "lavfi", "-i", f"testsrc2=duration=2:size=96x64:rate={rate}"),
        *("-f", "lavfi", "-i", "sine=duration=2"),
        *encoder,
    )


def test_cuts_have_exactly_the_frames_asked_for(
    render, source: Path, version: EngineVersion, frames_of: FramesOf
) -> None:
    lossless = {"video_codec": "ffv1", "pixel_format": "bgra", "output_format": "mkv"}
    whole = render(source, version=version, **lossless)
    whole.check()
    everything = frames_of(whole.only)
    assert len(everything) == len(frames_of(source))
    assert len(set(everything)) == len(everything)  # no two frames look the same: a wrong one would be seen
    for first, last in ((1, 7), (13, 31), (42, 50)):
        part = render(source, version=version, frames=f"{first}-{last}", **lossless)
        part.check()
        assert frames_of(part.only) == everything[first - 1 : last]


def test_pictures_of_a_cut_are_those_frames(render, source: Path, version: EngineVersion) -> None:
    everything = render(source, version=version, output_format="png")
    everything.check()
    some = render(source, version=version, output_format="png", frames="7,11-13,20-40x10")
    some.check()
    for item in some.expected:
        with Image.open(some.folder / item.name) as one, Image.open(everything.folder / item.name) as other:
            assert one.tobytes() == other.tobytes()


def test_sound_is_cut_where_the_pictures_are(render, make, tmp_path: Path, version: EngineVersion) -> None:
    # One second of silence, then a tone: the cut begins 0.2 s before the tone.
    source = make(
        tmp_path / "beep.mov",
        *("-f", "lavfi", "-i", "testsrc=duration=2:size=64x48:rate=25"),
        *("-f", "lavfi", "-i", "aevalsrc='gt(t,1)*sin(2000*t)':duration=2:sample_rate=48000"),
        *("-c:v", "libx264", "-c:a", "pcm_s16le"),
    )
    done = render(source, version=version, frames="21-45", preset="prores_422_hq")
    done.check()
    with av.open(str(done.only)) as container:
        rate = container.streams.audio[0].codec_context.sample_rate
        sound = np.concatenate([frame.to_ndarray().ravel() for frame in container.decode(audio=0)])
    assert len(sound) / rate == pytest.approx(1.0, abs=0.001)
    loud = np.flatnonzero(np.abs(sound.astype(np.int64)) > np.abs(sound.astype(np.int64)).max() // 20)
    assert loud[0] / rate == pytest.approx(0.2, abs=0.002)


def test_variable_rate_keeps_every_frame_and_its_time(render, make, tmp_path: Path, version: EngineVersion) -> None:
    source = make(
        tmp_path / "varies.mkv",
        *("-f", "lavfi", "-i", "testsrc=duration=2:size=64x48:rate=25"),
        *("-f", "lavfi", "-i", "sine=duration=3"),
        *("-vf", "setpts='(N+gt(N,20)*(N-20))/(25*TB)'", "-fps_mode", "passthrough", "-c:v", "ffv1"),
    )
    for options in ({"video_codec": "h264"}, {"video_codec": "av1", "speed": "ultrafast", "scale": 2}):
        for frames in (None, "11-40"):
            done = render(source, version=version, frames=frames, **options)
            done.check()
            assert any("varies" in warning for warning in done.plan.warnings)
    plan = render(source, version=version, frames="11-40", speed="ultrafast").plan
    assert plan.details["output"]["duration"] == pytest.approx(50 / 25, abs=0.05)
