"""How a condition enters a layer."""

from __future__ import annotations

from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor


def beside(x: Tensor, cond: Tensor) -> Tensor:
    """The condition as further channels of x: (B, C, t, h, w), (B, K, T, H, W) -> (B, C+K, t, h, w).

    It is averaged to the grid of x, so that a layer sees it as coarsely as its own input.
    """
    if not cond.shape[1]:
        return x  # a copy of it would cost as much as a layer
    return torch.cat(
        (x, F.adaptive_avg_pool3d(cond, cast(tuple[int, int, int], tuple(x.shape[2:]))).to(x.dtype)), dim=1
    )
