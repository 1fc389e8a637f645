"""The distances between two clips, and the score: each over what separates real from real."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.metrics.statistics import dynamics, stills
from benchmarks.metrics.statistics.filters import LEVEL, MIN_SIDE, look
from dyntex.clip import Clip
from dyntex.errors import InputError

MIN_FRAMES = dynamics.WINDOW

Description = Mapping[str, list[Tensor]]


def relative(a: list[Tensor], b: list[Tensor]) -> float:
    """Mean over groups of ``sum |a - b|`` over the mean of ``sum |a|`` and ``sum |b|``: between 0 and 2."""
    ratios = [(x - y).abs().sum() / ((x.abs() + y.abs()).sum() / 2) for x, y in zip(a, b, strict=True)]
    return float(torch.stack(ratios).mean())


def absolute(a: list[Tensor], b: list[Tensor]) -> float:
    """Mean over groups of the mean of ``|a - b|``."""
    return float(torch.stack([(x - y).abs().mean() for x, y in zip(a, b, strict=True)]).mean())


# What is described, and how two descriptions are compared: amplitudes by their relative difference; logarithms,
# quantile functions and normalised shapes by their difference as it is.
STATISTICS = {
    "appearance": (stills.appearance, relative),
    "layout": (stills.layout, relative),
    "colour": (stills.colour, absolute),
    "motion": (dynamics.motion, relative),
    "direction": (dynamics.direction, relative),
    "burstiness": (dynamics.burstiness, absolute),
    "spectrum": (dynamics.spectrum, absolute),
    "autocorrelation": (dynamics.autocorrelation, absolute),
    "change": (dynamics.change, absolute),
    "flicker": (dynamics.flicker, absolute),
}


@dataclass(frozen=True)
class Score:
    """How far a sample is from the real process.

    Attributes:
        value: geometric mean of ``ratios``, the headline. 1 is as far as real is from real; lower is better.
        ratios: by statistic, the distance to the held-out segment in units of the real-to-real distance.
        distances: by statistic, the distance to the held-out segment as it is.
    """

    value: float
    ratios: dict[str, float]
    distances: dict[str, float]


@dataclass(frozen=True)
class Yardstick:
    """A training and a held-out segment, measured once and for all samples; made by :func:`calibrate`.

    Attributes:
        shape: ``(C, T, H, W)`` that a sample must have, the training segment's.
        heldout: the held-out segment's statistics.
        real: by statistic, the distance from real to real that is called 1.
    """

    shape: tuple[int, ...]
    heldout: Description
    real: dict[str, float]

    def score(self, sample: Clip) -> Score:
        """Score one sample.

        Raises:
            InputError: the sample has not the training segment's shape. A statistic of fewer frames is noisier, so
                only equal lengths can be compared with the real distance.
        """
        if tuple(sample.video.shape) != self.shape:
            raise InputError(
                f"the sample is {tuple(sample.video.shape)} and the training segment {self.shape}: "
                "synthesize a clip of the same channels, frames and size"
            )
        found = _compare(_describe(sample), self.heldout)
        ratios = {name: found[name] / self.real[name] for name in found}
        logs = [math.log(ratio) if ratio > 0.0 else -math.inf for ratio in ratios.values()]
        return Score(math.exp(sum(logs) / len(logs)), ratios, found)


def distances(sample: Clip, reference: Clip) -> dict[str, float]:
    """By name, how far two clips are apart in each statistic. Symmetric; 0 for identical clips; alignment-free.

    The clips may differ in length (at least ``MIN_FRAMES`` frames), not in channels or size.

    Raises:
        InputError: the clips differ in channels or size, or are too short or too small.
    """
    _check_size(sample, reference)
    return _compare(_describe(sample), _describe(reference))


def score(sample: Clip, train: Clip, heldout: Clip) -> Score:
    """Distances of a sample to the held-out segment in units of the training segment's; see :class:`Yardstick`.

    For many samples of one clip, :func:`calibrate` once.
    """
    return calibrate(train, heldout).score(sample)


def calibrate(train: Clip, heldout: Clip) -> Yardstick:
    """Measure how far real is from real.

    The real distance is that of the training segment to the held-out segment, or, where this is less, of the held-out
    segment to itself with Gaussian noise of half a grey level added: two stretches that differ by less than rounding
    and a good codec do are the same to any observer, and a ratio of such numbers would judge nothing.

    Raises:
        InputError: the segments differ in channels or size, or are too short or too small.
    """
    _check_size(train, heldout)
    reference = _describe(heldout)
    direct = _compare(_describe(train), reference)
    # A generator of its own with a fixed seed: the yardstick is a pure function of the two segments.
    noise = torch.randn(heldout.video.shape, generator=torch.Generator().manual_seed(0)) * (LEVEL / 2)
    unseen = _compare(_describe(Clip((heldout.video + noise).clamp(-1.0, 1.0), heldout.fps)), reference)
    return Yardstick(tuple(train.video.shape), reference, {name: max(direct[name], unseen[name]) for name in direct})


def _describe(clip: Clip) -> Description:
    if min(clip.height, clip.width) < MIN_SIDE:
        raise InputError(
            f"frames are {clip.height}x{clip.width} and the statistics need {MIN_SIDE} pixels a side: use a larger size"
        )
    if clip.n_frames < MIN_FRAMES:
        raise InputError(f"clip has {clip.n_frames} frames and the statistics need {MIN_FRAMES}: use a longer clip")
    views = look(clip)
    return {name: describe(views) for name, (describe, _) in STATISTICS.items()}


def _compare(a: Description, b: Description) -> dict[str, float]:
    return {name: compare(a[name], b[name]) for name, (_, compare) in STATISTICS.items()}


def _check_size(a: Clip, b: Clip) -> None:
    if (a.channels, a.height, a.width) != (b.channels, b.height, b.width):
        raise InputError(
            f"the clips are {tuple(a.video.shape)} and {tuple(b.video.shape)}: bring them to one size and colour"
        )
