"""Every preset, every codec, with the embedded and with the system's FFmpeg, run for real and checked by decoding."""

from __future__ import annotations

from pathlib import Path

import av
import pytest

from engines.contract import EngineVersion, Progress
from engines.ffmpeg import load_presets

VIDEO_PRESETS = [name for name, preset in load_presets().items() if not {"png", "gif"} & set(preset.output_formats)]


def test_every_kind_of_preset_there_should_be() -> None:
    assert {
        *("h264_web", "h265_web", "av1_web", "prores_422_hq", "dnxhr_hq"),
        *("gif", "sequence_to_video", "video_to_frames"),
    } == set(load_presets())


@pytest.mark.parametrize("preset", VIDEO_PRESETS)
def test_preset_makes_the_video_it_promises(render, clip: Path, version: EngineVersion, preset: str) -> None:
    done = render(clip, preset=preset, version=version, height=240)
    done.check()
    assert done.plan.output_format == load_presets()[preset].output_formats[0]
    assert done.expected[0].check.frames == 50
    assert done.expected[0].check.frames_tolerance == 0
    assert done.expected[0].check.audio is (preset != "sequence_to_video")
    assert (done.plan.width, done.plan.height) == (320, 240)
    counted = [event.frame for event in done.events if isinstance(event, Progress) and event.frame is not None]
    assert counted[-1] == 50


@pytest.mark.parametrize(
    ("preset", "output_format"),
    [(name, form) for name in VIDEO_PRESETS for form in load_presets()[name].output_formats[1:]],
)
def test_preset_in_every_container_it_names(render, clip: Path, preset: str, output_format: str) -> None:
    render(clip, preset=preset, output_format=output_format, height=240, frames="1-20").check()


@pytest.mark.parametrize(
    ("codec", "output_format", "options"),
    [
        ("vp9", "webm", {"speed": "ultrafast"}),
        ("vp9", "mp4", {"speed": "veryfast", "crf": 40, "audio": "opus"}),
        ("ffv1", "mkv", {"audio": "none"}),
        ("ffv1", "mkv", {"pixel_format": "bgra"}),
        ("h264", "mp4", {"video_bitrate": 500, "pixel_format": "yuv422p10le", "speed": "ultrafast"}),
        ("h265", "mov", {"pixel_format": "yuv420p10le", "speed": "ultrafast", "audio": "pcm"}),
        ("av1", "mkv", {"video_bitrate": 300, "speed": "ultrafast", "pixel_format": "yuv420p10le"}),
        ("prores", "mov", {"profile": "4444", "pixel_format": "yuva444p10le"}),
        ("prores", "mov", {"profile": "proxy"}),
        ("dnxhr", "mov", {"profile": "hqx", "height": 240}),
        ("dnxhr", "mkv", {"profile": "444", "height": 240}),
    ],
)
def test_codec_with_its_options(
    render, clip: Path, version: EngineVersion, codec: str, output_format: str, options: dict[str, object]
) -> None:
    done = render(
        clip, version=version, output_format=output_format, video_codec=codec, frames="1-15", threads=1, **options
    )
    done.check()
    assert done.expected[0].check.frames == 15


@pytest.mark.parametrize("output_format", ["mp4", "mov", "mkv"])
def test_sound_that_is_copied(render, clip: Path, version: EngineVersion, output_format: str) -> None:
    done = render(clip, version=version, video_codec="h264", output_format=output_format, audio="copy")
    done.check()
    with av.open(str(clip)) as before, av.open(str(done.only)) as after:
        copied = [bytes(packet) for packet in after.demux(audio=0) if packet.size]
        assert copied == [bytes(packet) for packet in before.demux(audio=0) if packet.size]


def test_gif_has_the_preset_size_and_rate(render, clip: Path, version: EngineVersion) -> None:
    done = render(clip, output_format="gif", version=version)
    done.check()
    assert done.plan.options.preset == "gif"
    assert done.expected[0].check.frames == 30  # 2 s at 15 frames a second
    assert (done.plan.width, done.plan.height) == (160, 120)  # the preset makes nothing larger


def test_gif_of_a_part_at_another_rate_and_size(render, clip: Path, version: EngineVersion) -> None:
    done = render(clip, version=version, preset="gif", frames="11-30", fps=25, width=80, colours=16, dither="bayer")
    done.check()
    assert done.expected[0].check.frames == 20
    assert (done.plan.width, done.plan.height) == (80, 60)


def test_gif_of_a_picture_that_does_not_change_keeps_its_frames(render, make, tmp_path: Path) -> None:
    still = make(tmp_path / "still.mp4", *("-f", "lavfi", "-i", "color=red:duration=1:size=64x48:rate=10"))
    done = render(still, preset="gif")
    done.check()
    assert done.expected[0].check.frames == 10


@pytest.mark.parametrize("output_format", ["png", "jpg"])
def test_frames_from_a_video(render, clip: Path, version: EngineVersion, output_format: str) -> None:
    done = render(clip, version=version, output_format=output_format, frames="4-8,20-40x10", name="shot")
    done.check()
    assert done.plan.options.preset == "video_to_frames"
    assert [item.name for item in done.expected] == [
        f"shot_{number:04d}.{output_format}" for number in (4, 5, 6, 7, 8, 20, 30, 40)
    ]
    assert [item.frame for item in done.expected] == [4, 5, 6, 7, 8, 20, 30, 40]


def test_rate_conversion_keeps_the_duration(render, clip: Path, version: EngineVersion) -> None:
    for fps, frames in ((50, 100), (10, 20), (29.97, 60)):
        done = render(clip, version=version, fps=fps, speed="ultrafast")
        done.check()
        assert abs(done.expected[0].check.frames - frames) <= 1
        assert done.expected[0].check.duration == pytest.approx(2.0)


def test_filters_change_the_picture_and_not_the_count(render, clip: Path, version: EngineVersion) -> None:
    done = render(
        clip,
        version=version,
        crop={"x": 3, "y": 5, "width": 101, "height": 99},
        scale=0.5,
        denoise="medium",
        deinterlace=True,
        speed="ultrafast",
    )
    done.check()
    assert (done.plan.width, done.plan.height) == (50, 50)
    assert done.expected[0].check.frames == 50


def test_odd_sides_lose_one_row_and_say_so(render, make, tmp_path: Path) -> None:
    odd = make(tmp_path / "odd.mkv", "-f", "lavfi", "-i", "testsrc=duration=0.4:size=65x49:rate=25", "-c:v", "ffv1")
    done = render(odd, speed="ultrafast")
    done.check()
    assert (done.plan.width, done.plan.height) == (64, 48)
    assert any("65 × 49" in warning for warning in done.plan.warnings)
