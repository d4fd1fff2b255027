"""Preview videos: small H.264 in MP4, of the stills of a job or of its video. For a worker process: loads PyAV."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from fractions import Fraction
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from app.outputs.stills import PreviewError, image_of, load_small

if TYPE_CHECKING:
    from PIL.Image import Image

T = TypeVar("T")

LONGEST_SIDE = 640
"""Pixels."""
MAX_STILLS = 600
"""The most stills in one preview; of more, every second or third is shown, for as long as all would be."""
MAX_SECONDS = 120.0
"""How much of a video is shown, in seconds."""

_CODECS: Mapping[str, dict[str, str]] = {  # the first one that this build of PyAV has
    "libx264": {"preset": "veryfast", "crf": "24"},
    "libopenh264": {},
    "mpeg4": {"qscale": "5"},
}
_BT709 = 1  # AVCOL_SPC_BT709, AVCOL_PRI_BT709, AVCOL_TRC_BT709
_LIMITED = 1  # AVCOL_RANGE_MPEG


def thinned(stills: Sequence[T], fps: float) -> tuple[Sequence[T], float]:
    """At most :data:`MAX_STILLS` of the stills, evenly chosen, and the frames per second at which they last as long."""
    step = max(1, -(-len(stills) // MAX_STILLS))
    return stills[::step], fps / step


def make_video(
    stills: Sequence[Path], fps: float, target: Path, colour: Mapping[str, str], colour_config: Path | None = None
) -> None:
    """Write a preview video of stills, in their order.

    Args:
        fps: frames per second at which the stills are meant to be seen.
        colour, colour_config: see :func:`app.outputs.stills.make_stills`.

    Raises:
        PreviewError: a still does not decode, or there are none.
        OSError: the target cannot be written.
    """
    rate = max(Fraction(fps).limit_denominator(1001), Fraction(1, 1001))
    _encode((load_small(path, LONGEST_SIDE, colour, colour_config) for path in stills), rate, target)


def make_smaller_video(video: Path, target: Path) -> None:
    """Write a preview of a video: its beginning, small, without sound.

    Raises:
        PreviewError: it does not decode.
        OSError: the target cannot be written.
    """
    import av

    try:
        with av.open(str(video)) as container:
            rate = container.streams.video[0].average_rate or Fraction(25)
            _encode(_pictures_of(container.decode(video=0)), Fraction(rate).limit_denominator(1001), target)
    except (av.FFmpegError, IndexError) as error:
        raise PreviewError(f"{video.name} does not decode: {error}") from error


def _pictures_of(frames: Iterator[object]) -> Iterator[Image]:
    import av

    for frame in frames:
        if isinstance(frame, av.VideoFrame):
            if frame.time is not None and frame.time > MAX_SECONDS:
                return
            scale = min(1.0, LONGEST_SIDE / max(frame.width, frame.height))
            across, down = max(2, round(frame.width * scale)), max(2, round(frame.height * scale))
            yield image_of(frame.reformat(across, down, "rgb24"))


def _encode(pictures: Iterator[Image], rate: Fraction, target: Path) -> None:
    import av
    import numpy as np
    from av.video.reformatter import ColorRange, Colorspace

    part = target.with_name(f"{target.name}.part")
    codec = next(name for name in _CODECS if name in av.codecs_available)
    with av.open(str(part), "w", format="mp4", options={"movflags": "faststart"}) as container:
        stream = container.add_stream(codec, rate=rate, options=_CODECS[codec])
        assert isinstance(stream, av.VideoStream)
        stream.pix_fmt = "yuv420p"
        context = stream.codec_context
        context.colorspace = context.color_primaries = context.color_trc = _BT709
        context.color_range = _LIMITED
        size: tuple[int, int] | None = None
        for picture in pictures:
            if size is None:
                # Chroma is shared by two pixels each way: even sizes only.
                size = stream.width, stream.height = max(2, picture.width // 2 * 2), max(2, picture.height // 2 * 2)
            frame = av.VideoFrame.from_ndarray(np.asarray(picture), format="rgb24").reformat(
                *size, "yuv420p", dst_colorspace=Colorspace.ITU709, dst_color_range=ColorRange.MPEG
            )
            container.mux(stream.encode(frame))
        if size is None:
            raise PreviewError("there are no pictures to show")
        container.mux(stream.encode(None))
    part.replace(target)
