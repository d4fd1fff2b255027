"""Small and big JPEG previews of any picture, linear ones with the colours that the engine would show. For a worker
process: loads image libraries."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from app.outputs.kinds import is_video

if TYPE_CHECKING:
    import numpy as np
    from av import VideoFrame
    from numpy.typing import NDArray
    from OpenImageIO import ROI, ImageBuf
    from PIL.Image import Image

SIZES: Mapping[str, int] = {"small": 320, "big": 1280}
"""The longest side of each preview, in pixels. Smaller pictures stay as they are."""

QUALITY = 88
_SQUARE, _DARK, _LIGHT = 8, 38, 52  # of the chequered ground behind transparent pictures: pixels, grey values
_LINEAR_SUFFIXES = (".exr", ".hdr", ".sxr", ".mxr")


class PreviewError(Exception):
    """No preview can be made of this file; the message says why."""


def make_stills(
    picture: Path, targets: Mapping[str, Path], colour: Mapping[str, str], colour_config: Path | None
) -> None:
    """Write JPEG previews of one picture, or of a video's first frame.

    Args:
        targets: where to write, by the size's name (:data:`SIZES`).
        colour: ``display``, ``view``, ``look``, ``source`` of the engine's OpenColorIO config, and ``exposure`` (stops)
            and ``gamma`` around them; each may be left out.
        colour_config: the config itself; None: plain sRGB.

    Raises:
        PreviewError: see the class.
        OSError: a target cannot be written.
    """
    largest = max(SIZES[size] for size in targets)
    image = load_small(picture, largest, colour, colour_config)
    for size, target in targets.items():
        smaller = image.copy()
        smaller.thumbnail((SIZES[size], SIZES[size]))
        part = target.with_name(f"{target.name}.part")
        smaller.save(part, "JPEG", quality=QUALITY, optimize=True)
        part.replace(target)


def make_still(
    picture: Path, size: str, target: Path, colour: Mapping[str, str], colour_config: Path | None = None
) -> None:
    """:func:`make_stills` for one size."""
    make_stills(picture, {size: target}, colour, colour_config)


def load_small(picture: Path, longest: int, colour: Mapping[str, str], colour_config: Path | None) -> Image:
    """The picture as 8-bit RGB for the screen, its longest side at most ``longest`` pixels.

    Raises:
        PreviewError: see the class.
    """
    from PIL import Image, UnidentifiedImageError

    if is_video(picture.name) and picture.suffix.lower() != ".gif":
        return shrunk(_first_frame(picture), longest)
    if picture.suffix.lower() not in _LINEAR_SUFFIXES:
        try:
            with Image.open(picture) as image:
                image.draft("RGB", (longest, longest))
                return shrunk(image, longest)
        except UnidentifiedImageError:
            pass  # deeper or rarer than Pillow knows
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
            raise PreviewError(f"{picture.name} does not decode: {error}") from error
    return _load_deep(picture, longest, colour, colour_config)


def shrunk(image: Image, longest: int) -> Image:
    """Eight bits, RGB, at most so large, on a chequered ground where it is transparent."""
    from PIL import Image as Images

    image.load()
    if image.mode.startswith(("I", "F")):
        import numpy as np

        values = np.asarray(image, dtype=np.float32)
        values = values * 255.0 if image.mode == "F" else values / 257.0
        image = Images.fromarray(values.clip(0, 255).astype(np.uint8))
    if image.mode in ("RGBA", "LA", "PA", "La", "RGBa") or "transparency" in image.info:
        image = image.convert("RGBA")
        image.thumbnail((longest, longest))
        ground = Images.fromarray(_ground(image.width, image.height)).convert("RGBA")
        return Images.alpha_composite(ground, image).convert("RGB")
    image = image.convert("RGB")
    image.thumbnail((longest, longest))
    return image


def _first_frame(video: Path) -> Image:
    import av

    try:
        with av.open(str(video)) as container:
            for frame in container.decode(video=0):
                return image_of(frame)
    except (av.FFmpegError, IndexError, OSError) as error:
        raise PreviewError(f"{video.name} does not decode: {error}") from error
    raise PreviewError(f"{video.name} has no pictures")


def image_of(frame: VideoFrame) -> Image:
    """A decoded frame as 8-bit RGB."""
    from PIL import Image

    return Image.fromarray(frame.to_ndarray(format="rgb24"))


def _load_deep(picture: Path, longest: int, colour: Mapping[str, str], colour_config: Path | None) -> Image:
    import OpenImageIO as oiio
    from PIL import Image

    buffer = oiio.ImageBuf(str(picture))
    names = list(buffer.spec().channelnames)
    if not names:
        raise PreviewError(f"{picture.name} is no picture: {_why(buffer)}")
    linear = picture.suffix.lower() in _LINEAR_SUFFIXES or buffer.spec().format.basetype in (oiio.FLOAT, oiio.HALF)
    wanted = shown_channels(names)
    places = [names.index(name) for name in wanted]
    if not buffer.read(0, 0, min(places), max(places) + 1, True, oiio.FLOAT):
        raise PreviewError(f"{picture.name} does not decode: {_why(buffer)}")
    algorithms = oiio.ImageBufAlgo
    new_names = ("R", "G", "B", "A")[: len(wanted)] if len(wanted) > 1 else ("Y",)
    buffer = algorithms.channels(buffer, tuple(wanted), newchannelnames=new_names)
    if buffer.roi != buffer.roi_full:
        buffer = algorithms.crop(buffer, roi=_with_channels(buffer))
    width, height = buffer.spec().full_width, buffer.spec().full_height
    if max(width, height) > longest:
        scale = longest / max(width, height)
        across, down = max(1, round(width * scale)), max(1, round(height * scale))
        # The filter that OpenImageIO would choose takes five times as long and rings at bright edges.
        buffer = algorithms.resize(buffer, "triangle", roi=oiio.ROI(0, across, 0, down, 0, 1, 0, buffer.nchannels))
    if linear:
        buffer = _displayed(buffer, colour, colour_config)
    pixels = buffer.get_pixels(oiio.FLOAT)
    if pixels is None:
        raise PreviewError(f"{picture.name} cannot be shown: {_why(buffer)}")
    return Image.fromarray(_flattened(pixels))


def _why(buffer: ImageBuf) -> str:
    return buffer.geterror().strip().partition("\n")[0][:300] or "no reason given"


def _with_channels(buffer: ImageBuf) -> ROI:
    roi = buffer.roi_full
    roi.chbegin, roi.chend = 0, buffer.nchannels
    return roi


def shown_channels(names: list[str]) -> list[str]:
    """The channels that are the picture: of several layers the one called Combined, or else the first with colours.

    Returns:
        Red, green, blue and perhaps alpha; or one channel, shown as grey.
    """
    layers = [name.rpartition(".")[0] for name in names if name.rpartition(".")[2].upper() == "R"]
    for layer in sorted(layers, key=lambda layer: (layer.rpartition(".")[2].lower() != "combined", layer != "")):
        by_letter = {
            name.rpartition(".")[2].upper(): name for name in reversed(names) if name.rpartition(".")[0] == layer
        }
        if {"R", "G", "B"} <= by_letter.keys():
            return [by_letter[letter] for letter in "RGBA" if letter in by_letter]
    return [next((name for name in names if name.rpartition(".")[2].upper() in ("Y", "V")), names[0])]


def _displayed(buffer: ImageBuf, colour: Mapping[str, str], colour_config: Path | None) -> ImageBuf:
    """A linear picture as it looks on a screen: with the engine's own view, or else plainly in sRGB."""
    import OpenImageIO as oiio

    algorithms = oiio.ImageBufAlgo
    if colour_config is not None and colour.get("view"):
        look = colour.get("look", "")
        exposure, gamma = _number(colour.get("exposure"), 0.0), _number(colour.get("gamma"), 1.0)
        if exposure:
            buffer = algorithms.mul(buffer, _of_colours(buffer, 2.0**exposure))
        for source in dict.fromkeys((colour.get("source") or "scene_linear", "scene_linear")):
            shown = algorithms.ociodisplay(
                buffer,
                colour.get("display") or "sRGB",
                colour["view"],
                source,
                "" if look.lower() == "none" else look,
                True,
                colorconfig=str(colour_config),
            )
            if not shown.has_error:
                return shown if gamma in (0.0, 1.0) else algorithms.pow(shown, _of_colours(shown, 1.0 / gamma))
            shown.geterror()
    return algorithms.colorconvert(buffer, "lin_rec709", "sRGB")


def _number(text: str | None, otherwise: float) -> float:
    try:
        return float(text) if text else otherwise
    except ValueError:
        return otherwise


def _of_colours(buffer: ImageBuf, value: float) -> tuple[float, ...]:
    """The value for every channel but alpha."""
    return tuple(1.0 if name == "A" else value for name in buffer.spec().channelnames)


def _flattened(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Float pixels for the screen, alpha multiplied in, as 8-bit RGB on the chequered ground."""
    import numpy as np

    pixels = np.nan_to_num(pixels, nan=0.0, posinf=1.0, neginf=0.0).astype(np.float32, copy=False)
    height, width, channels = pixels.shape
    colours = pixels[:, :, :3] if channels >= 3 else np.repeat(pixels[:, :, :1], 3, axis=2)
    shown = colours * np.float32(255.0)
    if channels == 4:
        alpha = pixels[:, :, 3:4].clip(0.0, 1.0)
        shown += _ground(width, height) * (np.float32(1.0) - alpha)
    return (shown.clip(0.0, 255.0) + np.float32(0.5)).astype(np.uint8)


def _ground(width: int, height: int) -> NDArray[np.uint8]:
    import numpy as np

    rows, columns = np.arange(height)[:, None] // _SQUARE, np.arange(width)[None, :] // _SQUARE
    grey = np.where((rows + columns) % 2 == 0, _DARK, _LIGHT).astype(np.uint8)
    return np.repeat(grey[:, :, None], 3, axis=2)
