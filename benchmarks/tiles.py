"""Larger frames and tiles: whether a part of a larger frame is as good as a frame of the size that was taught.

``python -m benchmarks.tiles CLIPS... --out tiles.md`` writes the page: ``fast-st`` is taught, and then makes a frame
``--grown`` times as large whose ends meet in space and in time, of which parts of the taught size are scored. Beside
them stand what the same model makes at the taught size with everything in its place; a tile of that size, which is of
the same law as the large one; and the real frames, laid anew by the same rule. The score tells places apart, so that
even these are far from the clip, and no texture of pieces is expected to be nearer.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from benchmarks.data import Ground, find_clips, prepare
from benchmarks.summary import grid
from dyntex.clip import Clip
from dyntex.coopnets.capabilities import resized
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import FAST_ST
from dyntex.textures.loop_seam import seam
from dyntex.textures.quilting import quilt

EVERYWHERE = (True, True, True)


@dataclass(frozen=True)
class Found:
    """The scores of one clip.

    Attributes:
        placed: of a frame of the taught size with everything in its place.
        tile: of a tile of that size.
        parts: of parts of the large frame, one each.
        real: of a tile of real frames.
        seams: by axis, the step across the seam and the acceleration, as percentiles of the large frame's own.
    """

    placed: float
    tile: float
    parts: list[float]
    real: float
    seams: dict[str, tuple[float, float]]


def measure(ground: Ground, *, grown: int, n_parts: int, iterations: int, seed: int = 1) -> Found:
    """Teach ``fast-st``, make frames of both sizes and score them.

    Raises:
        UsageError: the clip is not alike all over the frame.
    """

    def rng(offset: int = 0) -> torch.Generator:
        return torch.Generator().manual_seed(seed + offset)

    def score(video: Tensor) -> float:
        return ground.yardstick.score(Clip(video.contiguous(), ground.train.fps)).value

    train = ground.train
    n_frames, height, width = train.video.shape[1:]
    model = CoopNets.fit(train, replace(FAST_ST, iterations=iterations), rng=rng())
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
    return Found(
        placed=score(model.synthesize(n_frames, rng=rng(), n_steps=0).video),
        tile=score(tile.synthesize(n_frames, rng=rng(), n_steps=0, periodic=EVERYWHERE).video),
        parts=parts,
        real=score(plan.lay(train.video)),
        seams={axis: (s.own_step_percentile, s.own_acceleration_percentile) for axis, s in seams.items()},
    )


def page(where: Sequence[str], *, size: int, n_frames: int, grown: int, n_parts: int, iterations: int) -> str:
    """The whole page in Markdown.

    Raises:
        InputError: a clip cannot be read or is too short.
        UsageError: a clip is not alike all over the frame.
    """
    scores, seams = [], []
    for source in find_clips(where):
        ground = prepare(source, size=size, n_frames=n_frames)
        found = measure(ground, grown=grown, n_parts=n_parts, iterations=iterations)
        mean = statistics.geometric_mean(found.parts)
        spread = f"{mean:.2f} ({min(found.parts):.2f} to {max(found.parts):.2f})"
        columns = [f"{value:.2f}" for value in (found.placed, found.tile)]
        scores.append([source.name, *columns, spread, f"{mean / found.tile:.2f}", f"{found.real:.2f}"])
        places = [f"{step:.0f} / {bend:.0f}" for step, bend in found.seams.values()]
        seams.append([source.name, *places])
    large = f"{grown * size}x{grown * size}"
    return "\n\n".join(
        [
            "# Larger frames and tiles",
            f"Made by `python -m benchmarks.tiles CLIPS --size {size} --frames {n_frames} --grown {grown} "
            f"--parts {n_parts} --iterations {iterations}`: `fast-st` taught on {size}x{size} for {iterations} "
            "iterations, sampled without Langevin revision (`--steps 0`), looping and tiling (`--loop --tile xy`).",
            "## Statistics score",
            f"Of a sample of {size}x{size}, everything in its place; of a tile of that size; the geometric mean of "
            f"{n_parts} random parts of {large}, with the least and the greatest; its ratio to the tile's; and of a "
            "tile of real frames. 1 is as far as real from real; the score compares what is where in the frame, so "
            "that a texture that is free to lie anywhere pays for it, a real one too.",
            grid(["clip", "in place", "tile", f"parts of {large}", "parts / tile", "*real tile*"], scores),
            "## Seams",
            f"Of {large}: percentiles of the step across the seam, and of the acceleration, among the frame's own.",
            grid(["clip", "time", "top and bottom", "left and right"], seams),
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the page of larger frames.")
    parser.add_argument("clips", nargs="+", help="a folder, files, example:NAME or examples")
    parser.add_argument("--out", type=Path, required=True, help="the Markdown file")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--frames", type=int, default=60)
    parser.add_argument("--grown", type=int, default=4, help="times as high and wide")
    parser.add_argument("--parts", type=int, default=4)
    parser.add_argument("--iterations", type=int, default=FAST_ST.iterations)
    a = parser.parse_args()
    settings = {"grown": a.grown, "n_parts": a.parts, "iterations": a.iterations}
    text = page(a.clips, size=a.size, n_frames=a.frames, **settings)
    a.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
