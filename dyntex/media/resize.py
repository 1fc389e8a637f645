"""From a frame of any size to the size asked: centre crop to the aspect, then an area average."""

from __future__ import annotations

from fractions import Fraction

import cv2
import numpy as np

from dyntex.errors import UsageError
from dyntex.media.footage import Image

Size = int | tuple[int, int]  # a side S, or (H, W)


def sides(size: Size) -> tuple[int, int]:
    """``(H, W)`` of a size given as a side or as a pair.

    Raises:
        UsageError: a side below 1.
    """
    height, width = (size, size) if isinstance(size, int) else size
    if min(height, width) < 1:
        raise UsageError(f"a size of {height}x{width} has no pixels: choose at least 1x1")
    return height, width


def crop_box(
    height: int, width: int, target: tuple[int, int], *, pixel_aspect: Fraction = Fraction(1)
) -> tuple[int, int, int, int]:
    """The largest centred ``(top, left, height, width)`` that is displayed in the target's aspect.

    Where pixels are not square the crop is not either, so that the resized frame looks as a player shows it.
    """
    aspect = Fraction(target[1], target[0]) / pixel_aspect
    # round(), not floor: 4:3 of a 479-line source must not lose a column to an aspect that is met to half a pixel.
    crop_width = min(width, max(1, round(height * aspect)))
    crop_height = min(height, max(1, round(width / aspect)))
    return (height - crop_height) // 2, (width - crop_width) // 2, crop_height, crop_width


def fit(frame: Image, target: tuple[int, int], *, pixel_aspect: Fraction = Fraction(1)) -> Image:
    """``(H, W, C)`` to ``(*target, C)`` of the same type; colours are premultiplied by alpha, where there is one.

    Shrinking averages areas (no aliasing, which would flicker); enlarging is bicubic. A side that shrinks and one that
    grows are done one after the other.
    """
    top, left, height, width = crop_box(frame.shape[0], frame.shape[1], target, pixel_aspect=pixel_aspect)
    frame = frame[top : top + height, left : left + width]
    small = min(height, target[0]), min(width, target[1])
    if small != frame.shape[:2]:
        frame = cv2.resize(frame, small[::-1], interpolation=cv2.INTER_AREA)
    if target != frame.shape[:2]:
        frame = cv2.resize(frame, target[::-1], interpolation=cv2.INTER_CUBIC)
    return np.ascontiguousarray(frame)
