"""Makes the picture of the README from what `scripts/demo` left: three rows of the Blender job, one of the video."""

from __future__ import annotations

import sys
from pathlib import Path

import av
from PIL import Image

COLUMNS, ROWS, WIDTH, GAP = 4, 3, 300, 4
"""The last two in pixels."""


def stills(folder: Path) -> list[Image.Image]:
    """Frames of the Blender job, evenly spaced."""
    paths = sorted(folder.glob("demo_*.png"))
    count = COLUMNS * ROWS
    return [Image.open(paths[index * len(paths) // count]).convert("RGB") for index in range(count)]


def moments(video: Path) -> list[Image.Image]:
    """Frames of the video, evenly spaced."""
    with av.open(str(video)) as container:
        pictures = [frame.to_image() for frame in container.decode(video=0)]
    return [pictures[index * len(pictures) // COLUMNS] for index in range(COLUMNS)]


def main(output: Path, target: Path) -> None:
    """Write the sheet.

    Args:
        output: what `zordon demo` calls its output folder.
        target: the picture to write.
    """
    tiles = [*stills(output / "blender"), *moments(output / "ffmpeg" / "lanterns.mp4")]
    height = WIDTH * tiles[0].height // tiles[0].width
    rows = len(tiles) // COLUMNS
    sheet = Image.new("RGB", (COLUMNS * (WIDTH + GAP) - GAP, rows * (height + GAP) - GAP), "white")
    for index, tile in enumerate(tiles):
        place = (index % COLUMNS * (WIDTH + GAP), index // COLUMNS * (height + GAP))
        sheet.paste(tile.resize((WIDTH, height), Image.Resampling.LANCZOS), place)
    sheet.save(target, quality=86, optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
