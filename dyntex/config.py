"""Architectures and training settings as values: frozen dataclasses, JSON in and out.

A network is a tuple of layers, a preset is an instance, and nothing in the code asks for a preset's name.
"""

from __future__ import annotations

import dataclasses
import difflib
import types
import typing
from dataclasses import dataclass
from typing import Any, Final, Literal

from dyntex.errors import UsageError

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
    """A generator that contains a Gaussian dynamic texture and bends it; see :mod:`dyntex.gaussian_texture`.

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


@dataclass(frozen=True)
class CoopConfig:
    """One training of the two networks, whole.

    Attributes:
        preset: its name.
        size: side of the square frames that it is meant for.
        fixed_size: whether it can make no other.
        multiple: of which the sides are multiples.
        n_frames: T of the training clip that the preset asks for by default.
        min_frames: fewer frames than this cannot teach it.
        window: frames of the clip that one iteration sees; 0 for all of them.
        crop: side of the square of the frame that it sees, for convolutional networks; 0 for all of the frame.
        n_chains: parallel Langevin chains.
        iterations: cooperative iterations.
        n_steps: K, Langevin steps of the descriptor (D1).
        step: delta, the size of a Langevin step, in units of the preconditioner (1 for the paper's).
        temperature: of the Langevin noise; 1 samples the model, 0 descends its energy.
        drift_limit: largest root-mean-square move of a chain by the gradient in one step, in [-1, 1]; 0 for none.
        n_steps_z: Langevin steps that infer z from the revised sample (G1); 0 switches G1 off, as in the paper's code.
        step_z: their step size.
        gen_std: sigma of the generator.
        lr_des, lr_gen: Adam's learning rates.
        beta1: Adam's momentum.
        head_start: share of the training during which only the descriptor learns, so that the generator is never taught
            by one that has seen nothing.
        lr_decay: the learning rates fall linearly to this share of themselves over the second half.
        grad_limit: norm to which gradients of the parameters are clipped; 0 for none.
        data_noise: noise on the observed clip at every use, in [-1, 1].
        persistent: share of the chains that go on from earlier revised samples of a replay memory.
        memory: how many revised samples the replay memory holds.
        ema: decay of the averaged generator that synthesizes; 0 for none.
        regress: weight of the generator's regression: the mean of g(z, c) over z learns to be that of the clips of the
            condition c, beside what the chains teach, by which alone it comes to hear a drawing slowly; 0 for none, as
            in the paper.
        precision: "bf16" rounds what the convolutions of the descriptor and of a convolutional generator multiply, and
            what they hand on; weights, optimisers, sums, samples and the Langevin dynamics are float32 always.
    """

    preset: str
    descriptor: DescriptorConfig
    generator: GeneratorConfig | GaussianTextureConfig
    size: int = 128
    fixed_size: bool = False
    multiple: int = 1
    n_frames: int = 64
    min_frames: int = 8
    window: int = 0
    crop: int = 0
    n_chains: int = 2
    iterations: int = 1000
    n_steps: int = 10
    step: float = 0.002
    temperature: float = 1.0
    drift_limit: float = 0.0
    n_steps_z: int = 0
    step_z: float = 0.003
    gen_std: float = 1.0
    lr_des: float = 0.01
    lr_gen: float = 0.0002
    beta1: float = 0.5
    head_start: float = 0.0
    lr_decay: float = 1.0
    grad_limit: float = 0.0
    data_noise: float = 0.0
    persistent: float = 0.0
    memory: int = 0
    ema: float = 0.0
    regress: float = 0.0
    precision: Precision = "fp32"

    @property
    def least_frames(self) -> int:
        """The shortest clip that can be learnt from."""
        return max(self.min_frames, self.window)


def to_json(config: Any) -> Any:
    """A config as plain dictionaries, lists, numbers and strings."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {f.name: to_json(getattr(config, f.name)) for f in dataclasses.fields(config)}
    if isinstance(config, tuple):
        return [to_json(item) for item in config]
    return config


def from_json(data: Any, kind: Any = CoopConfig, *, where: str = "config") -> Any:
    """The inverse of :func:`to_json`.

    Raises:
        UsageError: a key is unknown, missing, or holds a value of another type; the message names it.
    """
    origin = typing.get_origin(kind)
    if dataclasses.is_dataclass(kind):
        return _dataclass_from_json(data, kind, where)
    if origin in (typing.Union, types.UnionType):
        return _union_from_json(data, kind, where)
    if origin is Literal:
        if data in typing.get_args(kind):
            return data
        raise UsageError(f"{where} is {data!r}; it is one of {', '.join(map(repr, typing.get_args(kind)))}")
    if origin is tuple:
        args = typing.get_args(kind)
        if not isinstance(data, list):
            raise UsageError(f"{where} is {data!r}; it is a list")
        if len(args) == 2 and args[1] is Ellipsis:
            args = (args[0],) * len(data)
        if len(args) != len(data):
            raise UsageError(f"{where} has {len(data)} entries; it has {len(args)}")
        return tuple(
            from_json(item, arg, where=f"{where}[{i}]") for i, (item, arg) in enumerate(zip(data, args, strict=True))
        )
    if kind is float and isinstance(data, int) and not isinstance(data, bool):
        return float(data)
    if not isinstance(data, kind) or (isinstance(data, bool) and kind is not bool):
        raise UsageError(f"{where} is {data!r}; it is of type {kind.__name__}")
    return data


def _dataclass_from_json(data: Any, kind: Any, where: str) -> Any:
    if not isinstance(data, dict):
        raise UsageError(f"{where} is {data!r}; it is an object")
    hints = typing.get_type_hints(kind)
    for key in data:
        if key not in hints:
            raise UsageError(f"{where} has the unknown key {key!r}{suggest(key, hints)}")
    for field in dataclasses.fields(kind):
        if field.default is dataclasses.MISSING and field.name not in data:
            raise UsageError(f"{where} lacks the key {field.name!r}")
    return kind(**{key: from_json(value, hints[key], where=f"{where}.{key}") for key, value in data.items()})


def _union_from_json(data: Any, kind: Any, where: str) -> Any:
    problems = []
    for arm in typing.get_args(kind):
        try:
            return from_json(data, arm, where=where)
        except UsageError as error:
            problems.append(str(error))
    arms = [arm for arm in typing.get_args(kind) if dataclasses.is_dataclass(arm)]
    if arms and isinstance(data, dict):
        # An object was meant for the dataclass that knows the most of its keys: that one says what is wrong.
        return from_json(data, max(arms, key=lambda arm: len(data.keys() & typing.get_type_hints(arm))), where=where)
    raise UsageError(f"{where} is {data!r}; {problems[-1]}")


def suggest(word: str, known: typing.Iterable[str]) -> str:
    """``"; did you mean 'x'?"`` for the nearest known word, or nothing."""
    near = difflib.get_close_matches(word, list(known), n=1)
    return f"; did you mean {near[0]!r}?" if near else ""
