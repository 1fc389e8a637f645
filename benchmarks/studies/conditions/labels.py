"""Whether a model makes the class that a label asks for: the digits, and the textures of a folder."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor

from dyntex.benchmarks.data import Source, Split, split_clip
from dyntex.benchmarks.studies.conditions.shared import Found, Setup, trained_model, write_clips
from dyntex.benchmarks.studies.questions.classifier import Classifier, train_classifier
from dyntex.benchmarks.studies.questions.digits import N_CLASSES, Digits
from dyntex.clip import Clip
from dyntex.conditions import Labels
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.errors import InputError

_FPS = Fraction(25)  # of images, which have none
IMAGES = 20
"""Digits of each class that are judged, for each of ``n_samples``."""
HOP = 4
"""Frames between the windows of real clips that the classifier learns from."""


def digits(setup: Setup, config: CoopConfig, data: Digits) -> Found:
    """One model of all ten digits, by label.

    Each frame of a sample is an image of its own.
    """
    labels = Labels(tuple(map(str, range(N_CLASSES))))
    words = [str(int(label)) for label in data.labels]
    shape = (1, *data.train.shape[3:])
    model = trained_model(
        setup.folder / "model",
        [Clip(y, _FPS) for y in data.train],
        config,
        setup=setup,
        cond=labels.volume(words, shape),
        condition=labels,
    )
    n = IMAGES * setup.n_samples
    rows, made = [], []
    for i, name in enumerate(labels.names):
        clip = model.synthesize(n, rng=setup.rng(1 + i), cond=labels.volume([name], shape))
        images = clip.video.transpose(0, 1)[:, :, None]  # (n, 1, 1, H, W)
        right = float((data.classifier.classes(images) == i).float().mean())
        rows.append([name, f"{right:.1%}"])
        made.append(images)
    mean = statistics.mean(float(row[1].rstrip("%")) for row in rows)
    overall = data.measure(torch.cat(made)[torch.randperm(n * N_CLASSES, generator=setup.rng(99))])
    write_clips(setup.folder / "sheet.png", [[Clip(y[:16, :, 0].transpose(0, 1), _FPS)] for y in made], n_frames=16)
    return Found(
        "Labels: digits",
        f"{len(data.train)} digits of scikit-learn at 16x16 pixels, one model; {n} samples of each label, judged by a "
        f"classifier that learnt from the same real digits alone and is right on {data.classifier.accuracy:.1%} of "
        f"{len(data.heldout)} held-out ones. Chance is 10 %.",
        {
            "Samples that the classifier takes for what was asked": (
                ["digit", "right"],
                [*rows, ["all", f"{mean:.1f}%"]],
            )
        },
        [
            "All samples together, 1 being as real ones are: "
            + ", ".join(f"{name.replace('_', ' ')} {value:.2f}" for name, value in overall.items())
            + "."
        ],
    )


def textures(setup: Setup, config: CoopConfig, clips: Sequence[Source]) -> Found:
    """One model of all textures, by label, beside a model of each alone.

    Raises:
        InputError: a clip cannot be read or is too short, or there is only one.
    """
    n_frames = 32 if setup.quick else 64
    splits = [split_clip(source, size=setup.size, n_frames=n_frames) for source in clips]
    splits = splits[:2] if setup.quick else splits
    if len(splits) < 2:
        raise InputError("labels tell clips apart and there is 1: give two or more")
    labels = Labels.of(split.source.name for split in splits)
    length = min(split.train.n_frames for split in splits)
    shape = (length, setup.size, setup.size)
    names = [split.source.name for split in splits]
    model = trained_model(
        setup.folder / "model",
        [split.train.segment(0, length) for split in splits],
        config,
        setup=setup,
        cond=labels.volume(names, shape),
        condition=labels,
    )
    classifier = _classifier(splits, labels, setup)
    rows, sheet = [], []
    for split in splits:
        name = split.source.name
        alone = trained_model(setup.folder / "alone" / name, [split.train], config, setup=setup, share=1 / len(splits))
        cond = labels.volume([name], (1, setup.size, setup.size))
        told, single = (_score(m, split, setup, cond) for m, cond in ((model, cond), (alone, None)))
        draws = [model.synthesize(setup.window, rng=setup.rng(1 + k), cond=cond) for k in range(4 * setup.n_samples)]
        rows.append(
            [
                name,
                f"{_right(classifier, draws, labels, name):.0%}",
                f"{_right(classifier, _windows(split.heldout, setup.window), labels, name):.0%}",
                f"{told:.2f}",
                f"{single:.2f}",
            ]
        )
        sheet.append([split.train, draws[0], draws[1]])
    write_clips(setup.folder / "sheet.png", sheet)
    means = [f"{statistics.mean(float(row[i].rstrip('%')) for row in rows):.0f}%" for i in (1, 2)]
    scores = [f"{statistics.geometric_mean(float(row[i]) for row in rows):.2f}" for i in (3, 4)]
    return Found(
        "Labels: textures",
        f"{len(splits)} clips of {setup.size}x{setup.size} pixels and {length} frames, one model of all of them; "
        f"{4 * setup.n_samples} samples of {setup.window} frames a label, judged by a classifier of real windows of "
        "the training segments alone, beside its word on windows of the held-out segments. The statistics score (1 is "
        "as far as real from real, lower is better) stands beside that of a model of the clip alone, trained for its "
        "share of the seconds.",
        {
            "By clip": (
                ["clip", "samples right", "*held-out real right*", "score", "score of a model of it alone"],
                [*rows, ["all", *means, *scores]],
            )
        },
        [f"Chance is {1 / len(splits):.0%}. Sheet: a row a clip, the real one and two samples."],
    )


def _score(model: CoopNets, split: Split, setup: Setup, cond: Tensor | None) -> float:
    sample = model.synthesize(split.train.n_frames, rng=setup.rng(50), cond=cond)
    return split.yardstick.score(sample).value


def _windows(clip: Clip, length: int) -> list[Clip]:
    return [clip.segment(start, length) for start in range(0, clip.n_frames - length + 1, HOP)]


def _classifier(splits: Sequence[Split], labels: Labels, setup: Setup) -> Classifier:
    def windows(clips: Sequence[Clip]) -> tuple[Tensor, Tensor]:
        cut = [(w.video, i) for i, clip in enumerate(clips) for w in _windows(clip, setup.window)]
        return torch.stack([y for y, _ in cut]), torch.tensor([i for _, i in cut])

    ordered = sorted(splits, key=lambda split: labels.names.index(split.source.name))
    (y, known), (fresh, fresh_known) = windows([g.train for g in ordered]), windows([g.heldout for g in ordered])
    return train_classifier(y, known, fresh, fresh_known, steps=3 if setup.quick else 150, rng=setup.rng(98))


def _right(classifier: Classifier, clips: Sequence[Clip], labels: Labels, name: str) -> float:
    found = classifier.classes(torch.stack([clip.video for clip in clips]))
    return float((found == labels.names.index(name)).float().mean())
