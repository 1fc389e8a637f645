"""The distances between two clips, and the score: each over what separates real from real."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor

from dyntex.benchmarks.metrics.statistics import dynamics, stills
from dyntex.benchmarks.metrics.statistics.edges import edges
from dyntex.benchmarks.metrics.statistics.filters import LEVEL, MIN_SIDE, look
from dyntex.clip import Clip
from dyntex.errors import InputError

MIN_FRAMES = dynamics.WINDOW
MAX_BLOCKS = 4
"""Blocks of a segment at most. They have ``MIN_FRAMES`` frames or more, and overlap by half of that at most."""
MIN_BLOCKS = 3
"""Of both segments together: with fewer there is no telling how much real blocks differ."""

Description = Mapping[str, list[Tensor]]
Blocks = Mapping[str, Tensor]
"""By statistic, ``(blocks, entries)``: what is described of each block."""

_SHRINK = 0.1  # of the mean spread of a statistic's entries, added to each: few blocks may agree by chance
_LEAST_SPREAD = 0.05  # of the logarithm of a score: a difference of 5 % is never more than one z


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
    "edges": (edges, absolute),
}


@dataclass(frozen=True)
class Score:
    """How far a sample is from the real process.

    Attributes:
        value: geometric mean of ``ratios``, the headline. 1 is as far as real is from real; lower is better.
        z: how far the logarithm of ``value`` is above that of real blocks against real blocks, in standard deviations.
        ratios: by statistic, the distance to the held-out segment in units of the real-to-real distance.
        distances: by statistic, the distance to the held-out segment, in units of the spread of real blocks.
    """

    value: float
    z: float
    ratios: dict[str, float]
    distances: dict[str, float]


@dataclass(frozen=True)
class Yardstick:
    """A training and a held-out segment, measured once and for all samples; made by :func:`calibrate`.

    Attributes:
        shape: ``(C, T, H, W)`` that a sample must have, the training segment's.
        heldout: by statistic, the mean over the held-out blocks, ``(entries,)``.
        spread: by statistic, how much each entry differs from block to block, ``(entries,)``.
        real: by statistic, the distance from real to real that is called 1.
        level, deviation: mean and standard deviation of the logarithm of the score of real blocks.
    """

    shape: tuple[int, ...]
    heldout: dict[str, Tensor]
    spread: dict[str, Tensor]
    real: dict[str, float]
    level: float
    deviation: float

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
        found = {name: blocks.mean(dim=0) for name, blocks in _describe_blocks(sample).items()}
        apart = {name: float(((found[name] - self.heldout[name]).abs() / self.spread[name]).mean()) for name in found}
        ratios = {name: apart[name] / self.real[name] for name in apart}
        logs = [math.log(ratio) if ratio > 0.0 else -math.inf for ratio in ratios.values()]
        value = math.exp(sum(logs) / len(logs))
        z = (math.log(max(value, 1e-3)) - self.level) / self.deviation
        return Score(value, z, ratios, apart)


def distances(sample: Clip, reference: Clip) -> dict[str, float]:
    """By name, how far two clips are apart in each statistic. Symmetric; 0 for identical clips; alignment-free.

    The clips may differ in length (at least ``MIN_FRAMES`` frames), not in channels or size.

    Raises:
        InputError: the clips differ in channels or size, or are too short or too small.
    """
    _check_size(sample, reference)
    return _compare(_describe(sample), _describe(reference))


def score(sample: Clip, train: Clip, heldout: Clip) -> Score:
    """The distances of a sample to the held-out segment in units of those of real blocks; see :class:`Yardstick`.

    For many samples of one clip, :func:`calibrate` once.
    """
    return calibrate(train, heldout).score(sample)


def calibrate(train: Clip, heldout: Clip) -> Yardstick:
    """Measure how far real is from real.

    Both segments are cut into at most ``MAX_BLOCKS`` blocks of at least ``MIN_FRAMES`` frames. An entry of a
    statistic counts in units of its spread over all blocks, so that what a texture keeps from block to block (that an
    edge is one edge, that the sky is black) weighs more than what it does not (how high the fire burns). The real
    distance of a statistic is the mean over all ways to deal the blocks into two hands as large as the segments.

    Half a grey level of Gaussian noise, as rounding and a good codec leave it, is the least spread and the least
    distance: stretches that differ by less are the same to any observer.

    Raises:
        InputError: the segments differ in channels or size, or are too short or too small, or have fewer than
            ``MIN_BLOCKS`` blocks together.
    """
    _check_size(train, heldout)
    learnt, held = _describe_blocks(train), _describe_blocks(heldout)
    n, m = n_blocks(train.n_frames), n_blocks(heldout.n_frames)
    if n + m < MIN_BLOCKS:
        raise InputError(
            f"segments of {train.n_frames} and {heldout.n_frames} frames make {n + m} blocks of {MIN_FRAMES} frames, "
            f"and the score needs {MIN_BLOCKS} to know how much real ones differ: learn from at least "
            f"{MIN_FRAMES + MIN_FRAMES // 2} frames"
        )
    # A generator of its own with a fixed seed: the yardstick is a pure function of the two segments.
    noise = torch.randn(heldout.video.shape, generator=torch.Generator().manual_seed(0)) * (LEVEL / 2)
    noisy = _describe_blocks(Clip((heldout.video + noise).clamp(-1.0, 1.0), heldout.fps))
    splits = _splits(n, m)  # (splits, blocks)
    spread, real, scores = {}, {}, torch.zeros(len(splits))
    for name, first in learnt.items():
        blocks = torch.cat([first, held[name]])
        unseen = (noisy[name] - held[name]).mean(dim=0).abs()
        variance = blocks.var(dim=0) + (2 * unseen).square()
        spread[name] = (variance + _SHRINK**2 * variance.mean()).sqrt()
        apart = ((splits @ blocks).abs() / spread[name]).mean(dim=1)
        real[name] = max(float(apart.mean()), float((unseen / spread[name]).mean()))
        scores += torch.log((apart / real[name]).clamp(min=1e-3)) / len(learnt)
    deviation = max(float(scores.std()), _LEAST_SPREAD)
    means = {name: blocks.mean(dim=0) for name, blocks in held.items()}
    return Yardstick(tuple(train.video.shape), means, spread, real, float(scores.mean()), deviation)


def n_blocks(n_frames: int) -> int:
    """How many blocks a segment of so many frames is cut into."""
    return min(MAX_BLOCKS, 1 + (n_frames - MIN_FRAMES) // (MIN_FRAMES // 2))


def _splits(n: int, m: int) -> Tensor:
    """All ways to take n of n + m blocks: ``(ways, n + m)``, the weights of the difference of the two means."""
    rows = torch.full((math.comb(n + m, n), n + m), -1.0 / m)
    for row, taken in zip(rows, combinations(range(n + m), n), strict=True):
        row[list(taken)] = 1.0 / n
    return rows


def _describe_blocks(clip: Clip) -> Blocks:
    _check(clip)
    n = n_blocks(clip.n_frames)
    length = max(MIN_FRAMES, clip.n_frames // n)
    starts = torch.linspace(0, clip.n_frames - length, n).round().int().tolist()
    described = [_describe(clip.segment(start, length)) for start in starts]
    return {name: torch.stack([torch.cat([g.flatten() for g in d[name]]) for d in described]) for name in STATISTICS}


def _describe(clip: Clip) -> Description:
    _check(clip)
    views = look(clip)
    return {name: describe(views) for name, (describe, _) in STATISTICS.items()}


def _check(clip: Clip) -> None:
    if min(clip.height, clip.width) < MIN_SIDE:
        raise InputError(
            f"frames are {clip.height}x{clip.width} and the statistics need {MIN_SIDE} pixels a side: use a larger size"
        )
    if clip.n_frames < MIN_FRAMES:
        raise InputError(f"clip has {clip.n_frames} frames and the statistics need {MIN_FRAMES}: use a longer clip")


def _compare(a: Description, b: Description) -> dict[str, float]:
    return {name: compare(a[name], b[name]) for name, (_, compare) in STATISTICS.items()}


def _check_size(a: Clip, b: Clip) -> None:
    if (a.channels, a.height, a.width) != (b.channels, b.height, b.width):
        raise InputError(
            f"the clips are {tuple(a.video.shape)} and {tuple(b.video.shape)}: bring them to one size and colour"
        )
