"""The distribution of each pixel's values over time, as levels: the means of equally many ordered values."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import torch
from torch import Tensor


def in_order(values: Tensor) -> Tensor:
    """Sorted along the first axis, on the CPU: NumPy's sort of contiguous numbers takes a tenth of a strided one."""
    columns = values.flatten(1).T.contiguous().numpy()
    return torch.from_numpy(np.sort(columns, axis=-1)).T.reshape(values.shape)


def levels_of(ordered: Tensor, n: int) -> Tensor:
    """Means of equally many ordered values: (T, ...) -> (n, ...)."""
    return torch.stack([ordered[i].mean(0) for i in bins(len(ordered), n)])


def gaussian_levels(n_values: int, n: int) -> Tensor:
    """The levels (n,) of ``n_values`` ordered values of a standard Gaussian."""
    return levels_of(torch.special.ndtri((torch.arange(n_values) + 0.5) / n_values), n)


def bins(n_values: int, n: int) -> list[slice]:
    """``n_values`` ordered values in ``n`` equal shares."""
    edges = [round(i * n_values / n) for i in range(n + 1)]
    return [slice(a, b) for a, b in pairwise(edges)]


def through_levels(g: Tensor, source: Tensor, target: Tensor, bounds: Tensor) -> Tensor:
    """Values with the distribution of one set of levels, given that of another.

    The curve takes each source level to its target level. It is linear between them and beyond, within the bounds.

    Args:
        g: (B, C, T, H, W), distributed as ``source`` says.
        source, target: (n, C, H, W), the former strictly increasing.
        bounds: (2, C, H, W), the least and the largest value that is given.

    Returns:
        (B, C, T, H, W).
    """
    low, high = bounds[:, :, None]
    levels, at = list(target[:, :, None]), list(source[:, :, None])
    slopes = [(b - a) / (q - p) for (a, b), (p, q) in zip(pairwise(levels), pairwise(at), strict=True)]
    turns = [after - before for before, after in pairwise(slopes)]
    # A line that turns at every level: max(g, a) = a + max(g - a, 0), whose a goes into the line's constant.
    constant = levels[0] - at[0] * slopes[0] - sum(a * turn for a, turn in zip(at[1:], turns, strict=False))
    y = torch.addcmul(constant, slopes[0], g)
    for a, turn in zip(at[1:], turns, strict=False):
        y.addcmul_(turn, g.maximum(a))
    return y.clamp(low, high)
