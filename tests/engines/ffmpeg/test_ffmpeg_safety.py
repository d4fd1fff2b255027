"""Names that look like options, patterns or addresses stay names; a project cannot make FFmpeg read anything else."""

from __future__ import annotations

import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import ValidationError

from engines.contract import EngineVersion, FailureCause, Refusal
from engines.ffmpeg import FFmpegEngine

ENGINE = FFmpegEngine()

NAMES = [
    "plain %d percent%04d.mp4",
    "-i.mp4",
    "-y -vf null.mp4",
    'quote\'s "double" `back`.mp4',
    "snow ☃ é 日本.mp4",
    "colon:and;semi,comma=[brackets]{x}|pipe.mp4",
    "http:example.mp4",
    "back\\slash $HOME *.mp4",
    "new\nline.mp4",
]


@pytest.mark.parametrize("name", NAMES)
def test_video_of_any_name(render, clip: Path, tmp_path: Path, version: EngineVersion, name: str) -> None:
    folder = tmp_path / "50%d off [a]"
    folder.mkdir()
    project = folder / name
    shutil.copy(clip, project)
    render(project, version=version, frames="3-6", speed="ultrafast", name="-out %d 'q' ☃").check()
    render(project, version=version, frames="3,5", output_format="png", name="-out %d 'q' ☃").check()


@pytest.mark.parametrize("prefix", ["-", "a%d_", "%04d ", "http:", "it's ☃ [1]_", "x:y\\"])
def test_sequence_of_any_name(render, pictures: Path, tmp_path: Path, version: EngineVersion, prefix: str) -> None:
    folder = tmp_path / "%03d"
    folder.mkdir()
    for number in range(5, 8):
        shutil.copy(pictures / f"shot_{number:04d}.png", folder / f"{prefix}{number:03d}.png")
    done = render(folder, version=version, speed="ultrafast")
    done.check()
    assert done.expected[0].check.frames == 3


@pytest.fixture
def listener() -> Iterator[tuple[int, list[bytes]]]:
    """A server that counts who calls: its port, and what callers said first."""
    calls: list[bytes] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.1)
        closing = threading.Event()

        def serve() -> None:
            while not closing.is_set():
                try:
                    caller, _ = server.accept()
                except TimeoutError:
                    continue
                with caller:
                    calls.append(caller.recv(100))

        thread = threading.Thread(target=serve)
        thread.start()
        yield server.getsockname()[1], calls
        closing.set()
        thread.join()


def playlist(kind: str, port: int) -> str:
    """A text that FFmpeg opens as a list of other things to open."""
    address = f"http://127.0.0.1:{port}/segment.ts"
    return {
        "hls": f"#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\n{address}\n#EXT-X-ENDLIST\n",
        "concat": f"ffconcat version 1.0\nfile '{address}'\n",
        "sdp": f"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 96\n",
    }[kind]


@pytest.mark.parametrize("kind", ["hls", "concat", "sdp"])
def test_playlist_is_refused_and_not_followed(tmp_path: Path, listener: tuple[int, list[bytes]], kind: str) -> None:
    port, calls = listener
    project = tmp_path / "innocent.mp4"
    project.write_text(playlist(kind, port))
    with pytest.raises(Refusal):
        ENGINE.inspect(project)
    assert calls == []


@pytest.mark.parametrize("kind", ["hls", "concat"])
def test_playlist_that_takes_the_place_of_a_video_is_not_followed(
    render, clip: Path, tmp_path: Path, version: EngineVersion, listener: tuple[int, list[bytes]], kind: str
) -> None:
    port, calls = listener
    project = tmp_path / "innocent.mp4"
    shutil.copy(clip, project)
    done = render(project, version=version, meanwhile=lambda: project.write_text(playlist(kind, port)))
    assert done.code != 0
    assert calls == []
    failure = ENGINE.explain_exit(done.code, done.log)
    assert failure is not None
    assert failure.cause in (FailureCause.ERROR, FailureCause.MISSING_ASSET)


def test_playlist_of_local_files_is_not_followed(clip: Path, tmp_path: Path) -> None:
    shutil.copy(clip, tmp_path / "secret.mp4")
    for name, text in (
        ("a.mp4", "ffconcat version 1.0\nfile secret.mp4\n"),
        ("b.mkv", "#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nsecret.mp4\n#EXT-X-ENDLIST\n"),
    ):
        (tmp_path / name).write_text(text)
        with pytest.raises(Refusal):
            ENGINE.inspect(tmp_path / name)


def test_every_input_is_held_to_local_files(render, clip: Path, pictures: Path) -> None:
    for done in (render(clip, frames="1-2"), render(pictures)):
        at = done.argv.index("-i")
        assert done.argv.count("-i") == 1
        assert done.argv[done.argv.index("-protocol_whitelist") + 1] == "file,pipe"
        assert done.argv.index("-protocol_whitelist") < at
        assert done.argv[at + 1].startswith("file:/")
        assert done.argv[-1].startswith("file:/")
        assert {"-nostdin", "-xerror", "-n"} < set(done.argv)


def test_an_existing_file_is_not_overwritten(render, clip: Path) -> None:
    done = render(clip, frames="1-3", speed="ultrafast")
    done.only.write_bytes(b"mine")
    # Version 9 ends with code 0 here, 5.1 with 1: neither may write.
    subprocess.run(done.argv, stdin=subprocess.DEVNULL, capture_output=True, check=False, timeout=60)
    assert done.only.read_bytes() == b"mine"


@pytest.mark.parametrize(
    "options",
    [
        {"filters": "movie=/etc/passwd"},
        {"vf": "null"},
        {"preset": "../../etc/passwd"},
        {"video_codec": "libx264 -f null"},
        {"pixel_format": "yuv420p,movie=x"},
        {"crop": {"width": "10:movie=x", "height": 10}},
        {"crop": {"width": 10, "height": 10, "filter": "x"}},
        {"speed": "medium -y"},
        {"dither": "bayer[x];movie=x"},
        {"crf": 64},
        {"fps": 0},
        {"fps": float("nan")},
        {"scale": float("inf")},
        {"crf": 20, "video_bitrate": 500},
        {"scale": 0.5, "width": 100},
    ],
)
def test_options_that_are_none(options: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        ENGINE.options_model.model_validate(options)
