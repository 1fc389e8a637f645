"""A clip's own colours as a curve of brightness: black, red, yellow, white for a fire.

What is mixed in RGB leaves this curve: half of a red and half of a white is a pink that no fire has. So a texture is
mixed as brightness and as the colour's distance from the curve.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dyntex.textures.marginals import bins

APART = 1e-4
"""Least distance of neighbouring knots: those of a large dark area coincide, and would divide by zero."""


class ColourRamp(nn.Module):
    """The colour that the clip has, on average, at each brightness.

    Args:
        n_knots: how many pieces of equally many pixels the curve has.
        video: (C, T, H, W), or on the meta device, where a checkpoint fills the ramp in.
    """

    axes: Tensor
    knots: Tensor
    ramp: Tensor

    def __init__(self, n_knots: int, video: Tensor) -> None:
        super().__init__()
        channels = len(video)
        self.register_buffer("axes", torch.zeros(channels, channels))
        self.register_buffer("knots", torch.zeros(n_knots))
        self.register_buffer("ramp", torch.zeros(n_knots, channels))
        if not video.is_meta:
            self._fit(video)

    def _fit(self, video: Tensor) -> None:
        """The colour axes, brightness (the direction of most variance) first, and the ramp."""
        pixels = video.flatten(1).double()
        centred = pixels - pixels.mean(1, keepdim=True)
        _, axes = torch.linalg.eigh(centred @ centred.T)
        self.axes.copy_(axes.flip(1).T)
        seen = self.axes.double() @ pixels
        order = seen[0].argsort()
        for k, share in enumerate(bins(len(order), len(self.knots))):
            self.knots[k] = seen[0, order[share]].mean()
            self.ramp[k, 1:] = seen[1:, order[share]].mean(1)
        self.knots.copy_(self.knots + torch.arange(len(self.knots)) * APART)

    def from_rgb(self, y: Tensor) -> Tensor:
        """Brightness, and by how much the colour differs from the ramp's: (B, C, T, H, W) -> the same."""
        turned = torch.einsum("dc,bcthw->bdthw", self.axes, y)
        return turned - self._colour(turned[:, 0])

    def to_rgb(self, b: Tensor) -> Tensor:
        """The inverse of :meth:`from_rgb`."""
        return (self.axes.T @ (b + self._colour(b[:, 0])).flatten(2)).view_as(b)

    def _colour(self, brightness: Tensor) -> Tensor:
        """The ramp, linear between its knots: (B, T, H, W) -> (B, C, T, H, W), with 0 for brightness itself."""
        right = torch.searchsorted(self.knots, brightness.contiguous()).clamp_(1, len(self.knots) - 1)
        left = right - 1
        a, b = self.knots.take(left), self.knots.take(right)
        share = ((brightness - a) / (b - a)).clamp_(0.0, 1.0)
        ramps = self.ramp.T[1:]
        return torch.stack([torch.zeros_like(share), *(r.take(left).lerp(r.take(right), share) for r in ramps)], dim=1)
