"""Padding and its adjoint, so that zero padding and periodic padding are one code path."""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

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
