"""The descriptor: a 3-D ConvNet f that scores clips, and with it an energy U = |y - m|^2 / 2 s^2 - f(y).

Xie et al. (2020), equation 1: p(y) ~ exp(f(y)) q(y), with q = N(m, s^2).
"""

from __future__ import annotations

from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from dyntex.errors import UsageError
from dyntex.networks.architecture import FULL, DescriptorConfig, Head, Layer, Precision
from dyntex.networks.frozen import frozen
from dyntex.networks.generator import Layout
from dyntex.networks.layers import OPEN, Axes, Conv, FullFrameConv, activate, beside, initialise
from dyntex.textures.shot_noise import without_slow_mean, without_slow_scale


class Descriptor(nn.Module):
    """f_theta and its energy.

    Args:
        config: the heads and the reference distribution.
        shape: (C, T, H, W) of the clips that it will see; C counts condition channels too. T matters only to a head
            whose kernel spans time; every other head scores clips of any length.
        rng: draws the initial weights.
        precision: of the convolutions; "bf16" rounds what they multiply and hand on, and never a sum.

    Raises:
        UsageError: the frames are too small for a head.
    """

    ref_mean: Tensor
    ref_std: Tensor

    def __init__(
        self,
        config: DescriptorConfig,
        shape: tuple[int, int, int, int],
        *,
        rng: torch.Generator,
        precision: Precision = "fp32",
    ) -> None:
        super().__init__()
        self.config = config
        self.shape = shape
        self.precision = precision
        self.heads = nn.ModuleList(_Head(head, shape) for head in config.heads)
        initialise(self, config.init_std, rng, gain=config.init_gain)
        self.register_buffer("ref_mean", torch.zeros(1, 1, 1, 1, 1))
        self.register_buffer("ref_std", torch.full((1, 1, 1, 1, 1), config.ref_std))

    def fit_reference(self, y_obs: Tensor) -> None:
        """Set q from the observed clip (B, C, T, H, W), if the config asks for a reference fitted to it."""
        if self.config.reference == "pixel":
            if y_obs.is_meta:  # shapes alone, to be filled in; what computes them otherwise loads a compiler
                _, channels, _, height, width = y_obs.shape
                self.ref_mean, self.ref_std = (y_obs.new_empty(1, channels, 1, height, width) for _ in range(2))
                return
            # Departure: the paper's q is white. With the clip's own mean and variance what stands still stays still.
            var, mean = torch.var_mean(y_obs, dim=(0, 2), keepdim=True, correction=0)
            self.ref_mean, self.ref_std = mean, (var + self.config.ref_std**2).sqrt()
        elif self.config.reference == "colour":
            if y_obs.is_meta:
                self.ref_mean, self.ref_std = (y_obs.new_empty(1, y_obs.shape[1], 1, 1, 1) for _ in range(2))
                return
            var, mean = torch.var_mean(y_obs, dim=(0, 2, 3, 4), keepdim=True, correction=0)
            self.ref_mean, self.ref_std = mean, (var + self.config.ref_std**2).sqrt()

    def resized(self, height: int, width: int, layout: Layout | None) -> Descriptor:
        """The same weights for frames of another size; a reference fitted to pixels is laid out as the texture is."""
        channels, n_frames, *_ = self.shape
        with torch.device("meta"):
            other = Descriptor(
                self.config, (channels, n_frames, height, width), rng=torch.Generator(), precision=self.precision
            )
        state = self.state_dict()
        if layout is not None and self.config.reference == "pixel":
            device = self.ref_mean.device
            mean, std = without_slow_mean(self.ref_mean), without_slow_scale(self.ref_std)
            state |= {"ref_mean": layout.lay(mean.cpu()).to(device), "ref_std": layout.lay(std.cpu()).to(device)}
            other.ref_mean, other.ref_std = (
                torch.empty_like(state[key], device="meta") for key in ("ref_mean", "ref_std")
            )
        other.load_state_dict(state, strict=True, assign=True)
        return other

    @property
    def scale(self) -> Tensor:
        """The Langevin preconditioner, broadcastable to clips: q's own spread where q is fitted, else 1."""
        return torch.ones_like(self.ref_std) if self.config.reference == "white" else self.ref_std

    def forward(self, y: Tensor, cond: Tensor, *, periodic: Axes = OPEN) -> Tensor:
        """f: (B, C, T, H, W), (B, K, T, H, W) -> (B,); high where y looks like the data."""
        y = beside(self._standardised(y), cond)
        return torch.stack([head(y, periodic, self.precision) for head in self.heads]).sum(0)

    def local(self, y: Tensor) -> Tensor:
        """The terms of f before they are summed over positions, float32: (B, C, T, H, W) -> (B, T', H', W').

        For a descriptor of one head without further ends, and without conditions.
        """
        head = cast(_Head, self.heads[0])
        x = self._standardised(y)
        x = F.avg_pool3d(x, head.config.pool) if max(head.config.pool) > 1 else x
        x = x.bfloat16() if self.precision == "bf16" else x
        terms = _apply(head.config.layers, head.trunk, x, OPEN)[:, 0]
        return head.config.gain * terms.float()

    def _standardised(self, y: Tensor) -> Tensor:
        return (y - self.ref_mean) / self.ref_std if self.config.reference == "colour" else y

    def frozen(self) -> Descriptor:
        """The same f for a sampler; see :func:`dyntex.networks.frozen.frozen`."""
        return frozen(self, self.precision)

    def reference_energy(self, y: Tensor) -> Tensor:
        """|y - m|^2 / 2 s^2, the part of the energy that is not learnt: (B, C, T, H, W) -> (B,)."""
        distance: Tensor = _HalfSquare.apply(y, self.ref_mean, self.ref_std)  # type: ignore[no-untyped-call]
        return distance

    def energy(self, y: Tensor, cond: Tensor, *, periodic: Axes = OPEN) -> Tensor:
        """U: (B, C, T, H, W), (B, K, T, H, W) -> (B,); low where y looks like the data."""
        energy: Tensor = self.reference_energy(y) - self(y, cond, periodic=periodic)
        return energy


class _HalfSquare(torch.autograd.Function):
    """|y - m|^2 / 2 s^2 and its gradient (y - m) / s^2, in a third of the passes over the clip that autograd makes."""

    @staticmethod
    def forward(ctx: Any, y: Tensor, mean: Tensor, std: Tensor) -> Tensor:
        d = (y - mean).div_(std)
        ctx.save_for_backward(d, std)
        distance: Tensor = d.square().flatten(1).sum(1).mul_(0.5)
        return distance

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *grads: Tensor) -> tuple[Tensor | None, ...]:
        d, std = ctx.saved_tensors
        return d * (grads[0].view(-1, *[1] * (d.ndim - 1)) / std), None, None


class _Head(nn.Module):
    def __init__(self, config: Head, shape: tuple[int, int, int, int]) -> None:
        super().__init__()
        channels, *extent = shape
        grid = [n // p for n, p in zip(extent, config.pool, strict=True)]
        self.config = config
        self.trunk, channels, grid = _chain(config.layers, channels, grid)
        self.ends = nn.ModuleList(_chain(end, channels, grid)[0] for end in config.ends)

    def forward(self, y: Tensor, periodic: Axes, precision: Precision) -> Tensor:
        y = F.avg_pool3d(y, self.config.pool) if max(self.config.pool) > 1 else y
        y = y.bfloat16() if precision == "bf16" else y
        h = _apply(self.config.layers, self.trunk, y, periodic)
        sums = [
            _sum(_apply(layers, cast(nn.ModuleList, end), h, periodic))
            for layers, end in zip(self.config.ends, self.ends, strict=True)
        ]
        return self.config.gain * torch.stack(sums).sum(0)


def _sum(x: Tensor) -> Tensor:
    """Over all but the batch, in float32 at least."""
    return x.flatten(1).sum(1, dtype=torch.promote_types(x.dtype, torch.float32))


def _chain(layers: tuple[Layer, ...], channels: int, grid: list[int]) -> tuple[nn.ModuleList, int, list[int]]:
    """The convolutions, and the channels and (T, H, W) that come out of them."""
    built = nn.ModuleList()
    for layer in layers:
        filled = layer.filled(grid)
        out = [filled.length(n, axis) for axis, n in enumerate(grid)]
        if min(out) < 1:
            raise UsageError(
                f"the descriptor's {filled.kernel} kernel meets {'x'.join(map(str, grid))} positions "
                "(frames x height x width), which is too small: take a larger size or more frames"
            )
        built.append(_build(layer, channels, cast(tuple[int, int, int], filled.kernel)))
        channels, grid = layer.channels, out
    return built, channels, grid


def _apply(layers: tuple[Layer, ...], built: nn.ModuleList, x: Tensor, periodic: Axes) -> Tensor:
    for layer, conv in zip(layers, built, strict=True):
        x = activate(conv(x, periodic), layer.activation)
    return x


def _build(layer: Layer, channels: int, kernel: tuple[int, int, int]) -> Conv | FullFrameConv:
    if layer.kernel[1] == FULL and layer.kernel[2] == FULL:
        padding = layer.padding if isinstance(layer.padding, str) else (layer.padding[0], 0, 0)
        return FullFrameConv(channels, layer.channels, kernel=kernel, stride=layer.stride[0], padding=padding)
    return Conv(channels, layer.channels, kernel=kernel, stride=layer.stride, padding=layer.padding)
