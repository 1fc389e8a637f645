"""What frames look like one by one: contrast, its arrangement, its place in the frame, and colour."""

from __future__ import annotations

from itertools import product

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.benchmarks.metrics.statistics.filters import LEVEL, Views, blocks, cells, gabor, halve

N_QUANTILES = 32


def appearance(views: Views) -> list[Tensor]:
    """Statistics of oriented contrast wherever it is in the frame: one vector per scale and layer.

    With ``r`` the Gabor responses (colour axis and orientation) and ``m = |r|``,

    * layer 1: ``E m``; ``sqrt(E m_i m_j)`` for all pairs of channels, which says which contrasts meet; and
      ``cbrt(E Re(r)^3)``, bright lines against dark ones;
    * layer 2, how contrast is itself arranged: ``E`` and root mean square of ``|gabor(m)|``.

    The ratio of ``E m`` to ``sqrt(E m^2)`` is what a Gaussian surrogate of the right spectrum gets wrong. All
    entries have the clip's units, so that one relative distance can hold them. One grey level, the same in every clip,
    is appended: without it two blank clips would differ by their rounding errors.
    """
    visible = torch.tensor([LEVEL])
    groups = []
    for level in views.oriented:
        r = level.flatten(0, 1)  # (N, T, H, W), N = colour axes * orientations
        m = r.abs()
        flat = m.flatten(1)
        meets = (flat @ flat.T / flat.shape[1]).sqrt()
        skew = _cube_root(r.real.pow(3).flatten(1).mean(dim=1))
        groups.append(torch.cat([flat.mean(dim=1), meets.flatten(), skew, visible]))
        second = gabor(halve(m)).abs().flatten(2)  # (N, O, T * H/2 * W/2)
        groups.append(torch.cat([second.mean(dim=2).flatten(), second.square().mean(dim=2).sqrt().flatten(), visible]))
    return groups


def layout(views: Views) -> list[Tensor]:
    """Where in the frame contrast is: the mean of ``|r|`` in each cell, one vector ``(C * O)`` per scale and cell.

    One grey level is added, so that the relative distance of a flat cell (black sky) measures what can be seen.
    """
    groups: list[Tensor] = []
    for level in views.oriented:
        local = cells(level.abs()).mean(dim=2)  # (C, O, cells)
        groups.extend((local.flatten(0, 1) + LEVEL).unbind(dim=1))
    return groups


def colour(views: Views) -> list[Tensor]:
    """Quantile functions of pixel values: their mean absolute difference is a 1-Wasserstein distance.

    Over the whole frame along every direction of ``{-1, 0, 1}^C`` up to sign (13 for RGB: a sliced Wasserstein
    distance whose slices are fixed), and along each channel in each cell.
    """
    # Every fourth pixel (not a blur: that would narrow the distribution), because sorting is most of the cost.
    pixels = views.video[:, :, ::2, ::2].flatten(1)
    whole = torch.stack([quantiles(d @ pixels) for d in _directions(len(pixels))])
    return [whole, torch.stack([quantiles(block) for block in blocks(views.video)])]


def quantiles(values: Tensor) -> Tensor:
    """``N_QUANTILES`` mid-point quantiles along the last axis."""
    ordered = values.sort(dim=-1).values
    middles = (torch.arange(N_QUANTILES) + 0.5) / N_QUANTILES
    return ordered[..., (middles * ordered.shape[-1]).long()]


def _cube_root(x: Tensor) -> Tensor:
    return x.sign() * x.abs().pow(1 / 3)


def _directions(channels: int) -> Tensor:
    vectors = [v for v in product((-1.0, 0.0, 1.0), repeat=channels) if v > (0.0,) * channels]
    return F.normalize(torch.tensor(vectors), dim=1)
