"""Sprite sheets: all frames in one image of power-of-two sides, which graphics cards like."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from dyntex.errors import UsageError
from dyntex.media.footage import Image
from dyntex.media.paths import named
from dyntex.media.pixels import bled

Grid = tuple[int, int]  # rows, columns
MAX_TEXTURE = 16384  # the side of the largest texture that today's graphics cards take


def parse_grid(text: str) -> Grid:
    """``"4x8"``: four rows of eight columns.

    Raises:
        UsageError: not two positive numbers with an x between.
    """
    found = re.fullmatch(r"([1-9]\d{0,4})x([1-9]\d{0,4})", text.strip().lower())
    if not found:
        raise UsageError(f"--grid {text} is not a grid: give ROWSxCOLUMNS, such as 8x8")
    return int(found[1]), int(found[2])


def json_of(sheet: Path) -> Path:
    """The place of the JSON beside a sprite sheet."""
    return named(sheet.parent, sheet.stem, ".json")


def check_grid(grid: Grid, n_frames: int, *, size: tuple[int, int]) -> None:
    """Whether frames of ``size`` (H, W) fill a grid, but for the end of its last row, and the sheet is no giant.

    Raises:
        UsageError: they do not.
    """
    rows, columns = grid
    if -(-n_frames // columns) != rows:
        raise UsageError(
            f"--grid {rows}x{columns} does not fit {n_frames} frames: make {rows * columns} (--frames), "
            f"or choose --grid {-(-n_frames // columns)}x{columns}"
        )
    height, width = sheet_size(grid, size)
    if max(height, width) > MAX_TEXTURE:
        raise UsageError(
            f"--grid {rows}x{columns} of {size[1]}x{size[0]} makes a sheet of {width}x{height}, and graphics cards "
            f"take {MAX_TEXTURE}: choose a smaller --size or fewer frames"
        )


def sheet_size(grid: Grid, size: tuple[int, int]) -> tuple[int, int]:
    """``(height, width)`` of the sheet: the least powers of two that hold the grid."""
    height, width = (1 << (n * side - 1).bit_length() for n, side in zip(grid, size, strict=True))
    return height, width


def draw_grid(frames: Iterator[Image], *, grid: Grid) -> Image:
    """Frames row by row from the top left; what is left is black, or clear where frames have alpha."""
    columns = grid[1]
    sheet: Image | None = None
    for i, frame in enumerate(frames):
        height, width, channels = frame.shape
        if sheet is None:
            sheet = np.zeros((*sheet_size(grid, (height, width)), channels), np.uint8)
        top, left = i // columns * height, i % columns * width
        sheet[top : top + height, left : left + width] = bled(frame) if channels == 4 else frame
    if sheet is None:
        raise UsageError("a sprite sheet of no frames cannot be made: give at least one")
    return sheet
