"""Convolutions over (T, H, W), rewritten where the direct 3-D kernels are slow."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyntex.networks.architecture import Padding
from dyntex.networks.layers.margins import OPEN, Axes, fold, margins, pad
from dyntex.networks.layers.phases import conv_of_phases
from dyntex.networks.layers.windows import overlap_add, windows

FEW = 8
"""Fewer input channels than this leave the lanes of a vector unit empty: the taps in time join them as channels."""


class Conv(nn.Module):
    """A 3-D convolution."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel: tuple[int, int, int],
        stride: tuple[int, int, int] = (1, 1, 1),
        padding: Padding = "same",
    ) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(channels_out, channels_in, *kernel))
        self.bias = nn.Parameter(torch.zeros(channels_out))
        self.stride = stride
        self.margins = margins(kernel, stride, padding)

    def forward(self, x: Tensor, periodic: Axes = OPEN) -> Tensor:
        """(B, C, T, H, W) -> (B, O, T', H', W')."""
        weight, bias = self.weight.to(x.dtype), self.bias.to(x.dtype)
        few = x.shape[1] < FEW and weight.shape[2] > 1
        if few and min(self.stride) > 1 and x.dtype == torch.bfloat16:
            return conv_of_phases(x, weight, bias, stride=self.stride, margins=self.margins, periodic=periodic)
        x = pad(x, self.margins, periodic)
        if few:
            return _taps_as_channels(x, weight, bias, self.stride)
        # Channels last is faster both ways here: the gradient to the input, most of all.
        return F.conv3d(x.contiguous(memory_format=torch.channels_last_3d), weight, bias, stride=self.stride)


def _taps_as_channels(x: Tensor, weight: Tensor, bias: Tensor, stride: tuple[int, int, int]) -> Tensor:
    """The valid ``conv3d`` as a 2-D convolution of windows of frames, k*C channels each.

    The gradient of a stride-2 ``conv3d`` to a 3-channel input runs at a tenth of the machine's speed; that of this one
    at three quarters. Zero channels fill up the last vector.
    """
    batch, taps = len(x), weight.shape[2]
    frames = windows(x.transpose(1, 2), taps, stride[0])  # (B, T', k, C, H, W)
    n_out = frames.shape[1]
    flat = frames.flatten(2, 3).flatten(0, 1)  # (B*T', k*C, H, W)
    kernel = weight.transpose(1, 2).flatten(1, 2)  # (O, k*C, kh, kw)
    fill = (0, 0, 0, 0, 0, -flat.shape[1] % FEW)
    flat, kernel = (F.pad(a, fill).contiguous(memory_format=torch.channels_last) for a in (flat, kernel))
    y = F.conv2d(flat, kernel, bias, stride=stride[1:])
    return y.view(batch, n_out, *y.shape[1:]).transpose(1, 2)


class ConvTranspose(nn.Module):
    """A transposed 3-D convolution, as 2-D ones."""

    def __init__(
        self,
        channels_in: int,
        channels_out: int,
        *,
        kernel: tuple[int, int, int],
        stride: tuple[int, int, int] = (1, 1, 1),
        padding: Padding = "same",
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
        make = self._by_input_frames if self.weight.shape[1] < FEW else self._by_output_frames
        y = make(x, self.weight.to(x.dtype), periodic).transpose(1, 2)
        if any(self.extra):
            zeros = [0 if wrap else n for n, wrap in zip(self.extra, periodic, strict=True)]
            y = F.pad(y, (0, zeros[2], 0, zeros[1], 0, zeros[0]))
        return y + self.bias.to(x.dtype).view(1, -1, 1, 1, 1)

    def _by_input_frames(self, x: Tensor, weight: Tensor, periodic: Axes) -> Tensor:
        """(B, T', O, H', W'): each frame gives k frames, k*O channels of one 2-D convolution, to be added in place.

        The adjoint of :func:`_taps_as_channels`, for as few output channels.
        """
        batch, _, n_frames, *frame = x.shape
        channels_out, taps = weight.shape[1:3]
        kernel = weight.transpose(1, 2).flatten(1, 2)  # (C, k*O, kh, kw)
        kernel = F.pad(kernel, (0, 0, 0, 0, 0, -kernel.shape[1] % FEW))
        y = F.conv_transpose2d(x.transpose(1, 2).flatten(0, 1), kernel, None, stride=self.stride[1:])
        y = y[:, : taps * channels_out].reshape(batch, n_frames, taps, channels_out, *y.shape[2:])
        t, h, w = (n * s for n, s in zip((n_frames, *frame), self.stride, strict=True))
        y = overlap_add(y, self.stride[0]).transpose(1, 2)
        return fold(y, self.margins, (t, h, w), periodic).transpose(1, 2)

    def _by_output_frames(self, x: Tensor, weight: Tensor, periodic: Axes) -> Tensor:
        """(B, T', O, H', W'): each frame is the sum of those input frames that meet it, side by side as channels.

        With stride s in time, frames of one residue modulo s meet every s-th tap. Each is written once, and no frame
        that would be cropped is made.
        """
        batch, _, n_frames, *frame = x.shape
        stride, taps = self.stride[0], weight.shape[2]
        weight = F.pad(weight, (0, 0, 0, 0, 0, max(0, stride - taps)))  # a tap for every residue
        before, after = self.margins[0]
        length = n_frames * stride if periodic[0] else (n_frames - 1) * stride + taps - before - after
        rounds = -(-length // stride)
        sides, around = ((0, 0), *self.margins[1:]), (False, *periodic[1:])
        period = (0, frame[0] * self.stride[1], frame[1] * self.stride[2])
        parts = []
        for residue in range(stride):
            # Frame residue + stride * v is, before cropping, frame tap + stride * (v + shift): the sum over j of the
            # input's frame v + shift - j times tap + stride * j.
            shift, tap = divmod(residue + before, stride)
            kernel = weight[:, :, tap::stride].flip(2).permute(2, 0, 1, 3, 4)  # (j, C, O, kh, kw)
            ends = (len(kernel) - 1 - shift, shift + rounds - n_frames)
            met = windows(pad(x, (ends, (0, 0), (0, 0)), periodic).transpose(1, 2), len(kernel), 1)
            met = met.flatten(2, 3).flatten(0, 1)  # (B*v, j*C, H, W)
            y = F.conv_transpose2d(met, kernel.flatten(0, 1), None, stride=self.stride[1:])
            # (B, v, O, H', W'): time is not among the three axes to crop.
            parts.append(fold(y.view(batch, rounds, *y.shape[1:]), sides, period, around))
        return torch.stack(parts, dim=2).flatten(1, 2)[:, :length]
