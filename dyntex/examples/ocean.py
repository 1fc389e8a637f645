"""A deep sea seen from a cliff: linear waves of a measured spectrum, shaded as a mirror of the sky."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dyntex.examples.example import Array, Example, Size, knob
from dyntex.examples.picture import gradient, resample, turn_hue
from dyntex.examples.waves import Lattice, evolve

GRAVITY = 9.81
ALPHA, BETA = 8.1e-3, 0.74  # Pierson and Moskowitz 1964


@dataclass(frozen=True)
class OceanParameters:
    wind: float = knob(7.0, 3.0, 10.0, "wind speed in m/s: longer and higher waves")
    direction: float = knob(-60.0, -180.0, 180.0, "where the waves travel, degrees counter-clockwise from the right")
    hue: float = knob(0.0, -0.5, 0.5, "turns of the colour wheel away from the natural colour")
    speed: float = knob(1.0, 0.1, 4.0, "how many seconds of the sea pass in one second of the clip")
    extent: float = knob(40.0, 20.0, 200.0, "metres of sea across the shorter side of the frame")


_CYCLES = 56  # waves across the shorter side: the shortest is about a metre long
_CANVAS = 192  # the mirror is far from linear, so it is evaluated on a finer grid and averaged
_ELEVATION = np.deg2rad(25.0)  # of the camera; orthographic, so that every pixel has one law
_CHOP = 1.5  # slopes are exaggerated, for the shortest waves, which carry much of the slope, are not on the lattice


def lattice(parameters: OceanParameters, size: Size) -> Lattice:
    """The waves in view. Foreshortening makes the box deeper than it looks."""
    unit = parameters.extent / min(size)
    return Lattice(size.scaled(_CYCLES), (unit * size.height / np.sin(_ELEVATION), unit * size.width))


def variance(parameters: OceanParameters, waves: Lattice) -> Array:
    """What each wave adds to the variance of the height, in square metres."""
    ky, kx = waves.k
    k = np.hypot(ky, kx)
    k[k == 0] = np.inf  # the mean level
    toward = np.deg2rad(parameters.direction)
    cosine = np.maximum(0.0, (kx * np.cos(toward) - ky * np.sin(toward)) / k)
    density = ALPHA / 2 * k**-3 * np.exp(-BETA * GRAVITY**2 / (k**2 * parameters.wind**4))
    return np.asarray(density / k * (2 / np.pi * cosine**2) * waves.cell)


def amplitudes(
    parameters: OceanParameters, waves: Lattice, *, fps: Fraction, rng: np.random.Generator
) -> Iterator[Array]:
    """The amplitudes of the waves in successive frames: the real part of their field is the height in metres."""
    omega = np.sqrt(GRAVITY * np.hypot(*waves.k))
    return evolve(variance(parameters, waves), decay=0.0, omega=omega, dt=parameters.speed / float(fps), rng=rng)


def frames(parameters: OceanParameters, size: Size, *, fps: Fraction, rng: np.random.Generator) -> Iterator[Array]:
    """The sea, frame by frame: ``(H, W, 3)`` in [0, 1]."""
    waves = lattice(parameters, size)
    canvas = size.scaled(_CANVAS)
    ky, kx = waves.k
    for z in amplitudes(parameters, waves, fps=fps, rng=rng):
        height, slope_x, slope_y = (waves.field(factor * z, canvas).real for factor in (1.0, 1j * kx, 1j * ky))
        yield resample(_shade(height, slope_x, slope_y, parameters.hue), size)


def _shade(height: Array, slope_x: Array, slope_y: Array, hue: float) -> Array:
    """Sky mirrored by Fresnel's law (Schlick 1994), and the water's own colour below it."""
    # x to the right, y away from the viewer (rows run towards it), z up.
    normal = np.stack([-_CHOP * slope_x, _CHOP * slope_y, np.ones_like(height)], axis=-1)
    normal /= np.linalg.norm(normal, axis=-1, keepdims=True)
    view = np.array([0.0, -np.cos(_ELEVATION), np.sin(_ELEVATION)])
    facing = np.maximum(normal @ view, 0.0)
    fresnel = (0.02 + 0.98 * (1.0 - facing) ** 5)[..., None]
    upwards = 2.0 * facing * normal[..., 2] - view[2]  # of the mirrored ray: 0 meets the horizon, 1 the zenith
    sky = gradient(upwards, [(0.0, turn_hue((1.0, 0.98, 0.95), hue)), (0.9, turn_hue((0.35, 0.58, 0.9), hue))])
    lit = np.clip(0.5 + 0.35 * height + 1.5 * (0.45 - facing), 0.0, 1.0)  # light passes through the crests
    water = gradient(lit, [(0.0, turn_hue((0.0, 0.06, 0.14), hue)), (1.0, turn_hue((0.04, 0.30, 0.40), hue))])
    return np.asarray(np.clip(water * (1.0 - fresnel) + fresnel * sky, 0.0, 1.0))


EXAMPLE = Example(
    name="ocean",
    summary="A windy sea in daylight, seen from above: waves of every length, each at its own speed.",
    law=(
        "Surface height = independent Gaussian plane waves that never decay, omega^2 = g k (deep water), with the "
        "spectrum of Pierson and Moskowitz (1964), S(k) = alpha/2 k^-3 exp(-beta g^2 / (k^2 U^4)), spread over "
        "directions as 2/pi cos^2; the picture is a pointwise function of the surface's slope and height."
    ),
    stationary_in_space=True,
    parameters=OceanParameters,
    frames=frames,
)
