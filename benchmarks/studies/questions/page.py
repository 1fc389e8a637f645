"""The page of the questions: tables of the cells that are finished, and what they say of the paper's claims."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence

from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.studies.questions.datasets import SET_TIMES
from dyntex.benchmarks.studies.questions.fitting import COMPARED, TOGETHER, Trainer
from dyntex.benchmarks.study import Row

METRICS = ("score", "diversity", "copy_distance")


def page(cells: Sequence[Row], *, seconds: float, command: str) -> list[str | Table]:
    """The whole page; cells that are not finished are left out."""
    return [
        "# The paper's questions",
        f"Made by `{command}`; a killed one goes on where it was.",
        f"Every training has {seconds:g} seconds of one core, the same two small networks "
        "(`benchmarks/studies/questions/nets.py`), the same first weights and the same data; seconds of measuring are "
        f"not counted. On the set of textures it has {SET_TIMES:g} times that. A score is a distance to held-out real "
        "data over the distance from real to real: 1 is real, less is better. Means and, with several seeds, standard "
        "deviations over seeds.",
        "Clips (32x32, learnt from windows of 16 frames) have score, diversity and copy distance of the benchmark's "
        "statistics. Digits (16x16) have the geometric mean of two Fréchet distances to held-out ones, each over "
        "that of half of them to the other half: of the features of a classifier of real digits, and of the pixels; "
        "diversity is the distance from a sample to the nearest other one, and copy distance that to the nearest "
        "training image, over the same of real ones.",
        *_one(cells),
        *_two(cells),
        *_three(cells),
        *_four(cells),
    ]


def _one(cells: Sequence[Row]) -> list[str | Table]:
    named = [name for name in _subjects(cells) if _values(cells, name, Trainer.DESCRIPTOR, "score")]
    if not named:
        return []
    parts: list[str | Table] = [
        "## RQ1: does cooperation beat each network alone, a VAE and a GAN?",
        _verdict(cells, named),
    ]
    for metric in METRICS:
        rows = [
            [str(trainer), *(_shown(_values(cells, name, trainer, metric)) for name in named)] for trainer in Trainer
        ]
        rows.append(["*training data*", *(_shown(_real(cells, name, metric)) for name in named)])
        if metric == "score":
            for row, trainer in zip(rows, Trainer, strict=False):
                row.append(_shown([_geometric(cells, named, trainer)]))
            rows[-1].append("–")
        header = [metric.replace("_", " "), *named, *(["all"] if metric == "score" else [])]
        parts.append(Table(header, rows))
    counts = [
        [str(trainer), *(_shown(_values(cells, name, trainer, "iterations"), 0) for name in named)]
        for trainer in Trainer
    ]
    parts += ["Iterations that the seconds were enough for:", Table(["iterations", *named], counts)]
    return parts


def _verdict(cells: Sequence[Row], named: Sequence[str]) -> str:
    """How often each cooperative trainer is ahead of the others, dataset by dataset, on the mean over seeds."""
    return " ".join(
        f"By its mean score the trainer *{ours}* is ahead of: "
        + "; ".join(_ahead(cells, named, ours, trainer) for trainer in Trainer if trainer is not ours)
        + "."
        for ours in TOGETHER
    )


def _ahead(cells: Sequence[Row], named: Sequence[str], ours: Trainer, trainer: Trainer) -> str:
    pairs = [(_values(cells, name, ours, "score"), _values(cells, name, trainer, "score")) for name in named]
    both = [(statistics.fmean(a), statistics.fmean(b)) for a, b in pairs if a and b]
    return f"{trainer} on {sum(a < b for a, b in both)} of {len(both)}"


def _two(cells: Sequence[Row]) -> list[str | Table]:
    found = [cell for cell in cells if "along" in cell]
    if not found:
        return []
    parts: list[str | Table] = [
        "## RQ2: how does MCMC train the generator?",
        "Along the cooperative training: the score of what the generator makes and of what the descriptor's Langevin "
        "dynamics make of it; energies per pixel value (of the descriptor of that moment, so only their order within a "
        "row compares); the distance that the dynamics move (root mean square in [-1, 1]), and the part of it that is "
        "not noise: the same steps at temperature 0.",
    ]
    keys = ("score_gen", "score_rev", "energy_gen", "energy_rev", "distance", "drift")
    header = ["iteration", "score of y_gen", "of y_rev", "energy of y_gen", "of y_rev", "distance", "drift"]
    for cell in found:
        rows = [[str(look["iteration"]), *(f"{look[key]:.3g}" for key in keys)] for look in cell["along"]]
        parts += [f"### {cell['dataset']}", Table(header, rows)]
    better = [look["score_rev"] < look["score_gen"] for cell in found for look in cell["along"]]
    lower = [look["energy_rev"] < look["energy_gen"] for cell in found for look in cell["along"]]
    shrunk = [cell["along"][-1]["drift"] < max(look["drift"] for look in cell["along"]) for cell in found]
    parts.insert(
        2,
        f"The revision lowers the energy in {sum(lower)} of {len(lower)} looks and the score in {sum(better)}; the "
        f"drift at the end is less than at its greatest on {sum(shrunk)} of {len(shrunk)}.",
    )
    return parts


def _three(cells: Sequence[Row]) -> list[str | Table]:
    named = [name for name in _subjects(cells) if _values(cells, name, Trainer.COOP, "modes")]
    if not named:
        return []
    parts: list[str | Table] = [
        "## RQ3: do modes collapse?",
        "Cooperative training against the non-saturating GAN of the same networks. A classifier of real data says "
        "which class a sample is of: how many classes there are among the samples, and the divergence of their shares "
        "from equal ones in nats.",
    ]
    for name in named:
        keys = [key for key in ("modes", "kl", "score", "diversity") if _real(cells, name, key)]
        rows = [[str(trainer), *(_shown(_values(cells, name, trainer, key)) for key in keys)] for trainer in COMPARED]
        rows.append(["*real*", *(_shown(_real(cells, name, key)) for key in keys)])
        parts += [f"### {name}", Table(["trainer", *keys], rows)]
    return parts


def _four(cells: Sequence[Row]) -> list[str | Table]:
    found = [cell for cell in cells if "chains" in cell]
    if not found:
        return []
    parts: list[str | Table] = [
        "## RQ4: does the generator distil the chain?",
        "The score of chains after so many Langevin steps of the trained descriptor, from what the generator makes and "
        "from noise, and the milliseconds of one sample (a clip, an image) with the steps before it.",
    ]
    for cell in found:
        ours, others = cell["chains"]["generator"], cell["chains"]["noise"]
        rows = [
            [str(a["steps"]), f"{a['score']:.2f}", f"{b['score']:.2f}", f"{a['milliseconds']:.3g}"]
            for a, b in zip(ours, others, strict=True)
        ]
        ahead = [b["steps"] for b in others if b["score"] <= ours[0]["score"]]
        first = f"{min(ahead)} steps from noise are as good as" if ahead else "No chain from noise is as good as"
        parts += [
            f"### {cell['dataset']}",
            f"{first} the generator alone.",
            Table(["steps", "score from y_gen", "from noise", "milliseconds"], rows),
        ]
    return parts


def _subjects(cells: Sequence[Row]) -> list[str]:
    return list(dict.fromkeys(cell["dataset"] for cell in cells))


def _values(cells: Sequence[Row], dataset: str, trainer: Trainer, key: str) -> list[float]:
    """A number of a trainer over seeds."""
    own = [cell for cell in cells if cell["dataset"] == dataset and cell.get("trainer") == trainer]
    return [value for cell in own if (value := (cell | cell["numbers"]).get(key)) is not None]


def _real(cells: Sequence[Row], dataset: str, key: str) -> list[float]:
    own = [cell for cell in cells if cell["dataset"] == dataset and "real" in cell]
    return [cell["numbers"][key] for cell in own if key in cell["numbers"]]


def _geometric(cells: Sequence[Row], named: Sequence[str], trainer: Trainer) -> float:
    """The geometric mean over datasets of the mean score over seeds; NaN unless all are there."""
    scores = [_values(cells, name, trainer, "score") for name in named]
    return statistics.geometric_mean(map(statistics.fmean, scores)) if all(scores) else math.nan


def _shown(values: Sequence[float], digits: int = 2) -> str:
    if not values or math.isnan(values[0]):
        return "–"
    mean = f"{statistics.fmean(values):.{digits}f}"
    return f"{mean} ± {statistics.stdev(values):.{digits}f}" if len(values) > 1 else mean
