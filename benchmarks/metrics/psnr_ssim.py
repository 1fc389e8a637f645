"""PSNR and SSIM of one clip against another, frame ``t`` against frame ``t``.

Both are averaged over frames, and both take ``data_range``: the distance from black to white in the tensor's own
units (2 for a :class:`~dyntex.clip.Clip`), never guessed from the data.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.clip import Clip
from dyntex.errors import InputError

SSIM_SIGMA = 1.5
SSIM_RADIUS = 5  # 3.5 sigma, rounded: the 11x11 window of Wang et al.
SSIM_WINDOW = 2 * SSIM_RADIUS + 1
K1, K2 = 0.01, 0.03


def psnr(a: Clip, b: Clip, *, data_range: float) -> float:
    """Peak signal-to-noise ratio in dB: the mean over frames of ``10 log10(data_range^2 / mse_t)``.

    Every frame has its own mean squared error (over channels and pixels), because the mean of decibels is what the
    published tables average; it is at least the PSNR of the pooled error (Jensen).

    A frame that is identical in both clips has an infinite PSNR. Such frames are left out of the mean, and
    :func:`exact_frames` counts them, so that a table can say so; when all frames are identical the result is ``inf``.

    Raises:
        InputError: the clips differ in shape, or ``data_range`` is not positive.
    """
    errors = _frame_errors(a, b, data_range)
    finite = errors[errors > 0.0]
    return float(decibels(finite, data_range=data_range).mean()) if finite.numel() else math.inf


def decibels(squared: Tensor, *, data_range: float) -> Tensor:
    """The PSNR of mean squared errors: ``10 log10(data_range^2 / mse)``."""
    return 10.0 * torch.log10(data_range**2 / squared)


def exact_frames(a: Clip, b: Clip) -> int:
    """How many frames are identical in both clips: those that :func:`psnr` leaves out.

    Raises:
        InputError: the clips differ in shape.
    """
    return int((_frame_errors(a, b, 1.0) == 0.0).sum())


def ssim(a: Clip, b: Clip, *, data_range: float, where: Tensor | None = None) -> float:
    """Structural similarity, the mean over pixels, channels and frames; 1 for identical clips.

    Wang, Bovik, Sheikh and Simoncelli, "Image quality assessment: from error visibility to structural similarity",
    IEEE TIP 13(4) 2004, eq. 13: local moments under a Gaussian window (sigma 1.5, 11x11), divided by N and not by
    N - 1, K1 = 0.01, K2 = 0.03. Only windows that lie wholly inside the frame count. It is scikit-image's
    ``structural_similarity(gaussian_weights=True, sigma=1.5, use_sample_covariance=False)``.

    Args:
        a, b: the clips.
        data_range: from black to white.
        where: (T, H, W), at which pixels the windows are centred that count; by default all. NaN where there is none.

    Raises:
        InputError: the clips differ in shape, a side is under 11 pixels, or ``data_range`` is not positive.
    """
    _check_pair(a, b, data_range)
    if min(a.height, a.width) < SSIM_WINDOW:
        raise InputError(
            f"SSIM's window is {SSIM_WINDOW}x{SSIM_WINDOW} pixels and these frames are {a.height}x{a.width}: "
            f"use frames of at least {SSIM_WINDOW} pixels a side"
        )
    c1, c2 = (K1 * data_range) ** 2, (K2 * data_range) ** 2
    # A frame at a time: five double-precision maps of a whole clip would be the benchmark's largest allocation.
    maps = (_ssim_map(x, y, c1, c2) for x, y in zip(_frames(a), _frames(b), strict=True))
    if where is None:
        return sum(float(found.mean()) for found in maps) / a.n_frames
    inner = slice(SSIM_RADIUS, -SSIM_RADIUS)
    return float(torch.cat([m[:, 0, hole[inner, inner]].flatten() for m, hole in zip(maps, where, strict=True)]).mean())


def _ssim_map(x: Tensor, y: Tensor, c1: float, c2: float) -> Tensor:
    """Two frames ``(C, 1, H, W)`` -> the SSIM index of every full window, ``(C, 1, H - 10, W - 10)``."""
    mu_x, mu_y = _blur(x), _blur(y)
    var_x = _blur(x * x) - mu_x * mu_x
    var_y = _blur(y * y) - mu_y * mu_y
    cov = _blur(x * y) - mu_x * mu_y
    return ((2 * mu_x * mu_y + c1) * (2 * cov + c2)) / ((mu_x**2 + mu_y**2 + c1) * (var_x + var_y + c2))


def _blur(x: Tensor) -> Tensor:
    """Mean of every full 11x11 Gaussian window of ``(N, 1, H, W)``."""
    taps = torch.arange(-SSIM_RADIUS, SSIM_RADIUS + 1, dtype=x.dtype)
    window = torch.exp(-(taps**2) / (2 * SSIM_SIGMA**2))
    window = window / window.sum()
    return F.conv2d(F.conv2d(x, window.view(1, 1, -1, 1)), window.view(1, 1, 1, -1))


def _frames(clip: Clip) -> list[Tensor]:
    """Double-precision frames, each ``(C, 1, H, W)``: variances are differences of nearly equal numbers."""
    return list(clip.video.double().permute(1, 0, 2, 3).unsqueeze(2))


def _frame_errors(a: Clip, b: Clip, data_range: float) -> Tensor:
    _check_pair(a, b, data_range)
    return (a.video.double() - b.video.double()).square().mean(dim=(0, 2, 3))  # (T,)


def _check_pair(a: Clip, b: Clip, data_range: float) -> None:
    if a.video.shape != b.video.shape:
        raise InputError(
            f"frames are compared one to one, but the clips are {tuple(a.video.shape)} and {tuple(b.video.shape)}: "
            "crop, resize or cut them to one (C,T,H,W)"
        )
    if not data_range > 0.0:
        raise InputError(f"data_range is {data_range}: give the distance from black to white, 2 for a clip in [-1, 1]")
