"""The two steps of a stable fluid (Stam, Stable Fluids, SIGGRAPH 1999) on a periodic grid, and a force for its eddies.

Velocities are in cells per second, a pair (u, v) of ``(H, W)`` arrays: u along the columns (x, to the right), v along
the rows (y, downwards).
"""

from __future__ import annotations

import numpy as np
from scipy import fft, ndimage

from dyntex.examples.example import Array


def project(u: Array, v: Array) -> tuple[Array, Array]:
    """The divergence-free part of a velocity field: in Fourier space, what is perpendicular to the wavevector."""
    kx, ky = _odd_wavenumbers(u.shape[1], real=True)[None, :], _odd_wavenumbers(u.shape[0])[:, None]
    u_hat, v_hat = fft.rfft2(u), fft.rfft2(v)
    k2 = kx**2 + ky**2
    along = (kx * u_hat + ky * v_hat) / np.where(k2 == 0, 1.0, k2)  # the mean flow has no divergence
    return np.asarray(fft.irfft2(u_hat - kx * along, u.shape)), np.asarray(fft.irfft2(v_hat - ky * along, v.shape))


def advect(field: Array, u: Array, v: Array, *, dt: float, order: int = 1) -> Array:
    """The field carried by the flow for ``dt`` seconds: each cell takes the value found upstream (semi-Lagrangian).

    ``order=1`` interpolates linearly, so no value leaves the range of the field; ``order=3`` keeps more detail and
    may overshoot.
    """
    rows, columns = np.indices(field.shape, dtype=field.dtype)
    upstream = np.stack([rows - dt * v, columns - dt * u])
    return np.asarray(ndimage.map_coordinates(field, upstream, order=order, mode="grid-wrap"))


def confine(u: Array, v: Array) -> tuple[Array, Array]:
    """The force that gives eddies back what interpolation takes (Fedkiw, Stam and Jensen, SIGGRAPH 2001, equation 11).

    Returns N x omega, N the unit gradient of |omega|, for the caller to scale.
    """
    vorticity = _slope(v, 1) - _slope(u, 0)
    size = abs(vorticity)
    nx, ny = _slope(size, 1), _slope(size, 0)
    length = np.hypot(nx, ny) + 1e-12  # where |omega| is flat there is no direction, and no force
    return ny / length * vorticity, -nx / length * vorticity


def _slope(field: Array, axis: int) -> Array:
    return np.asarray((np.roll(field, -1, axis) - np.roll(field, 1, axis)) / 2)


def _odd_wavenumbers(n: int, *, real: bool = False) -> Array:
    """Angular wavenumbers per cell, with 0 at the Nyquist frequency, where a real field has no odd derivative."""
    k = 2 * np.pi * (fft.rfftfreq(n) if real else fft.fftfreq(n))
    k[np.isclose(abs(k), np.pi)] = 0.0
    return np.asarray(k)
