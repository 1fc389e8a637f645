"""A shot-noise texture and a convolutional residual that starts at zero, which is what cooperative training trains."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dyntex.errors import UsageError
from dyntex.networks.architecture import ShotNoiseResidualConfig
from dyntex.networks.generator import Generator, Layout
from dyntex.networks.layers import OPEN, Axes, Conv, ConvTranspose, beside, fold, initialise, pad
from dyntex.textures.quilting import Quilt
from dyntex.textures.shot_noise import ShotNoise

MOVING = 0.1
"""Standard deviation of a pixel over time, in [-1, 1], from which on the residual acts in full."""


class ShotNoiseResidual(Generator):
    """g_alpha = texture + gain * residual(texture, noise, condition), over white noise in time.

    The latent z is (B, D, T' = T + taps - 1, 1, 1). Its first R channels are the texture's noises. The others are white
    noise that only the residual sees.

    Args:
        config: the texture and the residual.
        y_obs: (1, C, T, H, W), the observed clip; or a shape alone (on the meta device), when a checkpoint fills it in.
        rng: draws the residual's initial weights.
        condition_channels: K.

    Raises:
        UsageError: the frame's sides are no multiples of the patch.
    """

    frames_per_latent = 1
    residual_gain: Tensor

    def __init__(
        self, config: ShotNoiseResidualConfig, y_obs: Tensor, *, rng: torch.Generator, condition_channels: int = 0
    ) -> None:
        super().__init__()
        _, channels, _, height, width = y_obs.shape
        p = config.patch
        if height % p or width % p:
            raise UsageError(f"{height}x{width} frames are no multiples of {p} pixels, which this preset needs")
        self.config = config
        self.condition_channels = condition_channels
        self.texture = ShotNoise(config.texture, y_obs[0])
        self.register_buffer("residual_gain", torch.zeros(channels, 1, height, width))
        if not y_obs.is_meta:
            # Where the clip stands still the residual is off: on a black ground a hundredth of a unit is seen.
            self.residual_gain.copy_((y_obs[0].std(1, correction=0, keepdim=True) / MOVING).clamp_max(1.0))

        wide = config.width
        self.unfold = Conv(channels, wide, kernel=(1, 2 * p, 2 * p), stride=(1, p, p))
        self.place = nn.Parameter(torch.zeros(wide, 1, height // p, width // p))
        self.from_noise = Conv(config.noise[0] + condition_channels, wide, kernel=(1, 1, 1))
        self.blocks = nn.ModuleList(Conv(wide, wide, kernel=(3, 3, 3)) for _ in range(config.blocks))
        # Twice as wide as its stride: every pixel is made by four patches, so the patches leave no grid.
        self.to_pixels = ConvTranspose(wide, channels, kernel=(1, 2 * p, 2 * p), stride=(1, p, p))
        initialise(self, 0.0, rng)
        with torch.no_grad():
            self.to_pixels.weight.zero_()

    def latent_shape(self, n_frames: int) -> tuple[int, ...]:
        """(D, T', 1, 1)."""
        taps = self.texture.taps
        return (self.texture.n_regions + math.prod(self.config.noise), n_frames + taps - 1, 1, 1)

    def n_frames(self, latent_frames: int) -> int:
        """All but the kernel's length, less one."""
        return self.texture.n_frames(latent_frames)

    def latents_of_loop(self, n_frames: int) -> int:
        """As many as those of an open clip, whose last times hold what stands still in the loop."""
        return n_frames + self.texture.taps - 1

    def latents_seen(self, start: int, stop: int) -> tuple[int, int]:
        """Those under the kernel, for each frame that the residual's blocks see."""
        around = len(self.blocks)
        return start - around, stop + around + self.texture.taps - 1

    def forward(self, z: Tensor, cond: Tensor, *, periodic: Axes = OPEN) -> Tensor:
        """(B, D, T', 1, 1), (B, K, T, H, W) -> (B, C, T, H, W)."""
        n_frames, n_regions = self.n_frames(z.shape[2]), self.texture.n_regions
        y = self.texture(z[:, :n_regions, :, 0, 0], periodic=periodic)
        noise = z[:, n_regions:, :n_frames].reshape(len(z), *self.config.noise, n_frames).movedim(-1, 2)

        h = self.unfold(y, periodic) + self.place
        h = h + self.from_noise(beside(F.interpolate(noise, size=h.shape[2:], mode="nearest"), cond))
        for block in self.blocks:
            h = h + block(F.silu(h), periodic)
        return torch.addcmul(y, self.residual_gain, by_patches(self.to_pixels, F.silu(h), periodic))

    def clip(self) -> Tensor:
        """The clip whose frames are mixed."""
        return self.texture.clip()

    def layout(self, height: int, width: int, *, rng: torch.Generator) -> Quilt:
        """The clip's pieces, laid where they fit."""
        return self.texture.layout(height, width, rng=rng)

    def resized(self, height: int, width: int, layout: Layout | None, *, tile: bool) -> Self:
        """The texture, and what the residual knows of places, laid out anew; as much more noise as there is frame."""
        if not isinstance(layout, Quilt):
            raise TypeError("a texture of pixels is resized by the layout that its own method gives")
        device, p = self.residual_gain.device, self.config.patch
        texture = self.texture.resized(layout, tile=tile)
        channels, *grid = self.config.noise
        old = self.residual_gain.shape[2:]
        rows, columns = (max(1, round(n * new / side)) for n, new, side in zip(grid, (height, width), old, strict=True))
        config = replace(self.config, texture=texture.config, noise=(channels, rows, columns))
        shape = (1, len(self.residual_gain), texture.taps, height, width)
        with torch.device("meta"):
            other = type(self)(
                config, torch.empty(shape), rng=torch.Generator(), condition_channels=self.condition_channels
            )
        # What is known by patch, laid by pixel.
        place = self.place.detach().cpu().repeat_interleave(p, dim=2).repeat_interleave(p, dim=3)
        weights = {key: value.detach() for key, value in self.named_parameters() if key != "place"}
        state = weights | {
            "place": F.avg_pool2d(layout.lay(place), p).to(device),
            "residual_gain": layout.lay(self.residual_gain.cpu()).to(device),
        }
        state |= {f"texture.{key}": value for key, value in texture.state_dict().items()}
        other.load_state_dict(state, strict=True, assign=True)
        return other


def by_patches(layer: ConvTranspose, x: Tensor, periodic: Axes) -> Tensor:
    """``layer(x, periodic)`` for a kernel of two strides: (B, D, T, H, W) -> (B, C, T, H*p, W*p).

    Between two positions lie p x p pixels that see the same 2x2 positions and no other: a convolution makes them
    as channels, which are then laid out. The same sums as the transposed convolution's, in a third of the time.
    """
    wide, channels = layer.weight.shape[:2]
    p = layer.stride[1]
    # Patch j sees position j through the kernel's first half and position j - 1 through its second.
    kernel = layer.weight.view(wide, channels, 2, p, 2, p).permute(1, 3, 5, 0, 2, 4).flip(4, 5)
    kernel = kernel.reshape(channels * p * p, wide, 1, 2, 2).to(x.dtype)
    patches = F.conv3d(pad(x, ((0, 0), (1, 1), (1, 1))), kernel)
    batch, _, n_frames, rows, columns = patches.shape
    patches = patches.view(batch, channels, p, p, n_frames, rows, columns)
    y = patches.permute(0, 1, 4, 5, 2, 6, 3).reshape(batch, channels, n_frames, rows * p, columns * p)
    period = (n_frames, (rows - 1) * p, (columns - 1) * p)
    return fold(y, layer.margins, period, periodic) + layer.bias.to(x.dtype).view(1, -1, 1, 1, 1)
