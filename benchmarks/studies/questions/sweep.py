"""The paper's research questions: a training each of every dataset, trainer and seed, measured."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from dyntex.benchmarks.cpu_budget import CpuBudget
from dyntex.benchmarks.data import Source
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.report.sheet import frames_of, write_sheet
from dyntex.benchmarks.studies.questions.datasets import Data, Dataset, Numbers, datasets
from dyntex.benchmarks.studies.questions.digits import check_digits
from dyntex.benchmarks.studies.questions.fitting import COMPARED, Fitted, Trainer, fit, generated, revised
from dyntex.benchmarks.studies.questions.nets import SETTINGS
from dyntex.benchmarks.studies.questions.page import page
from dyntex.benchmarks.studies.questions.trainers import noise
from dyntex.benchmarks.study import Cell, Results, Row, ok_rows, path_of, setting
from dyntex.clip import Clip
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.state import TrainState
from dyntex.errors import UsageError

LOOKS = (0.02, 0.05, 0.1, 0.2, 0.4, 0.7, 0.98)
"""Shares of the training after which RQ2 looks at it."""


@dataclass(frozen=True)
class Questions:
    """Does cooperation beat each network alone, a VAE and a GAN of the same networks (RQ1)? How does MCMC train the
    generator (RQ2)? Do modes collapse (RQ3)? Does the generator distil the chain (RQ4)?

    Attributes:
        clips: which are asked of, besides digits.
        frames: of a clip, to learn from.
        seconds: of the processor, for each training.
        seeds: how many, from 0.
        steps: of Langevin, ascending from 0, after which RQ4 measures the chains.
        classifier_steps, set_classifier_steps, n_stacked, n_windows: see :func:`.datasets.datasets`.
        load: tells the datasets.
    """

    name: ClassVar[str] = "questions"

    clips: tuple[Source, ...] = setting(is_sources=True, quick=("example:ripples", "example:flame"))
    frames: int = setting(64, quick=32)
    seconds: float = setting(30.0, quick=0.2)
    seeds: int = setting(3, quick=1)
    steps: tuple[int, ...] = setting((0, 1, 2, 5, 10, 50, 500), quick=(0, 1, 5))
    classifier_steps: int = setting(800, quick=150)
    set_classifier_steps: int = setting(80, quick=15)
    n_stacked: int = setting(4000, quick=400)
    n_windows: int = setting(200, quick=32)
    load: Callable[..., list[Dataset]] = setting(datasets, is_kept=False)  # noqa: RUF009

    def __post_init__(self) -> None:
        for option, value in (("--frames", self.frames), ("--cpu-seconds", self.seconds), ("--seeds", self.seeds)):
            if not 0 < value < float("inf"):
                raise UsageError(f"{option} {value:g} is not positive: give a number above 0")
        if self.load is datasets:
            check_digits()

    @cached_property
    def datasets(self) -> dict[str, Dataset]:
        """By name."""
        names = ("classifier_steps", "set_classifier_steps", "n_stacked", "n_windows")
        found = self.load(self.clips, frames=self.frames, **{name: getattr(self, name) for name in names})
        return {dataset.name: dataset for dataset in found}

    def cells(self) -> Iterator[Cell]:
        """The real samples, and then all trainings, seed by seed, so that what is killed has compared all trainers."""
        for name, dataset in self.datasets.items():
            yield Cell(path_of(name, "real"), {"dataset": name, "real": dataset.real}, dataset.settings)
        for seed in range(self.seeds):
            for name, dataset in self.datasets.items():
                for trainer in Trainer if dataset.alone else COMPARED:
                    settings: dict[str, Any] = {
                        "data": dataset.settings,
                        "config": settings_of(dataset, trainer),
                        "trainer": str(trainer),
                        "seconds": dataset.times * self.seconds,
                        "seed": seed,
                    }
                    if _is_looked_at(dataset, trainer, seed):
                        settings["steps"] = self.steps
                    about = {"dataset": name, "trainer": str(trainer), "seed": seed}
                    yield Cell(path_of(name, trainer, seed), about, settings)

    def make(self, cell: Cell, out: Path) -> Row:
        """The numbers, and a picture of the samples."""
        dataset = self.datasets[cell.about["dataset"]]
        data = dataset.load()
        if "real" in cell.about:
            return {"numbers": data.measure(data.real)}
        trainer, seed = Trainer(cell.about["trainer"]), cell.about["seed"]
        steps = self.steps if _is_looked_at(dataset, trainer, seed) else ()
        seconds = cell.settings["seconds"]
        row, samples = make(data, settings_of(dataset, trainer), trainer, seed=seed, seconds=seconds, steps=steps)
        write_sheet(cell.folder(out) / "samples.png", pictured(samples))
        return row

    def page(self, results: Results) -> list[str | Table]:
        return page(ok_rows(results), seconds=results["config"]["seconds"], command=results["command"])


def _is_looked_at(dataset: Dataset, trainer: Trainer, seed: int) -> bool:
    """Whether RQ2 and RQ4 are asked of a training."""
    return trainer is Trainer.COOP and seed == 0 and dataset.alone


def settings_of(dataset: Dataset, trainer: Trainer) -> CoopConfig:
    """The dataset's networks with the settings of a trainer."""
    return dataset.config.replaced(**SETTINGS.get(dataset.config.preset, {}).get(trainer, {}))


def make(
    data: Data, config: CoopConfig, trainer: Trainer, *, seed: int, seconds: float, steps: Sequence[int] = ()
) -> tuple[Row, Tensor]:
    """Train once.

    Args:
        data, config, trainer: from what, with which networks and settings, and how.
        seed: of all randomness.
        seconds: of the processor.
        steps: of Langevin, for RQ4; if there are any, RQ2 looks at the training as well.

    Returns:
        the row, and the samples.
    """
    rng, budget = torch.Generator().manual_seed(seed), CpuBudget(seconds)
    looks: list[Numbers] = []

    def look(t: TrainState) -> None:
        if steps and len(looks) < len(LOOKS) and budget.share(t.iteration) >= LOOKS[len(looks)]:
            with budget.stopped():
                looks.append({"seconds": budget.elapsed, "iteration": t.iteration} | along(t, data))

    fitted = fit(trainer, data.y_obs, config, rng=rng, progress=budget.share, on_step=look)
    row: Row = {"iterations": fitted.t.iteration, "seconds": budget.elapsed}
    samples = fitted.draw(data.n, data.n_frames, rng)
    is_finite = bool(samples.isfinite().all())
    row["numbers"] = data.measure(samples) if is_finite else {}  # of what diverged there are none
    if steps and is_finite:
        row |= {"along": looks, "chains": chains(fitted, data, steps=steps)}
    return row, samples


def along(t: TrainState, data: Data) -> Numbers:
    """RQ2: what the generator makes, what the descriptor makes of it, and how far that is.

    ``distance`` is the root mean square of y_rev - y_gen, noise included; ``drift`` is that without noise, at
    temperature 0: how far the descriptor wants to move. Energies are per pixel value.
    """
    rng = torch.Generator().manual_seed(1)
    y_gen = generated(t, data.n, data.n_frames, rng=rng)
    y_rev = revised(t, y_gen, rng=rng)
    y_cold = revised(t, y_gen, rng=rng, config=t.config.replaced(temperature=0.0))
    with torch.no_grad():
        energies = [float(t.des.energy(y, y[:, :0]).mean()) / y[0].numel() for y in (y_gen, y_rev)]
    return {
        "score_gen": data.measure(y_gen)["score"],
        "score_rev": data.measure(y_rev)["score"],
        "energy_gen": energies[0],
        "energy_rev": energies[1],
        "distance": float((y_rev - y_gen).square().mean().sqrt()),
        "drift": float((y_cold - y_gen).square().mean().sqrt()),
    }


def chains(fitted: Fitted, data: Data, *, steps: Sequence[int]) -> dict[str, list[Numbers]]:
    """RQ4: the score after each of so many Langevin steps, from y_gen and from noise, and milliseconds a sample."""
    t, found = fitted.t, {}
    for start in ("generator", "noise"):
        rng = torch.Generator().manual_seed(2)
        began = time.process_time()
        shape = (data.n, data.y_obs.shape[1], data.n_frames, *data.y_obs.shape[3:])
        if start == "generator":
            y = generated(t, data.n, data.n_frames, rng=rng)
        else:
            y = noise(t, shape, rng=rng).clamp(-1.0, 1.0)
        spent, at, rows = time.process_time() - began, 0, []
        for k in steps:
            began = time.process_time()
            y, at = revised(t, y, rng=rng, n_steps=k - at), k
            spent += time.process_time() - began
            score = data.measure(y)["score"]
            rows.append({"steps": k, "milliseconds": 1000.0 * spent / data.n, "score": score})
        found[start] = rows
    return found


def pictured(samples: Tensor) -> list[list[Tensor]]:
    """Of samples (n, C, T, H, W) for the eye: up to 64 images, or eight frames of up to eight clips."""
    if samples.shape[2] == 1:
        images = list(samples[:64, :, 0])
        return [images[i : i + 16] for i in range(0, len(images), 16)]
    return [frames_of(Clip(clip.clamp(-1.0, 1.0), Fraction(25)), 8) for clip in samples[:8]]
