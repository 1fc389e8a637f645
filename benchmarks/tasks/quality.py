"""The tasks. Each first draws clips from what was fitted, which are kept, and then measures nothing but the kept clips.

Speed, which measures the making, is in ``dyntex.benchmarks.tasks.cost``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch

from dyntex.benchmarks.data import Split
from dyntex.benchmarks.methods import CONTROLS, Fitted
from dyntex.benchmarks.metrics.critic import SAMPLES as CRITIC_SAMPLES
from dyntex.benchmarks.metrics.critic import critic_auc, critic_real
from dyntex.benchmarks.metrics.psnr_ssim import exact_frames, psnr, ssim
from dyntex.benchmarks.metrics.statistics import copy_distance, diversity
from dyntex.clip import Clip
from dyntex.errors import UsageError, suggest

TASKS = ("paper", "statistics", "critic", "extrapolation", "speed")
HORIZONS = (1, 2, 4, 8, 16, 32)
DATA_RANGE = 2.0
"""From black to white in a clip."""

Clips = Mapping[str, Clip]
Metrics = dict[str, Any]

# Each clip that a cell draws has random numbers of its own: adding a task to a sweep changes no other's.
SAMPLES = ("sample-1", "sample-2")
SHOWN_TO_CRITIC = tuple(f"critic-{k}" for k in range(1, CRITIC_SAMPLES + 1))
_DRAWS = ("free", "anchored", *SAMPLES, "prediction", *SHOWN_TO_CRITIC)


def check_task(name: str) -> None:
    """Raise UsageError, with the nearest name, if there is no task of that name."""
    if name not in TASKS:
        raise UsageError(f"there is no task {name!r}{suggest(name, TASKS)}; the tasks are {', '.join(TASKS)}")


def rng_for(draw: str, *, seed: int, device: str) -> torch.Generator:
    """The random numbers of one clip; those of fitting are ``manual_seed(seed)``'s."""
    return torch.Generator(device).manual_seed((seed + 1) * 1000 + _DRAWS.index(draw))


def draw(task: str, fitted: Fitted, split: Split, *, seed: int, device: str, anchor: bool = True) -> dict[str, Clip]:
    """The clips by which a fitted method is measured in a task; without an anchored one if it can have no anchor."""

    def rng(name: str) -> torch.Generator:
        return rng_for(name, seed=seed, device=device)

    T = split.train.n_frames
    if task == "paper":
        anchored = {"anchored": fitted.synthesize(T, rng=rng("anchored"), anchor=split.train)} if anchor else {}
        return {"free": fitted.synthesize(T, rng=rng("free")), **anchored}
    if task in ("statistics", "critic"):
        names = SAMPLES if task == "statistics" else SHOWN_TO_CRITIC
        return {name: fitted.synthesize(T, rng=rng(name)) for name in names}
    return {"prediction": fitted.predict(split.train, longest_horizon(split))}


def draw_control(task: str, control: str, split: Split, *, seed: int) -> dict[str, Clip]:
    """The same of a control. It starts nowhere, so in the paper's task one clip stands in both columns."""
    names, n_frames = {
        "paper": (("free",), split.train.n_frames),
        "statistics": (SAMPLES, split.train.n_frames),
        # Real footage is judged as it is: there is nothing to draw.
        "critic": (() if control == "later-real" else SHOWN_TO_CRITIC, split.train.n_frames),
        "extrapolation": (("prediction",), longest_horizon(split)),
    }[task]
    return {name: CONTROLS[control](split, n_frames, rng_for(name, seed=seed, device="cpu")) for name in names}


def longest_horizon(split: Split) -> int:
    """Of the horizons that the held-out segment reaches, the last."""
    return max(h for h in HORIZONS if h <= split.heldout.n_frames)


def measure(task: str, clips: Clips, split: Split, *, control: str | None = None) -> Metrics:
    """The numbers of a cell by name, from its clips.

    An infinite PSNR (all frames identical to the observed ones) is None, since JSON has no infinity; ``exact_frames``
    then equals ``frames``.
    """
    return _MEASURES[task](clips, split, control)


def _paper(clips: Clips, split: Split, control: str | None) -> Metrics:
    """PSNR and SSIM of frame t against observed frame t; ``anchored_`` are those of the other column."""
    found = {name: _aligned(clip, split.train) for name, clip in clips.items()}
    anchored = found["free"] if control else found.get("anchored", {})
    return found["free"] | {f"anchored_{name}": anchored[name] for name in ("psnr", "ssim") if name in anchored}


def _aligned(clip: Clip, observed: Clip) -> Metrics:
    n = min(clip.n_frames, observed.n_frames)  # the later real segment may be shorter than the observed one
    a, b = clip.segment(0, n), observed.segment(0, n)
    return {
        "psnr": _finite(psnr(a, b, data_range=DATA_RANGE)),
        "ssim": ssim(a, b, data_range=DATA_RANGE),
        "exact_frames": exact_frames(a, b),
        "frames": n,
    }


def _statistics(clips: Clips, split: Split, control: str | None) -> Metrics:
    """The score, its z and its ratios, the mean over the samples; diversity between them; their copy distance.

    The held-out real segment is scored from the training segment's side: the distances are symmetric, and a sample must
    be as long as that. So its score is about 1: more where the clip drifts, less where its segments happen to be alike.
    """
    samples = [clips[name] for name in SAMPLES]
    scores = [split.yardstick.score(split.train if control == "later-real" else sample) for sample in samples]
    if control == "later-real":
        between = diversity([split.train, split.heldout], split.train, split.heldout)
    else:
        between = diversity(samples, split.train, split.heldout)
    copies = [copy_distance(sample, split.train, split.heldout) for sample in samples]
    ratios = {name: _mean([s.ratios[name] for s in scores]) for name in scores[0].ratios}
    headline = {"score": _mean([s.value for s in scores]), "z": _mean([s.z for s in scores])}
    return headline | {"diversity": between, "copy_distance": _mean(copies)} | ratios


def _critic(clips: Clips, split: Split, control: str | None) -> Metrics:
    """The critic's AUC, and how far its seeds are apart; diversity and copy distance of the same samples.

    The critics' seeds are the same in all cells. Real footage plays both parts for *later-real*.
    """
    train, heldout = split.train, split.heldout
    if control == "later-real":
        found, samples = critic_real(train, heldout, seed=0), [train, heldout]
        copies = [copy_distance(heldout, train, heldout)]
    else:
        samples = [clips[name] for name in SHOWN_TO_CRITIC]
        found = critic_auc(train, heldout, samples, seed=0)
        copies = [copy_distance(sample, train, heldout) for sample in samples]
    numbers = {"critic": found.auc, "critic_range": max(found.aucs) - min(found.aucs)}
    return numbers | {"diversity": diversity(samples, train, heldout), "copy_distance": _mean(copies)}


def _extrapolation(clips: Clips, split: Split, control: str | None) -> Metrics:
    """PSNR and SSIM of the h-th frame after the training segment; ``psnr`` and ``ssim`` are the means over horizons."""
    found: Metrics = {}
    horizons = [h for h in HORIZONS if h <= longest_horizon(split)]
    for h in horizons:
        at = _aligned(clips["prediction"].segment(h - 1, 1), split.heldout.segment(h - 1, 1))
        found |= {f"psnr_{h}": at["psnr"], f"ssim_{h}": at["ssim"]}
    for name in ("psnr", "ssim"):
        values = [found[f"{name}_{h}"] for h in horizons]
        found[name] = None if None in values else _mean(values)
    return found


_MEASURES: dict[str, Callable[[Clips, Split, str | None], Metrics]] = {
    "paper": _paper,
    "statistics": _statistics,
    "critic": _critic,
    "extrapolation": _extrapolation,
}


def _finite(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
