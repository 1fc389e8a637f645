"""What the questions are asked of: textures one by one, digits, digits stacked as colours, a set of textures."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import torch
from torch import Tensor

from dyntex.benchmarks.data import Source, Split, split_clip
from dyntex.benchmarks.studies.questions.classifier import frechet, mean_nearest, modes, train_classifier
from dyntex.benchmarks.studies.questions.digits import Digits, read_digits
from dyntex.benchmarks.studies.questions.nets import CLIP_SIZE, DIGITS, TEXTURES, WINDOW
from dyntex.benchmarks.tasks.quality import SAMPLES, measure
from dyntex.clip import Clip
from dyntex.coopnets.config import CoopConfig

Numbers = dict[str, float]

SET_TIMES = 4.0
"""The time that a set of clips has to be learnt in, in units of one clip's: in less, nothing is learnt of it."""
N_TEXTURES = 4
"""Clips of RQ1, the first of those that are given; RQ3 has them all in one set."""


@dataclass(frozen=True)
class Data:
    """What is learnt from, and how what was learnt is measured.

    Attributes:
        y_obs: (N, C, T, H, W), what is learnt from.
        n, n_frames: how many samples are measured, and how long they are.
        measure: of samples (n, C, n_frames, H, W) in [-1, 1]; the score is 1 for real ones, less is better.
        real: real ones as samples, for the control.
    """

    y_obs: Tensor
    n: int
    n_frames: int
    measure: Callable[[Tensor], Numbers]
    real: Tensor


@dataclass(frozen=True)
class Dataset:
    """Data by name, read when they are needed.

    Attributes:
        name: unique.
        config: the networks, and the settings of cooperative training.
        load: reads the data.
        real: what the real samples are called.
        settings: what the data and their measures depend on.
        times: how many times the study's seconds each training has.
        alone: whether all trainers learn from it (RQ1); otherwise the cooperative ones and the GAN do (RQ3).
    """

    name: str
    config: CoopConfig
    load: Callable[[], Data]
    real: str
    settings: Mapping[str, Any] = field(default_factory=dict)
    times: float = 1.0
    alone: bool = True


def datasets(
    sources: Sequence[Source],
    *,
    frames: int,
    classifier_steps: int,
    set_classifier_steps: int,
    n_stacked: int,
    n_windows: int,
) -> list[Dataset]:
    """The digits, the digits stacked, the textures as a set, and the first of them one by one.

    Args:
        sources: the clips.
        frames: of a clip, to learn from.
        classifier_steps, set_classifier_steps: of training the classifiers of the digits and of the set of textures.
        n_stacked, n_windows: samples of the stacked digits, and of the set, whose modes are counted.
    """
    digests = {source.name: source.digest() for source in sources}

    @cache
    def all_digits() -> Digits:
        return read_digits(steps=classifier_steps, rng=torch.Generator().manual_seed(0))

    @cache
    def split(source: Source) -> Split:
        return split_clip(source, size=CLIP_SIZE, n_frames=frames)

    found = [
        Dataset(
            "digits", DIGITS, cache(lambda: digits(all_digits())), "training digits", {"classifier": classifier_steps}
        ),
        Dataset(
            "stacked digits",
            DIGITS,
            cache(lambda: stacked(all_digits(), n=n_stacked)),
            "held-out digits",
            {"classifier": classifier_steps, "n": n_stacked},
            alone=False,
        ),
        Dataset(
            f"{len(sources)} textures",
            TEXTURES,
            cache(lambda: texture_set([split(s) for s in sources], n=n_windows, steps=set_classifier_steps)),
            "training windows",
            {"clips": digests, "frames": frames, "classifier": set_classifier_steps, "n": n_windows},
            times=SET_TIMES,
            alone=False,
        ),
    ]
    for source in sources[:N_TEXTURES]:
        load = cache(lambda source=source: texture(split(source)))
        settings = {"clip": digests[source.name], "frames": frames}
        found.append(Dataset(source.name, TEXTURES, load, "training clip", settings))
    return found


def texture(split: Split) -> Data:
    """One clip: two samples as long as its training segment, and the benchmark's statistics of them."""
    train = split.train

    def numbers(samples: Tensor) -> Numbers:
        clips = {name: Clip(y, train.fps) for name, y in zip(SAMPLES, samples, strict=True)}
        found: dict[str, Any] = measure("statistics", clips, split)
        return {name: found[name] for name in ("score", "diversity", "copy_distance")}

    return Data(train.video[None], 2, train.n_frames, numbers, train.video.expand(2, -1, -1, -1, -1))


def digits(found: Digits) -> Data:
    """Grey digits: as many samples as half of the held-out ones."""
    n = len(found.heldout) // 2
    return Data(found.train, n, 1, found.measure, found.train[:n])


def stacked(found: Digits, *, n: int) -> Data:
    """Three digits as colours: which of the 1000 modes the samples cover."""
    rng = torch.Generator().manual_seed(0)
    y_obs = found.stacked(rng=rng)
    return Data(y_obs, n, 1, found.measure_stacked, found.stacked(rng=rng, heldout=True, n=n))


def texture_set(splits: Sequence[Split], *, n: int, steps: int) -> Data:
    """Several clips for one model: windows of 16 frames as samples, and which of the clips they cover.

    All clips are cut to the shortest. The score is the Fréchet distance of the classifier's features to held-out
    windows, over that of the training windows.
    """
    rng = torch.Generator().manual_seed(0)
    n_train = min(split.train.n_frames for split in splits)
    n_heldout = min(split.heldout.n_frames for split in splits)
    y_obs = torch.stack([split.train.video[:, :n_train] for split in splits])
    later = torch.stack([split.heldout.video[:, :n_heldout] for split in splits])
    train, labels = _all_windows(y_obs)
    heldout, heldout_labels = _all_windows(later)
    classifier = train_classifier(train, labels, heldout, heldout_labels, steps=steps, rng=rng)
    train = train[torch.randperm(len(train), generator=rng)[:n]]
    reference = classifier.features(heldout)
    unit = frechet(classifier.features(train), reference)

    def numbers(samples: Tensor) -> Numbers:
        covered, kl = modes(classifier.classes(samples), len(splits))
        score = frechet(classifier.features(samples), reference) / unit
        between = mean_nearest(samples, samples, itself=True) / mean_nearest(train, train, itself=True)
        found = {"modes": float(covered), "kl": kl, "score": score, "diversity": between}
        return found | {"classifier_accuracy": classifier.accuracy}

    return Data(y_obs, n, WINDOW, numbers, train)


def _all_windows(y: Tensor) -> tuple[Tensor, Tensor]:
    """Clips (N, C, T, H, W) -> every second window (M, C, 16, H, W) of each, and its clip (M,)."""
    cut = y.unfold(2, WINDOW, 2).permute(0, 2, 1, 5, 3, 4)  # (N, M / N, C, 16, H, W)
    return cut.flatten(0, 1).contiguous(), torch.arange(len(y)).repeat_interleave(cut.shape[1])
