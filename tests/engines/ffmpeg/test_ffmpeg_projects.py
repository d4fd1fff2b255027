"""What inspection finds in videos and sequences, and what it refuses."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from PIL import Image

from engines.contract import ProjectInfo, Refusal
from engines.ffmpeg import FFmpegEngine

ENGINE = FFmpegEngine()


def refusal(project: Path) -> str:
    """The reason for which a project is refused."""
    with pytest.raises(Refusal) as refused:
        ENGINE.inspect(project)
    assert refused.value.field == "project"
    return refused.value.message


def cut_off(path: Path, kept: float, target: Path) -> Path:
    """A copy of the first part of a file."""
    data = path.read_bytes()
    target.write_bytes(data[: int(len(data) * kept)])
    return target


def test_video(clip: Path) -> None:
    info = ENGINE.inspect(clip)
    assert (info.kind, info.frames, info.fps, info.width, info.height) == ("video", "1-50", 25.0, 160, 120)
    assert info.duration == pytest.approx(2.0, abs=0.05)
    assert info.details["codec"] == "h264"
    assert [stream["codec"] for stream in info.details["audio"]] == ["aac"]
    assert info.warnings == ()


def test_a_turned_video_has_the_size_it_is_shown_in(make, clip: Path, tmp_path: Path) -> None:
    turned = make(tmp_path / "turned.mp4", "-display_rotation", "90", "-i", str(clip), "-c", "copy")
    info = ENGINE.inspect(turned)
    assert (info.width, info.height) == (120, 160)


def test_frames_that_an_edit_list_hides_are_not_counted(make, render, clip: Path, tmp_path: Path) -> None:
    part = make(tmp_path / "part.mp4", "-ss", "0.7", "-i", str(clip), "-c", "copy")
    info = ENGINE.inspect(part)
    done = render(part, speed="ultrafast")
    done.check()
    assert info.frames == f"1-{done.expected[0].check.frames}"
    assert done.expected[0].check.frames < 40


def test_hidden_reference_pictures_are_not_counted(make, tmp_path: Path) -> None:
    video = make(
        tmp_path / "hidden.webm",
        *("-f", "lavfi", "-i", "testsrc2=duration=2:size=96x64:rate=25"),
        *("-c:v", "libvpx", "-auto-alt-ref", "1", "-lag-in-frames", "16", "-b:v", "200k"),
    )
    assert ENGINE.inspect(video).frames == "1-50"


def test_interlaced_video_is_warned_of(make, tmp_path: Path) -> None:
    video = make(
        tmp_path / "fields.mpg",
        *("-f", "lavfi", "-i", "testsrc2=duration=1:size=96x64:rate=50"),
        *("-vf", "interlace", "-flags", "+ildct+ilme", "-c:v", "mpeg2video"),
    )
    assert any("interlaced" in warning for warning in ENGINE.inspect(video).warnings)


@pytest.mark.parametrize("kept", [0.4, 0.9])
@pytest.mark.parametrize("name", ["faststart.mp4", "plain.mov", "plain.mkv"])
def test_cut_off_video_is_refused(make, tmp_path: Path, name: str, kept: float) -> None:
    flags = ("-movflags", "+faststart") if "faststart" in name else ()
    whole = make(
        tmp_path / name, *("-f", "lavfi", "-i", "testsrc2=duration=12:size=96x64:rate=10", "-c:v", "libx264"), *flags
    )
    assert ENGINE.inspect(whole).frames == "1-120"
    message = refusal(cut_off(whole, kept, tmp_path / f"cut_{name}"))
    assert "cut off" in message or "cannot be read" in message or "can be read" in message


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("garbage.mp4", bytes(range(256)) * 40),
        ("empty.mkv", b""),
        ("picture.mp4", b"\x89PNG\r\n\x1a\n" + bytes(100)),
        ("list.mp4", b"ffconcat version 1.0\nfile other.mp4\n"),
        ("garbage.png", b"no picture"),
        ("empty.png", b""),
        ("scene.txt", b"words"),
    ],
)
def test_what_is_no_video_is_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    assert name in refusal(tmp_path / name)


def test_sound_alone_is_refused(make, tmp_path: Path) -> None:
    sound = make(tmp_path / "sound.mp4", "-f", "lavfi", "-i", "sine=duration=1", "-c:a", "aac")
    assert "no moving picture" in refusal(sound)


def test_what_is_not_there_is_refused(tmp_path: Path) -> None:
    assert "no file or folder" in refusal(tmp_path / "nothing.mp4")


def test_sequence_by_one_of_its_pictures(pictures: Path) -> None:
    for name in ("shot_0005.png", "shot_0009.png"):
        info = ENGINE.inspect(pictures / name)
        assert (info.kind, info.frames, info.width, info.height) == ("image_sequence", "5-14", 64, 48)
        assert info.fps is None


def test_sequence_in_a_folder_of_a_folder(pictures: Path, tmp_path: Path) -> None:
    shutil.copytree(pictures, tmp_path / "zip" / "renders" / "shot")
    (tmp_path / "zip" / ".hidden.png").write_bytes(b"")
    (tmp_path / "zip" / "renders" / "notes.txt").write_text("as delivered")
    info = ENGINE.inspect(tmp_path / "zip")
    assert info.frames == "5-14"
    assert info.details["file"] == "renders/shot/shot_0005.png"


def test_gap_is_named(pictures: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(pictures, tmp_path / "broken")
    for number in (7, 10, 11):
        (broken / f"shot_{number:04d}.png").unlink()
    for project in (broken, broken / "shot_0005.png"):
        assert "missing frames 7,10-11" in refusal(project)


def test_empty_frame_is_named(pictures: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(pictures, tmp_path / "broken")
    (broken / "shot_0008.png").write_bytes(b"")
    assert "frame 8" in refusal(broken)


def test_pictures_of_two_sizes_are_refused(pictures: Path, tmp_path: Path) -> None:
    broken = shutil.copytree(pictures, tmp_path / "broken")
    Image.new("RGB", (32, 32)).save(broken / "shot_0015.png")
    assert "differ in size" in refusal(broken)


def test_two_sequences_in_a_folder_are_refused(pictures: Path, tmp_path: Path) -> None:
    both = shutil.copytree(pictures, tmp_path / "both")
    shutil.copy(both / "shot_0005.png", both / "other_0001.png")
    message = refusal(both)
    assert "other_0001.png" in message
    assert "shot_0005.png" in message
    assert ENGINE.inspect(both / "shot_0006.png").frames == "5-14"


def test_two_ways_of_counting_are_refused(pictures: Path, tmp_path: Path) -> None:
    for name in ("a_1.png", "a_02.png"):
        shutil.copy(pictures / "shot_0005.png", tmp_path / name)
    assert "counts in two ways" in refusal(tmp_path)


def test_folder_with_nothing_is_refused(tmp_path: Path) -> None:
    assert "neither" in refusal(tmp_path)


@pytest.mark.parametrize(
    ("names", "frames"),
    [
        (["shot-0001.png", "shot-0002.png"], "1-2"),
        (["a_998.png", "a_999.png", "a_1000.png"], "998-1000"),
        (["9.png", "10.png", "11.png"], "9-11"),
        (["v02_x_0.png", "v02_x_1.png"], "0-1"),
        (["still.png"], "1"),
        (["one_7.png"], "7"),
    ],
)
def test_numbering(render, pictures: Path, tmp_path: Path, names: list[str], frames: str) -> None:
    folder = tmp_path / "numbered"
    folder.mkdir()
    for name in names:
        shutil.copy(pictures / "shot_0005.png", folder / name)
    info: ProjectInfo = ENGINE.inspect(folder)
    assert info.frames == frames
    done = render(folder, speed="ultrafast")
    done.check()
    assert done.expected[0].check.frames == len(names)


def test_opens_by_name() -> None:
    for name in ("a.MP4", "b.mov", "c.0001.exr", "d.webm", "e.gif"):
        assert ENGINE.opens(name)
    for name in ("a.blend", "b.zip", "c.m3u8", "mp4"):
        assert not ENGINE.opens(name)
