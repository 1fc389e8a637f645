"""Architectures as values: a network is a tuple of layers, and nothing in the code asks for a network's name."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, Literal

from dyntex.method import Feature
from dyntex.textures.config import ShotNoiseConfig

if TYPE_CHECKING:
    from torch import Generator as Rng
    from torch import Tensor

    from dyntex.networks.generator import Generator

FULL: Final = "full"
"""A kernel's extent that spans the whole axis: (5, FULL, FULL) sees five whole frames."""

Extent = int | Literal["full"]
Padding = Literal["same", "valid"] | tuple[int, int, int]
Precision = Literal["fp32", "bf16"]
Activation = Literal["relu", "leaky_relu", "silu", "tanh", "none"]


PLACES: tuple[Feature, ...] = ("tile", "resize")
SPANS = "it learns what belongs where in the frame"


def margins(kernel: int, stride: int, padding: Padding, axis: int) -> tuple[int, int]:
    """How many positions a convolution of that padding adds (a transposed one removes) before and after an axis.

    "same" makes output = floor(input / stride), or input * stride when transposed; where the total is odd the
    far end gets the larger half (the convention of the paper's code).
    """
    if padding == "valid":
        return 0, 0
    if padding == "same":
        total = max(kernel - stride, 0)
        return total // 2, total - total // 2
    return padding[axis], padding[axis]


@dataclass(frozen=True)
class Layer:
    """One convolution, transposed in a generator; axes are (T, H, W).

    Attributes:
        channels: output channels; 0 in a generator's last layer means "as many as the clip has".
        kernel: taps along each axis, or FULL.
        stride: down-sampling of a convolution, up-sampling of a transposed one.
        padding: "same" (output = input / stride, respectively input * stride), "valid", or zeros on either side.
        extra: rows that a transposed "valid" layer adds at the far end, where the paper's shapes want it.
        batch_norm: normalise over (B, T, H, W), with a learnt shift and no learnt scale.
        activation: the nonlinearity that follows.
    """

    channels: int
    kernel: tuple[Extent, Extent, Extent]
    stride: tuple[int, int, int] = (1, 1, 1)
    padding: Padding = "same"
    extra: tuple[int, int, int] = (0, 0, 0)
    batch_norm: bool = False
    activation: Activation = "relu"

    def filled(self, grid: Sequence[int]) -> Layer:
        """The layer with FULL in numbers, on a grid of (T, H, W) positions."""
        t, h, w = (n if k == FULL else k for n, k in zip(grid, self.kernel, strict=True))
        return replace(self, kernel=(t, h, w))

    def margins(self, axis: int) -> tuple[int, int]:
        """How many positions the padding adds before and after an axis; a transposed layer removes as many."""
        return margins(int(self.kernel[axis]), self.stride[axis], self.padding, axis)

    def length(self, n: int, axis: int) -> int:
        """Output positions of the convolution for ``n`` input positions; below 1 where the input is too short."""
        return (n + sum(self.margins(axis)) - int(self.kernel[axis])) // self.stride[axis] + 1

    def transposed_length(self, n: int, axis: int) -> int:
        """Output positions of the transposed convolution for ``n`` input positions."""
        if self.padding == "same":
            return n * self.stride[axis]
        return (n - 1) * self.stride[axis] + int(self.kernel[axis]) - sum(self.margins(axis)) + self.extra[axis]


@dataclass(frozen=True)
class Head:
    """Convolutions whose outputs, summed over positions, add to the score f.

    Attributes:
        layers: the trunk, first to last.
        ends: chains that each go on from the trunk's output; by default the trunk's output itself is summed.
        pool: averaging of the clip before the first layer, (T, H, W): a head per scale makes a pyramid.
        gain: factor on the head's sum.
    """

    layers: tuple[Layer, ...]
    ends: tuple[tuple[Layer, ...], ...] = ((),)
    pool: tuple[int, int, int] = (1, 1, 1)
    gain: float = 1.0


@dataclass(frozen=True)
class DescriptorConfig:
    """The descriptor p(y) ~ exp(f(y)) q(y).

    Attributes:
        heads: f is the sum of their scores.
        ref_std: s, the standard deviation of the reference distribution q, in pixel units of [-1, 1].
        reference: "white": q = N(0, s^2 I), the paper's. "pixel": q = N(mean frame, temporal variance + s^2), fitted
            to the clip pixel by pixel; the Langevin dynamics are preconditioned by it. "colour": q = N(mean colour,
            variance of the colour + s^2), the same at all pixels, and f sees colours in these units.
        init_std: standard deviation of the initial weights; 0 takes 1/sqrt(fan-in).
        init_gain: factor on the initial weights; sqrt(2) keeps the size of what passes rectified layers (He et al.
            2015). Without it the terms of a deep stack, where they are not summed over many positions, begin near 0.
    """

    heads: tuple[Head, ...]
    ref_std: float = 0.016
    reference: Literal["white", "pixel", "colour"] = "white"
    init_std: float = 0.001
    init_gain: float = 1.0

    @property
    def chains(self) -> tuple[tuple[int, tuple[Layer, ...]], ...]:
        """Each way from the clip to a sum: how many frames are pooled, and the layers."""
        return tuple((head.pool[0], (*head.layers, *end)) for head in self.heads for end in head.ends)

    @property
    def spans_frame(self) -> bool:
        """Whether a kernel sees whole frames, and so knows what belongs where."""
        return any(FULL in layer.kernel[1:] for _, layers in self.chains for layer in layers)


@dataclass(frozen=True)
class ConvGeneratorConfig:
    """The paper's generator: transposed convolutions.

    Attributes:
        latent: (D, H, W) of the latent at one latent time.
        layers: transposed convolutions, first to last; the first one's kernel may be FULL in space, which is what the
            others' strides make the whole frame.
        init_std: standard deviation of the initial weights.
    """

    latent: tuple[int, int, int]
    layers: tuple[Layer, ...]
    init_std: float = 0.005

    @property
    def frames_per_latent(self) -> int:
        """By how many frames a latent time is later than the one before it."""
        return math.prod(layer.stride[0] for layer in self.layers)

    @property
    def lacks(self) -> dict[Feature, str]:
        """What these networks cannot do; they make other sizes if the latent is a grid in space."""
        return {} if min(self.latent[1:]) > 1 else dict.fromkeys(PLACES, SPANS)

    @property
    def keeps_pixels(self) -> bool:
        """Whether it knows the clip pixel by pixel, so that other sizes need a texture that is alike everywhere."""
        return False

    def build(
        self, y_obs: Tensor, n_frames: int, *, rng: Rng, condition_channels: int = 0, precision: Precision = "fp32"
    ) -> Generator:
        """The generator of clips like ``y_obs`` (N, C, T, H, W), with ``n_frames`` frames in training."""
        from dyntex.networks.conv_generator import ConvGenerator

        _, channels, _, height, width = y_obs.shape
        shape = (channels, n_frames, height, width)
        return ConvGenerator(self, shape, rng=rng, condition_channels=condition_channels, precision=precision)


@dataclass(frozen=True)
class ShotNoiseResidualConfig:
    """A shot-noise texture and a convolutional residual; see :mod:`dyntex.networks.residual`.

    Attributes:
        texture: the closed form.
        noise: (D, H, W) white noise of each frame that only the residual sees.
        patch: side of the square of pixels that becomes one position of the residual.
        width: its channels.
        blocks: its 3x3x3 convolutions, each with a skip.
    """

    texture: ShotNoiseConfig = ShotNoiseConfig()  # noqa: RUF009 frozen
    noise: tuple[int, int, int] = (4, 8, 8)
    patch: int = 4
    width: int = 32
    blocks: int = 1

    @property
    def frames_per_latent(self) -> int:
        """Each frame has a latent time of its own."""
        return 1

    @property
    def lacks(self) -> dict[Feature, str]:
        """It has the frames of one clip."""
        return {"sets": "it mixes the frames of one clip"}

    @property
    def keeps_pixels(self) -> bool:
        """Whether it knows the clip pixel by pixel, so that other sizes need a texture that is alike everywhere."""
        return True

    def build(
        self, y_obs: Tensor, n_frames: int, *, rng: Rng, condition_channels: int = 0, precision: Precision = "fp32"
    ) -> Generator:
        """The generator of clips like ``y_obs`` (1, C, T, H, W); it is small, and always float32."""
        from dyntex.networks.residual import ShotNoiseResidual

        return ShotNoiseResidual(self, y_obs, rng=rng, condition_channels=condition_channels)


GeneratorConfig = ConvGeneratorConfig | ShotNoiseResidualConfig
"""The kinds of generators that a preset can name."""
