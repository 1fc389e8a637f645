"""What the questions are asked of: textures one by one, digits, digits stacked as colours, a set of textures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.data import Ground
from benchmarks.questions.digits import Digits
from benchmarks.questions.judge import frechet, mean_nearest, modes, train_judge
from benchmarks.questions.nets import DIGITS, TEXTURES, WINDOW
from benchmarks.tasks import SAMPLES, measure
from dyntex.clip import Clip
from dyntex.config import CoopConfig

Numbers = dict[str, float]


@dataclass(frozen=True)
class Subject:
    """Something to learn from, and how what was learnt is measured.

    Attributes:
        name: unique.
        y_obs: (N, C, T, H, W), what is learnt from.
        config: the networks, and the settings of the cooperative way.
        n, n_frames: how many samples are measured, and how long they are.
        measure: of samples (n, C, n_frames, H, W) in [-1, 1]; the score is 1 for real ones, less is better.
        real: real ones as samples, by what they are called, for the controls.
        alone: whether all five ways learn from it (RQ1); otherwise the cooperative one and the GAN do (RQ3).
    """

    name: str
    y_obs: Tensor
    config: CoopConfig
    n: int
    n_frames: int
    measure: Callable[[Tensor], Numbers]
    real: dict[str, Tensor]
    alone: bool = True


def texture(ground: Ground) -> Subject:
    """One clip: two samples as long as its training segment, and the benchmark's statistics of them."""
    train = ground.train

    def numbers(samples: Tensor) -> Numbers:
        clips = {name: Clip(y, train.fps) for name, y in zip(SAMPLES, samples, strict=True)}
        found: dict[str, Any] = measure("statistics", clips, ground)
        return {name: found[name] for name in ("score", "diversity", "copy_distance")}

    real = {"training clip": train.video.expand(2, -1, -1, -1, -1)}
    return Subject(ground.source.name, train.video[None], TEXTURES, 2, train.n_frames, numbers, real)


def digits(found: Digits) -> Subject:
    """Grey digits: as many samples as half of the held-out ones."""
    n = len(found.heldout) // 2
    return Subject("digits", found.train, DIGITS, n, 1, found.measure, {"training digits": found.train[:n]})


def stacked(found: Digits, *, n: int = 4000) -> Subject:
    """Three digits as colours: which of the 1000 modes the samples cover."""
    rng = torch.Generator().manual_seed(0)
    y_obs = found.stacked(rng=rng)
    real = {"held-out digits": found.stacked(rng=rng, heldout=True, n=n)}
    return Subject("stacked digits", y_obs, DIGITS, n, 1, found.measure_stacked, real, alone=False)


def texture_set(grounds: Sequence[Ground], *, n: int = 200, steps: int = 300) -> Subject:
    """Several clips for one model: windows of 16 frames as samples, and which of the clips they cover.

    All clips are cut to the shortest. The score is the Fréchet distance of the judge's features to held-out windows,
    over that of the training windows.
    """
    rng = torch.Generator().manual_seed(0)
    n_train = min(ground.train.n_frames for ground in grounds)
    n_heldout = min(ground.heldout.n_frames for ground in grounds)
    y_obs = torch.stack([ground.train.video[:, :n_train] for ground in grounds])
    later = torch.stack([ground.heldout.video[:, :n_heldout] for ground in grounds])
    train, labels = _all_windows(y_obs)
    heldout, heldout_labels = _all_windows(later)
    judge = train_judge(train, labels, heldout, heldout_labels, steps=steps, rng=rng)
    train = train[torch.randperm(len(train), generator=rng)[:n]]
    reference = judge.features(heldout)
    unit = frechet(judge.features(train), reference)

    def numbers(samples: Tensor) -> Numbers:
        covered, kl = modes(judge.classes(samples), len(grounds))
        score = frechet(judge.features(samples), reference) / unit
        between = mean_nearest(samples, samples, itself=True) / mean_nearest(train, train, itself=True)
        found = {"modes": float(covered), "kl": kl, "score": score, "diversity": between}
        return found | {"judge_accuracy": judge.accuracy}

    name = f"{len(grounds)} textures"
    return Subject(name, y_obs, TEXTURES, n, WINDOW, numbers, {"training windows": train}, alone=False)


def _all_windows(y: Tensor) -> tuple[Tensor, Tensor]:
    """Clips (N, C, T, H, W) -> every second window (M, C, 16, H, W) of each, and its clip (M,)."""
    cut = y.unfold(2, WINDOW, 2).permute(0, 2, 1, 5, 3, 4)  # (N, M / N, C, 16, H, W)
    return cut.flatten(0, 1).contiguous(), torch.arange(len(y)).repeat_interleave(cut.shape[1])
