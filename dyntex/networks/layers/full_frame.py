"""Convolutions whose kernel spans the frame: matrix products over flattened frames."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyntex.networks.layers.margins import OPEN, Axes, PadRule, fold, margins, overlap_add, pad


class FullFrameConv(nn.Module):
    """A convolution whose kernel spans the frame, (k, FULL, FULL): the same sums as ``conv3d`` in another order.

    A frame meets only the taps of its own residue modulo the stride. So there is one product for each residue, over
    half of the frames and half of the taps where the stride is 2, and its rows are then added with their shifts.

    The weight is kept as the products read it, (k, O, H, W, C): ``order`` lists its taps, those of a residue together.
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel: tuple[int, int, int],
        stride: int = 1,
        padding: PadRule = "same",
    ) -> None:
        super().__init__()
        taps, height, width = kernel
        self.weight = nn.Parameter(torch.empty(taps, channels_out, height, width, channels_in))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.stride = stride
        self.margins = margins((taps, 1, 1), (stride, 1, 1), padding)
        self.order = [k for residue in range(stride) for k in range(residue, taps, stride)]

    def forward(self, x: Tensor, periodic: Axes = OPEN) -> Tensor:
        """(B, C, T, H, W) -> (B, O, T', 1, 1). Periodic space needs nothing here: one position sees it all."""
        before, after = self.margins[0]
        if periodic[0]:
            x = pad(x, (self.margins[0], (0, 0), (0, 0)), periodic)
            before = after = 0
        batch, _, n_frames = x.shape[:3]
        taps, channels_out = self.weight.shape[:2]
        n_out = (n_frames + before + after - taps) // self.stride + 1
        frames = x.permute(0, 2, 3, 4, 1).reshape(batch, n_frames, -1)  # (B, T, H*W*C)
        if n_frames % self.stride:
            frames = F.pad(frames, (0, 0, 0, -n_frames % self.stride))
        sizes = [len(range(residue, taps, self.stride)) for residue in range(self.stride)]
        # split and unbind, not slices: their gradient is one copy, where each slice's would be the whole in zeros.
        weights = torch.split(self.weight.to(x.dtype), sizes)
        y = self.bias.to(x.dtype).expand(batch, n_out, -1)
        for first, part in enumerate(frames.view(batch, -1, self.stride, frames.shape[2]).unbind(2)):
            weight = weights[(first + before) % self.stride]
            if not len(weight):
                continue
            products = F.linear(part, weight.flatten(2).flatten(0, 1))  # (B, M, j*O)
            products = products.view(batch, -1, len(weight), channels_out)
            # Zero frames are not multiplied; the products that they would have had are put in their places here.
            offset = (first + before) // self.stride
            missing = n_out + len(weight) - 1 - offset - products.shape[1]
            products = F.pad(products, (0, 0, 0, 0, offset, missing))
            y = y + torch.stack([products[:, j : j + n_out, j] for j in range(len(weight))]).sum(0)
        return y.transpose(1, 2)[..., None, None]


class FullFrameConvTranspose(nn.Module):
    """A transposed convolution from one position to a whole frame: one matrix product, then overlap-add in time.

    The weight is kept as the product reads it, (k, O, H, W, C).
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel: tuple[int, int, int],
        stride: int = 1,
        padding: PadRule = "valid",
        extra: int = 0,
    ) -> None:
        super().__init__()
        taps, height, width = kernel
        self.weight = nn.Parameter(torch.empty(taps, channels_out, height, width, channels_in))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.stride = stride
        self.margins = margins((taps, 1, 1), (stride, 1, 1), padding)
        self.extra = extra

    def forward(self, x: Tensor, periodic: Axes = OPEN) -> Tensor:
        """(B, C, T, 1, 1) -> (B, O, T', H, W)."""
        batch, channels_in, n_frames = x.shape[:3]
        taps, channels_out, height, width, _ = self.weight.shape
        states = x.view(batch, channels_in, n_frames).transpose(1, 2)
        frames = F.linear(states, self.weight.to(x.dtype).view(-1, channels_in))
        y = overlap_add(frames.view(batch, n_frames, taps, channels_out, height, width), self.stride)
        y = y.transpose(1, 2)  # (B, O, T', H, W)
        period = (n_frames * self.stride, height, width)
        y = fold(y, (self.margins[0], (0, 0), (0, 0)), period, (periodic[0], False, False))
        if self.extra and not periodic[0]:
            y = F.pad(y, (0, 0, 0, 0, 0, self.extra))
        return y + self.bias.to(x.dtype).view(1, -1, 1, 1, 1)
