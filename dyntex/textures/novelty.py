"""How new a sample is: how far its windows of a few frames are from the nearest of the clip's."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FRAMES = 8
SIDE = 16


def novelty(samples: Tensor, clip: Tensor) -> float:
    """The mean Euclidean distance of samples' windows to the nearest window of the clip; 0 for a replay.

    A window is :data:`FRAMES` frames (less where there are fewer) reduced to :data:`SIDE` pixels a side.

    Args:
        samples: (N, C, T, H, W).
        clip: (C, T', H, W).
    """
    n = min(FRAMES, samples.shape[2], clip.shape[1])
    pool = _windows(clip, n)
    found = [torch.cdist(_windows(y, n), pool).min(1).values.mean() for y in samples]
    return float(torch.stack(found).mean())


def _windows(video: Tensor, n: int) -> Tensor:
    return F.adaptive_avg_pool2d(video, SIDE).unfold(1, n, 1).movedim(1, 0).flatten(1)
