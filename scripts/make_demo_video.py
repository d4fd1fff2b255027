"""Makes demo/lanterns.mp4: lanterns drifting over dark water, four seconds that loop, with a chord.

It is the video of ``scripts/demo``: small enough for a repository, with sound, and made of nothing but sines, so that
everybody may use it. The water mirrors the upper half of the picture with a ripple.

    python scripts/make_demo_video.py
"""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Final

import av
import numpy as np
from numpy.typing import NDArray

OUT: Final = Path(__file__).resolve().parent.parent / "demo" / "lanterns.mp4"
WIDTH, HEIGHT, FPS, FRAMES = 640, 360, 24, 96
HORIZON: Final = 200
RATE: Final = 48_000
CHORD: Final = (110.0, 164.75, 220.0, 277.25)  # hertz; whole numbers of periods in four seconds, so that it loops
LANTERNS: Final = 26
NIGHT_TOP: Final = np.array([0.010, 0.014, 0.050])
NIGHT_LOW: Final = np.array([0.090, 0.055, 0.130])

Picture = NDArray[np.float64]


def sky(phase: float) -> Picture:
    """The upper half: (HORIZON, WIDTH, 3), linear light; ``phase`` runs from 0 to 1 through the loop."""
    y, x = np.mgrid[0:HORIZON, 0:WIDTH].astype(np.float64)
    blend = (y / HORIZON)[..., None] ** 2
    picture: Picture = NIGHT_TOP * (1 - blend) + NIGHT_LOW * blend
    turn = 2 * np.pi * phase
    random = np.random.default_rng(7)
    for number in range(LANTERNS):
        depth = random.uniform(0.35, 1.0)
        home_x, home_y, start = random.uniform(0, WIDTH), random.uniform(15, HORIZON - 20), random.uniform(0, 2 * np.pi)
        centre_x = home_x + 22 * depth * np.sin(turn + start)
        centre_y = home_y + 9 * depth * np.sin(2 * turn + start * 3) - 5 * np.cos(turn + start)
        glow = 0.85 + 0.15 * np.sin((2 + number % 3) * turn + start)
        across, down = (x - centre_x) / (5.5 * depth), (y - centre_y) / (7.5 * depth)
        body = 1 / (1 + np.exp(np.minimum(6 * (across**2 + down**2 - 1), 60)))
        halo = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / (2 * (30 * depth) ** 2))
        warm = np.array([1.0, 0.42 + 0.16 * np.sin(start), 0.10])
        picture += (1.5 * body * glow * depth)[..., None] * warm + (0.16 * halo * glow * depth)[..., None] * warm
    return picture


def frame(phase: float) -> NDArray[np.uint8]:
    """One picture: (HEIGHT, WIDTH, 3), sRGB, 8 bits."""
    upper = sky(phase)
    y, x = np.mgrid[HORIZON:HEIGHT, 0:WIDTH].astype(np.float64)
    depth = (y - HORIZON) / (HEIGHT - HORIZON)
    turn = 2 * np.pi * phase
    ripple = np.sin(0.5 * HORIZON / (depth + 0.12) - 3 * turn) + 0.5 * np.sin(x / 23 + 40 * depth + 2 * turn)
    source_y = np.clip(HORIZON - 1 - (y - HORIZON) * 1.2 + (2 + 9 * depth) * ripple, 0, HORIZON - 1)
    source_x = np.clip(x + (1 + 5 * depth) * ripple, 0, WIDTH - 1)
    mirrored = upper[source_y.astype(int), source_x.astype(int)]
    water = mirrored * (0.55 - 0.3 * depth)[..., None] + np.array([0.004, 0.012, 0.03])
    linear = np.clip(np.concatenate([upper, water]), 0, None)
    linear = linear / (1 + 0.35 * linear)
    encoded = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * np.maximum(linear, 1e-9) ** (1 / 2.4) - 0.055)
    picture: NDArray[np.uint8] = (np.clip(encoded, 0, 1) * 255 + 0.5).astype(np.uint8)
    return picture


def chord() -> NDArray[np.float32]:
    """The sound: (1, samples), -1 to 1."""
    time = np.arange(RATE * FRAMES // FPS) / RATE
    breath = 0.6 + 0.4 * np.sin(2 * np.pi * time * FPS / FRAMES)
    tones = sum(np.sin(2 * np.pi * pitch * time) / (1 + number) for number, pitch in enumerate(CHORD))
    sound: NDArray[np.float32] = (0.12 * breath * tones).astype(np.float32)[None, :]
    return sound


def main() -> None:
    """Write the file."""
    OUT.parent.mkdir(exist_ok=True)
    with av.open(str(OUT), "w", options={"movflags": "+faststart"}) as container:
        video = container.add_stream("libx264", rate=FPS, options={"crf": "24", "preset": "veryslow"})
        video.width, video.height, video.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        audio = container.add_stream("aac", rate=RATE, options={"b": "64k"})
        audio.layout = "mono"
        for number in range(FRAMES):
            picture = av.VideoFrame.from_ndarray(frame(number / FRAMES), format="rgb24")
            picture.pts, picture.time_base = number, Fraction(1, FPS)
            container.mux(video.encode(picture))
        container.mux(video.encode(None))
        samples = chord()
        for start in range(0, samples.shape[1], 1024):
            piece = av.AudioFrame.from_ndarray(samples[:, start : start + 1024], format="fltp", layout="mono")
            piece.sample_rate, piece.pts, piece.time_base = RATE, start, Fraction(1, RATE)
            container.mux(audio.encode(piece))
        container.mux(audio.encode(None))


if __name__ == "__main__":
    main()
