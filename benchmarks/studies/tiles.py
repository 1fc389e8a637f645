"""Larger frames and tiles: whether a part of a larger frame is as good as a frame of the size that was learnt.

``fast-st`` is trained, and then makes a frame several times as large whose ends meet in space and in time, of which
parts of the learnt size are scored. Beside them stand what the same model makes at the learnt size with everything in
its place; a tile of that size, which is of the same law as the large one; and the real frames, laid anew by the same
rule. The score tells places apart, so that even these are far from the clip, and no texture of pieces is expected to
be nearer.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from dyntex.benchmarks.data import Source, Split, named, split_clip
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.study import Cell, Results, Row, ok_rows, path_of, setting
from dyntex.clip import Clip
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import FAST_ST
from dyntex.coopnets.resize import resized
from dyntex.textures.loop_seam import seam
from dyntex.textures.quilting import quilt

EVERYWHERE = (True, True, True)


@dataclass(frozen=True)
class Tiles:
    """Frames ``grown`` times as large.

    Attributes:
        clips: on which; each has to be alike all over the frame.
        size, frames: of the clips.
        grown: times as high and as wide.
        parts: of the large frame that are scored.
        iterations: of the preset.
    """

    name: ClassVar[str] = "tiles"

    clips: tuple[Source, ...] = setting(is_sources=True, quick=("example:ripples",))
    size: int = setting(128, quick=32)
    frames: int = setting(60, quick=24)
    grown: int = setting(4, quick=2)
    parts: int = setting(4, quick=2)
    iterations: int = setting(FAST_ST.optimisation.iterations, quick=1)

    def cells(self) -> Iterator[Cell]:
        shape = {"size": self.size, "frames": self.frames, "grown": self.grown, "parts": self.parts}
        for source in self.clips:
            settings = {"clip": source.digest(), "config": FAST_ST.replaced(iterations=self.iterations), **shape}
            yield Cell(path_of(source.name), {"clip": source.name}, settings)

    def make(self, cell: Cell, out: Path) -> Row:
        source = named(self.clips, cell.about["clip"])
        split = split_clip(source, size=self.size, n_frames=self.frames)
        return measure(split, grown=self.grown, n_parts=self.parts, iterations=self.iterations)

    def page(self, results: Results) -> list[str | Table]:
        return page(ok_rows(results), results["config"], command=results["command"])


def measure(split: Split, *, grown: int, n_parts: int, iterations: int, seed: int = 1) -> Row:
    """Train ``fast-st``, make frames of both sizes and score them.

    Returns:
        scores: ``placed``, of a frame of the size that was learnt with everything in its place; ``tile``, of a tile of
        that size; ``parts``, of parts of the large frame, one each; ``real``, of a tile of real frames. And ``seams``,
        by axis: the step across the seam and the acceleration, as percentiles of the large frame's own.

    Raises:
        UsageError: the clip is not alike all over the frame.
    """

    def rng(offset: int = 0) -> torch.Generator:
        return torch.Generator().manual_seed(seed + offset)

    def score(video: Tensor) -> float:
        return split.yardstick.score(Clip(video.contiguous(), split.train.fps)).value

    train = split.train
    n_frames, height, width = train.video.shape[1:]
    model = CoopNets.fit(train, FAST_ST.replaced(iterations=iterations), rng=rng())
    tile = resized(model, height, width, rng=rng(), tile=True)
    large = resized(model, grown * height, grown * width, rng=rng(), tile=True)
    made = large.synthesize(n_frames, rng=rng(), n_steps=0, periodic=EVERYWHERE)
    parts = []
    where = rng(1)
    for _ in range(n_parts):
        top, left = (int(torch.randint((grown - 1) * n + 1, (1,), generator=where)) for n in (height, width))
        parts.append(score(made.video[:, :, top : top + height, left : left + width]))
    plan = quilt(train.video.flatten(0, 1), height, width, rng=rng())
    seams = {axis: seam(made, None, axis=axis) for axis in ("t", "y", "x")}
    return {
        "placed": score(model.synthesize(n_frames, rng=rng(), n_steps=0).video),
        "tile": score(tile.synthesize(n_frames, rng=rng(), n_steps=0, periodic=EVERYWHERE).video),
        "parts": parts,
        "real": score(plan.lay(train.video)),
        "seams": {axis: (s.own_step_percentile, s.own_acceleration_percentile) for axis, s in seams.items()},
    }


def page(rows: Sequence[Row], config: Mapping[str, Any], *, command: str) -> list[str | Table]:
    """The whole page."""
    size, n_parts, iterations = config["size"], config["parts"], config["iterations"]
    scores, seams = [], []
    for row in rows:
        mean = statistics.geometric_mean(row["parts"])
        spread = f"{mean:.2f} ({min(row['parts']):.2f} to {max(row['parts']):.2f})"
        columns = [f"{row[key]:.2f}" for key in ("placed", "tile")]
        scores.append([row["clip"], *columns, spread, f"{mean / row['tile']:.2f}", f"{row['real']:.2f}"])
        seams.append([row["clip"], *(f"{step:.0f} / {bend:.0f}" for step, bend in row["seams"].values())])
    large = f"{config['grown'] * size}x{config['grown'] * size}"
    return [
        "# Larger frames and tiles",
        f"Made by `{command}`: `fast-st` trained on {size}x{size} for {iterations} iterations, sampled without "
        "Langevin revision (`--steps 0`), looping and tiling (`--loop --tile xy`).",
        "## Statistics score",
        f"Of a sample of {size}x{size}, everything in its place; of a tile of that size; the geometric mean of "
        f"{n_parts} random parts of {large}, with the least and the greatest; its ratio to the tile's; and of a "
        "tile of real frames. 1 is as far as real from real; the score compares what is where in the frame, so "
        "that a texture that is free to lie anywhere pays for it, a real one too.",
        Table(["clip", "in place", "tile", f"parts of {large}", "parts / tile", "*real tile*"], scores, shown=6),
        "## Seams",
        f"Of {large}: percentiles of the step across the seam, and of the acceleration, among the frame's own.",
        Table(["clip", "time", "top and bottom", "left and right"], seams),
    ]
