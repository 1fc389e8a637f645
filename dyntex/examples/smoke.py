"""Smoke that rises from below the frame: a small stable-fluids solver under random stirring."""

from __future__ import annotations

import colorsys
from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import islice

import numpy as np
from scipy import ndimage

from dyntex.examples.example import Array, Example, Size, knob
from dyntex.examples.fluid import advect, confine, project
from dyntex.examples.picture import gradient, resample
from dyntex.examples.waves import Lattice, evolve


@dataclass(frozen=True)
class SmokeParameters:
    speed: float = knob(1.0, 0.3, 2.0, "how many seconds of the smoke pass in one second of the clip")
    thickness: float = knob(1.0, 0.3, 3.0, "how opaque the smoke is")
    width: float = knob(0.3, 0.1, 0.6, "width of the source, in shorter sides of the frame")
    wind: float = knob(0.0, -0.15, 0.15, "wind to the right, in shorter sides of the frame per second")
    turbulence: float = knob(1.0, 0.2, 2.0, "strength of the random stirring")
    hue: float = knob(0.6, 0.0, 1.0, "colour of the smoke on the colour wheel: 0 red, 1/3 green, 2/3 blue")
    tint: float = knob(0.12, 0.0, 0.8, "how colourful the smoke is")


# Lengths in shorter sides of the frame, times in seconds of the smoke.
_CELLS = 100  # of the view, across its shorter side
_MARGIN = 16  # cells around the view, where the periodic box swallows the smoke that leaves it
_LONGEST_STEP = 1 / 25
_BURN_IN = 6.0  # the smoke crosses the frame in about two
_BUOYANCY = 1.6  # acceleration of the thickest smoke
_DRAG = 1.0  # per second, towards the wind
_SWIRL = 2.0  # per second, what confinement gives back
_STIRRING, _STIRRING_K, _STIRRING_RATE = 0.3, 20.0, 2.0  # acceleration, wavenumber, 1 / coherence time
_SPREAD = 2.0  # diffusivity of the smoke, cells^2 per second
_FADE = 0.2  # per second


@dataclass(frozen=True)
class Air:
    """The state of the fluid, each ``(H, W)``: velocity (u, v) in cells per second, and the density of the smoke."""

    u: Array
    v: Array
    density: Array


def simulate(parameters: SmokeParameters, view: Size, *, fps: Fraction, rng: np.random.Generator) -> Iterator[Air]:
    """The air in successive frames, from when it has become stationary, on a grid of ``view`` with a margin all around.

    The box is periodic: the air that leaves above comes back below, as a fresh and turbulent draught without smoke.
    """
    period = parameters.speed / float(fps)
    n_steps = int(np.ceil(period / _LONGEST_STEP - 1e-9))
    states = _states(parameters, view, dt=period / n_steps, rng=rng)
    return islice(states, round(_BURN_IN * n_steps / period), None, n_steps)


def _states(parameters: SmokeParameters, view: Size, *, dt: float, rng: np.random.Generator) -> Iterator[Air]:
    box = Size(view.height + 2 * _MARGIN, view.width + 2 * _MARGIN)
    unit = min(view)
    wind = unit * parameters.wind
    source, swallow = _source(box, unit, parameters.width), _swallow(box)
    blur = np.sqrt(2 * _SPREAD * dt)  # the heat kernel of one step
    waves = Lattice(box.scaled(6), (box.height / unit, box.width / unit))
    ky, kx = waves.k
    stirring = evolve(_stream_variance(waves), decay=_STIRRING_RATE, omega=0.0, dt=dt, rng=rng)

    air = Air(np.full(box, wind), np.zeros(box), np.zeros(box))
    for z in stirring:
        yield air
        # the curl of a random stream function: it stirs, and adds no divergence
        push_x, push_y = waves.field(1j * ky * z, box).real, waves.field(-1j * kx * z, box).real
        push = unit * _STIRRING * parameters.turbulence
        u, v = advect(air.u, air.u, air.v, dt=dt), advect(air.v, air.u, air.v, dt=dt)
        swirl_x, swirl_y = confine(u, v)
        u, v = project(
            u + dt * (push * push_x + _SWIRL * swirl_x - _DRAG * (u - wind)),
            v + dt * (push * push_y + _SWIRL * swirl_y - _DRAG * v - unit * _BUOYANCY * air.density),
        )
        density = ndimage.gaussian_filter(advect(air.density, u, v, dt=dt, order=3), blur, mode="wrap")
        density = np.maximum(density, 0.0) * np.exp(-dt * (_FADE + swallow))
        puff = np.clip(1.0 - 0.8 * push_y, 0.2, 2.0)
        air = Air(u, v, density + (1.0 - np.exp(-dt * source)) * (puff - density))


def _stream_variance(waves: Lattice) -> Array:
    """S_k of the stream function, such that each component of its curl has variance one."""
    k2 = waves.k[0] ** 2 + waves.k[1] ** 2
    s = np.exp(-0.5 * k2 / _STIRRING_K**2) * (k2 > 0)
    return np.asarray(2 * s / np.sum(k2 * s))


def _source(box: Size, unit: int, width: float) -> Array:
    """The rate, per second, at which smoke is supplied: a slot just below the view."""
    x = (np.arange(box.width) - (box.width - 1) / 2)[None, :] / unit
    y = (box.height - _MARGIN - 0.5 - np.arange(box.height))[:, None] / unit  # above the lower edge of the view
    return np.asarray(4.0 * np.exp(-0.5 * ((y + 0.06) / 0.035) ** 2) * (1.0 - np.tanh((abs(x) - width / 2) / 0.02)))


def _swallow(box: Size) -> Array:
    """The rate, per second, at which smoke vanishes: none in the view, most at the seam of the periodic box."""
    rows, columns = (np.minimum(np.arange(n), np.arange(n)[::-1]) for n in box)
    inwards = np.minimum(rows[:, None], columns[None, :]) / _MARGIN
    return np.asarray(12.0 * np.clip(1.0 - inwards, 0.0, 1.0))


def frames(parameters: SmokeParameters, size: Size, *, fps: Fraction, rng: np.random.Generator) -> Iterator[Array]:
    """The smoke, frame by frame: ``(H, W, 3)`` in [0, 1]."""
    inner = slice(_MARGIN, -_MARGIN)
    for air in simulate(parameters, size.scaled(_CELLS), fps=fps, rng=rng):
        yield resample(_light(air.density[inner, inner], parameters), size)


def _light(density: Array, parameters: SmokeParameters) -> Array:
    """Absorption (Beer and Lambert) before a dark backdrop, with light from the upper left as if from its relief."""
    down, right = np.gradient(density)
    relief = np.clip(0.5 + 2.5 * (0.8 * down + 0.6 * right), 0.0, 1.0)
    lit, shaded, backdrop = (
        np.array(colorsys.hls_to_rgb(parameters.hue, lightness, parameters.tint)) for lightness in (0.93, 0.41, 0.06)
    )
    opacity = 1.0 - np.exp(-3.5 * parameters.thickness * density)
    smoke = gradient(relief, [(0.0, shaded), (1.0, lit)])
    return np.asarray(backdrop + opacity[..., None] * (smoke - backdrop))


EXAMPLE = Example(
    name="smoke",
    summary="A thick plume of smoke that rises, curls up and thins out before a dark backdrop.",
    law=(
        "Incompressible flow du/dt + u.grad u = -grad p - drag u + buoyancy density + F, div u = 0, by semi-Lagrangian "
        "steps and an exact projection in Fourier space (Stam 1999) with vorticity confinement (Fedkiw and others "
        "2001); F is the curl of a Gaussian stream function that is AR(1) in every mode; density is carried, diffuses, "
        "fades, and is supplied below the frame. Six seconds pass before the first frame."
    ),
    stationary_in_space=False,
    parameters=SmokeParameters,
    frames=frames,
)
