"""A striped flag on a pole: cloth that the wind carries waves along, and that moves as a whole."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from dyntex.examples.example import Array, Example, Size, knob
from dyntex.examples.picture import gradient, resample, turn_hue
from dyntex.examples.waves import Lattice, evolve


@dataclass(frozen=True)
class FlagParameters:
    wavelength: float = knob(0.5, 0.2, 1.0, "typical length of a wave of the cloth, in shorter sides of the frame")
    amplitude: float = knob(0.045, 0.01, 0.08, "standard deviation of the free end's lift, in shorter sides")
    wind: float = knob(0.7, 0.2, 1.5, "how fast the waves run to the free end, in shorter sides per second")
    speed: float = knob(1.0, 0.2, 2.5, "how many seconds of the flag pass in one second of the clip")
    stripes: float = knob(3.5, 1.0, 6.0, "pairs of stripes")
    hue: float = knob(0.0, -0.5, 0.5, "turns of the colour wheel away from the natural colours of the cloth")


_CELLS = 192  # of the canvas, across the shorter side: a stripe's edge is two cells wide
_CYCLES = 16
_BANDWIDTH = 0.4  # standard deviation of log k
_SPREAD = 0.3  # standard deviation of a wave's direction, in radians: crests are nearly upright
_SWAY = 0.3  # how far the cloth moves along the wind, for each length by which it is lifted
_GROWTH = 3.0  # the lift grows from the pole as 1 - exp(-_GROWTH u)
_TOP, _LOW, _POLE, _END = 0.14, 0.72, 0.10, 0.88  # edges of the flag at rest, in frames from the top and from the left
_DARK, _PALE = (0.72, 0.09, 0.12), (0.93, 0.91, 0.86)


def lattice(size: Size) -> Lattice:
    """The waves of the cloth; the shorter side is the unit of length."""
    unit = min(size)
    return Lattice(size.scaled(_CYCLES), (size.height / unit, size.width / unit))


def variance(parameters: FlagParameters, waves: Lattice) -> Array:
    """S_k of the lift, in units of its own variance: log-normal in |k|, its direction near the wind's or against it."""
    ky, kx = waves.k
    k = np.hypot(ky, kx)
    k[k == 0] = np.inf
    across = np.arcsin(np.clip(ky / k, -1.0, 1.0))
    octaves = np.log(k * parameters.wavelength / (2 * np.pi)) / _BANDWIDTH
    s = np.exp(-0.5 * octaves**2 - 0.5 * (across / _SPREAD) ** 2) / k**2
    return np.asarray(s / s.sum())


def rates(parameters: FlagParameters, waves: Lattice) -> tuple[Array, Array]:
    """Each wave's decay rate and angular frequency, per second of the flag."""
    ky, kx = waves.k
    # A wave is forgotten as it travels its own length twice; the slow term lets the longest change too.
    decay = 0.5 + parameters.wind * np.hypot(ky, kx) / (4 * np.pi)
    return decay, parameters.wind * kx + 0.0 * ky


def frames(parameters: FlagParameters, size: Size, *, fps: Fraction, rng: np.random.Generator) -> Iterator[Array]:
    """The flag, frame by frame: ``(H, W, 3)`` in [0, 1]."""
    canvas, waves = size.scaled(_CELLS), lattice(size)
    unit = min(canvas)
    x = (np.arange(canvas.width) + 0.5)[None, :] / unit
    y = (np.arange(canvas.height) + 0.5)[:, None] / unit
    decay, omega = rates(parameters, waves)
    slope = 1j * waves.k[1]
    sky = _sky(x, y, canvas)
    for z in evolve(variance(parameters, waves), decay=decay, omega=omega, dt=parameters.speed / float(fps), rng=rng):
        # omega is odd in k, so real and imaginary parts are independent: one lifts the cloth, the other sways it.
        moved, steep = waves.field(z, canvas), waves.field(slope * z, canvas).real
        yield resample(_paint(moved.real, moved.imag, steep, x, y, sky, parameters), size)


def _paint(lift: Array, sway: Array, steep: Array, x: Array, y: Array, sky: Array, parameters: FlagParameters) -> Array:
    """The cloth that is seen at each point: its coordinates u along the wind and v across, its stripe and its light."""
    height, width = len(y) / min(len(y), x.size), x.size / min(len(y), x.size)
    reach = parameters.amplitude * (1.0 - np.exp(-_GROWTH * np.maximum(x - _POLE * width, 0.0)))
    u = (x - _POLE * width + _SWAY * reach * sway) / ((_END - _POLE) * width)
    v = (y - _TOP * height + reach * lift) / ((_LOW - _TOP) * height)
    cell = 1.0 / min(len(y), x.size)
    inside = _edge(np.minimum(v, 1.0 - v) * (_LOW - _TOP) * height / cell)
    inside = inside * _edge(np.minimum(u, 1.0 - u) * (_END - _POLE) * width / cell)
    hem = 2 * cell / ((_LOW - _TOP) * height)  # where the cloth ends, no other stripe begins
    wave = np.sin(2 * np.pi * parameters.stripes * np.clip(v, hem, 1.0 - hem))
    to_border = wave / (2 * np.pi * parameters.stripes) * (_LOW - _TOP) * height / cell
    pale = _edge(to_border)[..., None]
    cloth = (1 - pale) * turn_hue(_DARK, parameters.hue) + pale * turn_hue(_PALE, parameters.hue)
    light = np.clip(0.8 + 0.32 * reach * steep, 0.25, 1.0)  # the light comes from the pole's side
    return np.asarray(sky + inside[..., None] * (cloth * light[..., None] - sky))


def _edge(cells: Array) -> Array:
    """From 0 to 1 within two cells around 0."""
    return np.clip(0.5 + cells / 2, 0.0, 1.0)


def _sky(x: Array, y: Array, canvas: Size) -> Array:
    """What stands still: a sky that pales towards the ground, and the pole."""
    down = np.broadcast_to(y * min(canvas) / canvas.height, canvas)
    sky = gradient(down, [(0.0, np.array([0.28, 0.48, 0.78])), (1.0, np.array([0.80, 0.87, 0.93]))])
    cell = 1.0 / min(canvas)
    from_axis = (x - (_POLE * canvas.width * cell - 0.012)) / 0.012  # -1 to 1 across the pole
    pole = (0.55 - 0.35 * np.clip(from_axis, -1.0, 1.0))[..., None] * np.ones(3)
    cover = _edge((1.0 - abs(from_axis)) * 0.012 / cell)[..., None] * (down[..., None] > 0.06)
    return np.asarray(sky + cover * (pole - sky))


EXAMPLE = Example(
    name="flag",
    summary="A striped flag on a pole: waves run along the cloth, and its stripes and borders move as one thing.",
    law=(
        "Two independent Gaussian fields with p_k = exp(-(1/2 + c k / (4 pi) + i c k_x) speed / fps) in each Fourier "
        "mode, c the wind's knob: waves that run downwind at c (as those of a fluttering flag do, Argentina and "
        "Mahadevan 2005) and are forgotten within two wavelengths; S(k) is log-normal in |k| and spread by 0.3 radians "
        "around the wind. One lifts the cloth by amplitude (1 - exp(-3 u)), u the distance from the pole, the other "
        "sways it by 0.3 of that; stripes are a fixed function of the cloth's own coordinates, and the light of its "
        "slope. Every frame is one fixed function of the stationary fields, so the clip is stationary in time too."
    ),
    stationary_in_space=False,
    parameters=FlagParameters,
    frames=frames,
)
