"""The generator: a top-down ConvNet from Gaussian latents to clips, y = g(z) + noise (Xie et al. 2020, equation 6)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import cast

import torch
from torch import Tensor, nn

from dyntex.errors import UsageError
from dyntex.networks.architecture import FULL, GeneratorConfig, Layer, Precision
from dyntex.networks.layers import (
    OPEN,
    Axes,
    ConvTranspose,
    FullFrameConvTranspose,
    ShiftNorm,
    activate,
    beside,
    initialise,
)
from dyntex.networks.receptive_field import frames_per_latent, latents_heard


class Generator(nn.Module):
    """g_alpha. Convolutional in time: a longer z gives a longer clip with the same weights.

    Args:
        config: the latent and the layers.
        shape: (C, T, H, W) of the clips to make, T being the length that one latent of ``latent_shape(T)`` covers.
        condition_channels: K.
        rng: draws the initial weights.
        precision: of the convolutions; "bf16" rounds what they multiply and hand on.

    Raises:
        UsageError: these layers cannot make frames of that size.
    """

    def __init__(
        self,
        config: GeneratorConfig,
        shape: tuple[int, int, int, int],
        *,
        rng: torch.Generator,
        condition_channels: int = 0,
        precision: Precision = "fp32",
    ) -> None:
        super().__init__()
        channels, _, *frame = shape
        flexible = min(config.latent[1:]) > 1 or FULL in config.layers[0].kernel
        config = replace(config, layers=_spanning(config.layers, frame))
        self.config = config
        self.precision = precision
        depth, *grid = config.latent
        up = [_up(config.layers, axis) for axis in (1, 2)]
        if min(grid) > 1:
            # A latent with a spatial extent is convolutional in space too: any multiple of its up-sampling will do.
            grid = [n // s for n, s in zip(frame, up, strict=True)]
        self.latent_grid = (depth, *grid)

        self.layers = nn.ModuleList()
        self.norms = nn.ModuleList()
        width, extent = depth, tuple(grid)
        for layer in config.layers:
            channels_out = layer.channels or channels
            built = _build(layer, width + condition_channels, channels_out, extent)
            self.layers.append(built)
            self.norms.append(ShiftNorm(channels_out) if layer.batch_norm else nn.Identity())
            extent = tuple(_length(n, layer, axis) for axis, n in enumerate(extent, start=1))
            width = channels_out
        if extent != tuple(frame):
            able = "multiples of " + "x".join(map(str, up)) if flexible else "x".join(map(str, extent))
            raise UsageError(
                f"these generator layers make frames of {able} pixels, not {frame[0]}x{frame[1]}: "
                "choose that size, or another preset"
            )
        initialise(self, config.init_std, rng)

    def latent_shape(self, n_frames: int) -> tuple[int, ...]:
        """(D, T', H', W') of the shortest latent that gives at least ``n_frames`` frames."""
        n = 1
        while self.n_frames(n) < n_frames:
            n += 1
        return (self.latent_grid[0], n, *self.latent_grid[1:])

    def n_frames(self, latent_frames: int) -> int:
        """How many frames a latent of that length gives."""
        n = latent_frames
        for layer in self.config.layers:
            n = _length(n, layer, 0)
        return n

    @property
    def frames_per_latent(self) -> int:
        """By how many frames a latent time is later than the one before it."""
        return frames_per_latent(self.config)

    def latents_heard(self, start: int, stop: int) -> tuple[int, int]:
        """The latent times [first, past) that frames [start, stop) hear; some may be before 0 or after the end."""
        return latents_heard(self.config, start, stop)

    def latents_around(self, n_frames: int) -> int:
        """The length of the latent of a loop: on a circle nothing is gained or lost at ends."""
        return -(-n_frames // self.frames_per_latent)

    def forward(self, z: Tensor, cond: Tensor, *, periodic: Axes = OPEN) -> Tensor:
        """(B, D, T', H', W'), (B, K, T, H, W) -> (B, C, T, H, W), where T may exceed what was asked of the latent.

        Every layer hears the condition, as coarse as its own input; where the latent's clip is longer than it, its last
        frame lasts.
        """
        missing = self.n_frames(z.shape[2]) - cond.shape[2]
        if missing > 0:
            cond = torch.cat((cond, cond[:, :, -1:].expand(-1, -1, missing, -1, -1)), dim=2)
        dtype = torch.bfloat16 if self.precision == "bf16" else z.dtype
        x = z
        for layer, built, norm in zip(self.config.layers, self.layers, self.norms, strict=True):
            x = activate(norm(built(beside(x, cond).to(dtype), periodic)), layer.activation)
        return x.to(z.dtype)


def _up(layers: Iterable[Layer], axis: int) -> int:
    return math.prod(layer.stride[axis] for layer in layers)


def _spanning(layers: tuple[Layer, ...], frame: Sequence[int]) -> tuple[Layer, ...]:
    """The layers with a FULL first kernel in numbers: what the strides of the others make the frame."""
    first, *others = layers
    taps, height, width = first.kernel
    height, width = (
        side // _up(others, axis) if k == FULL else k
        for axis, k, side in zip((1, 2), (height, width), frame, strict=True)
    )
    return (replace(first, kernel=(taps, height, width)), *others)


def _length(n: int, layer: Layer, axis: int) -> int:
    """Extent of a transposed convolution's output along one axis."""
    stride, kernel = layer.stride[axis], int(layer.kernel[axis])
    if layer.padding == "same":
        return n * stride
    crop = 0 if layer.padding == "valid" else 2 * layer.padding[axis]
    return (n - 1) * stride + kernel - crop + layer.extra[axis]


def _build(
    layer: Layer, channels: int, channels_out: int, extent: tuple[int, ...]
) -> ConvTranspose | FullFrameConvTranspose:
    kernel = cast(tuple[int, int, int], tuple(int(k) for k in layer.kernel))
    if extent == (1, 1) and layer.padding == "valid":
        return FullFrameConvTranspose(
            channels, channels_out, kernel=kernel, stride=layer.stride[0], extra=layer.extra[0]
        )
    return ConvTranspose(
        channels, channels_out, kernel=kernel, stride=layer.stride, padding=layer.padding, extra=layer.extra
    )
