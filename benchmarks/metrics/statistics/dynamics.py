"""How things move: energy in space-time, its direction and burstiness, rhythm, memory, change and flicker."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from dyntex.benchmarks.metrics.statistics.filters import LEVEL, Views, blocks, cells, halve
from dyntex.benchmarks.metrics.statistics.stills import quantiles

WINDOW = 16
"""Frames per periodogram. Fixed, so that clips of different lengths have the same resolution and bias."""
LAGS = 8


def motion(views: Views) -> list[Tensor]:
    """Space-time energy by orientation, direction and speed: one vector per scale and cell.

    Mean and root mean square over the cell's pixels and frames; one grey level is added, as in ``layout``.
    """
    groups: list[Tensor] = []
    for energy in views.moving:
        local = torch.cat([cells(energy).mean(dim=3), cells(energy.square()).mean(dim=3).sqrt()])
        groups.extend((local.flatten(0, 2) + LEVEL).unbind(dim=1))
    return groups


def direction(views: Views) -> list[Tensor]:
    """Opponent energy, forwards less backwards: over the whole frame, and in its quarters.

    Playing a clip backwards changes the sign of every entry and nothing else, so a texture that flows (fire, a
    fountain) is as far from its reverse as a relative distance goes, 2. The last entry, one grey level, is the same in
    every clip and keeps two motionless clips at distance 0.
    """
    opponents = [energy[:, :, 0] - energy[:, :, 1] for energy in views.moving]
    groups = []
    for grid in (1, 2):
        pooled = [F.adaptive_avg_pool2d(o.mean(dim=2), grid).flatten() for o in opponents]
        groups.append(torch.cat([*pooled, torch.tensor([LEVEL])]))
    return groups


def burstiness(views: Views) -> list[Tensor]:
    """How unevenly contrast and motion are spread over a cell's pixels and frames: one vector per scale and kind.

    ``log(E m / sqrt(E m^2))`` of ``m`` the modulus of a response, for what differs from the mean frame and for
    space-time energy. It is near ``log(sqrt(pi) / 2)`` for a Gaussian process however its power is distributed over
    frequencies, and lower for bursts, so a linear model of any order gets it wrong.
    """
    groups = []
    for level, energy in zip(views.oriented, views.moving, strict=True):
        moving = level[0] - level[0].mean(dim=1, keepdim=True)
        groups.extend([_evenness(moving.abs(), dim=1), _evenness(energy, dim=3)])
    return groups


def spectrum(views: Views) -> list[Tensor]:
    """Log power over temporal frequency, by spatial band: ``(bands, WINDOW / 2)``.

    Welch's method: Hann windows of ``WINDOW`` frames, half overlapping, each less its mean; pooled over space,
    orientation and the sign of the frequency. The bands are the scales and what is left below them. One squared grey
    level is added.
    """
    # Symmetric and without the zeros at its ends, so that a clip and its reverse have the same power.
    hann = torch.hann_window(WINDOW + 2, periodic=False)[1:-1]
    low = halve(halve(halve(views.axes[:1])))
    rows = []
    for band in [*(level[0] for level in views.oriented), low.to(torch.complex64)]:
        windows = band.movedim(1, -1).flatten(0, -2).unfold(-1, WINDOW, WINDOW // 2)  # (values, windows, WINDOW)
        windows = (windows - windows.mean(dim=-1, keepdim=True)) * hann
        power = torch.fft.fft(windows).abs().square().mean(dim=(0, 1)) / hann.square().sum()
        rows.append(power[1 : WINDOW // 2 + 1] + power.flip(0)[: WINDOW // 2])
    return [torch.log(torch.stack(rows) + LEVEL**2)]


def autocorrelation(views: Views) -> list[Tensor]:
    """Variogram over lags 1 to ``LAGS`` by cell, divided by its mean over lags; of grey, and of contrast by scale.

    ``E |s(t + lag) - s(t)|^2`` carries what the autocorrelation does and needs no mean, whose estimate from a short
    segment biases every correlation downwards. Contrast ``|r|`` adds the memory of envelopes. One squared grey level
    is added, so that what stands still has a flat variogram.
    """
    groups = []
    for signal in [views.axes[:1], *(level[0].abs() for level in views.oriented)]:
        steps = [
            cells((signal[:, lag:] - signal[:, :-lag]).square().mean(dim=(0, 1)))  # (cells,)
            for lag in range(1, LAGS + 1)
        ]
        variogram = torch.stack(steps) + LEVEL**2
        groups.append(variogram / variogram.mean(dim=0))
    return groups


def change(views: Views) -> list[Tensor]:
    """Log quantiles of ``|y(t + 1) - y(t)|`` by cell and channel, at half resolution: what moves, where, how suddenly.

    Real motion is sparse: in most places and most of the time little changes. A linear model spreads the same energy
    over all pixels and frames, a haze over what should stand still: low quantiles see the haze, high ones the missing
    bursts. Half resolution and two grey levels, added in power, keep noise that nobody sees from counting as haze.
    """
    small = halve(views.video)
    step = torch.stack([quantiles(block) for block in blocks((small[:, 1:] - small[:, :-1]).abs())])
    return [torch.log(step.square() + (2 * LEVEL) ** 2) / 2]


def flicker(views: Views) -> list[Tensor]:
    """Log mean and root mean square change of brightness and colour of each cell over 1, 2, 4 and 8 frames.

    The mean of many pixels is quieter than one of them, hence half a grey level here.
    """
    local = cells(views.axes)  # (C, T, cells)
    series = torch.cat([local, local.mean(dim=-1, keepdim=True)], dim=-1)
    rows = []
    for lag in (1, 2, 4, 8):
        step = (series[:, lag:] - series[:, :-lag]).abs()
        rows += [step.mean(dim=1), step.square().mean(dim=1).sqrt()]
    return [torch.log(torch.stack(rows) + LEVEL / 2)]


def _evenness(m: Tensor, dim: int) -> Tensor:
    mean, square = cells(m).mean(dim=dim), cells(m.square()).mean(dim=dim)
    return torch.log((mean + LEVEL) / (square.sqrt() + LEVEL)).flatten()
