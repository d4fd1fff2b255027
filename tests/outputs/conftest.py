"""Real pictures and videos, made by the libraries that everybody makes them with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import OpenImageIO as oiio
import pytest
from PIL import Image

from app.outputs.workers import Workers

Maker = Callable[..., Path]


@pytest.fixture
async def workers() -> AsyncIterator[Workers]:
    made = Workers()
    yield made
    await made.close()


def gradient(width: int, height: int, channels: int) -> np.ndarray:
    """Values from 0 to 1 that differ everywhere, height x width x channels."""
    values = np.linspace(0, 1, width * height * channels, dtype=np.float32)
    return values.reshape(height, width, channels)


@pytest.fixture
def picture(tmp_path: Path) -> Maker:
    """``picture("a.png", 64, 36, "RGB")``: whatever Pillow writes."""

    def make(name: str, width: int = 64, height: int = 36, mode: str = "RGB", **options: object) -> Path:
        path = tmp_path / name
        pixels = (gradient(width, height, 4) * 255).astype(np.uint8)
        Image.fromarray(pixels).convert(mode).save(path, **options)
        return path

    return make


@pytest.fixture
def exr(tmp_path: Path) -> Maker:
    """``exr("a.exr", ("R", "G", "B"), 64, 36)``: a half-float EXR of these channels."""

    def make(
        name: str,
        channels: tuple[str, ...] = ("R", "G", "B", "A"),
        width: int = 64,
        height: int = 36,
        pixels: np.ndarray | None = None,
        **attributes: object,
    ) -> Path:
        path = tmp_path / name
        spec = oiio.ImageSpec(width, height, len(channels), oiio.HALF)
        spec.channelnames = channels
        for key, value in attributes.items():
            if key == "tile":
                spec.tile_width = spec.tile_height = value
            elif key == "frame":
                spec.full_x, spec.full_y, spec.full_width, spec.full_height = value
            else:
                spec.attribute(key, value)
        output = oiio.ImageOutput.create(str(path))
        assert output.open(str(path), spec)
        assert output.write_image(gradient(width, height, len(channels)) if pixels is None else pixels)
        output.close()
        return path

    return make


@pytest.fixture
def video(tmp_path: Path) -> Maker:
    """``video("a.mp4", frames=25, fps=25, audio=True)``: H.264, with a tone if asked for."""

    def make(
        name: str, frames: int = 25, fps: int = 25, width: int = 64, height: int = 36, *, audio: bool = False
    ) -> Path:
        path = tmp_path / name
        with av.open(str(path), "w") as container:
            stream = container.add_stream("libx264", rate=fps, options={"preset": "ultrafast"})
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            tone = container.add_stream("aac", rate=48000, layout="mono") if audio else None
            pixels = (gradient(width, height, 3) * 255).astype(np.uint8)
            for frame in range(frames):
                pixels = np.roll(pixels ^ (frame % 7), 3, axis=1)
                container.mux(stream.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24")))
            container.mux(stream.encode(None))
            if tone is not None:
                samples = np.sin(np.arange(48000 * frames // fps) * 0.05).astype(np.float32)[None, :]
                for start in range(0, samples.shape[1], 1024):
                    sound = av.AudioFrame.from_ndarray(samples[:, start : start + 1024], format="fltp", layout="mono")
                    sound.sample_rate, sound.pts, sound.time_base = 48000, start, Fraction(1, 48000)
                    container.mux(tone.encode(sound))
                container.mux(tone.encode(None))
        return path

    return make


def cut(path: Path, size: int) -> Path:
    """Truncate a file to ``size`` bytes; negative: take so many away."""
    with path.open("r+b") as file:
        file.truncate(size if size >= 0 else path.stat().st_size + size)
    return path


def flip(path: Path, at: int, mask: int = 0xFF) -> Path:
    """Damage one byte."""
    data = bytearray(path.read_bytes())
    data[at] ^= mask
    path.write_bytes(data)
    return path


@pytest.fixture(name="cut")
def _cut() -> Callable[[Path, int], Path]:
    return cut


@pytest.fixture(name="flip")
def _flip() -> Callable[..., Path]:
    return flip
