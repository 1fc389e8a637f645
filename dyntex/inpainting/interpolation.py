"""Filling each pixel from its own other times: interpolation, the mean and the median over what was seen of it."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

NEVER = 10_000
"""Frames to a time that does not exist: further than any clip's other end."""


@dataclass(frozen=True)
class Gaps:
    """Where each pixel was last and is next seen.

    Attributes:
        before, after: (T, H, W) int64, frames to the nearest seen time at or before, respectively at or after, this
            one: 0 where it is seen itself, ``NEVER`` where there is none.
    """

    before: Tensor
    after: Tensor

    @property
    def nearest(self) -> Tensor:
        """(T, H, W): frames to the nearest seen time on either side."""
        return torch.minimum(self.before, self.after)


def gaps(missing: Tensor) -> Gaps:
    """The gaps of a mask (T, H, W)."""
    return Gaps(_since_seen(missing), _since_seen(missing.flip(0)).flip(0))


def _since_seen(missing: Tensor) -> Tensor:
    t = torch.arange(len(missing)).view(-1, 1, 1).expand_as(missing)
    last = torch.where(missing, -NEVER, t).cummax(0).values
    return torch.where(last < 0, NEVER, t - last)


def ends(y: Tensor, missing: Tensor) -> tuple[Tensor, Tensor]:
    """The nearest seen values of each pixel at or before, and at or after, each time: two of (C, T, H, W).

    Where one side has none it is given the other's; where neither has, 0.
    """
    y, gap = torch.where(missing, 0.0, y), gaps(missing)
    t = torch.arange(len(missing)).view(-1, 1, 1)
    earlier = y.gather(1, torch.where(gap.before < NEVER, t - gap.before, 0).expand_as(y))
    later = y.gather(1, torch.where(gap.after < NEVER, t + gap.after, 0).expand_as(y))
    only_later, only_earlier = gap.before == NEVER, gap.after == NEVER
    return (
        torch.where(only_later, torch.where(only_earlier, 0.0, later), earlier),
        torch.where(only_earlier, torch.where(only_later, 0.0, earlier), later),
    )


def interpolate(y: Tensor, missing: Tensor) -> Tensor:
    """Linear in time between the nearest seen values of a pixel; where only one side has any, its nearest.

    What is seen at no time is spread from the pixels around it, frame by frame.

    Args:
        y: (C, T, H, W).
        missing: (T, H, W), bool; what ``y`` holds there is not looked at.

    Returns:
        (C, T, H, W); seen pixels as they are.
    """
    gap = gaps(missing)
    earlier, later = ends(y, missing)
    share = (gap.before / (gap.before + gap.after).clamp_min(1)).to(y.dtype)
    filled = torch.where(missing, torch.lerp(earlier, later, share), y)
    return spread(filled, ~missing.all(0))


def mean(y: Tensor, missing: Tensor) -> Tensor:
    """The mean over time of what is seen of each pixel, in every frame: (C, T, H, W) -> the same."""
    seen = (~missing).to(y.dtype)
    n = seen.sum(0)
    average = torch.where(missing, 0.0, y).sum(1) / n.clamp_min(1)  # (C, H, W)
    return spread(average, n > 0)[:, None].expand_as(y)


def median(y: Tensor, missing: Tensor) -> Tensor:
    """The median over time of what is seen of each pixel, in every frame: (C, T, H, W) -> the same.

    Of an even number of values it is the mean of the middle two.
    """
    ordered = torch.where(missing, torch.inf, y).sort(dim=1).values
    n = (~missing).sum(0)
    # Pixels seen an even number of times have two middle values, the others one, taken twice.
    low, high = (ordered.gather(1, i.expand(len(y), 1, *i.shape))[:, 0] for i in ((n - 1).clamp_min(0) // 2, n // 2))
    centre = torch.where(n > 0, (low + torch.where(n % 2 == 1, low, high)) / 2, 0.0)
    return spread(centre, n > 0)[:, None].expand_as(y)


def spread(frames: Tensor, seen: Tensor) -> Tensor:
    """Fill unseen pixels smoothly from the seen ones around them, by averages over ever coarser grids (push and pull).

    Gortler, Grzeszczuk, Szeliski, Cohen, "The Lumigraph", SIGGRAPH 1996.

    Args:
        frames: (..., H, W).
        seen: (H, W), bool. Where nothing is seen at all the result is 0.
    """
    if bool(seen.all()):
        return frames
    weight = seen.to(frames.dtype).expand_as(frames)
    flat = torch.where(seen, frames, 0.0).reshape(1, -1, *frames.shape[-2:])
    return torch.where(seen, frames, _push_pull(flat, weight.reshape(flat.shape)).view_as(frames))


def _push_pull(total: Tensor, weight: Tensor) -> Tensor:
    """Weighted means of (1, N, H, W) sums: where the weight is under 1, the coarser grid gives the rest."""
    if min(total.shape[-2:]) == 1 and max(total.shape[-2:]) == 1:
        return total / weight.clamp_min(1e-12)
    coarse_total, coarse_weight = (F.avg_pool2d(x, 2, ceil_mode=True, divisor_override=1) for x in (total, weight))
    # A full cell counts as one pixel of the coarser grid.
    factor = coarse_weight.clamp_max(1.0) / coarse_weight.clamp_min(1e-12)
    coarse = _push_pull(coarse_total * factor, coarse_weight * factor)
    fine = F.interpolate(coarse, size=total.shape[-2:], mode="bilinear", align_corners=False)
    return total + (1.0 - weight) * fine
