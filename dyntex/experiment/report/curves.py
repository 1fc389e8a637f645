"""The curves of a training, as SVG: transparent, in greys and few colours, readable on light and on dark."""

from __future__ import annotations

import io
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

GREY = "#8a8a8a"
BLUE = "#0072B2"
STYLE = {
    "svg.hashsalt": "dyntex",  # equal figures are equal files
    "font.family": "sans-serif",
    "font.size": 9,
    "text.color": GREY,
    "axes.labelcolor": GREY,
    "axes.edgecolor": GREY,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.linewidth": 0.6,
    "xtick.color": GREY,
    "ytick.color": GREY,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
}
"""Of every figure of the project: a report is read on light and on dark."""
TITLED = STYLE | {"axes.titlesize": 9, "axes.formatter.limits": (-3, 4)}

CURVES = {
    "energy": "energy of the revised samples",
    "gap": "energy gap: f(clip) - f(samples)",
    "gen_loss": "generator's loss",
}
"""What is drawn of a journal's records (:class:`dyntex.coopnets.train.StepInfo`), and the title that it gets."""


def read_journal(path: Path) -> list[dict[str, float]]:
    """The records of ``metrics.jsonl`` up to the first that a crash cut short; none where there is no file."""
    records = []
    for line in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            records.append(json.loads(line))
        except ValueError:
            break
    return records


def curves(records: Sequence[Mapping[str, float]]) -> str:
    """Energy, gap and loss over the iterations, as an SVG document."""
    with mpl.rc_context(TITLED):
        figure = Figure(figsize=(3.2 * len(CURVES), 2.3))
        # Margins by hand: to find them, matplotlib draws everything a second time.
        figure.subplots_adjust(left=0.05, right=0.995, bottom=0.2, top=0.86, wspace=0.22)
        for axes, (key, title) in zip(figure.subplots(1, len(CURVES)), CURVES.items(), strict=True):
            _draw(axes, records, key, title)
        buffer = io.StringIO()
        figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None})
    return buffer.getvalue()


def _draw(axes: Any, records: Sequence[Mapping[str, float]], key: str, title: str) -> None:
    found = [(r["iteration"], r[key]) for r in records if math.isfinite(r.get(key, math.nan))]
    # One iteration is a point, which a line would not show.
    axes.plot(*zip(*found, strict=True) if found else ((), ()), "." if len(found) == 1 else "-", color=BLUE, lw=1.1)
    axes.set_title(title)
    axes.set_xlabel("iteration")
    axes.xaxis.get_major_locator().set_params(integer=True)
