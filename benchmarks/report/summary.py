"""Rows to tables: mean over seeds, then over clips, and how much of it is the seed's."""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from dyntex.benchmarks.metrics.statistics import STATISTICS
from dyntex.benchmarks.tasks.quality import HORIZONS

Row = dict[str, Any]


@dataclass(frozen=True)
class Column:
    """A number of a task's table.

    Attributes:
        key: its name in a row.
        title: its heading.
        digits: after the point.
        better: +1 where more is better, -1 where less is, 0 where neither is.
        spread: whether the table has room for the standard deviation.
    """

    key: str
    title: str
    digits: int
    better: int = 0
    spread: bool = True


COLUMNS: dict[str, tuple[Column, ...]] = {
    "paper": (
        Column("psnr", "PSNR free", 2, 1),
        Column("ssim", "SSIM free", 4, 1),
        Column("anchored_psnr", "PSNR anchored", 2, 1),
        Column("anchored_ssim", "SSIM anchored", 4, 1),
    ),
    "statistics": (
        Column("score", "score", 2, -1),
        Column("z", "z", 1, -1),
        Column("diversity", "diversity", 2),
        Column("copy_distance", "copy distance", 2),
        *(Column(name, name, 2, -1, spread=False) for name in STATISTICS),
    ),
    "critic": (
        Column("critic", "critic AUC", 2, -1),
        Column("critic_range", "between critics", 2, spread=False),
        Column("diversity", "diversity", 2),
        Column("copy_distance", "copy distance", 2),
    ),
    "extrapolation": (
        *(Column(f"psnr_{h}", f"PSNR +{h}", 2, 1, spread=False) for h in HORIZONS),
        *(Column(f"ssim_{h}", f"SSIM +{h}", 3, 1, spread=False) for h in HORIZONS),
    ),
    "speed": (
        Column("fit_seconds", "fit, s", 2, -1),
        Column("frames_per_second", "frames/s", 0, 1),
        Column("peak_mb", "peak MiB", 0, -1),
        Column("base_mb", "of it before fitting", 0),
        Column("n_parameters", "parameters", 0),
    ),
}


def column_of(task: str, key: str) -> Column:
    """The column of a task's table that shows a number of that name."""
    return next(column for column in COLUMNS[task] if column.key == key)


@dataclass(frozen=True)
class Summary:
    """A number over the cells of a method.

    Attributes:
        mean: over seeds, then clips; infinite where a clip's is; NaN where there is none.
        std: over seeds, of the mean over clips (T - 1 degrees of freedom): how much another seed would change ``mean``.
            NaN with one seed.
        clips: how many clips it is a mean over.
    """

    mean: float
    std: float
    clips: int


@dataclass(frozen=True)
class Line:
    """A method's line in a task's table."""

    method: str
    control: bool
    cells: tuple[Summary, ...]
    failed: int


def table(rows: Sequence[Row], task: str) -> list[Line]:
    """The lines of a task: methods in their order, then controls."""
    here = [row for row in rows if row["task"] == task]
    names = dict.fromkeys((row["control"], row["method"]) for row in here)
    lines = []
    for control, method in sorted(names, key=lambda name: name[0]):
        own = [row for row in here if row["method"] == method]
        cells = tuple(summarise(own, column.key) for column in COLUMNS[task])
        lines.append(Line(method, control, cells, sum(row["status"] != "ok" for row in own)))
    return lines


def summarise(rows: Sequence[Row], key: str) -> Summary:
    """Mean and standard deviation of one number over a method's rows."""
    by_clip: dict[str, dict[int, float]] = {}
    for row in rows:
        if (value := value_of(row, key)) is not None:
            by_clip.setdefault(row["clip"], {})[row["seed"]] = value
    if not by_clip:
        return Summary(math.nan, math.nan, 0)
    mean = statistics.fmean(statistics.fmean(seeds.values()) for seeds in by_clip.values())
    # Only seeds that every clip has: a mean over other clips differs by more than the seed.
    common = set.intersection(*(set(seeds) for seeds in by_clip.values()))
    means = [statistics.fmean(seeds[seed] for seeds in by_clip.values()) for seed in common]
    spread = statistics.stdev(means) if len(means) > 1 and all(map(math.isfinite, means)) else math.nan
    return Summary(mean, spread, len(by_clip))


def value_of(row: Row, key: str) -> float | None:
    """A row's number; infinity where a PSNR is None because every frame was exact; None where there is none."""
    if row["status"] != "ok" or key not in row:
        return None
    return math.inf if row[key] is None else float(row[key])


def per_clip(rows: Sequence[Row], task: str, key: str) -> dict[str, dict[str, Summary]]:
    """By clip, then method: a number's mean and standard deviation over seeds."""
    found: dict[str, dict[str, Summary]] = {}
    here = [row for row in rows if row["task"] == task]
    for clip in dict.fromkeys(row["clip"] for row in here):
        own = [row for row in here if row["clip"] == clip]
        found[clip] = {
            method: summarise([row for row in own if row["method"] == method], key)
            for method in dict.fromkeys(row["method"] for row in own)
        }
    return found


def shown(summary: Summary, column: Column) -> str:
    """``12.34 ± 0.05``; ``∞`` for identical clips; ``–`` where there is nothing."""
    if math.isnan(summary.mean):
        return "–"
    if math.isinf(summary.mean):
        return "∞"
    mean = f"{summary.mean:,.{column.digits}f}"
    return f"{mean} ± {summary.std:,.{column.digits}f}" if column.spread and not math.isnan(summary.std) else mean


def best(lines: Sequence[Line], task: str) -> list[int | None]:
    """By column, which line of a method (never a control) has the best mean."""
    winners: list[int | None] = []
    for c, column in enumerate(COLUMNS[task]):
        able = [(line.cells[c].mean * column.better, i) for i, line in enumerate(lines) if not line.control]
        able = [(value, i) for value, i in able if not math.isnan(value)]
        winners.append(max(able)[1] if able and column.better else None)
    return winners
