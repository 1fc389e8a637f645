"""Seams of loops: per clip and method, where the step from the last frame to the first lies among the clip's own.

``python -m benchmarks.seams CLIPS... --out loops.md`` writes the page. A loop is drawn as ``--loop`` draws it, and its
seam measured as the command tells it (:mod:`dyntex.textures.loop_seam`). Beside the loops stand an open end, which
is the same method's free sample played as if it were one, and the real clip's own places, of which not all are
ordinary either.
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from baselines import METHODS
from benchmarks.data import find_clips
from dyntex.clip import Clip
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import FAST
from dyntex.media import read_clip
from dyntex.textures.loop_seam import ORDINARY, Seam, along, percentile, seam
from dyntex.textures.stationarity import already_loops, spatial

LINEAR = ("lds", "fft-lds", "hosvd")
LENGTHS = (16, 32, 64)
FEW = 2
"""Seeds over which amplitudes are averaged: they vary less than seams."""

Draw = Callable[[int, bool, torch.Generator], Clip]
"""(frames, whether a loop, noise) -> clip."""


@dataclass(frozen=True)
class Cell:
    """The loops of one method on one clip.

    Attributes:
        seams: one a seed.
        amplitude: by length of the loop, mean square deviation from the clip's mean frame over the free sample's.
    """

    seams: list[Seam]
    amplitude: dict[int, float]

    def among_real(self) -> str:
        """Median percentiles of step and acceleration among the real clip's, and how many seams are ordinary."""
        return self._shown([(s.step_percentile or 0.0, s.acceleration_percentile or 0.0) for s in self.seams])

    def among_own(self) -> str:
        """The same among the loop's own."""
        return self._shown([(s.own_step_percentile, s.own_acceleration_percentile) for s in self.seams])

    def _shown(self, pairs: list[tuple[float, float]]) -> str:
        low, high = ORDINARY
        step, bend = (statistics.median(column) for column in zip(*pairs, strict=True))
        ordinary = sum(low <= min(pair) and max(pair) <= high for pair in pairs)
        return f"{step:.0f} / {bend:.0f} ({ordinary} of {len(pairs)})"


def fitted(clip: Clip, *, iterations: int) -> dict[str, Draw]:
    """Every method that loops, fitted to a clip, by name."""

    def linear(name: str) -> Draw:
        model = METHODS[name].fit(clip, rng=torch.Generator().manual_seed(0))
        return lambda n, loop, rng: model.synthesize(n, rng=rng, loop=loop)

    coop = CoopNets.fit(clip, replace(FAST, iterations=iterations), rng=torch.Generator().manual_seed(0))
    draws = {name: linear(name) for name in LINEAR}
    return draws | {"fast": lambda n, loop, rng: coop.synthesize(n, rng=rng, periodic=(loop, False, False))}


def measure(draw: Draw, clip: Clip, *, seeds: int, loop: bool = True) -> Cell:
    """Draw one loop a seed, as long as the clip, and measure it; and the amplitude of loops of each length."""

    def drawn(n: int, closed: bool, n_seeds: int) -> list[Clip]:
        return [draw(n, closed, torch.Generator().manual_seed(seed)) for seed in range(1, 1 + n_seeds)]

    def power(n: int, closed: bool) -> float:
        mean = clip.video.mean(1, keepdim=True)
        clips = drawn(n, closed, FEW)
        return statistics.mean(float((made.video - mean).square().mean()) for made in clips)

    seams = [seam(made, clip) for made in drawn(clip.n_frames, loop, seeds)]
    if not loop:
        return Cell(seams, {})
    free = power(clip.n_frames, False)
    return Cell(seams, {n: power(n, True) / free for n in LENGTHS})


def ordinary_places(clip: Clip) -> float:
    """The share of a real clip's own places that would pass as an ordinary seam."""
    steps, bends = along(clip)
    inner = steps[1:-1]  # those that have both accelerations
    low, high = ORDINARY
    passed = [
        low <= percentile(float(s), steps) <= high and low <= percentile(float(b), bends) <= high
        for s, b in zip(inner, bends, strict=True)
    ]
    return sum(passed) / len(passed)


def page(where: Sequence[str], *, size: int, n_frames: int, seeds: int, iterations: int, command: str) -> str:
    """The whole page in Markdown.

    Raises:
        InputError: a clip cannot be read or is too short.
    """
    real_seams, own_seams, amplitudes, kinds = [], [], [], []
    for source in find_clips(where):
        clip = read_clip(source.where, size=size, n_frames=n_frames)
        draws = fitted(clip, iterations=iterations)
        cells = {name: measure(draw, clip, seeds=seeds) for name, draw in draws.items()}
        cells["open end"] = measure(draws["fft-lds"], clip, seeds=seeds, loop=False)
        places = f"{100 * ordinary_places(clip):.0f} %"
        real_seams.append([source.name, *(cell.among_real() for cell in cells.values()), places])
        own_seams.append([source.name, *(cell.among_own() for cell in cells.values())])
        ratios = [f"{cells[name].amplitude[n]:.2f}" for name in ("lds", "fast") for n in LENGTHS]
        amplitudes.append([source.name, *ratios])
        found = spatial(clip)
        numbers = [f"{value:.2f}" for value in (found.motion, found.swing, found.detail, found.brightness)]
        kinds.append([source.name, *numbers, _yes(found.is_stationary), _yes(already_loops(clip))])
    names = [*LINEAR, "fast", "*open end (fft-lds)*"]
    lengths = [f"{name}, {n}" for name in ("lds", "fast") for n in LENGTHS]
    return "\n\n".join(
        [
            "# Loops",
            f"Made by `{command}`: {n_frames} frames at {size}x{size}, {seeds} seeds, `fast` taught for {iterations} "
            "iterations.",
            "## Seams",
            "Median percentile of the step from the last frame to the first, and of the acceleration across it, among "
            "the real clip's own; in brackets, how many seams have both within the 5th and the 95th. The last column "
            "is the share of the real clip's own places that have: a loop cannot be expected to do better.",
            _table(["clip", *names, "*real places*"], real_seams),
            "Among the other places of the result itself. Where this is ordinary and the table above is not, the whole "
            "result moves less than the clip, or more: an LDS of a few states leaves out what is fine and fast.",
            _table(["clip", *names], own_seams),
            "## Amplitude",
            "Mean square deviation from the clip's mean frame, over that of a free sample of the same method: loops of "
            + ", ".join(map(str, LENGTHS))
            + " frames.",
            _table(["clip", *lengths], amplitudes),
            "## What kind of texture",
            "As `dyntex info` says it: by what factor parts of the frame differ in motion, swing and detail, and by "
            "how many standard deviations in brightness; stationary in space where no factor is above 3.5 and "
            "brightness within 1.5.",
            _table(["clip", "motion", "swing", "detail", "brightness", "stationary", "loops already"], kinds),
        ]
    )


def _yes(value: bool) -> str:
    return "yes" if value else "no"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    rule = ["---", *["---:"] * (len(header) - 1)]
    return "\n".join("| " + " | ".join(cells) + " |" for cells in (header, rule, *rows))


def main() -> None:
    parser = argparse.ArgumentParser(description="Write the page of seams.")
    parser.add_argument("clips", nargs="+", help="a folder, files, example:NAME or examples")
    parser.add_argument("--out", type=Path, required=True, help="the Markdown file")
    parser.add_argument("--size", type=int, default=64)
    parser.add_argument("--frames", type=int, default=64)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--iterations", type=int, default=2)
    a = parser.parse_args()
    command = f"python -m benchmarks.seams CLIPS --size {a.size} --frames {a.frames} --seeds {a.seeds}"
    text = page(a.clips, size=a.size, n_frames=a.frames, seeds=a.seeds, iterations=a.iterations, command=command)
    a.out.write_text(text + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
