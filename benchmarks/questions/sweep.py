"""The cells of the questions: one training each, measured; finished ones are kept in ``questions.json`` and skipped."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from benchmarks.clock import Clock
from benchmarks.data import Source
from benchmarks.questions.nets import CLIP_SIZE, SETTINGS
from benchmarks.questions.rivals import noise
from benchmarks.questions.subjects import Numbers, Plan, Subject, subjects
from benchmarks.questions.ways import TOGETHER, Fitted, Way, fit, generated, revised
from benchmarks.results import claim
from dyntex.coopnets.checkpoint import load_json, save_json
from dyntex.coopnets.config import to_json
from dyntex.coopnets.train import Teaching
from dyntex.experiment.run import environment
from dyntex.media.footage import Image
from dyntex.media.sheet import write_png

RESULTS = "questions.json"
PAGE = "questions.md"
RIVALS = (*TOGETHER, Way.GAN)
"""The ways that are compared where modes are counted."""
LOOKS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.98)
"""Shares of the training after which RQ2 looks at it."""

Cell = dict[str, Any]


def cells(subjects: Sequence[Subject], *, seeds: int) -> Iterator[tuple[Subject, Way, int]]:
    """All trainings, seed by seed, so that what is killed has compared all ways by then."""
    for seed in range(seeds):
        for subject in subjects:
            yield from ((subject, way, seed) for way in (Way if subject.alone else RIVALS))


def run(
    sources: Sequence[Source],
    out: Path,
    plan: Plan,
    *,
    command: str = "",
    on_cell: Callable[[str, Cell], None] = lambda *_: None,
) -> dict[str, Any]:
    """Make the cells that are missing in a folder; what ``questions.json`` holds then.

    Args:
        sources: the clips.
        out: the folder; the samples of every cell are pictures in it.
        plan: how much is done.
        command: that ran this.
        on_cell: is shown every new cell.

    Raises:
        UsageError: the folder holds something else, or trainings of another length.
        InputError: a clip cannot be read or is too short.
        MissingDependencyError: scikit-learn is not installed.
    """
    torch.set_flush_denormal(True)  # as the command line sets it
    claim(out, _config(sources, plan))
    return fill(subjects(sources, plan), out, plan, command=command, on_cell=on_cell)


def fill(
    asked: Sequence[Subject], out: Path, plan: Plan, *, command: str, on_cell: Callable[[str, Cell], None]
) -> dict[str, Any]:
    """What :func:`run` does once the folder is claimed and the subjects are there."""
    kept = out / RESULTS
    fresh: dict[str, Any] = {"seconds": plan.seconds, "command": command, "about": environment(), "cells": {}}
    results: dict[str, Any] = load_json(kept) if kept.exists() else fresh
    done: dict[str, Cell] = results["cells"]
    for subject in asked:
        for name, samples in subject.real.items():
            key, of = f"{subject.name} / {name}", {"subject": subject.name, "clips": list(subject.clips), "real": name}
            if {**done.get(key, {}), **of} != done.get(key):
                done[key] = of | {"numbers": subject.measure(samples)}
    for subject, way, seed in cells(asked, seeds=plan.seeds):
        key = f"{subject.name} / {way} / {seed}"
        settings = {"clips": list(subject.clips), "config": to_json(settings_of(subject, way))}
        if done.get(key, {}).get("settings") != settings:
            cell, samples = make(subject, way, seed=seed, plan=plan)
            done[key] = {"subject": subject.name, "way": way, "seed": seed, "settings": settings} | cell
            write_png(out / picture_of(key), picture(samples), overwrite=True)
            save_json(kept, results)
            on_cell(key, done[key])
    save_json(kept, results)
    return results


def _config(sources: Sequence[Source], plan: Plan) -> dict[str, Any]:
    """As every folder of a benchmark has it."""
    return {
        "tasks": ["questions"],
        "methods": [str(way) for way in Way],
        "size": CLIP_SIZE,
        "frames": plan.frames,
        "seeds": plan.seeds,
        "iterations": None,
        "budget": plan.seconds,
        "clips": {source.name: source.digest() for source in sources},
    }


def picture_of(key: str) -> str:
    return f"{key.replace(' / ', '-').replace(' ', '-')}.png"


def settings_of(subject: Subject, way: Way) -> Any:
    """The subject's networks with the settings of a way."""
    return replace(subject.config, **SETTINGS.get(subject.config.preset, {}).get(way, {}))


def make(subject: Subject, way: Way, *, seed: int, plan: Plan) -> tuple[Cell, Tensor]:
    """Train once; the numbers, of the cooperative way's first seed those of RQ2 and RQ4 too; the samples."""
    rng = torch.Generator().manual_seed(seed)
    clock = Clock(subject.times * plan.seconds)
    looks: list[Numbers] = []
    looking = way is Way.COOP and seed == 0 and subject.alone

    def look(t: Teaching) -> None:
        if looking and len(looks) < len(LOOKS) and clock.share(t.iteration) >= LOOKS[len(looks)]:
            with clock.stopped():
                looks.append({"seconds": clock.elapsed, "iteration": t.iteration} | along(t, subject))

    fitted = fit(way, subject.y_obs, settings_of(subject, way), rng=rng, progress=clock.share, on_step=look)
    cell: Cell = {"iterations": fitted.t.iteration, "seconds": clock.elapsed}
    samples = fitted.draw(subject.n, subject.n_frames, rng)
    finite = bool(samples.isfinite().all())
    cell["numbers"] = subject.measure(samples) if finite else {}  # of what diverged there are none
    if looking and finite:
        cell |= {"along": looks, "chains": chains(fitted, subject, steps=plan.steps)}
    return cell, samples


def along(t: Teaching, subject: Subject) -> Numbers:
    """RQ2: what the generator makes, what the descriptor makes of it, and how far that is.

    ``distance`` is the root mean square of y_rev - y_gen, noise included; ``drift`` is that without noise, at
    temperature 0: how far the descriptor wants to move. Energies are per pixel value.
    """
    rng = torch.Generator().manual_seed(1)
    y_gen = generated(t, subject.n, subject.n_frames, rng=rng)
    y_rev = revised(t, y_gen, rng=rng)
    y_cold = revised(t, y_gen, rng=rng, config=replace(t.config, temperature=0.0))
    with torch.no_grad():
        energies = [float(t.des.energy(y, y[:, :0]).mean()) / y[0].numel() for y in (y_gen, y_rev)]
    return {
        "score_gen": subject.measure(y_gen)["score"],
        "score_rev": subject.measure(y_rev)["score"],
        "energy_gen": energies[0],
        "energy_rev": energies[1],
        "distance": float((y_rev - y_gen).square().mean().sqrt()),
        "drift": float((y_cold - y_gen).square().mean().sqrt()),
    }


def chains(fitted: Fitted, subject: Subject, *, steps: Sequence[int]) -> dict[str, list[Numbers]]:
    """RQ4: the score after each of so many Langevin steps, from y_gen and from noise, and milliseconds a sample."""
    t, found = fitted.t, {}
    for start in ("generator", "noise"):
        rng = torch.Generator().manual_seed(2)
        began = time.process_time()
        shape = (subject.n, subject.y_obs.shape[1], subject.n_frames, *subject.y_obs.shape[3:])
        if start == "generator":
            y = generated(t, subject.n, subject.n_frames, rng=rng)
        else:
            y = noise(t, shape, rng=rng).clamp(-1.0, 1.0)
        spent, at, rows = time.process_time() - began, 0, []
        for k in steps:
            began = time.process_time()
            y, at = revised(t, y, rng=rng, n_steps=k - at), k
            spent += time.process_time() - began
            score = subject.measure(y)["score"]
            rows.append({"steps": k, "milliseconds": 1000.0 * spent / subject.n, "score": score})
        found[start] = rows
    return found


def picture(samples: Tensor, *, side: int = 2) -> Image:
    """Samples (n, C, T, H, W) for the eye, (H', W', 3) uint8: up to 64 images, or eight frames of up to eight clips."""
    n_frames = samples.shape[2]
    if n_frames > 1:
        frames = torch.linspace(0, n_frames - 1, 8).round().long()
        tiles = samples[:8, :, frames].transpose(1, 2).flatten(0, 1)
    else:
        tiles = samples[: min(64, len(samples) // 16 * 16), :, 0]
    tiles = F.pad(tiles, (1, 1, 1, 1))
    rows = tiles.view(-1, 8 if n_frames > 1 else 16, *tiles.shape[1:])  # (R, 16, C, h, w)
    whole = rows.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1)  # (H', W', C)
    levels = whole.expand(-1, -1, 3).clamp(-1.0, 1.0).add(1.0).mul(127.5).round().to(torch.uint8)
    shown: Image = levels.repeat_interleave(side, 0).repeat_interleave(side, 1).numpy()
    return shown
