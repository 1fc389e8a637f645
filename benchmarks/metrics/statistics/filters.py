"""The front end that the statistics share: a pyramid of oriented filters, in space and in space-time.

What tells a texture from a Gaussian ghost of it is where, when and how sparsely oriented contrast appears, which no
linear or second-order statistic sees. So pixels go through complex Gabor filters and the statistics pool the
*modulus*: the energy model of early vision (Adelson and Bergen, JOSA A 2(2) 1985), and the first layer of the
texture model of Portilla and Simoncelli (IJCV 40(1) 2000) and of a scattering network (Bruna and Mallat, TPAMI 35(8)
2013). Nothing is learnt and nothing is random: a score does not depend on a download or a seed.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.clip import Clip

N_SCALES = 3
N_ORIENTATIONS = 4
PERIODS = (4, 8)
"""Frames per cycle of the temporal filters: fast and slow change."""
GRID = 4
"""Cells per side: most textures are stationary in time alone (the pot stands still, the fire is above it)."""

MIN_SIDE = 32
"""Pixels a side: the second layer of the coarsest scale sees an eighth of them and mirrors 3 at each border."""

LEVEL = 2.0 / 255.0
"""One grey level of 8-bit video in a clip's units. Added to amplitudes that are compared by their ratio, because
below it lies what coding leaves behind, and a ratio of two such numbers means nothing."""


@dataclass(frozen=True)
class Views:
    """A clip as the statistics see it; ``C'`` colour axes, ``O`` orientations, ``P`` periods.

    Attributes:
        video: ``(C, T, H, W)``, the pixels.
        axes: ``(C, T, H, W)``: grey, then colour differences.
        oriented: per scale ``(C, O, T, H, W)`` complex, spatial Gabor responses of ``axes``.
        moving: per scale ``(O, P, 2, T', H, W)``, moduli of space-time Gabor responses of grey; the third axis is
            forwards and backwards along the orientation.
    """

    video: Tensor
    axes: Tensor
    oriented: list[Tensor]
    moving: list[Tensor]


def look(clip: Clip) -> Views:
    """All filter responses of a clip."""
    axes = colour_axes(clip.video)
    levels = [gabor(images) for images in _octaves(axes)]
    return Views(clip.video, axes, levels, [_space_time(level[0]) for level in levels])


def colour_axes(video: Tensor) -> Tensor:
    """Grey, then half the differences of neighbouring channels: ``(C, T, H, W)``, all within [-1, 1]."""
    return torch.cat([video.mean(dim=0, keepdim=True), (video[:-1] - video[1:]) / 2])


def halve(images: Tensor) -> Tensor:
    """Half the resolution of ``(..., H, W)`` by averaging 2x2 blocks; an odd last row or column is dropped."""
    flat = F.avg_pool2d(images.reshape(-1, 1, *images.shape[-2:]), 2)
    return flat.reshape(*images.shape[:-2], *flat.shape[-2:])


def gabor(images: Tensor) -> Tensor:
    """Complex Gabor responses of ``(C, T, H, W)``, as ``(C, O, T, H, W)`` complex64.

    A Gaussian of 1.5 pixels times a plane wave of 4 pixels, on 7x7 taps, less what makes a flat image respond; unit
    L2 norm. Borders are mirrored.
    """
    axis = torch.arange(-3.0, 4.0)
    y, x = torch.meshgrid(axis, axis, indexing="ij")
    envelope = torch.exp(-(x**2 + y**2) / (2 * 1.5**2))
    angles = [math.pi * k / N_ORIENTATIONS for k in range(N_ORIENTATIONS)]
    waves = [_wavelet(envelope, math.pi / 2 * (x * math.cos(a) + y * math.sin(a))) for a in angles]
    bank = torch.stack([wave.real for wave in waves] + [wave.imag for wave in waves]).unsqueeze(1)
    C, T, H, W = images.shape
    response = F.conv2d(F.pad(images.reshape(C * T, 1, H, W), (3, 3, 3, 3), mode="reflect"), bank)
    real, imag = response[:, :N_ORIENTATIONS], response[:, N_ORIENTATIONS:]
    return torch.complex(real, imag).reshape(C, T, N_ORIENTATIONS, H, W).transpose(1, 2)


def cells(images: Tensor) -> Tensor:
    """Means over the coarse grid: ``(..., H, W)`` -> ``(..., GRID * GRID)``."""
    flat = F.adaptive_avg_pool2d(images.reshape(-1, 1, *images.shape[-2:]), GRID)
    return flat.reshape(*images.shape[:-2], GRID * GRID)


def blocks(video: Tensor) -> list[Tensor]:
    """The pixels of each cell of ``(C, T, H, W)``, as ``(C, T * pixels)``."""
    rows = video.tensor_split(GRID, dim=2)
    return [block.flatten(1) for row in rows for block in row.tensor_split(GRID, dim=3)]


def _octaves(images: Tensor) -> list[Tensor]:
    out = [images]
    while len(out) < N_SCALES:
        out.append(halve(out[-1]))
    return out


def _space_time(level: Tensor) -> Tensor:
    """Temporal Gabor filters over 9 frames on ``(O, T, H, W)``, and the modulus: ``(O, P, 2, T - 8, H, W)``.

    The response at frequency +w to a complex spatial wave grows when the wave travels one way, at -w the other way.
    """
    t = torch.arange(-4.0, 5.0)
    envelope = torch.exp(-(t**2) / (2 * 2.0**2))
    bank = torch.stack([_wavelet(envelope, sign * 2 * math.pi / p * t) for p in PERIODS for sign in (1, -1)])
    n_orientations, T, H, W = level.shape
    # One matrix product with the banded matrix of the convolution: conv1d has no fast complex kernel on CPUs.
    band = torch.zeros(len(bank), T - 8, T, dtype=bank.dtype)
    for start in range(T - 8):
        band[:, start, start : start + 9] = bank
    response = torch.einsum("fst,otx->ofsx", band, level.flatten(2)).abs()
    return response.reshape(n_orientations, len(PERIODS), 2, T - 8, H, W)


def _wavelet(envelope: Tensor, phase: Tensor) -> Tensor:
    """``envelope * exp(i phase)`` less a multiple of the envelope that makes its sum zero, with unit L2 norm."""
    wave = torch.polar(envelope, phase)
    wave = wave - envelope * (wave.sum() / envelope.sum())
    return wave / wave.abs().square().sum().sqrt()
