"""What each part of ``fast`` is worth: the preset with one part left out at a time, beside LDS; and what training adds.

Seconds are those of the processor, so that a machine that others use changes no number; run it with one thread.
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, ClassVar, cast

import torch

from dyntex.baselines import METHODS
from dyntex.benchmarks.cpu_budget import CpuBudget
from dyntex.benchmarks.data import Source, Split, named, split_of
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.study import Cell, Results, Row, ok_rows, path_of, setting
from dyntex.benchmarks.tasks.quality import SAMPLES, measure, rng_for
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import FAST
from dyntex.errors import UsageError
from dyntex.networks.architecture import ShotNoiseResidualConfig

LDS = "LDS"
WHOLE = "fast, untrained"


def without(**changes: Any) -> CoopConfig:
    """``fast`` with other settings of its texture."""
    generator = cast(ShotNoiseResidualConfig, FAST.generator)
    return FAST.replaced(generator=replace(generator, texture=replace(generator.texture, **changes)))


PARTS: dict[str, CoopConfig] = {
    WHOLE: FAST,
    "Gaussian noise in place of sparse": without(sparsity=0.0, fade=0.5),
    "one region in place of 3x3": without(regions=1),
    "no curves: a line for each pixel": without(levels=2),
    "no ramp: colours on a line": without(colours=2),
    "curves of single pixels": without(smooth=0.0),
}
"""One part of the preset left out at a time, by what stands in its place."""


@dataclass(frozen=True)
class Ablation:
    """Every part of all clips, and trainings of some.

    Attributes:
        clips: on which.
        size, frames: of the clips.
        trained: names of the clips that are trained on; "all" or "none" of them.
        seconds: lengths of training.
    """

    name: ClassVar[str] = "ablation"

    clips: tuple[Source, ...] = setting(is_sources=True, quick=("example:ripples",))
    size: int = setting(64, quick=32)
    frames: int = setting(64, quick=24)
    trained: tuple[str, ...] = ("all",)
    seconds: tuple[float, ...] = setting((30.0, 60.0, 120.0, 300.0), quick=(1.0,))

    def __post_init__(self) -> None:
        known = ("all", "none", *(source.name for source in self.clips))
        if unknown := [name for name in self.trained if name not in known]:
            raise UsageError(f"--trained {','.join(unknown)} is none of the clips: choose among {', '.join(known)}")

    def cells(self) -> Iterator[Cell]:
        """All cells, the cheap ones first."""
        for source in self.clips:
            yield self._cell(LDS, source, None, 0.0)
            for model, config in PARTS.items():
                yield self._cell(model, source, config, 0.0)
        chosen = [source for source in self.clips if source.name in trained_on(self.trained, self.clips)]
        for seconds in (None, *self.seconds) if chosen else ():
            for source in chosen:
                yield self._cell(trained_name(seconds), source, FAST, seconds)

    def _cell(self, model: str, source: Source, config: CoopConfig | None, seconds: float | None) -> Cell:
        settings = {"clip": source.digest(), "size": self.size, "frames": self.frames}
        settings |= {"config": config, "seconds": seconds}
        return Cell(path_of(model, source.name), {"model": model, "clip": source.name}, settings)

    def make(self, cell: Cell, out: Path) -> Row:
        source = named(self.clips, cell.about["clip"])
        split = split_of(source, cell.settings["clip"], size=self.size, n_frames=self.frames)
        return make(cell.settings["config"], split, seconds=cell.settings["seconds"])

    def page(self, results: Results) -> list[str | Table]:
        config, cells = results["config"], {(row["model"], row["clip"]): row for row in ok_rows(results)}
        chosen = trained_on(config["trained"], config["clips"])
        about = f"Made by `{results['command']}`; two samples a cell."
        return ["# What `fast` is made of", about, *page(cells, list(config["clips"]), chosen, config["seconds"])]


def trained_on(words: Sequence[str], clips: Iterable[Source | str]) -> list[str]:
    """Names of the clips that the words mean."""
    names = [clip if isinstance(clip, str) else clip.name for clip in clips]
    return [name for name in names if name in words or "all" in words]


def make(config: CoopConfig | None, split: Split, *, seconds: float | None) -> Row:
    """Fit, draw two samples, and measure them: the generator's, and where it was trained the revised ones too.

    Args:
        config: None for LDS.
        split: the clip.
        seconds: of training; None for the config's iterations, 0 for none.

    Returns:
        ``alone`` and ``revised``: ``score``, ``diversity`` and ``copy_distance`` of the samples, as the benchmark's
        statistics have them; ``seconds`` of fitting and drawing, ``fit_seconds`` and ``iterations``.
    """
    began, rng, T = time.process_time(), torch.Generator().manual_seed(0), split.train.n_frames
    if config is None:
        lds = METHODS["lds"].fit(split.train, rng=rng)
        clips = {s: lds.synthesize(T, rng=rng_for(s, seed=0, device="cpu")) for s in SAMPLES}
        return {"seconds": time.process_time() - began, "alone": _numbers(clips, split)}
    progress = None if seconds is None else CpuBudget(seconds).share
    model = CoopNets.fit(split.train, config, rng=rng, progress=progress)
    fitted = time.process_time()

    def drawn(n_steps: int | None) -> dict[str, Any]:
        return {s: model.synthesize(T, rng=rng_for(s, seed=0, device="cpu"), n_steps=n_steps) for s in SAMPLES}

    made = {"alone": drawn(0)}
    found: Row = {"seconds": time.process_time() - began, "iterations": model.iterations}
    if model.iterations:
        made["revised"] = drawn(None)
    found["fit_seconds"] = fitted - began
    return found | {name: _numbers(clips, split) for name, clips in made.items()}


def _numbers(clips: Mapping[str, Any], split: Split) -> dict[str, float]:
    found = measure("statistics", clips, split)
    return {name: found[name] for name in ("score", "diversity", "copy_distance")}


def trained_name(seconds: float | None) -> str:
    return f"fast, {FAST.optimisation.iterations} iterations" if seconds is None else f"fast, {seconds:g} s"


Cells = Mapping[tuple[str, str], Row]


def page(cells: Cells, names: Sequence[str], chosen: Sequence[str], seconds: Sequence[float]) -> list[str | Table]:
    """The tables of the cells that are finished; a dash is a cell that is not.

    Args:
        cells: rows by model and clip.
        names: of all clips.
        chosen: names of those that are trained on.
        seconds: of training.
    """
    parts = [_part(cells, model, names) for model in (LDS, *PARTS)]
    rows = [_trained(cells, model, "alone", chosen) for model in (LDS, WHOLE)]
    rows += [_trained(cells, trained_name(None), kind, chosen) for kind in ("alone", "revised")]
    times = []
    for name in chosen:
        for kind in ("alone", "revised"):
            models = [WHOLE if kind == "alone" else "", *map(trained_name, seconds)]
            values = [_number(cells.get((model, name)), kind, "score") for model in models]
            lds = _number(cells.get((LDS, name)), "alone", "score")
            times.append([f"{name}, {_KINDS[kind]}", *map(_shown, values), _shown(lds)])
    return [
        "## One part left out at a time",
        "The statistics score (1 = as far as real from real), the geometric mean over the clips, and the means of "
        "diversity (real: 1), of copy distance (real: 1) and of the processor's seconds for fitting and two "
        "samples.",
        Table(["model", *names, "all", "diversity", "copy distance", "seconds"], parts, shown=99),
        "## Training",
        "Without training, as the preset trains, and the trained generator's samples revised by the trained "
        "descriptor, as `synthesize` and `sample` do by default.",
        Table(["model", *chosen, "all", "diversity", "copy distance", "iterations", "seconds of fitting"], rows),
        "## Score against training time",
        "A training for each length, on one thread; its learning rates fall over its second half.",
        Table(["clip", "0 s", *(f"{s:g} s" for s in seconds), LDS], times),
    ]


_KINDS = {"alone": "generator alone", "revised": "revised"}


def _part(cells: Cells, model: str, names: Sequence[str]) -> list[str]:
    found = [cells.get((model, name)) for name in names]
    return [model, *_scores(found, "alone"), _shown(_mean([_number(cell, None, "seconds") for cell in found]), 1)]


def _trained(cells: Cells, model: str, kind: str, names: Sequence[str]) -> list[str]:
    found = [cells.get((model, name)) for name in names]
    last = [_shown(_mean([_number(cell, None, key) for cell in found]), 0) for key in ("iterations", "fit_seconds")]
    return [f"{model}, revised" if kind == "revised" else model, *_scores(found, kind), *last]


def _scores(found: Sequence[Any], kind: str) -> list[str]:
    scores = [_number(cell, kind, "score") for cell in found]
    means = [_mean([_number(cell, kind, key) for cell in found]) for key in ("diversity", "copy_distance")]
    logs = [math.log(s) if s is not None else None for s in scores]
    mean = _mean(logs)
    return [*map(_shown, scores), _shown(None if mean is None else math.exp(mean)), *map(_shown, means)]


def _number(cell: Any, kind: str | None, key: str) -> float | None:
    where = cell if cell is None or kind is None else cell.get(kind)
    return None if where is None else where.get(key)


def _mean(values: Sequence[float | None]) -> float | None:
    """The mean, if all are there: a mean over other clips than its neighbour's would compare with nothing."""
    there = [value for value in values if value is not None]
    return statistics.mean(there) if there and len(there) == len(values) else None


def _shown(value: float | None, digits: int = 2) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
