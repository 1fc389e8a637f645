"""Convolutions over (T, H, W), the full-frame ones as matrix products.

Shapes: B batch, C and O channels in and out, T frames, HxW pixels, k taps in time. Every convolution here pads (or
crops) explicitly and then runs "valid", so zero padding and periodic padding are one code path.
"""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Axes = tuple[bool, bool, bool]
OPEN: Axes = (False, False, False)
"""No axis of (T, H, W) is periodic."""

Margins = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]
PadRule = Literal["same", "valid"] | tuple[int, int, int]


def margins(kernel: tuple[int, int, int], stride: tuple[int, int, int], padding: PadRule) -> Margins:
    """How many positions a convolution of that padding adds (a transposed one removes) before and after each axis.

    "same" makes output = floor(input / stride), or input * stride when transposed; where the total is odd the
    far end gets the larger half (the convention of the paper's code).
    """
    if padding == "valid":
        return ((0, 0), (0, 0), (0, 0))
    if padding == "same":
        totals = [max(k - s, 0) for k, s in zip(kernel, stride, strict=True)]
        t, h, w = ((total // 2, total - total // 2) for total in totals)
        return t, h, w
    t, h, w = ((p, p) for p in padding)
    return t, h, w


def pad(x: Tensor, by: Margins, periodic: Axes = OPEN) -> Tensor:
    """(B, C, T, H, W) with ``by`` positions added: zeros, or the opposite end of a periodic axis."""
    for axis, ((before, after), wrap) in enumerate(zip(by, periodic, strict=True), start=2):
        if wrap and (before or after):
            length = x.shape[axis]
            index = torch.arange(-before, length + after, device=x.device) % length
            x = x.index_select(axis, index)
    zeros = [0 if wrap else n for (pair, wrap) in zip(by[::-1], periodic[::-1], strict=True) for n in pair]
    return F.pad(x, zeros) if any(zeros) else x


def fold(y: Tensor, by: Margins, period: tuple[int, int, int], periodic: Axes = OPEN) -> Tensor:
    """The adjoint of :func:`pad`: crop ``by``, and on a periodic axis of that period add what was cropped back on."""
    for axis, ((before, after), length, wrap) in enumerate(zip(by, period, periodic, strict=True), start=2):
        if wrap:
            index = (torch.arange(y.shape[axis], device=y.device) - before) % length
            shape = list(y.shape)
            shape[axis] = length
            y = y.new_zeros(shape).index_add(axis, index, y)
        elif before or after:
            y = y.narrow(axis, before, y.shape[axis] - before - after)
    return y


class Conv(nn.Module):
    """A 3-D convolution."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel: tuple[int, int, int],
        stride: tuple[int, int, int] = (1, 1, 1),
        padding: PadRule = "same",
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in, *kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.stride = stride
        self.margins = margins(kernel, stride, padding)

    def forward(self, x: Tensor, periodic: Axes = OPEN) -> Tensor:
        """(B, C, T, H, W) -> (B, O, T', H', W')."""
        return F.conv3d(pad(x, self.margins, periodic), self.weight, self.bias, stride=self.stride)


class FullFrameConv(nn.Module):
    """A convolution whose kernel spans the frame, (k, FULL, FULL): one matrix product over flattened frames.

    Every frame meets every tap in one product, and the taps are then added with their shifts: the same sums as
    ``conv3d`` in another order. The weight is kept in the product's layout, (k, O, C, H, W).
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
        self.weight = nn.Parameter(torch.empty(taps, channels_out, channels_in, height, width))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.stride = stride
        self.margins = margins((taps, 1, 1), (stride, 1, 1), padding)

    def forward(self, x: Tensor, periodic: Axes = OPEN) -> Tensor:
        """(B, C, T, H, W) -> (B, O, T', 1, 1). Periodic space needs nothing here: one position sees it all."""
        batch, _, n_frames = x.shape[:3]
        taps, channels_out = self.weight.shape[:2]
        frames = x.transpose(1, 2).reshape(batch * n_frames, -1)  # (B*T, C*H*W)
        products = frames @ self.weight.view(taps * channels_out, -1).T  # (B*T, k*O)
        products = products.view(batch, n_frames, taps, channels_out, 1).permute(0, 3, 1, 2, 4)  # (B, O, T, k, 1)
        products = pad(products, (self.margins[0], (0, 0), (0, 0)), (periodic[0], False, False))
        n_out = (products.shape[2] - taps) // self.stride + 1
        reach = (n_out - 1) * self.stride + 1
        shifted = (products[:, :, k : k + reach : self.stride, k] for k in range(taps))
        y = torch.stack(tuple(shifted)).sum(0)  # (B, O, T', 1)
        return (y + self.bias.view(1, -1, 1, 1)).unsqueeze(-1)


class ConvTranspose(nn.Module):
    """A transposed 3-D convolution."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel: tuple[int, int, int],
        stride: tuple[int, int, int] = (1, 1, 1),
        padding: PadRule = "same",
        extra: tuple[int, int, int] = (0, 0, 0),
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels_in, channels_out, *kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.stride = stride
        self.margins = margins(kernel, stride, padding)
        self.extra = extra

    def forward(self, x: Tensor, periodic: Axes = OPEN) -> Tensor:
        """(B, C, T, H, W) -> (B, O, T', H', W'); on a periodic axis the output's period is input * stride."""
        y = F.conv_transpose3d(x, self.weight, None, stride=self.stride)
        t, h, w = (n * s for n, s in zip(x.shape[2:], self.stride, strict=True))
        y = fold(y, self.margins, (t, h, w), periodic)
        if any(self.extra):
            zeros = [0 if wrap else n for n, wrap in zip(self.extra, periodic, strict=True)]
            y = F.pad(y, (0, zeros[2], 0, zeros[1], 0, zeros[0]))
        return y + self.bias.view(1, -1, 1, 1, 1)


class FullFrameConvTranspose(nn.Module):
    """A transposed convolution from one position to a whole frame: one matrix product, then overlap-add in time.

    The weight is kept in the product's layout, (C, k, O, H, W).
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
        self.weight = nn.Parameter(torch.empty(channels_in, taps, channels_out, height, width))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.stride = stride
        self.margins = margins((taps, 1, 1), (stride, 1, 1), padding)
        self.extra = extra

    def forward(self, x: Tensor, periodic: Axes = OPEN) -> Tensor:
        """(B, C, T, 1, 1) -> (B, O, T', H, W)."""
        batch, channels_in, n_frames = x.shape[:3]
        _, taps, channels_out, height, width = self.weight.shape
        states = x.view(batch, channels_in, n_frames).transpose(1, 2).reshape(batch * n_frames, channels_in)
        frames = (states @ self.weight.view(channels_in, -1)).view(batch, n_frames, taps, channels_out, height, width)
        length = (n_frames - 1) * self.stride + taps
        y = frames.new_zeros(batch, length, channels_out, height, width)
        reach = (n_frames - 1) * self.stride + 1
        for k in range(taps):
            y[:, k : k + reach : self.stride] += frames[:, :, k]
        y = y.transpose(1, 2)  # (B, O, T', H, W)
        period = (n_frames * self.stride, height, width)
        y = fold(y, (self.margins[0], (0, 0), (0, 0)), period, (periodic[0], False, False))
        if self.extra and not periodic[0]:
            y = F.pad(y, (0, 0, 0, 0, 0, self.extra))
        return y + self.bias.view(1, -1, 1, 1, 1)


class ShiftNorm(nn.Module):
    """Batch normalisation over (B, T, H, W) with a learnt shift and no learnt scale, as the paper's code has it.

    Departure: the reference normalises by the batch at test time too, so its sample depends on its neighbours and on
    its length; here the running mean and variance serve once training is over.
    """

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, eps: float = 1e-3, momentum: float = 0.05) -> None:
        super().__init__()
        self.shift = nn.Parameter(torch.zeros(channels))
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))
        self.eps = eps
        self.momentum = momentum

    def forward(self, x: Tensor) -> Tensor:
        return F.batch_norm(
            x,
            self.running_mean,
            self.running_var,
            weight=None,
            bias=self.shift,
            training=self.training,
            momentum=self.momentum,
            eps=self.eps,
        )


def activate(x: Tensor, activation: str) -> Tensor:
    match activation:
        case "relu":
            return F.relu(x)
        case "leaky_relu":
            return F.leaky_relu(x, 0.2)
        case "silu":
            return F.silu(x)
        case "tanh":
            return torch.tanh(x)
        case _:
            return x


def initialise(module: nn.Module, std: float, rng: torch.Generator) -> None:
    """N(0, std^2) weights and zero biases; ``std`` = 0 takes 1/sqrt(fan-in) layer by layer.

    The fan-in counts the weights of one output channel. In a full-frame transposed layer a pixel hears only one H*W-th
    of them, so such a layer starts that much (in power) quieter than the others.
    """
    for layer in module.modules():
        if isinstance(layer, Conv | FullFrameConv | ConvTranspose | FullFrameConvTranspose):
            transposed = isinstance(layer, ConvTranspose | FullFrameConvTranspose)
            strides = layer.stride if isinstance(layer.stride, tuple) else (layer.stride,)
            # Each output of a transposed layer is reached by one tap in `stride` along every axis.
            fan_in = layer.weight.numel() / layer.bias.numel() / (math.prod(strides) if transposed else 1)
            scale = std if std > 0.0 else 1.0 / math.sqrt(fan_in)
            with torch.no_grad():
                noise = torch.randn(layer.weight.shape, generator=rng, device=layer.weight.device)
                layer.weight.copy_(noise.mul_(scale))
                layer.bias.zero_()
