"""Whether a PNG is complete, without turning it into pixels.

Pillow stops when it has the last row: it takes a file whose checksums are wrong or whose end is missing. Here every
block's CRC, the zlib stream with its own checksum, its exact length and every row's filter are checked, with the
standard library alone: a session's frames are verified in a thread of the service without loading an image library.
Source: the PNG specification (third edition), sections 5, 7.2, 8 and 11.2.1.
"""

from __future__ import annotations

import zlib

SIGNATURE = b"\x89PNG\r\n\x1a\n"

_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}  # by colour type
_DEPTHS = {0: (1, 2, 4, 8, 16), 2: (8, 16), 3: (1, 2, 4, 8), 4: (8, 16), 6: (8, 16)}
# Adam7: first column, first row, column step, row step of each pass
_PASSES = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
_SLICE = 1 << 16  # bytes inflated at a time: at most 64 MiB of pixels, however well they were packed


class BadPicture(ValueError):
    """The picture is damaged; the message says how."""


def check_png(data: bytes) -> tuple[int, int]:
    """Check a whole PNG file.

    Returns:
        Width and height in pixels.

    Raises:
        BadPicture: see the class.
    """
    if not data.startswith(SIGNATURE):
        raise BadPicture("it is no PNG file")
    view = memoryview(data)
    at = len(SIGNATURE)
    pixels: _Pixels | None = None
    size = (0, 0)
    while True:
        if at + 12 > len(data):
            raise BadPicture("the file ends too early")
        length = int.from_bytes(view[at : at + 4])
        kind = bytes(view[at + 4 : at + 8])
        end = at + 12 + length
        if end > len(data):
            raise BadPicture(f"the file ends within its {kind!r} block")
        if zlib.crc32(view[at + 4 : end - 4]) != int.from_bytes(view[end - 4 : end]):
            raise BadPicture(f"the checksum of its {kind!r} block is wrong")
        body = view[at + 8 : end - 4]
        if pixels is None:
            if kind != b"IHDR" or length != 13:
                raise BadPicture("it does not begin with a header")
            size = (int.from_bytes(body[0:4]), int.from_bytes(body[4:8]))
            pixels = _Pixels(*size, *body[8:13])
        elif kind == b"IDAT":
            pixels.feed(body)
        elif kind == b"IEND":
            pixels.finish()
            return size
        at = end


class _Pixels:
    """The compressed pixels: inflated, counted, thrown away."""

    def __init__(self, width: int, height: int, depth: int, colour: int, packing: int, filters: int, lace: int) -> None:
        if not (width and height and depth in _DEPTHS.get(colour, ()) and packing == filters == 0 and lace in (0, 1)):
            raise BadPicture("its header is damaged")
        bits = depth * _CHANNELS[colour]

        def row(pixels: int) -> int:
            return 1 + (pixels * bits + 7) // 8

        self._row = 0 if lace else row(width)
        self._wanted = self._row * height
        for left, top, across, down in _PASSES if lace else ():
            columns, rows = -((left - width) // across), -((top - height) // down)
            if columns > 0 and rows > 0:
                self._wanted += row(columns) * rows
        self._stream = zlib.decompressobj()
        self._seen = 0

    def feed(self, body: memoryview) -> None:
        for start in range(0, len(body), _SLICE):
            try:
                block = self._stream.decompress(body[start : start + _SLICE])
            except zlib.error as error:
                raise BadPicture(f"its pixels do not unpack: {error}") from error
            if self._row and block:
                filters = block[-self._seen % self._row :: self._row]
                if filters and max(filters) > 4:
                    raise BadPicture("a row has a filter that does not exist")
            self._seen += len(block)
            if self._seen > self._wanted:
                raise BadPicture("it has more pixels than its header says")

    def finish(self) -> None:
        if self._seen != self._wanted:
            raise BadPicture(f"it has {self._seen} of {self._wanted} bytes of pixels")
        if not self._stream.eof:
            raise BadPicture("its pixels end without their checksum")
