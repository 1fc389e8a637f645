"""Metadata in animated images, which FFmpeg's own writers cannot store."""

from __future__ import annotations

import zlib
from collections.abc import Mapping
from pathlib import Path

import PIL.Image

PNG_END = 12  # bytes of the IEND chunk, the last of a PNG
GIF_END = b"\x3b"
IMAGE_DESCRIPTION = 0x010E  # in EXIF
JPEG_ONLY = b"Exif\0\0"  # before the block, which Pillow puts there for every format


def label_png(path: Path, metadata: Mapping[str, str]) -> None:
    """Add an iTXt chunk a word (PNG, third edition, 11.3.3.4) to a finished file: uncompressed UTF-8."""
    with path.open("r+b") as file:
        file.seek(-PNG_END, 2)
        end = file.read()
        file.seek(-PNG_END, 2)
        for key, value in metadata.items():
            body = b"iTXt" + key.encode("latin-1") + b"\0\0\0\0\0" + value.encode()
            file.write((len(body) - 4).to_bytes(4, "big") + body + zlib.crc32(body).to_bytes(4, "big"))
        file.write(end)


def label_gif(path: Path, metadata: Mapping[str, str]) -> None:
    """Add a comment extension (GIF89a, section 24) to a finished file, where there are words."""
    text = _lines(metadata)
    if not text:
        return
    blocks = [text[i : i + 255] for i in range(0, len(text), 255)]
    with path.open("r+b") as file:
        file.seek(-len(GIF_END), 2)
        file.write(b"\x21\xfe" + b"".join(bytes([len(block)]) + block for block in blocks) + b"\0" + GIF_END)


def exif(metadata: Mapping[str, str]) -> bytes:
    """The words as the image description of an EXIF block, which WebP holds; empty where there are none."""
    text = _lines(metadata)
    about = PIL.Image.Exif()
    about[IMAGE_DESCRIPTION] = text
    return about.tobytes().removeprefix(JPEG_ONLY) if text else b""


def _lines(metadata: Mapping[str, str]) -> bytes:
    return "\n".join(f"{key}: {value}" for key, value in metadata.items()).encode()
