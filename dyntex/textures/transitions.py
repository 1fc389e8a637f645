"""How well a clip can be cut from one of its frames to another: the distances that video textures are made by.

Schödl, Szeliski, Salesin, Essa, "Video Textures", SIGGRAPH 2000, sections 3.1 to 3.4: a jump from frame a to frame b is
good if the frames around a + 1 look like those around b, weighted by a binomial filter, which keeps the direction of
motion; and if it does not lead to where only bad jumps are left.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.clip import Clip

LOOKED_AT = 64
"""Frames are compared with their longer side reduced to so many pixels: what a jump shows is larger than that."""
LEVEL = 1 / 255
"""Steps between frames below this (half a level in units of [-1, 1]) are rounding, and no unit to measure jumps by."""


def frame_distances(clip: Clip) -> Tensor:
    """``(T, T)`` float64: the root mean square difference of each two frames, over pixels and colours."""
    frames = clip.video.transpose(0, 1)  # (T, C, H, W)
    factor = max(clip.height, clip.width) / LOOKED_AT
    if factor > 1:
        size = [max(1, round(side / factor)) for side in (clip.height, clip.width)]
        frames = F.interpolate(frames, size, mode="area")
    rows = frames.flatten(1).double()
    # Products and not differences, which would take T^2 frames of memory; the mean is taken off for precision.
    rows = rows - rows.mean(dim=0)
    gram = rows @ rows.mT
    power = gram.diagonal()
    squared = (power[:, None] + power - 2 * gram).clamp_min(0.0) / rows.shape[1]
    squared.fill_diagonal_(0.0)
    # Equal frames differ by the rounding of the products.
    floor = 1e-12 * float(power.max()) / rows.shape[1]
    return torch.where(squared <= floor, 0.0, squared).sqrt()


def typical_step(distances: Tensor) -> float:
    """The median distance of successive frames, the unit in which jumps are measured; at least half a grey level."""
    return max(LEVEL, float(distances.diagonal(1).median()))


def memory(distances: Tensor) -> int:
    """Frames until a clip looks half as different from itself as it ever does: the least lag whose mean squared
    distance is half of the mean over all pairs; at least 1."""
    T = len(distances)
    by_lag = torch.stack([distances.diagonal(lag).square().mean() for lag in range(1, T)])
    overall = distances.square().sum() / (T * (T - 1))
    return 1 + int((by_lag >= overall / 2).nonzero()[0])


def jump_costs(distances: Tensor, *, half_width: int = 2) -> Tensor:
    """``(T, T)``: at [a, b] how far showing frame b after frame a is from what the clip does; 0 at b = a + 1.

    The weighted root mean square of the distances of frames a + 1 + k and b + k, k from -``half_width`` to
    ``half_width`` - 1 with binomial weights. At the clip's ends the pairs that exist are weighed alone; where there is
    none (from the last frame to the first) the cost is infinite.

    Args:
        distances: ``(T, T)``, of frames.
        half_width: half the filter's taps: 1 compares two pairs of frames, 2 four. More tell faster dynamics apart.
    """
    T, m = len(distances), half_width
    weights = binomial(2 * m - 1)
    total, weight = torch.zeros_like(distances), torch.zeros_like(distances)
    for tap, k in enumerate(range(-m, m)):
        # a + 1 + k and b + k, both in [0, T).
        a = range(max(0, -1 - k), min(T, T - 1 - k))
        b = range(max(0, -k), min(T, T - k))
        if not a or not b:
            continue
        here = slice(a.start, a.stop), slice(b.start, b.stop)
        there = slice(a.start + 1 + k, a.stop + 1 + k), slice(b.start + k, b.stop + k)
        total[here] += weights[tap] * distances[there].square()
        weight[here] += weights[tap]
    return torch.where(weight > 0, (total / weight).sqrt(), torch.inf)


def binomial(n: int) -> list[float]:
    """The n + 1 binomial weights, which sum up to 1."""
    row = [1.0]
    for _ in range(n):
        row = [(a + b) / 2 for a, b in zip([0.0, *row], [*row, 0.0], strict=True)]
    return row


def local_minima(costs: Tensor) -> Tensor:
    """Whether no neighbour in its row and none in its column is smaller: (n, m) -> (n, m).

    Of several jumps that are almost the same one is kept; and a jump that shows a frame or two again, which resembles
    the clip's own course because it hardly leaves it, lies beside that course and is never kept.
    """
    padded = F.pad(costs, (1, 1, 1, 1), value=float("inf"))
    inner = padded[1:-1, 1:-1]
    around = (padded[1:-1, :-2], padded[1:-1, 2:], padded[:-2, 1:-1], padded[2:, 1:-1])
    return torch.stack([inner <= other for other in around]).all(dim=0) & torch.isfinite(costs)
