"""What the score of the statistics makes of real clips that are degraded by known amounts."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import ClassVar

from dyntex.benchmarks.data import Source, named
from dyntex.benchmarks.degradations import DEGRADATIONS, REVERSIBLE, degraded_scores
from dyntex.benchmarks.metrics.statistics import STATISTICS
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.study import Cell, Results, Row, ok_rows, path_of, setting


@dataclass(frozen=True)
class Degradations:
    """Every degradation of every clip.

    Attributes:
        clips: on which.
        size: side of the frames.
        frames: of the degraded clip; as many are held out.
        draws: of each example.
    """

    name: ClassVar[str] = "degradations"

    clips: tuple[Source, ...] = setting(is_sources=True, quick=("example:ripples",))
    size: int = setting(64, quick=32)
    frames: int = setting(64, quick=24)
    draws: int = setting(4, quick=1)

    def cells(self) -> Iterator[Cell]:
        for source in self.clips:
            settings = {"clip": source.digest(), "size": self.size, "frames": self.frames, "draws": self.draws}
            yield Cell(path_of(source.name), {"clip": source.name}, settings | {"amounts": DEGRADATIONS})

    def make(self, cell: Cell, out: Path) -> Row:
        source = named(self.clips, cell.about["clip"])
        draws = degraded_scores(source, size=self.size, n_frames=self.frames, n_draws=self.draws)
        scores = []
        for name, amount in draws[0]:
            found = [draw[name, amount] for draw in draws]
            ratios = {key: _geometric_mean([score.ratios[key] for score in found]) for key in STATISTICS}
            score = _geometric_mean([score.value for score in found])
            z = sum(score.z for score in found) / len(found)
            scores.append({"degradation": name, "amount": amount, "score": score, "z": z, "ratios": ratios})
        return {"scores": scores, "draws": len(draws)}

    def page(self, results: Results) -> list[str | Table]:
        rows, size, n_frames = ok_rows(results), results["config"]["size"], results["config"]["frames"]
        found = {row["clip"]: {(s["degradation"], s["amount"]): s for s in row["scores"]} for row in rows}
        draws = {row["clip"]: row["draws"] for row in rows}
        lines = []
        for name, amount in dict.fromkeys(step for scores in found.values() for step in scores):
            scores = [by_step.get((name, amount)) for by_step in found.values()]
            worst, ratio = _seen_most([score["ratios"] for score in scores if score is not None])
            cells = [f"{score['score']:.2f}" if score else "–" for score in scores]
            lines.append([name, f"{amount:g}", *cells, f"{worst} {ratio:.1f}" if name != "nothing" else "–"])
        steps = [
            (f"{clip}: {name} from {lower['amount']:g} to {higher['amount']:g}", higher["score"] > lower["score"])
            for clip, scores in found.items()
            for name in DEGRADATIONS
            if not (name == "reversal" and clip in REVERSIBLE)
            for lower, higher in pairwise(score for (of, _), score in scores.items() if of in ("nothing", name))
        ]
        failed = [step for step, raised in steps if not raised]
        return [
            "# Degradations",
            f"Made by `{results['command']}`; see [benchmark.md](../benchmark.md).",
            f"The score of the training segment, degraded, at {size}x{size} and {n_frames} frames: about 1 as it is. "
            "Geometric means over draws of an example ("
            + ", ".join(f"{clip} {n}" for clip, n in draws.items())
            + f"). Of {len(steps)} steps to a larger amount, {len(steps) - len(failed)} raise it"
            + (f"; not: {'; '.join(failed)}" if failed else "")
            + ". Last, the statistic with the largest ratio (geometric mean over the clips). The law of ripples is the "
            "same backwards, so its reversal is no step.",
            Table(["degradation", "amount", *found, "seen most by"], lines, shown=9),
        ]


def _geometric_mean(values: Sequence[float]) -> float:
    # A ratio is 0 where the degraded clip is exactly the held-out one in a statistic; 1e-9 keeps its logarithm.
    return math.exp(sum(math.log(max(value, 1e-9)) for value in values) / len(values))


def _seen_most(ratios: Sequence[Mapping[str, float]]) -> tuple[str, float]:
    means = {name: _geometric_mean([of[name] for of in ratios]) for name in STATISTICS}
    worst = max(means, key=lambda name: means[name])
    return worst, means[worst]
