"""What a person painted over a clip, as a mask: strokes of a round brush, each in a range of frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from dyntex.clip import Clip
from dyntex.errors import UsageError

MOST_STROKES, MOST_POINTS = 500, 20_000
"""Of one mask."""


GLANCE = 96
"""Pixels of the longer side at which a share is told."""


def check_strokes(strokes: Any) -> list[dict[str, Any]]:
    """Strokes as the page sends them.

    Args:
        strokes: a list of ``{"radius": pixels, "first": frame, "last": frame, "points": [[x, y], ...]}``.

    Returns:
        the same, numbers alone.

    Raises:
        UsageError: there are none, or too many, or something else is in the place of a number.
    """
    try:
        found: list[dict[str, Any]] = [
            {
                "radius": min(4096.0, max(0.5, float(stroke["radius"]))),
                "first": max(0, int(stroke["first"])),
                "last": max(0, int(stroke["last"])),
                "points": [[_number(x), _number(y)] for x, y in stroke["points"]],
            }
            for stroke in strokes
        ]
    except (TypeError, ValueError, KeyError, OverflowError) as error:
        raise UsageError("the painted mask cannot be read: paint it again") from error
    n_points = sum(len(stroke["points"]) for stroke in found)
    if not n_points:
        raise UsageError("nothing is painted: paint over what is to be replaced")
    if len(found) > MOST_STROKES or n_points > MOST_POINTS:
        raise UsageError(f"more than {MOST_STROKES} strokes or {MOST_POINTS} points are painted: use a larger brush")
    return found


def mask_of(strokes: list[dict[str, Any]], clip: Clip) -> NDArray[np.bool_]:
    """The painted pixels: (T, H, W), bool."""
    mask = np.zeros((clip.n_frames, clip.height, clip.width), bool)
    for stroke in strokes:
        mask[stroke["first"] : stroke["last"] + 1] |= _painted(stroke["points"], stroke["radius"], mask.shape[1:])
    return mask


def share_of(strokes: list[dict[str, Any]], shape: tuple[int, int, int]) -> float:
    """About which share of the pixels of a clip (T, H, W) is painted, without painting all of them."""
    n_frames, height, width = shape
    factor = min(1.0, GLANCE / max(height, width))
    size = max(1, round(height * factor)), max(1, round(width * factor))
    share = np.zeros(size)
    for stroke in strokes:
        points = [[x * factor, y * factor] for x, y in stroke["points"]]
        frames = max(0, min(n_frames - 1, stroke["last"]) - stroke["first"] + 1) / n_frames
        share = np.maximum(share, frames * _painted(points, stroke["radius"] * factor, size))
    return float(share.mean())


def _painted(points: list[list[float]], radius: float, size: tuple[int, ...]) -> NDArray[np.bool_]:
    """Pixels whose centres are within ``radius`` of a line through points (x, y): (H, W)."""
    painted = np.zeros(size, bool)
    for (x0, y0), (x1, y1) in zip(points, points[1:] or points, strict=False):
        left, right = _reach(x0, x1, radius, size[1])
        top, bottom = _reach(y0, y1, radius, size[0])
        y, x = np.mgrid[top:bottom, left:right] + 0.5
        dx, dy = x1 - x0, y1 - y0
        along = ((x - x0) * dx + (y - y0) * dy) / max(dx * dx + dy * dy, 1e-12)
        along = along.clip(0.0, 1.0)
        near = (x - x0 - along * dx) ** 2 + (y - y0 - along * dy) ** 2 <= radius * radius
        painted[top:bottom, left:right] |= near
    return painted


def _reach(a: float, b: float, radius: float, n: int) -> tuple[int, int]:
    """The pixels along an axis of ``n`` that a piece of a stroke can touch."""
    first = min(n, max(0, int(min(a, b) - radius)))
    return first, max(first, min(n, int(max(a, b) + radius) + 2))


def _number(value: Any) -> float:
    number = float(value)
    if not -1e5 < number < 1e5:  # NaN is refused too
        raise ValueError(value)
    return number
