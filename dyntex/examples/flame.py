"""Fire in a bowl that stands still: rising Gaussian noise under an envelope, coloured like soot."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from scipy import ndimage

from dyntex.examples.example import Array, Example, Size, knob
from dyntex.examples.picture import gradient, resample, turn_hue
from dyntex.examples.waves import Lattice, evolve


@dataclass(frozen=True)
class FlameParameters:
    height: float = knob(0.6, 0.2, 0.85, "typical height of the flames, in shorter sides of the frame")
    width: float = knob(0.56, 0.1, 0.9, "width of the fire, in shorter sides of the frame")
    speed: float = knob(1.0, 0.2, 2.5, "how many seconds of the fire pass in one second of the clip")
    turbulence: float = knob(1.0, 0.2, 1.5, "how much the flames lick and break")
    hue: float = knob(0.0, -0.5, 0.5, "turns of the colour wheel away from the natural colour")


RISE = 0.9  # shorter sides per second
_CELLS = 128  # of the canvas, across the shorter side
_CYCLES = 24
_TONGUE = 0.4  # typical width of a tongue of fire, in shorter sides
_STRETCH = 2.5  # a tongue is taller than wide
_SMOOTH = 0.03  # the sideways sway has no detail finer than this
_RIM = 0.14  # the bowl's upper edge, above the lower edge of the frame


def lattice(size: Size) -> Lattice:
    """The waves of the noise; the shorter side is the unit of length."""
    unit = min(size)
    return Lattice(size.scaled(_CYCLES), (size.height / unit, size.width / unit))


def variance(waves: Lattice) -> Array:
    """S_k of the noise; they sum to one."""
    ky, kx = waves.k
    k2 = (_STRETCH * ky) ** 2 + kx**2
    s = (k2 + (2 * np.pi / _TONGUE) ** 2) ** -2.0 * (k2 > 0)
    return np.asarray(s / s.sum())


def rates(waves: Lattice) -> tuple[Array, Array]:
    """Each wave's decay rate and angular frequency, per second of the fire."""
    ky, kx = waves.k
    eddy = np.cbrt((kx**2 + ky**2) * (_TONGUE / (2 * np.pi)) ** 2)  # turnover as k^(2/3), Kolmogorov 1941
    return 1.2 + eddy, -RISE * ky


def frames(parameters: FlameParameters, size: Size, *, fps: Fraction, rng: np.random.Generator) -> Iterator[Array]:
    """The fire, frame by frame: ``(H, W, 3)`` in [0, 1]."""
    canvas, waves = size.scaled(_CELLS), lattice(size)
    unit = min(canvas)
    x = (np.arange(canvas.width) + 0.5 - canvas.width / 2)[None, :] / unit
    y = (canvas.height - np.arange(canvas.height) - 0.5)[:, None] / unit - _RIM
    bowl, cover = _bowl(x, y, parameters.width)
    ky, kx = waves.k
    smooth = np.exp(-0.5 * _SMOOTH**2 * (kx**2 + ky**2))
    decay, omega = rates(waves)
    for z in evolve(variance(waves), decay=decay, omega=omega, dt=parameters.speed / float(fps), rng=rng):
        # omega is odd in k, so real and imaginary parts are independent: one lights the flames, the other bends them
        noise, sway = waves.field(z, canvas).real, waves.field(smooth * z, canvas).imag
        fire = gradient(_heat(noise, sway, x, y, parameters), _soot(parameters.hue))
        glow = 0.35 * ndimage.gaussian_filter(fire, (0.08 * unit, 0.08 * unit, 0))
        yield resample(np.where(cover > 0, cover * bowl + (1 - cover) * fire, np.minimum(fire + glow, 1.0)), size)


def _heat(noise: Array, sway: Array, x: Array, y: Array, parameters: FlameParameters) -> Array:
    """Temperature in arbitrary units, 0 where nothing burns: an envelope that narrows and cools upwards, plus noise."""
    up = np.clip(y / parameters.height, 0.0, 1.5)
    shift = 0.13 * parameters.turbulence * np.sqrt(up) * sway
    rows, columns = np.indices(noise.shape, dtype=float)
    bent = ndimage.map_coordinates(noise, [rows, columns + min(noise.shape) * shift], order=1, mode="grid-wrap")
    body = 1.0 - (2.0 * abs(x + shift) / (parameters.width * (1.0 - 0.45 * up))) ** 2.5
    lick = parameters.turbulence * (0.25 + 0.8 * np.minimum(up, 1.0))
    return np.where(y > -0.03, np.maximum(0.5 + 1.1 * body - 1.6 * up + lick * bent, 0.0), 0.0)


def _soot(hue: float) -> list[tuple[float, Array]]:
    """Black body colours as soot shows them: from nothing over red and orange to a pale yellow."""
    stops = [(0.25, (0.35, 0.04, 0.01)), (0.55, (0.85, 0.25, 0.03)), (0.95, (1.0, 0.62, 0.12)), (1.5, (1.0, 0.93, 0.6))]
    return [(0.0, np.zeros(3)), *((heat, turn_hue(rgb, hue)) for heat, rgb in stops)]


def _bowl(x: Array, y: Array, width: float) -> tuple[Array, Array]:
    """An iron bowl seen from the side: its colour ``(h, w, 3)``, and where it hides the fire ``(h, w, 1)``."""
    half = width / 2 + 0.05
    depth = np.clip(-y / _RIM, 0.0, 1.0)
    inside = half * np.sqrt(1.0 - 0.6 * depth**2) - abs(x)
    cover = np.clip(60 * inside + 0.5, 0, 1) * np.clip(0.5 - 100 * y, 0, 1)  # slopes: edges about two cells wide
    shine = np.exp(-8.0 * (x / half + 0.4) ** 2) * (0.6 + 0.4 * depth)
    rim = np.exp(-0.5 * ((y + 0.015) / 0.01) ** 2)
    return (0.10 + 0.25 * shine + 0.2 * rim)[..., None] * np.array([1.0, 0.95, 0.9]), cover[..., None]


EXAMPLE = Example(
    name="flame",
    summary="Fire in an iron bowl: tongues rise, lick and break off; the bowl stands still.",
    law=(
        "Two independent Gaussian fields with p_k = exp((-1.2 - (k/k_0)^(2/3) + 0.9 i k_y) speed / fps) in each "
        "Fourier mode (k_y downwards): noise that rises at 0.9 sides per second while its eddies turn over (Taylor "
        "1938, Kolmogorov 1941); one bends the other sideways, an envelope of height and width is added, and the sum "
        "is coloured by a palette, pointwise. Every frame is one fixed function of the stationary fields, so the clip "
        "is stationary in time too."
    ),
    stationary_in_space=False,
    parameters=FlameParameters,
    frames=frames,
)
