"""What the questions are asked of: textures one by one, digits, digits stacked as colours, a set of textures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from benchmarks.data import Ground, Source, prepare
from benchmarks.questions.digits import Digits, read_digits
from benchmarks.questions.judge import frechet, mean_nearest, modes, train_judge
from benchmarks.questions.nets import CLIP_SIZE, DIGITS, TEXTURES, WINDOW
from benchmarks.tasks import SAMPLES, measure
from dyntex.clip import Clip
from dyntex.coopnets.config import CoopConfig

Numbers = dict[str, float]

STEPS = (0, 1, 2, 5, 10, 50, 500)
"""Langevin steps after which RQ4 measures the chains."""
SET_TIMES = 4.0
"""The time that a set of clips has to be learnt in, in units of one clip's: in less, neither way learns anything."""
N_TEXTURES = 4
"""Clips of RQ1, the first of those that are given; RQ3 has them all in one set."""


@dataclass(frozen=True)
class Plan:
    """How much is done.

    Attributes:
        frames: of a clip, to learn from.
        seconds: of one core, for each training.
        seeds: how many, from 0.
        steps: of RQ4, ascending from 0.
        judge_steps, set_judge_steps: of training the judges of the digits and of the set of textures.
        n_stacked, n_windows: samples of the stacked digits, and of the set, whose modes are counted.
    """

    frames: int = 64
    seconds: float = 30.0
    seeds: int = 3
    steps: tuple[int, ...] = STEPS
    judge_steps: int = 800
    set_judge_steps: int = 80
    n_stacked: int = 4000
    n_windows: int = 200


QUICK = Plan(32, 0.2, 1, (0, 1, 5), 150, 15, 400, 32)
"""A look at the whole, never a number to quote."""


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
        clips: names of the clips that it was made from.
        times: how many times the plan's seconds each training has.
        alone: whether all ways learn from it (RQ1); otherwise the cooperative ones and the GAN do (RQ3).
    """

    name: str
    y_obs: Tensor
    config: CoopConfig
    n: int
    n_frames: int
    measure: Callable[[Tensor], Numbers]
    real: dict[str, Tensor]
    clips: tuple[str, ...] = ()
    times: float = 1.0
    alone: bool = True


def subjects(sources: Sequence[Source], plan: Plan) -> list[Subject]:
    """The digits, the digits stacked, the textures as a set, and the first of them one by one.

    Raises:
        InputError: a clip cannot be read or is too short.
        MissingDependencyError: scikit-learn, which brings the digits, is not installed.
    """
    grounds = [prepare(source, size=CLIP_SIZE, n_frames=plan.frames) for source in sources]
    found = read_digits(steps=plan.judge_steps, rng=torch.Generator().manual_seed(0))
    together = texture_set(grounds, n=plan.n_windows, steps=plan.set_judge_steps)
    return [digits(found), stacked(found, n=plan.n_stacked), together, *map(texture, grounds[:N_TEXTURES])]


def texture(ground: Ground) -> Subject:
    """One clip: two samples as long as its training segment, and the benchmark's statistics of them."""
    train = ground.train

    def numbers(samples: Tensor) -> Numbers:
        clips = {name: Clip(y, train.fps) for name, y in zip(SAMPLES, samples, strict=True)}
        found: dict[str, Any] = measure("statistics", clips, ground)
        return {name: found[name] for name in ("score", "diversity", "copy_distance")}

    real, name = {"training clip": train.video.expand(2, -1, -1, -1, -1)}, ground.source.name
    return Subject(name, train.video[None], TEXTURES, 2, train.n_frames, numbers, real, (name,))


def digits(found: Digits) -> Subject:
    """Grey digits: as many samples as half of the held-out ones."""
    n = len(found.heldout) // 2
    return Subject("digits", found.train, DIGITS, n, 1, found.measure, {"training digits": found.train[:n]})


def stacked(found: Digits, *, n: int) -> Subject:
    """Three digits as colours: which of the 1000 modes the samples cover."""
    rng = torch.Generator().manual_seed(0)
    y_obs = found.stacked(rng=rng)
    real = {"held-out digits": found.stacked(rng=rng, heldout=True, n=n)}
    return Subject("stacked digits", y_obs, DIGITS, n, 1, found.measure_stacked, real, alone=False)


def texture_set(grounds: Sequence[Ground], *, n: int, steps: int) -> Subject:
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
    names = tuple(ground.source.name for ground in grounds)
    real = {"training windows": train}
    return Subject(name, y_obs, TEXTURES, n, WINDOW, numbers, real, names, SET_TIMES, alone=False)


def _all_windows(y: Tensor) -> tuple[Tensor, Tensor]:
    """Clips (N, C, T, H, W) -> every second window (M, C, 16, H, W) of each, and its clip (M,)."""
    cut = y.unfold(2, WINDOW, 2).permute(0, 2, 1, 5, 3, 4)  # (N, M / N, C, 16, H, W)
    return cut.flatten(0, 1).contiguous(), torch.arange(len(y)).repeat_interleave(cut.shape[1])
