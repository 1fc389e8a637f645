"""An animated lossless WebP, written frame by frame.

The usual encoders hold the whole animation in memory, and libwebp's merges equal neighbours into one longer frame, so
that other frames come back than went in. The container is simple: https://developers.google.com/speed/webp/docs/riff_container
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import PIL.Image

from dyntex.media.footage import Image

ANIMATED, EXIF, ALPHA = 0x02, 0x08, 0x10  # in VP8X's flags
REPLACE = 0x02  # in ANMF's flags: the frame is not blended with the one before
FOREVER, ONCE = 0, 1  # loops


def encode_webp(path: Path, frames: Iterator[Image], *, fps: Fraction, loop: bool, exif: bytes = b"") -> None:
    """Write 8-bit frames, RGB or RGB with straight alpha, and an EXIF block where there is one.

    Their times are rounded to milliseconds, so that the mean rate is right.
    """
    with path.open("wb") as file:
        for i, frame in enumerate(frames):
            height, width = frame.shape[:2]
            if i == 0:
                flags = ANIMATED | (ALPHA if frame.shape[2] == 4 else 0) | (EXIF if exif else 0)
                file.write(b"RIFF" + _number(0, 4) + b"WEBP")
                canvas = _number(width - 1, 3) + _number(height - 1, 3)
                file.write(_chunk(b"VP8X", _number(flags, 4) + canvas))
                file.write(_chunk(b"ANIM", _number(0, 4) + _number(FOREVER if loop else ONCE, 2)))
            duration = round((i + 1) * 1000 / fps) - round(i * 1000 / fps)
            place = _number(0, 6) + canvas + _number(duration, 3) + _number(REPLACE, 1)
            file.write(_chunk(b"ANMF", place + _still(frame)))
        if exif:
            file.write(_chunk(b"EXIF", exif))
        size = file.tell()
        file.seek(4)
        file.write(_number(size - 8, 4))


def _still(frame: Image) -> bytes:
    """A frame's VP8L chunk: a lossless still WebP without its 12 bytes of header."""
    buffer = io.BytesIO()
    PIL.Image.fromarray(frame).save(buffer, format="WEBP", lossless=True, method=2)
    return buffer.getvalue()[12:]


def _chunk(name: bytes, data: bytes) -> bytes:
    return name + _number(len(data), 4) + data + b"\0" * (len(data) % 2)


def _number(value: int, n_bytes: int) -> bytes:
    return value.to_bytes(n_bytes, "little")
