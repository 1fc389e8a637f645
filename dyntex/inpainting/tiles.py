"""A large frame in overlapping tiles, so that memory is that of one of them and each place is its own clip."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from dyntex.inpainting.interpolation import interpolate

SIDE = 128
OVERLAP = 32


def in_tiles(y: Tensor, missing: Tensor, fill: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """``fill`` tile by tile, faded into each other where they overlap.

    A tile without holes costs nothing. One in which nothing was ever seen is interpolated from those around it.

    Args:
        y: (C, T, H, W).
        missing: (T, H, W), bool.
        fill: from (C, T, h, w) and (T, h, w) to (C, T, h, w).
    """
    total, weight = torch.zeros_like(y), torch.zeros(missing.shape[1:])
    far: Tensor | None = None
    for rows, up in spans(missing.shape[1]):
        for columns, across in spans(missing.shape[2]):
            part, hole = y[..., rows, columns], missing[:, rows, columns]
            if bool(hole.all()):
                far = interpolate(y, missing) if far is None else far
                part = far[..., rows, columns]
            elif bool(hole.any()):
                part = fill(part, hole)
            window = up[:, None] * across
            total[..., rows, columns] += part * window
            weight[rows, columns] += window
    # Seen pixels to the bit: a weighted mean of equal numbers is only nearly that number.
    return torch.where(missing, total / weight, y)


def spans(n: int) -> list[tuple[slice, Tensor]]:
    """The tiles along an axis of ``n`` pixels: at most ``SIDE`` long, evenly spread, each with its fading weights."""
    count = max(1, -(-(n - OVERLAP) // (SIDE - OVERLAP)))
    side = min(n, -(-(n + (count - 1) * OVERLAP) // count))
    ramp = (torch.arange(side) + 1.0).clamp_max(OVERLAP)
    window = torch.minimum(ramp, ramp.flip(0)) / OVERLAP
    starts = [round(i * (n - side) / max(1, count - 1)) for i in range(count)]
    return [(slice(start, start + side), window) for start in starts]
