"""Padding and its adjoint, so that zero padding and periodic padding are one code path."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.networks.architecture import Padding
from dyntex.networks.architecture import margins as one_axis

Axes = tuple[bool, bool, bool]
OPEN: Axes = (False, False, False)
"""No axis of (T, H, W) is periodic."""

Margins = tuple[tuple[int, int], tuple[int, int], tuple[int, int]]


def margins(kernel: tuple[int, int, int], stride: tuple[int, int, int], padding: Padding) -> Margins:
    """How many positions a convolution of that padding adds (a transposed one removes) before and after each axis."""
    t, h, w = (one_axis(k, s, padding, axis) for axis, (k, s) in enumerate(zip(kernel, stride, strict=True)))
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
