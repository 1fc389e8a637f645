"""What another choice of clips would have changed: bootstrap intervals over clips, and means without the worst clip."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.report.summary import Column, Row, per_clip, shown, summarise, table

RESAMPLES = 5000
LEVEL = 0.95


def bootstrap(values: Sequence[float], *, seed: int = 0) -> tuple[float, float]:
    """The ends of the 95 % percentile interval of the mean over clips, clips drawn anew with replacement (Efron 1979).

    Args:
        values: one a clip, finite.
        seed: of the draws.

    Returns:
        NaN twice with fewer than two clips: one clip says nothing of others.
    """
    if len(values) < 2:
        return math.nan, math.nan
    rng = np.random.default_rng(seed)
    means = np.asarray(values)[rng.integers(len(values), size=(RESAMPLES, len(values)))].mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return float(low), float(high)


def without_worst(values: Mapping[str, float], *, better: int) -> tuple[str, float]:
    """The clip with the worst value, and the mean over the others.

    Args:
        values: by clip, two or more.
        better: +1 where more is better, -1 where less is.
    """
    worst = min(values, key=lambda clip: values[clip] * better)
    rest = [value for clip, value in values.items() if clip != worst]
    return worst, sum(rest) / len(rest)


def over_clips(rows: Sequence[Row], task: str, column: Column) -> Table | None:
    """A line a method: the mean over clips, its interval, the worst clip, the mean without it. None for one clip."""
    found = per_clip(rows, task, column.key)
    if len(found) < 2:
        return None
    lines = []
    for line in table(rows, task):
        means = {clip: cells[line.method].mean for clip, cells in found.items() if line.method in cells}
        values = {clip: mean for clip, mean in means.items() if math.isfinite(mean)}
        own = [row for row in rows if row["task"] == task and row["method"] == line.method]
        cells = [f"*{line.method}*" if line.control else line.method, shown(summarise(own, column.key), column)]
        if len(values) < 2:
            lines.append([*cells, "–", "–", "–"])
            continue
        low, high = bootstrap(list(values.values()))
        worst, rest = without_worst(values, better=column.better)
        digits = column.digits
        lines.append([*cells, f"{low:.{digits}f} to {high:.{digits}f}", worst, f"{rest:.{digits}f}"])
    return Table(["method", column.title, "95 % over clips", "worst clip", "mean without it"], lines)
