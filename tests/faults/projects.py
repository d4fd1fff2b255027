"""Small projects of real engines, made on the spot."""

from __future__ import annotations

import asyncio
from pathlib import Path

PADDING = 4 << 20
"""Bytes of an MP4 box that every reader passes over (ISO/IEC 14496-12, 8.1.2): an upload takes its time with them."""


async def make_video(path: Path) -> Path:
    """A second of 64×48 pixels, and the padding."""
    process = await asyncio.create_subprocess_exec(
        *("ffmpeg", "-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=1"),
        *("-pix_fmt", "yuv420p", str(path)),
    )
    assert await process.wait() == 0
    with path.open("ab") as file:
        file.write((PADDING + 8).to_bytes(4, "big") + b"free" + bytes(PADDING))
    return path
