"""Files of plain frames: PNGs in a folder, a sprite sheet, a NumPy array."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import chain
from pathlib import Path

import imageio.v3 as iio
import numpy as np
from PIL.PngImagePlugin import PngInfo

from dyntex.media.footage import Image

NO_METADATA: Mapping[str, str] = {}


def write_npy(path: Path, frames: Iterator[Image], *, n_frames: int) -> None:
    """``(T, H, W, C)`` uint8, frame by frame."""
    first = next(frames)
    header = {"descr": "|u1", "fortran_order": False, "shape": (n_frames, *first.shape)}
    with path.open("wb") as file:
        np.lib.format.write_array_header_1_0(file, header)
        for frame in chain([first], frames):
            file.write(frame.tobytes())


def write_folder(path: Path, frames: Iterator[Image], *, metadata: Mapping[str, str]) -> None:
    """A new folder of ``000000.png`` and so on."""
    path.mkdir()
    for i, frame in enumerate(frames):
        save_png(path / f"{i:06}.png", frame, metadata=metadata)


def save_png(path: Path, image: Image, *, metadata: Mapping[str, str] = NO_METADATA) -> None:
    """An ``(H, W, 3)`` RGB or ``(H, W, 4)`` RGBA image of 8 bits with text chunks, not atomically."""
    words = PngInfo()
    for key, value in metadata.items():
        words.add_itxt(key, value)
    with path.open("wb") as file:  # a file, since imageio reads names such as http:1.png as addresses
        iio.imwrite(file, image, plugin="pillow", extension=".png", pnginfo=words)
