"""One frame as a JPEG, in a preview's size or as large as it is, from a picture or out of a video. For a worker
process: loads image libraries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from app.outputs.stills import QUALITY, SIZES, PreviewError, image_of, load_small, shrunk

if TYPE_CHECKING:
    from av.container import InputContainer
    from av.video.stream import VideoStream
    from PIL.Image import Image

FULL = "full"
_FULL_QUALITY = 95
_FULL_SIDE = 65_500
"""The longest side of a JPEG, in pixels."""


def make_frame_still(
    source: Path,
    size: str,
    target: Path,
    colour: Mapping[str, str],
    colour_config: Path | None,
    place: tuple[int, int] | None = None,
) -> None:
    """Write a JPEG of one frame.

    Args:
        source: the picture, or a video.
        size: a name in :data:`app.outputs.stills.SIZES`, or :data:`FULL`.
        target: where to write it.
        colour: see :func:`app.outputs.stills.make_stills`.
        colour_config: see there.
        place: of a video: the position of the frame, counted from 0, and how many frames of the job it holds.

    Raises:
        PreviewError: it cannot be made.
        OSError: the target cannot be written.
    """
    longest = SIZES.get(size, _FULL_SIDE)
    if place is None:
        image = load_small(source, longest, colour, colour_config)
    else:
        image = shrunk(_frame_of_video(source, *place), longest)
    part = target.with_name(f"{target.name}.part")
    image.save(part, "JPEG", quality=_FULL_QUALITY if size == FULL else QUALITY, optimize=size != FULL)
    part.replace(target)


def _frame_of_video(video: Path, position: int, total: int) -> Image:
    """The picture of a video that shows the frame at a position of its job. A video of another frame rate than its
    source has another number of pictures: then the one at the same part of it."""
    import av

    try:
        with av.open(str(video)) as container:
            stream = container.streams.video[0]
            pictures = stream.frames or total
            wanted = position if pictures == total else min(pictures - 1, position * pictures // max(1, total))
            return _by_time(container, stream, wanted) or _by_counting(container, stream, wanted)
    except (av.FFmpegError, IndexError, OSError) as error:
        raise PreviewError(f"{video.name} does not decode: {error}") from error


def _by_time(container: InputContainer, stream: VideoStream, wanted: int) -> Image | None:
    """The picture that is shown at the time of the one that is wanted, decoded from the key frame before it; None if
    the file does not say enough."""
    import av

    if not stream.average_rate or stream.time_base is None:
        return None
    ticks = 1 / (stream.average_rate * stream.time_base)  # that one picture is shown
    at = int((stream.start_time or 0) + wanted * ticks)
    try:
        container.seek(at, stream=stream)
        for frame in container.decode(stream):
            if frame.pts is not None and frame.pts + ticks / 2 >= at:
                return image_of(frame)
    except av.FFmpegError:  # it cannot be sought in
        return None
    return None


def _by_counting(container: InputContainer, stream: VideoStream, wanted: int) -> Image:
    """The picture of this number, decoded from the first one on; the last one if there are fewer."""
    container.seek(0)
    last = None
    for number, frame in enumerate(container.decode(stream)):
        last = frame
        if number == wanted:
            break
    if last is None:
        raise PreviewError("it has no pictures")
    return image_of(last)
