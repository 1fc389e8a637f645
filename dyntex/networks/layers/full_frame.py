"""Convolutions whose kernel spans the frame: matrix products over flattened frames."""

from __future__ import annotations

from itertools import accumulate

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyntex.networks.architecture import Padding
from dyntex.networks.layers.margins import OPEN, Axes, margins, pad
from dyntex.networks.layers.products import frame_products, state_products


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
        padding: Padding = "same",
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
        # The rows of the weight that each frame of a stride meets, those of the taps of one residue.
        counts = [len(range(residue, taps, self.stride)) for residue in range(self.stride)]
        ends = [channels_out * n for n in accumulate(counts)]
        met = [(first + before) % self.stride for first in range(self.stride)]
        slices = [(ends[residue] - channels_out * counts[residue], ends[residue]) for residue in met]
        weight = self.weight.to(x.dtype).view(taps * channels_out, -1)
        parts = frame_products(frames.view(-1, self.stride, frames.shape[2]), weight, slices)
        y = self.bias.to(x.dtype).expand(batch, n_out, -1)
        for first, (residue, products) in enumerate(zip(met, parts, strict=True)):
            if not counts[residue]:
                continue
            rows = products.view(batch, -1, counts[residue], channels_out)
            # Zero frames are not multiplied; the products that they would have had are put in their places here.
            offset = (first + before) // self.stride
            missing = n_out + counts[residue] - 1 - offset - rows.shape[1]
            rows = F.pad(rows, (0, 0, 0, 0, offset, missing))
            y = y + torch.stack([rows[:, j : j + n_out, j] for j in range(counts[residue])]).sum(0)
        return y.transpose(1, 2)[..., None, None]


class FullFrameConvTranspose(nn.Module):
    """A transposed convolution from one position to a whole frame: a matrix product for each tap.

    The weight is kept as the product reads it, (k, O, H, W, C).
    """

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel: tuple[int, int, int],
        stride: int = 1,
        padding: Padding = "valid",
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
        batch, _, n_frames = x.shape[:3]
        taps, channels_out, height, width, _ = self.weight.shape
        before, after = self.margins[0]
        extra = 0 if periodic[0] else self.extra
        n_out = n_frames * self.stride if periodic[0] else (n_frames - 1) * self.stride + taps - before - after
        # Frames beyond the last that a state reaches are zero of themselves, where none of those is cropped.
        inside = n_out if after else n_out + extra
        rounds = -(-inside // self.stride)
        terms = []  # of frame i + stride * v, which is, before cropping, frame tap + stride * (v + shift)
        for i in range(self.stride):
            shift, tap = divmod(i + before, self.stride)
            terms.append([(k, shift - j) for j, k in enumerate(range(tap, taps, self.stride))])
        offsets = [offset for pairs in terms for _, offset in pairs]
        ends = (max(0, -min(offsets)), max(0, rounds + max(offsets) - n_frames))
        states = pad(x, (ends, (0, 0), (0, 0)), periodic).flatten(2).transpose(1, 2)  # (B, P, C)
        terms = [[(k, offset + ends[0]) for k, offset in pairs] for pairs in terms]
        y = state_products(states, self.weight.to(x.dtype).flatten(1, 3), rounds, terms)
        y = y.view(batch, -1, channels_out, height, width)
        if y.shape[1] > inside:  # a slice of everything would have a gradient that is a copy
            y = y[:, :inside]
        y = y.transpose(1, 2)  # (B, O, T', H, W)
        if inside < n_out + extra:
            y = F.pad(y, (0, 0, 0, 0, 0, extra))
        return y + self.bias.to(x.dtype).view(1, -1, 1, 1, 1)
