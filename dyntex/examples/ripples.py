"""A pond stirred by fine rain: decaying capillary-gravity waves, lit so that the picture is linear in them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dyntex.examples.example import Array, Example, Size, knob
from dyntex.examples.picture import turn_hue, turn_step
from dyntex.examples.waves import Lattice, evolve

GRAVITY, TENSION, VISCOSITY = 9.81, 7.28e-5, 1.0e-6  # m/s^2, m^3/s^2 (sigma/rho), m^2/s: clean water at 20 C


@dataclass(frozen=True)
class RipplesParameters:
    wavelength: float = knob(0.20, 0.06, 0.5, "typical wavelength in metres")
    lifetime: float = knob(1.2, 0.1, 20.0, "coherence time of long waves in seconds")
    speed: float = knob(0.6, 0.1, 4.0, "how many seconds of the pond pass in one second of the clip")
    light: float = knob(90.0, -180.0, 180.0, "where the light comes from, degrees counter-clockwise from the right")
    hue: float = knob(0.0, -0.5, 0.5, "turns of the colour wheel away from the natural colour")
    extent: float = knob(1.2, 0.5, 4.0, "metres of water across the shorter side of the frame")


_CYCLES = 40
_TILT = 0.5  # foreshortening: the pond is seen at 30 degrees, and its box is deeper than it looks
_BANDWIDTH = 0.35  # standard deviation of log k
_WATER = (0.34, 0.45, 0.50)
_GLEAM = (0.085, 0.095, 0.085)  # colour per standard deviation of the slope towards the light, and ...
_TINT = (-0.012, 0.006, 0.020)  # ... of the slope across it


def lattice(parameters: RipplesParameters, size: Size) -> Lattice:
    """The waves in view, in metres of the pond."""
    unit = parameters.extent / min(size)
    return Lattice(size.scaled(_CYCLES), (unit * size.height / _TILT, unit * size.width))


def variance(parameters: RipplesParameters, waves: Lattice) -> Array:
    """S_k of the height, in units in which each component of the slope has variance one."""
    k = np.hypot(*waves.k)
    k[k == 0] = np.inf
    deviations = np.log(k * parameters.wavelength / (2 * np.pi)) / _BANDWIDTH
    slope = np.exp(-0.5 * deviations**2) / k**2  # log-normal in |k|, spread over the circle
    return np.asarray(2 * slope / slope.sum() / k**2)


def rates(parameters: RipplesParameters, waves: Lattice) -> tuple[Array, Array]:
    """Each wave's decay rate and angular frequency, per second of the pond."""
    k = np.hypot(*waves.k)
    return 1 / parameters.lifetime + 2 * VISCOSITY * k**2, np.sqrt(GRAVITY * k + TENSION * k**3)


def frames(parameters: RipplesParameters, size: Size, *, fps: Fraction, rng: np.random.Generator) -> Iterator[Array]:
    """The pond, frame by frame: ``(H, W, 3)`` in [0, 1]."""
    waves = lattice(parameters, size)
    decay, omega = rates(parameters, waves)
    mean = turn_hue(_WATER, parameters.hue)
    gleam, tint = (turn_step(_WATER, step, parameters.hue) for step in (_GLEAM, _TINT))
    ky, kx = waves.k
    light = np.deg2rad(parameters.light)
    towards = 1j * (kx * np.cos(light) - ky * np.sin(light))
    across = 1j * (kx * np.sin(light) + ky * np.cos(light))
    for z in evolve(variance(parameters, waves), decay=decay, omega=omega, dt=parameters.speed / float(fps), rng=rng):
        facing, aside = (waves.field(slope * z, size).real[..., None] for slope in (towards, across))
        yield np.clip(mean - facing * gleam + aside * tint, 0.0, 1.0)  # what rises towards the light turns from it


EXAMPLE = Example(
    name="ripples",
    summary="A pond under fine rain: ripples run every way, cross and die out; linear, and oscillating in every mode.",
    law=(
        "Surface height = independent Gaussian plane waves with the complex poles "
        "exp(-(1/lifetime + 2 nu k^2 + i omega) speed / fps), omega^2 = g k + (sigma/rho) k^3 (Lamb 1932, articles 267 "
        "and 348: capillary-gravity waves and their viscous decay), so that a real Fourier mode is ARMA(2,1); S(k) is "
        "log-normal in |k| and the same in all directions. The colour is an affine map of the slope (but for the clamp "
        "to the range, beyond 4 standard deviations)."
    ),
    stationary_in_space=True,
    parameters=RipplesParameters,
    frames=frames,
)
