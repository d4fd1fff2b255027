"""Whether a still picture of any format decodes to its last pixel. For a worker process: loads image libraries.

PNG is checked by :mod:`app.outputs.png`. JPEG by Pillow, since OpenImageIO takes a truncated one without a word; every
other format by OpenImageIO (EXR with any number of layers and parts, TIFF, DPX, HDR, WebP, ...).
"""

from __future__ import annotations

import io
from pathlib import Path

from app.outputs.png import SIGNATURE, BadPicture, check_png

_JPEG = b"\xff\xd8\xff"
_ROWS = 128  # decoded at a time: memory stays flat for a picture of a hundred layers


def check_picture(path: Path, beginning: bytes) -> tuple[int, int]:
    """Decode a whole picture.

    Args:
        beginning: the first bytes of the file, at least eight; they tell the format, not the name.

    Returns:
        Width and height in pixels, those of the frame where the file holds only a part of it (EXR display window).

    Raises:
        BadPicture: it does not decode, or ends too early.
        OSError: it cannot be read.
    """
    if beginning.startswith(SIGNATURE):
        return check_png(path.read_bytes())
    if beginning.startswith(_JPEG):
        return _check_jpeg(path.read_bytes())
    return _check_other(path)


def _check_jpeg(data: bytes) -> tuple[int, int]:
    from PIL import Image

    # Pillow takes a file without its end marker; in the picture's data itself FF D9 cannot occur.
    if data.rfind(b"\xff\xd9") < data.rfind(b"\xff\xda"):
        raise BadPicture("the file ends too early")
    try:
        with Image.open(io.BytesIO(data)) as picture:
            picture.load()
            return picture.size
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise BadPicture(f"it does not decode: {error}") from error


def _check_other(path: Path) -> tuple[int, int]:
    import OpenImageIO as oiio

    source = oiio.ImageInput.open(str(path))
    if source is None:
        raise BadPicture(f"it does not open as a picture: {_first_line(oiio.geterror())}")
    try:
        spec = source.spec()
        size = (int(spec.full_width), int(spec.full_height))
        part = 0
        while source.seek_subimage(part, 0):
            spec = source.spec()
            if spec.deep or spec.tile_width:
                picture = oiio.ImageBuf(str(path), part, 0)
                if not picture.read(part, 0, force=True):
                    raise BadPicture(f"it does not decode: {_first_line(picture.geterror())}")
            else:
                for top in range(spec.y, spec.y + spec.height, _ROWS):
                    bottom = min(top + _ROWS, spec.y + spec.height)
                    if source.read_scanlines(part, 0, top, bottom, 0, 0, spec.nchannels, oiio.UNKNOWN) is None:
                        raise BadPicture(f"it does not decode: {_first_line(source.geterror())}")
            part += 1
        source.geterror()  # that there is no further part; cleared, or it is printed
        return size
    finally:
        source.close()


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0][:300] or "no reason given"
