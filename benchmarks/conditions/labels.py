"""Whether a model makes the class that a label asks for: the digits, and the textures of a folder."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from fractions import Fraction

import torch
from torch import Tensor

from benchmarks.conditions.study import Effort, Found, taught, write_sheet
from benchmarks.data import Ground, find_clips, prepare
from benchmarks.questions.digits import N_CLASSES, Digits
from benchmarks.questions.judge import Judge, train_judge
from dyntex.clip import Clip
from dyntex.conditions import Labels
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.errors import InputError

_FPS = Fraction(25)  # of images, which have none
IMAGES = 20
"""Digits of each class that are judged, for each of ``n_samples``."""
HOP = 4
"""Frames between the windows of real clips that the judge learns from."""


def digits(effort: Effort, config: CoopConfig, data: Digits) -> Found:
    """One model of all ten digits, told which.

    Each frame of a sample is an image of its own.
    """
    folder = effort.folder / "digits"
    labels = Labels(tuple(map(str, range(N_CLASSES))))
    words = [str(int(label)) for label in data.labels]
    shape = (1, *data.train.shape[3:])
    model = taught(
        folder / "model",
        [Clip(y, _FPS) for y in data.train],
        config,
        effort=effort,
        cond=labels.volume(words, shape),
        condition=labels,
    )
    n = IMAGES * effort.n_samples
    rows, made = [], []
    for i, name in enumerate(labels.names):
        clip = model.synthesize(n, rng=effort.rng(1 + i), cond=labels.volume([name], shape))
        images = clip.video.transpose(0, 1)[:, :, None]  # (n, 1, 1, H, W)
        right = float((data.judge.classes(images) == i).float().mean())
        rows.append([name, f"{right:.1%}"])
        made.append(images)
    mean = statistics.mean(float(row[1].rstrip("%")) for row in rows)
    overall = data.measure(torch.cat(made)[torch.randperm(n * N_CLASSES, generator=effort.rng(99))])
    write_sheet(folder / "sheet.png", [[Clip(y[:16, :, 0].transpose(0, 1), _FPS)] for y in made], n_columns=16)
    return Found(
        "Labels: digits",
        f"{len(data.train)} digits of scikit-learn at 16x16 pixels, one model; {n} samples of each label, judged by a "
        f"classifier that learnt from the same real digits alone and is right on {data.judge.accuracy:.1%} of "
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


def textures(effort: Effort, config: CoopConfig, where: Sequence[str]) -> Found:
    """One model of all textures, told which, beside a model of each alone.

    Raises:
        InputError: a clip cannot be read or is too short, or there is only one.
    """
    folder = effort.folder / "textures"
    n_frames = 32 if effort.quick else 64
    grounds = [prepare(source, size=effort.size, n_frames=n_frames) for source in find_clips(where)]
    grounds = grounds[:2] if effort.quick else grounds
    if len(grounds) < 2:
        raise InputError("labels tell clips apart and there is 1: give two or more")
    labels = Labels.of(ground.source.name for ground in grounds)
    length = min(ground.train.n_frames for ground in grounds)
    shape = (length, effort.size, effort.size)
    names = [ground.source.name for ground in grounds]
    model = taught(
        folder / "model",
        [ground.train.segment(0, length) for ground in grounds],
        config,
        effort=effort,
        cond=labels.volume(names, shape),
        condition=labels,
    )
    judge = _judge(grounds, labels, effort)
    rows, sheet = [], []
    for ground in grounds:
        name = ground.source.name
        alone = taught(folder / name, [ground.train], config, effort=effort, share=1 / len(grounds))
        heard = labels.volume([name], (1, effort.size, effort.size))
        told, single = (_score(m, ground, effort, cond) for m, cond in ((model, heard), (alone, None)))
        draws = [
            model.synthesize(effort.window, rng=effort.rng(1 + k), cond=heard) for k in range(4 * effort.n_samples)
        ]
        rows.append(
            [
                name,
                f"{_right(judge, draws, labels, name):.0%}",
                f"{_right(judge, _windows(ground.heldout, effort.window), labels, name):.0%}",
                f"{told:.2f}",
                f"{single:.2f}",
            ]
        )
        sheet.append([ground.train, draws[0], draws[1]])
    write_sheet(folder / "sheet.png", sheet)
    means = [f"{statistics.mean(float(row[i].rstrip('%')) for row in rows):.0f}%" for i in (1, 2)]
    scores = [f"{statistics.geometric_mean(float(row[i]) for row in rows):.2f}" for i in (3, 4)]
    return Found(
        "Labels: textures",
        f"{len(grounds)} clips of {effort.size}x{effort.size} pixels and {length} frames, one model of all of them; "
        f"{4 * effort.n_samples} samples of {effort.window} frames a label, judged by a classifier of real windows of "
        "the training segments alone, beside its word on windows of the held-out segments. The statistics score (1 is "
        "as far as real from real, lower is better) stands beside that of a model of the clip alone, taught for its "
        "share of the seconds.",
        {
            "By clip": (
                ["clip", "samples right", "*held-out real right*", "score", "score of a model of it alone"],
                [*rows, ["all", *means, *scores]],
            )
        },
        [f"Chance is {1 / len(grounds):.0%}. Sheet: a row a clip, the real one and two samples."],
    )


def _score(model: CoopNets, ground: Ground, effort: Effort, cond: Tensor | None) -> float:
    sample = model.synthesize(ground.train.n_frames, rng=effort.rng(50), cond=cond)
    return ground.yardstick.score(sample).value


def _windows(clip: Clip, length: int) -> list[Clip]:
    return [clip.segment(start, length) for start in range(0, clip.n_frames - length + 1, HOP)]


def _judge(grounds: Sequence[Ground], labels: Labels, effort: Effort) -> Judge:
    def windows(clips: Sequence[Clip]) -> tuple[Tensor, Tensor]:
        cut = [(w.video, i) for i, clip in enumerate(clips) for w in _windows(clip, effort.window)]
        return torch.stack([y for y, _ in cut]), torch.tensor([i for _, i in cut])

    ordered = sorted(grounds, key=lambda ground: labels.names.index(ground.source.name))
    (y, known), (fresh, fresh_known) = windows([g.train for g in ordered]), windows([g.heldout for g in ordered])
    return train_judge(y, known, fresh, fresh_known, steps=3 if effort.quick else 150, rng=effort.rng(98))


def _right(judge: Judge, clips: Sequence[Clip], labels: Labels, name: str) -> float:
    found = judge.classes(torch.stack([clip.video for clip in clips]))
    return float((found == labels.names.index(name)).float().mean())
