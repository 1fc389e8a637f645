"""Whether the score is valid where it is printed: fakes rank behind the real clip, and a number exposes each."""

from __future__ import annotations

from collections.abc import Sequence

from dyntex.benchmarks.metrics.statistics import STATISTICS
from dyntex.benchmarks.report.markdown import grid
from dyntex.benchmarks.report.summary import Row, Summary, per_clip, table

REAL = "later-real"
"""Scored from the training segment's side: about 1, the unit of the others."""

# A real stretch of one clip against another was seen between .67 and 1.5 (docs/benchmark.md): a score beyond that is no
# matter of chance. A single statistic varies more, so three times the real distance; a replay's copy distance is 0.
# Diversity says nothing here: that a control gives one clip over and over is how it is defined.
SCORE, RATIO, NEAR = 1.5, 3.0, 0.5

Numbers = dict[str, dict[str, dict[str, Summary]]]  # by number, clip, control


def exposures(numbers: Numbers, clip: str, control: str) -> list[str]:
    """The numbers that give a control away on a clip, the plainest of the ratios alone."""
    told = {name: numbers[name][clip][control].mean for name in numbers if control in numbers[name][clip]}
    found = [f"score {told['score']:.2f}"] if told.get("score", 0.0) > SCORE else []
    worst = max(STATISTICS, key=lambda name: told.get(name, 0.0))
    found += [f"{worst} {told[worst]:.1f}"] if told.get(worst, 0.0) > RATIO else []
    near = told.get("copy_distance", 1.0)
    return found + ([f"copy distance {near:.2f}"] if near < NEAR else [])


def score_validity(rows: Sequence[Row]) -> list[str]:
    """Markdown paragraphs: the controls of each clip in the score's order, and how each fake is exposed."""
    controls = [line.method for line in table(rows, "statistics") if line.control]
    if REAL not in controls:
        return []
    names = ("score", *STATISTICS, "copy_distance")
    own = [row for row in rows if row["control"]]
    numbers = {name: per_clip(own, "statistics", name) for name in names}
    scores = numbers["score"]
    fakes = [name for name in controls if name not in (REAL, "fresh-sample")]
    ranks = [[clip, _ranking(cells)] for clip, cells in scores.items()]
    first = sum(
        all(cells[REAL].mean <= cells[name].mean for name in fakes if name in cells) for cells in scores.values()
    )
    found = [
        [clip, *("; ".join(exposures(numbers, clip, name)) or "**not exposed**" for name in fakes)]
        for clip, cells in scores.items()
        if all(name in cells for name in fakes)
    ]
    return [
        f"The real held-out segment ranks first, or level with the copy, on {first} of {len(scores)} clips. A fake is "
        f"exposed by a score above {SCORE:g}, by a ratio above {RATIO:g} (the largest is named), or by a copy distance "
        f"under {NEAR:g}.",
        grid(["clip", "controls by score, best first"], ranks),
        grid(["clip", *(f"*{name}*" for name in fakes)], found),
    ]


def _ranking(cells: dict[str, Summary]) -> str:
    return ", ".join(f"{name} {cells[name].mean:.2f}" for name in sorted(cells, key=lambda name: cells[name].mean))
