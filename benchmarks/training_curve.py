"""What training adds to ``--method segments``, by a critic that it never saw: a curve over seconds, and its page.

``python -m dyntex.benchmarks.training_curve docs/results/segments.md --clips a.mp4 b.mp4 --seconds 30 60 120 300``
"""

from __future__ import annotations

import argparse
import json
import math
import time
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import torch

from dyntex.benchmarks.data import Split, find_clips, split_clip
from dyntex.benchmarks.metrics.critic import SAMPLES, critic_auc
from dyntex.benchmarks.metrics.statistics import copy_distance, diversity
from dyntex.coopnets.segments import DEFAULT, Segments, SegmentsTraining
from dyntex.random_streams import generator

SCORED = 4
"""Samples whose score, diversity and copy distance are measured; the critic's examination has as many, at least."""


@dataclass(frozen=True)
class Row:
    """A training as it was after so many seconds.

    Attributes:
        clip: its name.
        seconds: of the processor, spent on training; 0 is untrained.
        steps: of the potentials of each field.
        kind: of the generator that was taken.
        auc, score, copy_distance, diversity: of new samples.
    """

    clip: str
    seconds: float
    steps: int
    kind: str
    auc: float
    score: float
    copy_distance: float
    diversity: float


def curve(split: Split, seconds: list[float], *, seed: int) -> list[Row]:
    """One training, looked at after each number of seconds, which ascend; judging takes none of them.

    It goes on to the next step of the potentials, for between two steps there is nothing new to see.
    """
    config = replace(DEFAULT, training=replace(DEFAULT.training, iterations=10**9))
    training = SegmentsTraining(split.train, config, rng=generator(seed, "train"))
    steps, spent = 0, 0.0
    rows = [judged(training.decide(), split, 0, 0.0, seed=seed)]
    for mark in seconds:
        while spent < mark:
            began = time.process_time()
            training.step()
            steps, spent = steps + 1, spent + time.process_time() - began
        began = time.process_time()
        model = training.decide()
        rows.append(judged(model, split, steps, spent + time.process_time() - began, seed=seed))
    return rows


def judged(model: Segments, split: Split, steps: int, spent: float, *, seed: int) -> Row:
    """The model's samples, by all measures."""
    rng = generator(seed, "synthesize")
    samples = [model.synthesize(split.train.n_frames, rng=rng) for _ in range(SAMPLES)]
    scored = samples[-SCORED:]
    logs = [math.log(split.yardstick.score(sample).value) for sample in scored]
    return Row(
        split.source.name,
        spent,
        steps,
        model.kind,
        critic_auc(split.train, split.heldout, samples, seed=seed, n_seeds=1).auc,
        math.exp(sum(logs) / SCORED),
        sum(copy_distance(sample, split.train, split.heldout) for sample in scored) / SCORED,
        diversity(scored, split.train, split.heldout),
    )


def page(rows: list[Row], command: str) -> str:
    """The page as Markdown."""
    lines = [
        "# The method `segments`: what training adds",
        "",
        "**What is given**: the clip's frames, cut into regions and segments (segments), bent in time (fronts), or",
        "mixed (shot-noise). **What is learnt**: which may lie side by side and follow each other, and, by a critic of",
        "the product's own, which of the three is taken. Seconds: of training and of that decision. AUC: of a fresh",
        "critic on frames that nothing learnt from; .5 = it cannot tell samples from them, 1 = always. Score, copy",
        "distance and diversity as in [benchmark.md](../benchmark.md). One training a clip, one seed, one critic: the",
        "AUC of one setting differs by .03 to .05 between seeds. 64 frames learnt, seconds of one processor.",
        "",
        "| clip | seconds | taken | steps | AUC | score | copy distance | diversity |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for r in rows:
        when = "untrained" if not r.seconds else f"{r.seconds:.0f}"
        numbers = f"{r.auc:.2f} | {r.score:.2f} | {r.copy_distance:.2f} | {r.diversity:.2f}"
        lines.append(f"| {r.clip} | {when} | {r.kind} | {r.steps} | {numbers} |")
    return "\n".join([*lines, "", f"Made by `{command}`.", ""])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("page", type=Path)
    parser.add_argument("--clips", nargs="+", required=True)
    parser.add_argument("--seconds", nargs="+", type=float, default=[30.0, 60.0, 120.0, 300.0])
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()
    torch.set_num_threads(1)
    rows_file = args.page.with_suffix(".jsonl")
    rows = [Row(**json.loads(line)) for line in rows_file.read_text().splitlines()] if rows_file.exists() else []
    for source in find_clips(args.clips):
        if any(row.clip == source.name for row in rows):
            continue  # measured before
        split = split_clip(source, size=args.size, n_frames=64)
        rows += curve(split, sorted(args.seconds), seed=args.seed)
        rows_file.write_text("".join(json.dumps(asdict(row)) + "\n" for row in rows))
        seconds = " ".join(f"{s:g}" for s in args.seconds)
        command = (
            f"python -m dyntex.benchmarks.training_curve PAGE --clips CLIPS --seconds {seconds} --seed {args.seed}"
        )
        args.page.write_text(page(rows, command), encoding="utf-8")


if __name__ == "__main__":
    main()
