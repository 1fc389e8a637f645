"""The paper's generator: a top-down ConvNet from Gaussian latents to clips (Xie et al. 2020, section 7)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Self, cast

import torch
from torch import Tensor, nn

from dyntex.errors import UsageError
from dyntex.networks.architecture import FULL, ConvGeneratorConfig, Layer, Precision
from dyntex.networks.generator import Generator, Layout
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
from dyntex.networks.receptive_field import latents_seen


class ConvGenerator(Generator):
    """g_alpha as transposed convolutions.

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
        config: ConvGeneratorConfig,
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
        self.shape = shape
        self.condition_channels = condition_channels
        self.frames_per_latent = config.frames_per_latent
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
            extent = tuple(layer.transposed_length(n, axis) for axis, n in enumerate(extent, start=1))
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
            n = layer.transposed_length(n, 0)
        return n

    def latents_of_loop(self, n_frames: int) -> int:
        """On a circle nothing is gained or lost at ends."""
        return -(-n_frames // self.frames_per_latent)

    def latents_seen(self, start: int, stop: int) -> tuple[int, int]:
        """By the receptive field of a frame."""
        return latents_seen(self.config.layers, start, stop)

    def clip(self) -> None:
        """It knows no pixels."""

    def layout(self, height: int, width: int, *, rng: torch.Generator) -> None:
        """Every place is alike, if the layers can make that size at all, which :meth:`resized` checks."""

    def resized(self, height: int, width: int, layout: Layout | None, *, tile: bool) -> Self:
        """Convolutions make any size that their strides divide; their padding is what tiles."""
        with torch.device("meta"):
            other = type(self)(
                self.config,
                (self.shape[0], self.shape[1], height, width),
                rng=torch.Generator(),
                condition_channels=self.condition_channels,
                precision=self.precision,
            )
        other.load_state_dict(self.state_dict(), strict=True, assign=True)
        return other

    def forward(self, z: Tensor, cond: Tensor, *, periodic: Axes = OPEN) -> Tensor:
        """(B, D, T', H', W'), (B, K, T, H, W) -> (B, C, T, H, W), where T may exceed what was asked of the latent.

        Every layer sees the condition, averaged to its own grid. Where the clip is longer than the condition, the
        condition's last frame is repeated.
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
