"""Seams of loops: where the step from the last frame to the first lies among the clip's own.

A loop is drawn as ``--loop`` draws it, and its seam measured as the command tells it
(:mod:`dyntex.textures.loop_seam`). Beside the loops stand an open end, which is the free sample of a method played as
if it were a loop, and the real clip's own places, of which not all are ordinary either.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch

from dyntex.benchmarks.data import Source, clip_of, named
from dyntex.benchmarks.methods import capabilities_of, check_method, fit, settings_of
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.study import Cell, Results, Row, ok_rows, path_of, setting
from dyntex.clip import Clip
from dyntex.textures.loop_seam import ORDINARY, along, percentile, seam
from dyntex.textures.stationarity import already_loops, spatial

OPEN_END, REAL = "open end", "real clip"
OPEN_METHOD = "fft-lds"
"""Whose free samples are the open ends."""
AMPLITUDES = ("lds", "fast")
"""Methods whose amplitudes are shown."""
LENGTHS = (16, 32, 64)
FEW = 2
"""Seeds over which amplitudes are averaged: they vary less than seams."""

Draw = Callable[[int, bool, torch.Generator], Clip]
"""(frames, whether a loop, noise) -> clip."""


@dataclass(frozen=True)
class Loops:
    """Loops of every method that makes them, one a seed, as long as the clip.

    Attributes:
        clips: on which.
        size, frames: of the clips.
        methods: those that loop, by name.
        seeds: how many, from 1.
        iterations: of CoopNets.
    """

    name: ClassVar[str] = "loops"

    clips: tuple[Source, ...] = setting(is_sources=True, quick=("example:ripples",))
    size: int = setting(64, quick=32)
    frames: int = setting(64, quick=64)
    methods: tuple[str, ...] = ("lds", "fft-lds", "hosvd", "fast")
    seeds: int = setting(5, quick=2)
    iterations: int = 2

    def __post_init__(self) -> None:
        for name in self.methods:
            check_method(name)
            capabilities_of(name).require("loop", asked="a loop", method=name, instead="leave it out of --methods")

    def cells(self) -> Iterator[Cell]:
        for source in self.clips:
            settings = {"clip": source.digest(), "size": self.size, "frames": self.frames}
            for name in (*self.methods, OPEN_END, REAL):
                method = OPEN_METHOD if name == OPEN_END else name
                own: dict[str, Any] = {}
                if name != REAL:
                    fitted = settings_of(method, iterations=self.iterations, budget=None)
                    own = {"seeds": self.seeds, "method": fitted, "loop": name != OPEN_END}
                yield Cell(path_of(source.name, name), {"clip": source.name, "method": name}, settings | own)

    def make(self, cell: Cell, out: Path) -> Row:
        method, source = cell.about["method"], named(self.clips, cell.about["clip"])
        clip = clip_of(source, cell.settings["clip"], size=self.size, n_frames=self.frames)
        if method == REAL:
            return texture(clip)
        draw = fitted(OPEN_METHOD if method == OPEN_END else method, clip, iterations=self.iterations)
        return measure(draw, clip, seeds=self.seeds, loop=method != OPEN_END)

    def page(self, results: Results) -> list[str | Table]:
        return page(ok_rows(results), results["config"], command=results["command"])


def fitted(method: str, clip: Clip, *, iterations: int) -> Draw:
    """A method that loops, fitted to a clip."""
    rng = torch.Generator().manual_seed(0)
    model = fit(method, clip, rng=rng, iterations=iterations)
    return lambda n, loop, rng: model.synthesize(n, rng=rng, loop=loop)


def measure(draw: Draw, clip: Clip, *, seeds: int, loop: bool = True) -> Row:
    """Draw a loop a seed, as long as the clip, and measure its seam; and the amplitude of loops of each length.

    Returns:
        ``real`` and ``own``, a list of (step, acceleration) each, one a seed: their percentiles among the places of the
        real clip and among those of the loop; ``amplitude``, by length of the loop, its mean square deviation from the
        clip's mean frame over that of the free sample.
    """

    def drawn(n: int, closed: bool, n_seeds: int) -> list[Clip]:
        return [draw(n, closed, torch.Generator().manual_seed(seed)) for seed in range(1, 1 + n_seeds)]

    def power(n: int, closed: bool) -> float:
        mean = clip.video.mean(1, keepdim=True)
        clips = drawn(n, closed, FEW)
        return statistics.mean(float((made.video - mean).square().mean()) for made in clips)

    seams = [seam(made, clip) for made in drawn(clip.n_frames, loop, seeds)]
    found: Row = {
        "real": [(s.step_percentile or 0.0, s.acceleration_percentile or 0.0) for s in seams],
        "own": [(s.own_step_percentile, s.own_acceleration_percentile) for s in seams],
    }
    if loop:
        free = power(clip.n_frames, False)
        found["amplitude"] = {n: power(n, True) / free for n in LENGTHS}
    return found


def texture(clip: Clip) -> Row:
    """What kind of texture a real clip is, and which share of its own places would pass as an ordinary seam."""
    found = spatial(clip)
    numbers = {key: getattr(found, key) for key in ("motion", "swing", "detail", "brightness")}
    kind = {"stationary": found.is_stationary, "loops already": already_loops(clip)}
    return {"ordinary": ordinary_places(clip), **numbers, **kind}


def ordinary_places(clip: Clip) -> float:
    """The share of a real clip's own places that would pass as an ordinary seam."""
    steps, bends = along(clip)
    inner = steps[1:-1]  # those that have both accelerations
    places = [(percentile(float(s), steps), percentile(float(b), bends)) for s, b in zip(inner, bends, strict=True)]
    return sum(map(_is_ordinary, places)) / len(places)


def page(rows: Sequence[Row], config: Mapping[str, Any], *, command: str) -> list[str | Table]:
    """The whole page."""
    cells = {(row["clip"], row["method"]): row for row in rows}
    clips = list(dict.fromkeys(row["clip"] for row in rows))

    def lines(show: Callable[[Row], str], columns: Sequence[str]) -> list[list[str]]:
        return [[clip, *(show(cells.get((clip, name), {})) for name in columns)] for clip in clips]

    def amplitudes(clip: str) -> list[str]:
        found = [cells.get((clip, name), {}).get("amplitude", {}) for name in shown]
        return [f"{by_length[str(n)]:.2f}" if by_length else "–" for by_length in found for n in LENGTHS]

    shown = [name for name in AMPLITUDES if name in config["methods"]] or config["methods"]
    names = [*config["methods"], f"*{OPEN_END} ({OPEN_METHOD})*"]
    drawn = [*config["methods"], OPEN_END]
    real, own = (lines(lambda row, key=key: seams_shown(row.get(key)), drawn) for key in ("real", "own"))  # type: ignore[misc]
    places = lines(lambda row: f"{100 * row['ordinary']:.0f} %" if row else "–", [REAL])
    kinds = [(clip, cells[clip, REAL]) for clip in clips if (clip, REAL) in cells]
    return [
        "# Loops",
        f"Made by `{command}`: {config['frames']} frames at {config['size']}x{config['size']}, {config['seeds']} "
        f"seeds, `fast` trained for {config['iterations']} iterations.",
        "## Seams",
        "Median percentile of the step from the last frame to the first, and of the acceleration across it, among "
        "the real clip's own; in brackets, how many seams have both within the 5th and the 95th. The last column "
        "is the share of the real clip's own places that have: a loop cannot be expected to do better.",
        Table(
            ["clip", *names, "*real places*"],
            [[*line, place] for line, (_, place) in zip(real, places, strict=True)],
            shown=7,
        ),
        "Among the other places of the result itself. Where this is ordinary and the table above is not, the whole "
        "result moves less than the clip, or more: an LDS of a few states leaves out what is fine and fast.",
        Table(["clip", *names], own),
        "## Amplitude",
        "Mean square deviation from the clip's mean frame, over that of a free sample of the same method: loops of "
        + ", ".join(map(str, LENGTHS))
        + " frames.",
        Table(
            ["clip", *(f"{name}, {n}" for name in shown for n in LENGTHS)],
            [[clip, *amplitudes(clip)] for clip in clips],
        ),
        "## What kind of texture",
        "As `dyntex info` says it: by what factor parts of the frame differ in motion, swing and detail, and by "
        "how many standard deviations in brightness; stationary in space where no factor is above 3.5 and "
        "brightness within 1.5.",
        Table(
            ["clip", "motion", "swing", "detail", "brightness", "stationary", "loops already"],
            [
                [
                    clip,
                    *(f"{row[key]:.2f}" for key in ("motion", "swing", "detail", "brightness")),
                    *("yes" if row[key] else "no" for key in ("stationary", "loops already")),
                ]
                for clip, row in kinds
            ],
        ),
    ]


def seams_shown(pairs: Sequence[tuple[float, float]] | None) -> str:
    """Median percentiles of step and acceleration, and how many seams are ordinary."""
    if not pairs:
        return "–"
    step, bend = (statistics.median(column) for column in zip(*pairs, strict=True))
    return f"{step:.0f} / {bend:.0f} ({sum(map(_is_ordinary, pairs))} of {len(pairs)})"


def _is_ordinary(pair: tuple[float, float]) -> bool:
    low, high = ORDINARY
    return low <= min(pair) and max(pair) <= high
