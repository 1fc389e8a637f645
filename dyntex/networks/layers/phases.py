"""A strided convolution as one of stride 1, whose channels are the positions of a stride."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from dyntex.networks.layers.margins import OPEN, Axes, Margins, pad

Triple = tuple[int, int, int]

LANES = 32
"""bf16 numbers that a matrix unit multiplies at once."""


def conv_of_phases(
    x: Tensor, weight: Tensor, bias: Tensor, *, stride: Triple, margins: Margins, periodic: Axes = OPEN
) -> Tensor:
    """``conv3d`` of the padded x, (B, C, T, H, W), (O, C, k, kh, kw), (O,) -> (B, O, T', H', W').

    (B, C, T, H, W) becomes (B, s*s*s*C, T/s, H/s, W/s), and a kernel of 5 one of 3. What is added to the kernel to make
    it whole strides long is zero and multiplied all the same, which bf16 matrix units make up for and others do not.
    """
    sides, kernel = x.shape[2:], weight.shape[2:]
    taps = _triple(-(-k // s) for k, s in zip(kernel, stride, strict=True))
    # As many positions as the kernel meets.
    grid = _triple(
        (n + a + b - k) // s + m for n, (a, b), k, s, m in zip(sides, margins, kernel, stride, taps, strict=True)
    )
    t, h, w = (pair if wrap else (0, 0) for pair, wrap in zip(margins, periodic, strict=True))
    starts = _triple(0 if wrap else before for (before, _), wrap in zip(margins, periodic, strict=True))
    phases = _phases(pad(x, (t, h, w), periodic), starts, grid, stride)
    return F.conv3d(phases, _phases(weight, (0, 0, 0), taps, stride), bias)


def _phases(x: Tensor, starts: Triple, grid: Triple, stride: Triple) -> Tensor:
    y: Tensor = _Phases.apply(x, starts, grid, stride)  # type: ignore[no-untyped-call]
    return y


class _Phases(torch.autograd.Function):
    """(B, C, T, H, W) -> (B, s*s*s*C and zeros, t, h, w), channels last.

    The clip begins ``starts`` positions within the t*s x h*s x w*s that the result has; zeros are around it, and what
    lies beyond is left out. One pass there and one back, where autograd's padding and permuting take six.
    """

    @staticmethod
    def forward(ctx: Any, x: Tensor, starts: Triple, grid: Triple, stride: Triple) -> Tensor:
        batch, channels = x.shape[:2]
        ctx.starts, ctx.grid, ctx.stride, ctx.shape = starts, grid, stride, x.shape
        whole = x.new_zeros(batch, *(n * s for n, s in zip(grid, stride, strict=True)), channels)
        t, h, w = (slice(a, min(a + n, m)) for a, n, m in zip(starts, x.shape[2:], whole.shape[1:4], strict=True))
        x = x.permute(0, 2, 3, 4, 1)
        whole[:, t, h, w] = x[:, : t.stop - t.start, : h.stop - h.start, : w.stop - w.start]
        (t_, r), (h_, s), (w_, u) = zip(grid, stride, strict=True)
        parts = whole.view(batch, t_, r, h_, s, w_, u * channels)
        width = r * s * u * channels
        y = x.new_empty(batch, *grid, width + -width % LANES)
        # One by one, which is three times as fast as all of them permuted.
        runs = y[..., :width].view(*y.shape[:4], r, s, u * channels)
        for i in range(r):
            for j in range(s):
                runs[..., i, j, :] = parts[:, :, i, :, j]
        y[..., width:] = 0.0
        return y.permute(0, 4, 1, 2, 3)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        batch, channels, *sides = ctx.shape
        (t, r), (h, s), (w, u) = zip(ctx.grid, ctx.stride, strict=True)
        y = grads[0].permute(0, 2, 3, 4, 1)[..., : r * s * u * channels].view(batch, t, h, w, r, s, u, channels)
        y = y.permute(0, 7, 1, 4, 2, 5, 3, 6).reshape(batch, channels, t * r, h * s, w * u)
        for axis, (start, side) in enumerate(zip(ctx.starts, sides, strict=True), start=2):
            y = y.narrow(axis, start, min(side, y.shape[axis] - start))
        beyond = [v for n, m in zip(sides[::-1], y.shape[:1:-1], strict=True) for v in (0, n - m)]
        return F.pad(y, beyond) if any(beyond) else y, None, None, None


def _triple(values: Iterable[int]) -> Triple:
    t, h, w = values
    return t, h, w
