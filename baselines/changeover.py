"""From one course of a clip to another within a few pictures: each region changes over when they differ least there.

What is minimised is the cost of a cut through the window's space and time (Kwatra, Schödl, Essa, Turk, Bobick,
"Graphcut Textures", SIGGRAPH 2003, equation 1): the difference of the two courses on both sides of every place where
they meet, along time and along the picture. Departures: each pixel changes once; and the least is sought by dynamic
programmes along rows and columns whose costs are added up (Hirschmüller, "Stereo processing by semiglobal matching",
IEEE TPAMI 30(2), 2008) and not by a cut of a graph, which takes seconds.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

FEATHER = 1.0
"""Standard deviation, in pixels, of the blend between regions of one picture."""


def change_over(old: Tensor, new: Tensor, *, fade: int = 1) -> Tensor:
    """The window's pictures: each pixel from ``old`` up to its moment, and from ``new`` from then on.

    Args:
        old: ``(C, w + 2, H, W)``, the course that is left: the window's w pictures, one before and one after it. Where
            there is none, the nearest is repeated.
        new: likewise, the course that is jumped to.
        fade: pictures in which a pixel changes; 1 is at once.

    Returns:
        ``(C, w, H, W)``.
    """
    w = old.shape[1] - 2
    fade = max(1, min(fade, w // 2))
    share = shares(moments(old, new, margin=fade // 2), w, fade=fade)
    return torch.lerp(old[:, 1:-1], new[:, 1:-1], share.expand_as(old[:, 1:-1]))


def moments(old: Tensor, new: Tensor, *, margin: int = 0) -> Tensor:
    """``(H, W)`` int64: the first picture of the window, from ``margin`` to w - ``margin``, that is ``new`` at a pixel.

    Arguments as of :func:`change_over`.
    """
    error = (new - old).square().mean(dim=0)  # (w + 2, H, W)
    here = (error[:-1] + error[1:]).movedim(0, -1)  # (H, W, w + 1): the cut in time between s - 1 and s
    # Two neighbours that change over at s and s' show different courses in the pictures between: the sum of what these
    # cost is the difference of sums up to s and s'.
    total = F.pad(error[1:-1].cumsum(dim=0), (0, 0, 0, 0, 1, 0)).movedim(0, -1)  # (H, W, w + 1)
    if margin:
        here, total = here[..., margin:-margin], total[..., margin:-margin]
    down = _swept(here, total)
    across = _swept(here.transpose(0, 1), total.transpose(0, 1)).transpose(0, 1)
    # Each of the four ways counts what is here; it is to count once.
    return (down + across - 3 * here).argmin(dim=-1) + margin


def shares(moment: Tensor, n_pictures: int, *, fade: int = 1) -> Tensor:
    """``(w, H, W)``: how much of ``new`` each picture shows, around each pixel's moment and between regions blended."""
    k = torch.arange(n_pictures).view(-1, 1, 1)
    share = ((k - moment + 0.5) / fade + 0.5).clamp(0.0, 1.0)[:, None]  # (w, 1, H, W)
    reach = torch.arange(-3.0, 4.0)
    taps = torch.exp(-reach.square() / (2 * FEATHER**2))
    taps = taps / taps.sum()
    share = F.pad(share, (3, 3, 3, 3), mode="replicate")
    return F.conv2d(F.conv2d(share, taps.view(1, 1, -1, 1)), taps.view(1, 1, 1, -1))[:, 0]


def _swept(here: Tensor, total: Tensor) -> Tensor:
    """For each place and moment the least cost of the paths along the first axis that go through it, from both ends.

    Args:
        here: (n, m, L), the cost of a moment at a place.
        total: (n, m, L), whose differences at both of two neighbours are the cost between their moments.
    """
    forth = _one_way(here, total)
    return forth + _one_way(here.flip(0), total.flip(0)).flip(0)


def _one_way(here: Tensor, total: Tensor) -> Tensor:
    out = [here[0]]
    for i in range(1, len(here)):
        # (m, L', L): from the moment L' of the neighbour before.
        between = (total[i - 1, :, :, None] - total[i - 1, :, None, :]).abs()
        between += (total[i, :, :, None] - total[i, :, None, :]).abs()
        before = (out[-1][:, :, None] + between).amin(dim=1)
        out.append(here[i] + before)
    return torch.stack(out)
