"""Windows in time and space: a clip's ends faded, and a frame cut into overlapping regions."""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor


def fade(n: int, share: float) -> Tensor:
    """A window (n,) of mean square 1 that rises and falls over ``share`` of the time, as a sine's quarter.

    Without it every sample of a noise would switch a frame on and another off, a flicker that the clip does not have.
    """
    t = (torch.arange(n) + 0.5) / n
    edge = torch.minimum(t, 1.0 - t) / max(share / 2, 0.5 / n)
    window = torch.sin(edge.clamp_max(1.0) * (math.pi / 2))
    return window / window.square().mean().sqrt()


def overlapping(height: int, width: int, n: int) -> Tensor:
    """n x n overlapping cosine windows over the frame, (n*n, H, W), whose squares add up to 1 at every pixel.

    Independent noises weighted by them add up to the variance of one.
    """
    rows, columns = (_cosines(side, n) for side in (height, width))
    return torch.einsum("ih,jw->ijhw", rows, columns).reshape(n * n, height, width)


def _cosines(side: int, n: int) -> Tensor:
    centres = (torch.arange(n) + 0.5) * side / n
    x = torch.arange(side) + 0.5
    # Beyond the outer centres the outer windows stay whole.
    x = x.clamp(float(centres[0]), float(centres[-1]))
    distance = (x - centres[:, None]).abs() * n / side
    return torch.cos(distance.clamp_max(1.0) * (math.pi / 2))


def supports(side: int, n: int) -> list[slice]:
    """Where each of n windows along a side is not zero: between its neighbours' centres, see :func:`overlapping`."""
    inner = [math.ceil((i + 0.5) * side / n - 0.5) for i in range(n)]  # the first pixel past each centre
    return [slice(a, b) for a, b in zip([0, *inner[:-1]], [*inner[1:], side], strict=True)]


def smoothed(frames: Tensor, side: int) -> Tensor:
    """Box filter of ``side`` pixels over (..., H, W); at the border, over what there is."""
    flat = frames.reshape(1, -1, *frames.shape[-2:])
    return F.avg_pool2d(flat, side, stride=1, padding=side // 2, count_include_pad=False).view_as(frames)
