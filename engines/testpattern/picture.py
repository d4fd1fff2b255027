"""Draws a frame of the test pattern: moving coloured waves with the frame number in the middle, as a PNG.

Imported by the runner alone, in a process that must start within a few milliseconds: the standard library only, and of
it only what costs nothing to import. The picture has a palette, one byte a pixel: the waves are slices of one long row
and the colours turn with the frame, so that a small frame costs about a millisecond.
"""

import math
import zlib

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_COLOURS = 254  # of the waves; the two that are left are black and white
_BLACK = b"\xfe"
_WHITE = b"\xff"
_TURN = 2 * math.pi

# Five by seven pixels a glyph, a row a number, the highest bit to the left.
_GLYPHS = {
    "0": (0b01110, 0b10001, 0b10011, 0b10101, 0b11001, 0b10001, 0b01110),
    "1": (0b00100, 0b01100, 0b00100, 0b00100, 0b00100, 0b00100, 0b01110),
    "2": (0b01110, 0b10001, 0b00001, 0b00110, 0b01000, 0b10000, 0b11111),
    "3": (0b11110, 0b00001, 0b00001, 0b01110, 0b00001, 0b00001, 0b11110),
    "4": (0b00010, 0b00110, 0b01010, 0b10010, 0b11111, 0b00010, 0b00010),
    "5": (0b11111, 0b10000, 0b11110, 0b00001, 0b00001, 0b10001, 0b01110),
    "6": (0b00110, 0b01000, 0b10000, 0b11110, 0b10001, 0b10001, 0b01110),
    "7": (0b11111, 0b00001, 0b00010, 0b00100, 0b01000, 0b01000, 0b01000),
    "8": (0b01110, 0b10001, 0b10001, 0b01110, 0b10001, 0b10001, 0b01110),
    "9": (0b01110, 0b10001, 0b10001, 0b01111, 0b00001, 0b00010, 0b01100),
    "-": (0b00000, 0b00000, 0b00000, 0b11111, 0b00000, 0b00000, 0b00000),
}


def draw(frame: int, width: int, height: int) -> bytes:
    """The PNG file of one frame, ``width`` by ``height`` pixels, 8 bits a pixel with a palette."""
    stride = width + 1  # every row begins with the byte that names its filter: 0, none
    raw = _waves(frame, width, height)
    _write_number(raw, str(frame), width, height, stride)
    header = width.to_bytes(4) + height.to_bytes(4) + b"\x08\x03\x00\x00\x00"
    return b"".join(
        (
            _SIGNATURE,
            _block(b"IHDR", header),
            _block(b"PLTE", _palette(frame)),
            _block(b"IDAT", zlib.compress(raw, 1)),
            _block(b"IEND", b""),
        )
    )


def _waves(frame: int, width: int, height: int) -> bytearray:
    scale = _COLOURS / max(width, height)
    ramp = bytes(int(x * scale) % _COLOURS for x in range(3 * (width + height)))
    swing = width / 8
    rows = []
    for y in range(height):
        shift = int(swing * (1 + math.sin(_TURN * y / height + frame * 0.35)) + y / 2)
        rows.append(ramp[shift : shift + width])
    return bytearray(b"\0" + b"\0".join(rows))


def _palette(frame: int) -> bytes:
    colours = bytearray()
    for index in range(_COLOURS):
        angle = _TURN * (index / _COLOURS + frame * 0.02)
        for part in (0.0, 0.31, 0.64):
            colours.append(int(118 + 100 * math.sin(angle + _TURN * part)))
    return bytes(colours) + b"\x08\x08\x0c" + b"\xff\xff\xff"


def _write_number(raw: bytearray, text: str, width: int, height: int, stride: int) -> None:
    columns = 6 * len(text) - 1
    scale = max(1, min(width * 4 // (5 * columns), height * 3 // (5 * 7)))
    left, top = (width - columns * scale) // 2, (height - 7 * scale) // 2
    shadow = max(1, scale // 4)
    for offset, colour in ((shadow, _BLACK), (0, _WHITE)):
        for place, letter in enumerate(text):
            for row, bits in enumerate(_GLYPHS[letter]):
                for first, last in _spans(bits):
                    start = max(0, left + offset + (6 * place + first) * scale)
                    end = min(width, left + offset + (6 * place + last) * scale)
                    y = top + offset + row * scale
                    if end > start:
                        line = colour * (end - start)
                        for at in range(max(0, y), min(height, y + scale)):
                            raw[at * stride + 1 + start : at * stride + 1 + end] = line


def _spans(bits: int) -> list[tuple[int, int]]:
    """The runs of set pixels in one row of a glyph as (first, end), the end not included."""
    spans: list[tuple[int, int]] = []
    for column in range(5):
        if bits >> (4 - column) & 1:
            if spans and spans[-1][1] == column:
                spans[-1] = (spans[-1][0], column + 1)
            else:
                spans.append((column, column + 1))
    return spans


def _block(kind: bytes, data: bytes) -> bytes:
    return len(data).to_bytes(4) + kind + data + zlib.crc32(data, zlib.crc32(kind)).to_bytes(4)
