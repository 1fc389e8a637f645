"""Whether a clip follows the sketch that leads it: pairs of sketches and flames that nothing was learnt from."""

from __future__ import annotations

import statistics
from dataclasses import dataclass
from fractions import Fraction
from itertools import combinations

import numpy as np
import torch
import torch.nn.functional as F
from scipy import ndimage
from torch import Tensor

from dyntex import examples
from dyntex.benchmarks.metrics.psnr_ssim import psnr, ssim
from dyntex.benchmarks.studies.conditions.shared import Found, Setup, trained_model, write_clips
from dyntex.clip import Clip
from dyntex.conditions import Sketches, edges
from dyntex.coopnets.config import CoopConfig

FPS = Fraction(12)
N_TRAIN, N_HELDOUT = 48, 12
N_FRAMES = 24
REACH = 1
"""Pixels by which an edge may be off."""
BLUR = 1.5
"""Standard deviation, in pixels, of the blur by which near edges become alike to a linear rule."""
RIDGES = (1.0, 10.0, 100.0, 1000.0)
COLUMNS = ["PSNR", "SSIM", "precision", "recall", "F"]


def study(setup: Setup, config: CoopConfig) -> Found:
    """Train a model by the edges of flames of many widths and heights, and lead it by those of others."""
    n_train, n_heldout = (6, 2) if setup.quick else (N_TRAIN, N_HELDOUT)
    clips = [_flame(seed, setup.size, N_FRAMES) for seed in range(n_train)]
    heldout = [_flame(1000 + seed, setup.size, setup.window) for seed in range(n_heldout)]
    sketches, condition = torch.cat([edges(clip) for clip in clips]), Sketches()
    cond = condition.proximity(sketches)
    model = trained_model(setup.folder / "model", clips, config, setup=setup, cond=cond, condition=condition)
    rules = Rules.fit(torch.stack([clip.video for clip in clips]), sketches)

    asked = [edges(clip) for clip in heldout]
    draws = [
        [model.synthesize(setup.window, rng=setup.rng(1 + k), cond=channels) for k in range(setup.n_samples)]
        for channels in map(condition.proximity, asked)
    ]
    others = [*heldout[1:], heldout[0]]
    made: dict[str, list[list[Clip]]] = {
        "CoopNets": draws,
        "mean of CoopNets' samples": [[_mean(many)] for many in draws],
        "mean frame": [[rules.mean_frame(sketch)] for sketch in asked],
        "nearest sketch's frame": [[rules.nearest(sketch)] for sketch in asked],
        "ridge regression": [[rules.ridge(sketch)] for sketch in asked],
        "*another real clip*": [[other] for other in others],
        "*the real clip*": [[clip] for clip in heldout],
    }
    rows = []
    for name, groups in made.items():
        found = [
            _measures(clip, true, sketch)
            for group, true, sketch in zip(groups, heldout, asked, strict=True)
            for clip in group
        ]
        means = [statistics.mean(values) for values in zip(*found, strict=True)]
        rows.append([name, *(f"{value:.{1 if i == 0 else 3}f}" for i, value in enumerate(means))])
    between = statistics.mean(_distance(a, b) for many in draws for a, b in combinations(many, 2))
    real = statistics.mean(_distance(a, b) for a, b in combinations(heldout, 2))
    sheet = [
        [true, Clip(2.0 * sketch[0] - 1.0, FPS), *many[:2], made["ridge regression"][i][0]]
        for i, (true, sketch, many) in enumerate(zip(heldout, asked, draws, strict=True))
    ]
    write_clips(setup.folder / "sheet.png", sheet)
    return Found(
        "Sketch",
        f"{n_train} flames of random width and height, {setup.size}x{setup.size} pixels and {N_FRAMES} frames, with "
        f"their edges; {n_heldout} others of {setup.window} frames are made from their edges alone, "
        f"{setup.n_samples} samples each. PSNR and SSIM are against the clip that the edges are of; precision and "
        f"recall say which share of the output's edges lie within {REACH} pixel of the sketch, and which share of the "
        "sketch within that of the output's.",
        {"Against held-out pairs": (["", *COLUMNS], rows)},
        [
            f"Two samples of one sketch differ by {between:.3f} (root mean square, in [-1, 1]); two real clips by "
            f"{real:.3f}.",
            "Sheet: a row a pair: the real clip, its edges, two samples, ridge regression.",
        ],
    )


def _flame(seed: int, size: int, n_frames: int) -> Clip:
    """A flame whose width and height are the seed's."""
    rng = np.random.default_rng(seed)
    height, width = float(rng.uniform(0.25, 0.85)), float(rng.uniform(0.2, 0.9))
    return examples.make("flame", size=size, n_frames=n_frames, fps=FPS, seed=seed, height=height, width=width)


@dataclass(frozen=True)
class Rules:
    """What a sketch says without any network, frame by frame.

    Attributes:
        frames: (n, C*H*W), those of training.
        blurred: (n, H*W), their sketches, blurred.
        shape: (C, H, W).
        weights: (H*W, C*H*W) of the regression on what is left without the means.
    """

    frames: Tensor
    blurred: Tensor
    shape: tuple[int, int, int]
    weights: Tensor

    @classmethod
    def fit(cls, video: Tensor, sketches: Tensor) -> Rules:
        """From (N, C, T, H, W) and (N, 1, T, H, W). The penalty is that which is best for the last fifth of the clips,
        when fitted to the others."""
        n, channels, n_frames, height, width = video.shape
        y, x = video.transpose(1, 2).flatten(2), _blurred(sketches).view(n, n_frames, -1)
        cut = n - max(1, n // 5)
        errors = []
        for penalty in RIDGES:
            weights = _ridge(x[:cut].flatten(0, 1), y[:cut].flatten(0, 1), penalty)
            guess = (x[cut:].flatten(0, 1) - x[:cut].mean((0, 1))) @ weights + y[:cut].mean((0, 1))
            errors.append(float((guess - y[cut:].flatten(0, 1)).square().mean()))
        x, y = x.flatten(0, 1), y.flatten(0, 1)
        best = RIDGES[int(np.argmin(errors))]
        return cls(y, x, (channels, height, width), _ridge(x, y, best))

    def mean_frame(self, sketch: Tensor) -> Clip:
        return self._clip(self.frames.mean(0).expand(sketch.shape[2], -1))

    def nearest(self, sketch: Tensor) -> Clip:
        """For each frame the training frame of the most similar sketch."""
        near = torch.cdist(_blurred(sketch), self.blurred).argmin(1)
        return self._clip(self.frames[near])

    def ridge(self, sketch: Tensor) -> Clip:
        guess = (_blurred(sketch) - self.blurred.mean(0)) @ self.weights + self.frames.mean(0)
        return self._clip(guess.clamp(-1.0, 1.0))

    def _clip(self, frames: Tensor) -> Clip:
        return Clip(frames.view(-1, *self.shape).transpose(0, 1).contiguous(), FPS)


def _ridge(x: Tensor, y: Tensor, penalty: float) -> Tensor:
    """Weights (p, q) of the regression of y (n, q) on x (n, p), both without their means."""
    x, y = x - x.mean(0), y - y.mean(0)
    weights: Tensor = torch.linalg.solve(x.T @ x + penalty * torch.eye(x.shape[1]), x.T @ y)
    return weights


def _blurred(sketches: Tensor) -> Tensor:
    """(N, 1, T, H, W) -> (N*T, H*W)."""
    blurred = ndimage.gaussian_filter(sketches.numpy(), (0, 0, 0, BLUR, BLUR))
    return torch.from_numpy(blurred).flatten(0, 2).flatten(1)


def follows(found: Tensor, sketch: Tensor) -> tuple[float, float, float]:
    """Precision, recall and their harmonic mean F of edges against a sketch, both (1, 1, T, H, W) of 0 and 1.

    An edge is right within ``REACH`` pixels. Where there are none, none is wrong.
    """

    def within(a: Tensor, b: Tensor) -> float:
        wide = F.max_pool2d(b[0].transpose(0, 1), 2 * REACH + 1, stride=1, padding=REACH)
        return float((a[0].transpose(0, 1) * wide).sum() / a.sum()) if bool(a.any()) else 1.0

    precision, recall = within(found, sketch), within(sketch, found)
    return precision, recall, 2.0 * precision * recall / max(precision + recall, 1e-12)


def _measures(clip: Clip, true: Clip, sketch: Tensor) -> tuple[float, ...]:
    # The PSNR of the real clip itself is infinite: 99 says so in a mean.
    decibels = min(99.0, psnr(clip, true, data_range=2.0))
    return decibels, ssim(clip, true, data_range=2.0), *follows(edges(clip), sketch)


def _distance(a: Clip, b: Clip) -> float:
    return float((a.video - b.video).square().mean().sqrt())


def _mean(clips: list[Clip]) -> Clip:
    return Clip(torch.stack([clip.video for clip in clips]).mean(0), clips[0].fps)
