"""What edges look like whatever their contrast: one or several at a place, sharp or soft, few or everywhere."""

from __future__ import annotations

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.benchmarks.metrics.statistics.filters import LEVEL, N_SCALES, Views, halve

WINDOW = 5
"""Pixels a side of the neighbourhood in which gradients are gathered."""
FAINT = LEVEL / 4
"""Of a gradient, per pixel: what is added because nobody sees it."""


def edges(views: Views) -> list[Tensor]:
    """Coherence, sharpness and sparsity of gradients, by scale, of frames and of their differences in time.

    Every entry is a ratio of two energies of one frame, so a fire that burns low has the same edges as one that burns
    high, and what is left is their shape:

    * *coherence*: with J the structure tensor (the mean of g g' over a window), ``E (l1 - l2) / E (l1 + l2)`` of its
      eigenvalues: 1 where each neighbourhood has one edge, less where two pictures lie on each other;
    * *sharpness*: the log ratio of a scale's gradient energy to the next one's: blur and noise;
    * *sparsity*: ``log(E |g| / sqrt(E |g|^2))`` over the frame: few strong edges, or weak ones everywhere.

    A quarter of a grey level is added to gradients. Each entry is a mean over frames.
    """
    grey = views.axes[:1]
    groups = []
    for signal in (grey, grey[:, 1:] - grey[:, :-1]):
        energies, rows, level = [], [], signal
        for scale in range(N_SCALES + 1):
            gy, gx = torch.gradient(level[0], dim=(1, 2))  # (T, H, W)
            power = gx.square() + gy.square()
            energies.append(torch.log(_mean(power) + FAINT**2))
            if scale < N_SCALES:  # the last is only there to be compared with
                rows += [_coherence(gx, gy), torch.log((_mean(power.sqrt()) + FAINT) / (_mean(power).sqrt() + FAINT))]
                level = halve(level)
        sharpness = [fine - coarse for fine, coarse in pairwise(energies)]
        groups.append(torch.stack([value.mean() for value in (*rows, *sharpness)]))
    return groups


def _coherence(gx: Tensor, gy: Tensor) -> Tensor:
    xx, yy, xy = (_gather(a * b) for a, b in ((gx, gx), (gy, gy), (gx, gy)))
    split = ((xx - yy).square() + 4 * xy.square()).sqrt()  # l1 - l2
    return _mean(split) / (_mean(xx + yy) + FAINT**2)


def _gather(images: Tensor) -> Tensor:
    return F.avg_pool2d(images.unsqueeze(1), WINDOW, stride=1)[:, 0]


def _mean(images: Tensor) -> Tensor:
    return images.flatten(1).mean(dim=1)
