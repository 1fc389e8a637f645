"""The conditional mean of a Gaussian texture: the best linear guess at missing pixels from all seen ones around them.

At each pixel the clip is its mean plus its spread times g, and g is a stationary Gaussian process in space and time,
whose autocovariance c is measured on pairs of seen pixels. Given the seen ones the mean of g is

    g^ = K M' a    with    (M K M' + nugget I) a = g_seen,

K being convolution with c and M the choice of the seen pixels (kriging; Galerne and Leclaire, "Texture inpainting using
efficient Gaussian conditional simulation", SIAM J. Imaging Sci. 10(3), 2017, for a still texture). K is applied by the
FFT, so that the system is solved by conjugate gradients without ever being written down. It follows motion, because c
does: a wave that travels has its ridge at the lag of its velocity. A mean is smoother than what it is the mean of; a
draw from the conditional law, z + K M' a' with z from the law of g and a' solved for what is seen less z, has the
texture too, and about twice the squared error.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.fft import next_fast_len
from torch import Tensor

from dyntex.inpainting.interpolation import mean, spread

AXES = (-3, -2, -1)


@dataclass(frozen=True)
class Kriging:
    """How the covariance is measured and the system solved.

    Attributes:
        reach: pixels at which the covariance has been faded to 0.
        reach_time: frames at which it has.
        nugget: share of the variance that is noise of each pixel alone; keeps the system well conditioned.
        least_pairs: a lag seen in so many pairs of pixels has its covariance halved: few pairs make a poor estimate.
        n_steps: of the conjugate gradients.
        floor: standard deviation, in [-1, 1], of a pixel that stands still.
        smooth: pixels (standard deviation) over which variances are averaged with the neighbours'.
    """

    reach: int = 8
    reach_time: int = 8
    nugget: float = 0.05
    least_pairs: float = 500.0
    n_steps: int = 16
    floor: float = 0.01
    smooth: float = 1.5


DEFAULT = Kriging()


def krige(
    y: Tensor,
    missing: Tensor,
    config: Kriging = DEFAULT,
    *,
    trend: Tensor | None = None,
    rng: torch.Generator | None = None,
) -> Tensor:
    """The conditional mean of missing pixels, or a draw from their conditional law.

    Args:
        y: (C, T, H, W) in [-1, 1]; what it holds at missing pixels is not looked at.
        missing: (T, H, W), bool.
        config: the covariance and the solver.
        trend: (C, T, H, W), what the Gaussian texture is added to; by default each pixel's mean over time.
        rng: on the CPU; None gives the mean.

    Returns:
        (C, T, H, W), not clamped; seen pixels as they are.
    """
    y = torch.where(missing, 0.0, y)
    seen = (~missing).to(y.dtype)
    base = mean(y, missing) if trend is None else trend
    deviation = (y - base) * seen
    # Colours are correlated, and their principal axes nearly not: each axis is then a problem of its own.
    axes = torch.linalg.eigh(torch.einsum("cthw,kthw->ck", deviation, deviation)).eigenvectors
    d = torch.einsum("ck,cthw->kthw", axes, deviation)
    s = _spread_of(d, seen, config)
    g = conditional(d / s, seen, config, rng)
    return torch.where(missing, base + torch.einsum("ck,kthw->cthw", axes, g * s), y)


def _spread_of(d: Tensor, seen: Tensor, config: Kriging) -> Tensor:
    """Standard deviation over time of each pixel, with its neighbours': (C, 1, H, W)."""
    n = seen.sum(0)
    power = blur(d.square().sum(1), config.smooth) / blur(n, config.smooth).clamp_min(1e-3)
    return (spread(power, n > 0) + config.floor**2).sqrt()[:, None]


def conditional(g: Tensor, seen: Tensor, config: Kriging, rng: torch.Generator | None) -> Tensor:
    """g^, or a draw, for g (C, T, H, W) of variance 1, zero where unseen."""
    reach = (min(config.reach_time, g.shape[1]), config.reach, config.reach)
    # Zeros behind the clip's end: the FFT is circular, and would join the end to the beginning.
    size = tuple(next_fast_len(n + r, real=True) for n, r in zip(g.shape[1:], reach, strict=True))
    spectrum = covariance_spectrum(g, seen, size, reach, config.least_pairs)
    inverse = 1.0 / (spectrum + config.nugget)

    def filtered(a: Tensor, by: Tensor) -> Tensor:
        whole: Tensor = torch.fft.irfftn(torch.fft.rfftn(a, s=size, dim=AXES) * by, s=size, dim=AXES)
        return whole[..., : g.shape[1], : g.shape[2], : g.shape[3]]

    z, noise = torch.zeros_like(g), torch.zeros_like(g)
    if rng is not None:
        white = torch.randn((len(g), *size), generator=rng)
        z = torch.fft.irfftn(torch.fft.rfftn(white, dim=AXES) * spectrum.sqrt(), s=size, dim=AXES)
        z = z[..., : g.shape[1], : g.shape[2], : g.shape[3]]
        noise = config.nugget**0.5 * torch.randn(g.shape, generator=rng)
    # Preconditioned by the inverse of the covariance of a clip without holes.
    a = conjugate_gradients(
        lambda a: seen * filtered(a, spectrum) + config.nugget * a,
        g - (z + noise) * seen,
        precondition=lambda r: seen * filtered(r, inverse),
        n_steps=config.n_steps,
    )
    return z + filtered(a, spectrum)


def covariance_spectrum(
    g: Tensor, seen: Tensor, size: tuple[int, ...], reach: tuple[int, ...], least_pairs: float
) -> Tensor:
    """The Fourier transform of the autocovariance of (C, T, H, W) on a circle of ``size``, of variance 1.

    At each lag it is the mean product over the pairs of seen pixels (both sums are correlations, hence FFTs), faded
    to 0 at the ``reach``. What the fading leaves negative in the spectrum, which no covariance is, becomes 0.
    """
    products = torch.fft.irfftn(torch.fft.rfftn(g, s=size, dim=AXES).abs().square(), s=size, dim=AXES)
    pairs = torch.fft.irfftn(torch.fft.rfftn(seen, s=size, dim=AXES).abs().square(), s=size, dim=AXES)
    c = products / (pairs.clamp_min(0.0) + least_pairs)
    for axis, (n, r) in enumerate(zip(size, reach, strict=True)):
        lag = torch.arange(n)
        lag = torch.minimum(lag, n - lag)
        window = torch.where(lag < r, torch.cos(lag * (torch.pi / 2 / r)).square(), 0.0)
        c = c * window.view(-1, *[1] * (2 - axis))
    spectrum = torch.fft.rfftn(c, dim=AXES).real.clamp_min(0.0)
    variance = torch.fft.irfftn(spectrum, s=size, dim=AXES)[..., :1, :1, :1]
    scaled: Tensor = spectrum / variance.clamp_min(1e-9)
    return scaled


def conjugate_gradients(
    apply: Callable[[Tensor], Tensor], b: Tensor, *, precondition: Callable[[Tensor], Tensor], n_steps: int
) -> Tensor:
    """Solve A x = b for each b of (C, ...) by ``n_steps`` preconditioned conjugate gradients from 0."""

    def dot(a: Tensor, b: Tensor) -> Tensor:
        return (a * b).flatten(1).sum(1).view(-1, *[1] * (a.ndim - 1))

    x, r = torch.zeros_like(b), b.clone()
    z = precondition(r)
    p, rz = z, dot(r, z)
    for _ in range(n_steps):
        Ap = apply(p)
        step = rz / dot(p, Ap).clamp_min(1e-20)
        x, r = x + step * p, r - step * Ap
        z = precondition(r)
        before, rz = rz, dot(r, z)
        p = z + rz / before.clamp_min(1e-20) * p
    return x


def blur(frames: Tensor, sigma: float) -> Tensor:
    """Gaussian filter of (..., H, W), replicated at the border."""
    radius = round(3 * sigma)
    taps = torch.arange(-radius, radius + 1, dtype=frames.dtype)
    kernel = torch.exp(-taps.square() / (2 * sigma**2))
    kernel = kernel / kernel.sum()
    flat = frames.reshape(-1, 1, *frames.shape[-2:])
    flat = F.conv2d(F.pad(flat, (radius, radius, 0, 0), mode="replicate"), kernel.view(1, 1, 1, -1))
    flat = F.conv2d(F.pad(flat, (0, 0, radius, radius), mode="replicate"), kernel.view(1, 1, -1, 1))
    return flat.view_as(frames)
