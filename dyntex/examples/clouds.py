"""Clouds that drift and dissolve: a Gaussian field that is AR(1) in every Fourier mode, coloured by an affine map."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dyntex.examples.example import Array, Example, Size, knob
from dyntex.examples.picture import turn_hue, turn_step
from dyntex.examples.waves import Lattice, evolve


@dataclass(frozen=True)
class CloudsParameters:
    scale: float = knob(0.4, 0.1, 1.0, "size of the largest clouds, in shorter sides of the frame")
    lifetime: float = knob(2.5, 0.2, 20.0, "coherence time of the largest clouds in seconds")
    wind: float = knob(0.15, 0.0, 1.0, "drift in shorter sides of the frame per second")
    direction: float = knob(15.0, -180.0, 180.0, "where they drift, degrees counter-clockwise from the right")
    hue: float = knob(0.0, -0.5, 0.5, "turns of the colour wheel away from the natural colour")


_CYCLES = 32
_SKY = (0.56, 0.67, 0.79)  # the mean colour; a cloud is whiter, a gap is bluer
_CLOUD = (0.100, 0.070, 0.032)  # colour per standard deviation of the first field, and ...
_SHADE = (0.012, 0.018, 0.030)  # ... of the second; together within the range up to 4 deviations


def lattice(size: Size) -> Lattice:
    """The waves in view; the shorter side is the unit of length."""
    unit = min(size)
    return Lattice(size.scaled(_CYCLES), (size.height / unit, size.width / unit))


def variance(parameters: CloudsParameters, waves: Lattice) -> Array:
    """S_k of one field; they sum to one."""
    ky, kx = waves.k
    k0 = 2 * np.pi / parameters.scale
    s = (kx**2 + ky**2 + k0**2) ** (-11 / 6) * (kx**2 + ky**2 > 0)
    return np.asarray(s / s.sum())


def rates(parameters: CloudsParameters, waves: Lattice) -> tuple[Array, Array]:
    """Each wave's decay rate and angular frequency, per second: p_k = exp(-(decay + i omega) / fps)."""
    ky, kx = waves.k
    k0 = 2 * np.pi / parameters.scale
    decay = np.cbrt((kx**2 + ky**2) / k0**2) / parameters.lifetime
    toward = np.deg2rad(parameters.direction)
    return decay, parameters.wind * (kx * np.cos(toward) - ky * np.sin(toward))


def frames(parameters: CloudsParameters, size: Size, *, fps: Fraction, rng: np.random.Generator) -> Iterator[Array]:
    """The sky, frame by frame: ``(H, W, 3)`` in [0, 1]."""
    waves = lattice(size)
    decay, omega = rates(parameters, waves)
    mean, cloud, shade = turn_hue(_SKY, parameters.hue), *(turn_step(_SKY, s, parameters.hue) for s in (_CLOUD, _SHADE))
    for z in evolve(variance(parameters, waves), decay=decay, omega=omega, dt=1 / float(fps), rng=rng):
        f = waves.field(z, size)  # omega is odd in k, so the two parts are independent
        yield np.clip(mean + f.real[..., None] * cloud + f.imag[..., None] * shade, 0.0, 1.0)


EXAMPLE = Example(
    name="clouds",
    summary="Soft clouds drift on the wind and slowly change: linear to the last, a linear model's best case.",
    law=(
        "Two independent Gaussian fields, AR(1) in every Fourier mode: z_k(t+1) = p_k z_k(t) + noise with "
        "p_k = exp(-(k/k_0)^(2/3) / (lifetime fps) - i k.wind / fps), the turnover of eddies (Kolmogorov 1941) carried "
        "by the wind (Taylor 1938), and variance S(k) ~ (k^2 + k_0^2)^(-11/6) (von Karman 1948), k_0 = 2 pi / scale. "
        "The colour is an affine map of the two fields, so the pixels are Gaussian and linear too (but for the clamp "
        "to the range, beyond 4 standard deviations)."
    ),
    stationary_in_space=True,
    parameters=CloudsParameters,
    frames=frames,
)
