"""Architectures as values: a network is a tuple of layers, and nothing in the code asks for a network's name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

FULL: Final = "full"
"""A kernel's extent that spans the whole axis: (5, FULL, FULL) sees five whole frames."""

Extent = int | Literal["full"]
Padding = Literal["same", "valid"] | tuple[int, int, int]
Precision = Literal["fp32", "bf16"]
Activation = Literal["relu", "leaky_relu", "silu", "tanh", "none"]


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
            to the clip pixel by pixel; the Langevin dynamics are preconditioned by it.
        init_std: standard deviation of the initial weights; 0 takes 1/sqrt(fan-in).
    """

    heads: tuple[Head, ...]
    ref_std: float = 0.016
    reference: Literal["white", "pixel"] = "white"
    init_std: float = 0.001


@dataclass(frozen=True)
class GeneratorConfig:
    """The generator y = g(z) + noise, z ~ N(0, I).

    Attributes:
        latent: (D, H, W) of the latent at one latent time.
        layers: transposed convolutions, first to last; the first one's kernel may be FULL in space, which is what the
            others' strides make the whole frame.
        init_std: standard deviation of the initial weights.
    """

    latent: tuple[int, int, int]
    layers: tuple[Layer, ...]
    init_std: float = 0.005


@dataclass(frozen=True)
class GaussianTextureConfig:
    """A generator that contains a Gaussian dynamic texture and bends it; see :mod:`dyntex.networks.shot_noise`.

    Attributes:
        regions: along each side of the frame, how many overlapping regions are stirred independently.
        bursts: how sparsely they are stirred: 0 by Gaussian noise, all of the clip at all times; s by noise like
            exp(s z), mostly by a few stretches of it.
        fade: share of the clip over which its ends are faded.
        levels: knots of the curve that gives each pixel its distribution.
        smooth: share of the frame's shorter side over which neighbours' curves are averaged, since a short clip tells
            little of a pixel's; 0 leaves each its own.
        colours: knots of the curve from brightness to colour.
        noise: (D, H, W) white noise of each frame that only the residual sees.
        patch: side of the square of pixels that becomes one position of the residual.
        width: its channels.
        blocks: its 3x3x3 convolutions, each with a skip.
    """

    regions: int = 3
    bursts: float = 2.0
    fade: float = 1.0
    levels: int = 8
    smooth: float = 1 / 16
    colours: int = 16
    noise: tuple[int, int, int] = (4, 8, 8)
    patch: int = 4
    width: int = 32
    blocks: int = 1
