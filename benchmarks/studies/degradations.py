"""What the score of the statistics makes of real clips that are degraded by known amounts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from benchmarks.data import Source, named
from benchmarks.ladder import CORRUPTIONS, climb
from benchmarks.metrics.statistics import STATISTICS
from benchmarks.report.markdown import Table
from benchmarks.study import Cell, Results, Row, ok_rows, path_of, setting


@dataclass(frozen=True)
class Degradations:
    """Every degradation of every clip.

    Attributes:
        clips: on which.
        size: side of the frames.
        frames: of the degraded clip; as many are held out.
    """

    name: ClassVar[str] = "degradations"

    clips: tuple[Source, ...] = setting(is_sources=True, quick=("example:ripples",))
    size: int = setting(64, quick=32)
    frames: int = setting(64, quick=24)

    def cells(self) -> Iterator[Cell]:
        for source in self.clips:
            settings = {"clip": source.digest(), "size": self.size, "frames": self.frames, "amounts": CORRUPTIONS}
            yield Cell(path_of(source.name), {"clip": source.name}, settings)

    def make(self, cell: Cell, out: Path) -> Row:
        source = named(self.clips, cell.about["clip"])
        found = climb(source, size=self.size, n_frames=self.frames)
        return {
            "scores": [
                {"degradation": name, "amount": amount, "score": score.value, "ratios": score.ratios}
                for (name, amount), score in found.items()
            ]
        }

    def page(self, results: Results) -> list[str | Table]:
        rows, size, n_frames = ok_rows(results), results["config"]["size"], results["config"]["frames"]
        found = {row["clip"]: {(s["degradation"], s["amount"]): s for s in row["scores"]} for row in rows}
        lines = []
        for name, amount in dict.fromkeys(step for scores in found.values() for step in scores):
            scores = [by_step.get((name, amount)) for by_step in found.values()]
            worst, ratio = _seen_most([score["ratios"] for score in scores if score is not None])
            cells = [f"{score['score']:.2f}" if score else "–" for score in scores]
            lines.append([name, f"{amount:g}", *cells, f"{worst} {ratio:.1f}" if name != "nothing" else "–"])
        ups = [
            higher["score"] > lower["score"]
            for scores in found.values()
            for name in CORRUPTIONS
            for lower, higher in pairwise(score for (of, _), score in scores.items() if of in ("nothing", name))
        ]
        return [
            "# Degradations",
            f"Made by `{results['command']}`; see [benchmark.md](../benchmark.md).",
            f"The score of the training segment, degraded, at {size}x{size} and {n_frames} frames: 1 as it is. Of "
            f"{len(ups)} steps to a larger amount, {sum(ups)} raise it. Last, the statistic with the largest ratio "
            "(geometric mean over the clips).",
            Table(["degradation", "amount", *found, "seen most by"], lines, shown=9),
        ]


def _seen_most(ratios: Sequence[Mapping[str, float]]) -> tuple[str, float]:
    # A ratio is 0 where the degraded clip is exactly the held-out one in a statistic; 1e-9 keeps its logarithm.
    means = {name: math.exp(sum(math.log(max(of[name], 1e-9)) for of in ratios) / len(ratios)) for name in STATISTICS}
    worst = max(means, key=lambda name: means[name])
    return worst, means[worst]
