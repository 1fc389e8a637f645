"""The stationary Gaussian field behind most examples: plane waves, each an independent Ornstein-Uhlenbeck process.

    f(x, t) = sum_k z_k(t) exp(i k.x),      z_k(t + dt) = p_k z_k(t) + sqrt(1 - |p_k|^2) e_k,
    p_k = exp(-(decay_k + i omega_k) dt),   E|z_k|^2 = E|e_k|^2 = 2 S_k

which is exact at any dt, has no start-up transient (the first frame is drawn from the stationary law), and whose real
part has variance sum_k S_k. The imaginary part is a second field of the same law; where omega_-k = -omega_k (drift)
the two are independent. A sea is decay = 0, drifting clouds are omega = k.v, a stirred pond has both.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from scipy import fft

from dyntex.examples.example import Array, Size


@dataclass(frozen=True)
class Lattice:
    """The plane waves that fit a periodic box: ``(2m + 1, 2n + 1)`` of them, from -m to m and -n to n cycles.

    Attributes:
        cycles: (m, n), the most cycles along y and along x.
        box: the lengths of the box along y and along x.
    """

    cycles: Size
    box: tuple[float, float]

    @property
    def indices(self) -> tuple[Array, Array]:
        """Signed cycles along y ``(2m + 1, 1)`` and along x ``(1, 2n + 1)``."""
        m, n = self.cycles
        return np.arange(-m, m + 1)[:, None], np.arange(-n, n + 1)[None, :]

    @property
    def k(self) -> tuple[Array, Array]:
        """Angular wavenumbers (k_y, k_x), shaped as :attr:`indices`; y points down, as the rows of an image do."""
        iy, ix = self.indices
        return 2 * np.pi / self.box[0] * iy, 2 * np.pi / self.box[1] * ix

    @property
    def cell(self) -> float:
        """The area d^2k that each wave stands for: what turns a spectral density into a variance."""
        return (2 * np.pi) ** 2 / (self.box[0] * self.box[1])

    def field(self, z: Array, size: Size) -> Array:
        """The complex field ``sum_k z_k exp(i k.x)`` at the centres of ``size`` pixels.

        Waves too short for the grid are left out, so a coarser grid shows the same field, band-limited.
        """
        iy, ix = (axis.ravel() for axis in self.indices)
        fits_y, fits_x = 2 * abs(iy) < size.height, 2 * abs(ix) < size.width
        spectrum = np.zeros(size, dtype=np.complex128)
        to_centre = np.exp(1j * np.pi * (iy[fits_y, None] / size.height + ix[None, fits_x] / size.width))
        spectrum[np.ix_(iy[fits_y], ix[fits_x])] = z[np.ix_(fits_y, fits_x)] * to_centre
        return np.asarray(fft.ifft2(spectrum, norm="forward"))


def evolve(
    variance: Array, *, decay: Array | float, omega: Array | float, dt: float, rng: np.random.Generator
) -> Iterator[Array]:
    """The amplitudes z of successive frames, without end.

    Args:
        variance: S_k, what each wave adds to the variance of the real field.
        decay: 1 / coherence time of each wave, per second; 0 keeps its amplitude for ever.
        omega: angular frequency of each wave; the phase k.x - omega t moves along k.
        dt: seconds between frames.
    """
    pole = np.exp(-(decay + 1j * omega) * dt) + np.zeros_like(variance)
    scale = np.sqrt(variance)  # a complex normal of unit variance per part has E|.|^2 = 2
    kick = scale * np.sqrt(-np.expm1(-2.0 * decay * dt))  # sqrt(1 - |p|^2), and exactly 0 where nothing decays

    def normal() -> Array:
        re_im = rng.standard_normal((2, *variance.shape))
        return np.asarray(re_im[0] + 1j * re_im[1])

    z = scale * normal()
    while True:
        yield z
        z = pole * z + kick * normal()
