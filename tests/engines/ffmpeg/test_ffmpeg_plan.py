"""Plans: what goes together, and what is refused with which field."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from engines.contract import PlanRequest, ProjectInfo, Refusal
from engines.ffmpeg import FFmpegEngine, load_presets, presets_path
from engines.ffmpeg.options import FFmpegOptions
from engines.frames import FrameSet

ENGINE = FFmpegEngine()


def video(**changes: object) -> ProjectInfo:
    """A video of 100 frames, 320 × 240 pixels at 25 frames a second, with AAC sound."""
    details = {
        **{"kind": "video", "file": "clip.mp4", "container": "mov", "codec": "h264", "pixel_format": "yuv420p"},
        **{"first": 1, "last": 100, "width": 320, "height": 240, "duration": 4.0, "fps_numerator": 25, "end": 4.0},
        "audio": [{"index": 1, "codec": "aac", "channels": 2, "rate": 48000, "begin": 0.0, "end": 4.0}],
        **changes,
    }
    return ProjectInfo(kind="video", details=details)


def sequence() -> ProjectInfo:
    """A sequence of the frames 10 to 20."""
    return video(kind="image_sequence", first=10, last=20, audio=[], prefix="a_", digits=4, suffix=".png")


def request(
    info: ProjectInfo | None = None,
    *,
    frames: str | None = None,
    output_format: str | None = None,
    **options: object,
) -> PlanRequest:
    return PlanRequest(
        project=Path("clip.mp4"),
        info=info or video(),
        frames=FrameSet.parse(frames) if frames else None,
        options=FFmpegOptions.model_validate(options),
        output_format=output_format,
    )


def refused(wanted: PlanRequest) -> Refusal:
    with pytest.raises(Refusal) as refusal:
        ENGINE.plan(wanted)
    return refusal.value


# --- presets and formats -------------------------------------------------------------------------------------------


def test_presets_are_in_the_source_tree_where_the_service_looks() -> None:
    assert presets_path() == Path(__file__).parents[3] / "config" / "presets.yaml"
    for name, preset in load_presets().items():
        assert preset.title, name
        assert preset.description.endswith("."), name
        assert set(preset.output_formats) <= set(ENGINE.output_formats), name
        FFmpegOptions.model_validate({**preset.options, "preset": name})


@pytest.mark.parametrize("output_format", ENGINE.output_formats)
def test_every_output_format_has_a_default(output_format: str) -> None:
    plan = ENGINE.plan(request(output_format=output_format))
    assert plan.output_format == output_format
    assert plan.divisible is False


@pytest.mark.parametrize(
    ("options", "output_format", "made", "codec"),
    [
        ({}, None, "mp4", "h264"),
        ({}, ".MOV", "mov", "prores"),
        ({"video_codec": "h264"}, "mov", "mov", "h264"),
        ({"video_codec": "vp9"}, None, "webm", "vp9"),
        ({"video_codec": "ffv1"}, None, "mkv", "ffv1"),
        ({"video_codec": "dnxhr"}, None, "mov", "dnxhr"),
        ({"preset": "av1_web"}, "mp4", "mp4", "av1"),
        ({"preset": "h264_web", "video_codec": "vp9"}, "webm", "webm", "vp9"),
        ({"preset": "gif"}, None, "gif", None),
        ({"preset": "video_to_frames"}, None, "png", None),
    ],
)
def test_format_and_codec(options: dict[str, object], output_format: str | None, made: str, codec: str | None) -> None:
    plan = ENGINE.plan(request(output_format=output_format, **options))
    assert isinstance(plan.options, FFmpegOptions)
    assert (plan.output_format, plan.options.video_codec) == (made, codec)


def test_options_override_the_preset_and_what_contradicts_goes() -> None:
    options = ENGINE.plan(request(preset="h264_web", video_bitrate=900, speed="slow")).options
    assert isinstance(options, FFmpegOptions)
    assert (options.video_bitrate, options.crf, options.speed, options.audio) == (900, None, "slow", "aac")
    options = ENGINE.plan(request(preset="gif", scale=0.5)).options
    assert isinstance(options, FFmpegOptions)
    assert (options.scale, options.width) == (0.5, None)
    # What a plan settles, another plan takes as it is.
    again = FFmpegOptions.model_validate(json.loads(options.model_dump_json()))
    assert again == options


@pytest.mark.parametrize(
    ("field", "wanted"),
    [
        ("output_format", {"output_format": "exe"}),
        ("output_format", {"preset": "prores_422_hq", "output_format": "mp4"}),
        ("output_format", {"preset": "h264_web", "output_format": "gif"}),
        ("output_format", {"video_codec": "vp9", "output_format": "mov"}),
        ("args.video_codec", {"preset": "gif", "video_codec": "h264"}),
        ("args.video_codec", {"output_format": "png", "video_codec": "h264"}),
        ("args.crf", {"video_codec": "h264", "crf": 60}),
        ("args.crf", {"video_codec": "prores", "crf": 20}),
        ("args.speed", {"video_codec": "dnxhr", "speed": "slow"}),
        ("args.profile", {"video_codec": "h264", "profile": "hq"}),
        ("args.profile", {"video_codec": "prores", "profile": "hqx"}),
        ("args.pixel_format", {"video_codec": "prores", "pixel_format": "yuv444p10le"}),
        ("args.pixel_format", {"video_codec": "av1", "pixel_format": "yuv444p"}),
        ("args.audio", {"output_format": "webm", "audio": "aac"}),
        ("args.audio", {"output_format": "webm", "audio": "copy"}),
        ("args.audio", {"audio": "copy", "frames": "1-10"}),
        ("args.audio", {"output_format": "gif", "audio": "aac"}),
        ("args.audio_bitrate", {"output_format": "mov", "audio": "pcm", "audio_bitrate": 128}),
        ("args.fps", {"output_format": "png", "fps": 5}),
        ("args.fps", {"output_format": "gif", "fps": 60}),
        ("args.colours", {"colours": 16}),
        ("args.width", {"width": 101}),
        ("args.width", {"video_codec": "dnxhr", "width": 100}),
        ("args.crop", {"crop": {"x": 300, "width": 40, "height": 40}}),
        ("frames", {"frames": "1-101"}),
        ("frames", {"frames": "0-5"}),
        ("frames", {"frames": "1,999999999"}),
        ("frames", {"frames": "1-10,20"}),
        ("frames", {"frames": "1-10x2"}),
        ("frames", {"frames": "10-1"}),
        ("frames", {"output_format": "png", "frames": "101"}),
    ],
)
def test_what_does_not_go_together(field: str, wanted: dict[str, object]) -> None:
    refusal = refused(request(**wanted))
    assert refusal.field == field
    assert len(refusal.message) > 20


def test_a_job_without_a_project() -> None:
    assert refused(PlanRequest(None, None, None, FFmpegOptions(), None)).field == "project"


# --- frames, sizes, rates ------------------------------------------------------------------------------------------


def output(plan_request: PlanRequest) -> dict[str, object]:
    details = ENGINE.plan(plan_request).details["output"]
    assert isinstance(details, dict)
    return dict(details)


@pytest.mark.parametrize(
    ("options", "size"),
    [
        ({}, (320, 240)),
        ({"width": 160}, (160, 120)),
        ({"height": 480}, (640, 480)),
        ({"width": 100, "height": 100}, (100, 100)),
        ({"scale": 0.33}, (106, 80)),
        ({"crop": {"width": 101, "height": 51}}, (100, 50)),
        ({"crop": {"width": 100, "height": 50}, "width": 200}, (200, 100)),
        ({"output_format": "gif"}, (320, 240)),
        ({"output_format": "gif", "width": 640}, (640, 480)),
        ({"output_format": "png", "scale": 0.33}, (106, 79)),
    ],
)
def test_size(options: dict[str, object], size: tuple[int, int]) -> None:
    plan = ENGINE.plan(request(**options))
    assert (plan.width, plan.height) == size


@pytest.mark.parametrize(
    ("options", "frames", "tolerance", "duration"),
    [
        ({}, 100, 0, 4.0),
        ({"frames": "11-35"}, 25, 0, 1.0),
        ({"fps": 50}, 200, 1, 4.0),
        ({"fps": 25}, 100, 0, 4.0),
        ({"fps": 12.5, "frames": "51-100"}, 25, 1, 2.0),
        ({"preset": "gif"}, 60, 1, 4.0),
        ({"preset": "gif", "fps": 50, "frames": "1-50"}, 100, 1, 2.0),
    ],
)
def test_count_and_duration(options: dict[str, object], frames: int, tolerance: int, duration: float) -> None:
    made = output(request(**options))
    assert (made["frames"], made.get("frames_tolerance", 0)) == (frames, tolerance)
    assert made["duration"] == pytest.approx(duration)


def test_rates_that_people_round() -> None:
    made = output(request(sequence(), fps=29.97))
    assert (made["fps_numerator"], made["fps_denominator"]) == (30000, 1001)
    assert (made["frames"], made["duration"]) == (11, pytest.approx(11 * 1001 / 30000))


def test_frames_of_a_sequence_are_its_own_numbers() -> None:
    assert ENGINE.plan(request(sequence())).frames.notation() == "10-20"
    assert ENGINE.plan(request(sequence(), frames="12-14")).frames.notation() == "12-14"
    assert refused(request(sequence(), frames="1-5")).field == "frames"


def test_uncertain_count_is_checked_with_tolerance() -> None:
    made = output(request(video(exact=False)))
    assert made["frames_tolerance"] == 3


def test_sound_track_that_is_silent_in_the_cut_is_left_out() -> None:
    tracks = [
        {"index": 1, "codec": "aac", "channels": 2, "rate": 48000, "begin": 0.0, "end": 1.0},
        {"index": 2, "codec": "aac", "channels": 2, "rate": 48000, "begin": 0.0, "end": 4.0},
    ]
    assert output(request(video(audio=tracks)))["audio"] == [1, 2]
    assert output(request(video(audio=tracks), frames="50-80"))["audio"] == [2]


def test_plan_is_json() -> None:
    plan = ENGINE.plan(request())
    assert json.loads(json.dumps(plan.details)) == plan.details


def test_schema_is_a_form() -> None:
    schema = FFmpegOptions.model_json_schema()
    assert schema["additionalProperties"] is False
    assert schema["properties"]["preset"]["enum"] == [*load_presets(), None]
    for name, field in schema["properties"].items():
        assert field["title"], name
        assert field["description"].endswith("."), name
