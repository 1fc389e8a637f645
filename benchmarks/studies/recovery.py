"""The recovery of damaged clips: how far what a method fills in is from what was there, over the literature's masks."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from dyntex.benchmarks.data import Source, clip_of, named
from dyntex.benchmarks.metrics.psnr_ssim import SSIM_WINDOW, decibels, ssim
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.studies.recovery_masks import NAMES, masks, shipped_mask
from dyntex.benchmarks.study import Cell, Results, Row, ok_rows, path_of, setting
from dyntex.clip import Clip
from dyntex.errors import InputError, UsageError, suggest
from dyntex.inpainting import METHODS, recover

LEAST = 3
"""Frames, of which the middle third is one."""
REFERENCE = "interpolate"
GOAL = 1.05
"""No method should be further from the truth than interpolation by more."""
NUMBERS = {"error": "error", "psnr": "PSNR", "ssim": "SSIM", "seconds": "seconds a clip"}


@dataclass(frozen=True)
class Recovery:
    """Every clip, mask, method and seed.

    Attributes:
        clips: the true ones.
        methods: names of :data:`dyntex.inpainting.METHODS`.
        size, frames: of the clips and masks.
        seeds: of the masks' blocks, and of what the methods draw: how many, from 0.
        masks: further ones, ``.npz`` files of 0 and 1, cut to the clips' length and thinned to their size.
    """

    name: ClassVar[str] = "recovery"

    clips: tuple[Source, ...] = setting(is_sources=True, quick=("example:ripples", "example:flame"))
    methods: tuple[str, ...] = tuple(METHODS)
    size: int = setting(64, quick=32)
    frames: int = setting(64, quick=24)
    seeds: int = setting(3, quick=1)
    masks: tuple[Source, ...] = setting((), is_sources=True)

    def __post_init__(self) -> None:
        if self.size < SSIM_WINDOW:
            raise UsageError(
                f"a size of {self.size} is too small for the windows of SSIM: choose {SSIM_WINDOW} or more"
            )
        if self.frames < LEAST:
            raise UsageError(f"{self.frames} frames have no middle third: choose {LEAST} or more")
        if self.seeds < 1:
            raise UsageError(f"{self.seeds} seeds measure nothing: choose 1 or more")
        for name in self.methods:
            if name not in METHODS:
                raise UsageError(
                    f"there is no method {name!r} to recover{suggest(name, METHODS)}; there are {', '.join(METHODS)}"
                )
        if not self.methods or len(set(self.methods)) < len(self.methods):
            raise UsageError(f"the methods are {', '.join(self.methods) or 'none'}: name at least one, each once")
        for mask in self.masks:
            if not mask.sha256:  # a file that is here is checked before the work begins
                shipped_mask(Path(mask.where), self._shape)

    @property
    def _shape(self) -> tuple[int, int, int]:
        return (self.frames, self.size, self.size)

    def cells(self) -> Iterator[Cell]:
        common = {"size": self.size, "frames": self.frames}
        for source in self.clips:
            digest = source.digest()
            for seed in range(self.seeds):
                for mask, content in (
                    {name: name for name in NAMES} | {m.name: m.digest() for m in self.masks}
                ).items():
                    for method in self.methods:
                        about = {"clip": source.name, "mask": mask, "method": method, "seed": seed}
                        settings = common | {"clip": digest, "mask": content, "method": method, "seed": seed}
                        yield Cell(path_of(source.name, mask, method, seed), about, settings)

    def make(self, cell: Cell, out: Path) -> Row:
        name, mask, method, seed = (cell.about[key] for key in ("clip", "mask", "method", "seed"))
        clip = clip_of(named(self.clips, name), cell.settings["clip"], size=self.size, n_frames=self.frames)
        if clip.n_frames < self.frames:
            raise InputError(f"{name} has {clip.n_frames} frames and the masks {self.frames}: choose fewer --frames")
        given = {m.name: m.where for m in self.masks}
        if mask in given:
            missing = shipped_mask(Path(given[mask]), self._shape)
        else:
            missing = masks(self._shape, rng=torch.Generator().manual_seed(seed))[mask]
        # Grey, so that whoever looks at what is missing gains nothing by it.
        damaged = Clip(torch.where(missing, 0.0, clip.video), clip.fps)
        began = time.monotonic()
        recovered = recover(damaged, missing, method=method, rng=torch.Generator().manual_seed(seed))
        return {"seconds": time.monotonic() - began} | measure(recovered, clip, missing)

    def page(self, results: Results) -> list[str | Table]:
        return page(ok_rows(results), results["config"], command=results["command"])


def measure(recovered: Clip, true: Clip, missing: Tensor) -> Row:
    """How far a clip is from the truth where ``missing`` (T, H, W).

    Returns:
        ``error``: mean |recovered - true| over missing pixels and colours, of 255. ``psnr``: in dB, of the mean squared
        error over the same; infinite where all is exact. ``ssim``: mean over the windows centred at missing pixels; not
        a number for holes in the border alone, where no window is centred.
    """
    difference = (recovered.video - true.video).double()[:, missing]
    return {
        "error": float(difference.abs().mean()) * 127.5,
        "psnr": float(decibels(difference.square().mean(), data_range=2.0)),
        "ssim": ssim(recovered, true, data_range=2.0, where=missing),
    }


def overall(rows: Sequence[Row]) -> list[list[str]]:
    """The first table: of each method, its name and the mean of each number over clips, masks and seeds."""
    return [[m, *(f"{_mean(rows, key, method=m):.3g}" for key in NUMBERS)] for m in _names(rows, "method")]


def page(rows: Sequence[Row], config: Mapping[str, Any], *, command: str) -> list[str | Table]:
    """The tables: means over all, by mask and by clip, and where the goal is missed.

    Nothing is said of the goal where interpolation was not measured.
    """
    methods, mask_names, clips, seeds = (_names(rows, key) for key in ("method", "mask", "clip", "seed"))
    first = min(methods, key=lambda m: _mean(rows, "error", method=m), default="none")
    parts: list[str | Table] = [
        "# Recovery",
        f"Made by `{command}`: {len(clips)} clips of {config['frames']} frames at {config['size']}x{config['size']}, "
        f"{len(mask_names)} masks, {len(seeds)} seed{'s' * (len(seeds) > 1)}. "
        "Error is mean |recovered - true| over missing pixels on the scale of 0 to 255, PSNR that of the mean squared "
        "error over the same, SSIM the mean over windows centred at missing pixels; each is a mean over clips, masks "
        "and seeds. Blocks are an eighth of the frame's side. Telea cannot fill whole frames, and interpolates there.",
        Table(["method", *NUMBERS.values()], overall(rows), shown=5),
        f"First by error: **{first}**." + (_missed(rows, first) if REFERENCE in methods else ""),
        "## Error by mask",
        Table(
            ["mask", *methods],
            [[k, *(f"{_mean(rows, 'error', method=m, mask=k):.2f}" for m in methods)] for k in mask_names],
        ),
        "## Error by clip",
        Table(
            ["clip", *methods],
            [[c, *(f"{_mean(rows, 'error', method=m, clip=c):.2f}" for m in methods)] for c in clips],
        ),
    ]
    if REFERENCE in methods:
        ratios = [[c, *(f"{_ratio(rows, first, clip=c, mask=k):.2f}" for k in mask_names)] for c in clips]
        parts += [f"## Error of {first} over that of interpolation", Table(["clip", *mask_names], ratios)]
    return parts


def _missed(rows: Sequence[Row], method: str) -> str:
    places = dict.fromkeys((row["clip"], row["mask"]) for row in rows)
    ratios = {(clip, mask): _ratio(rows, method, clip=clip, mask=mask) for clip, mask in places}
    where = [f"{clip} under {mask}, {r:.2f} times" for (clip, mask), r in ratios.items() if r > GOAL]
    share = f"{GOAL - 1:.0%}"
    return f" Further from the truth than temporal interpolation by more than {share}: {'; '.join(where) or 'nowhere'}."


def _names(rows: Iterable[Row], key: str) -> list[Any]:
    return list(dict.fromkeys(row[key] for row in rows))


def _chosen(rows: Iterable[Row], **wanted: str) -> list[Row]:
    return [row for row in rows if all(row[key] == value for key, value in wanted.items())]


def _mean(rows: Iterable[Row], number: str, **wanted: str) -> float:
    values = [row[number] for row in _chosen(rows, **wanted)]
    finite = [value for value in values if value is not None]
    return statistics.mean(finite) if finite else math.nan


def _ratio(rows: Iterable[Row], method: str, **wanted: str) -> float:
    rows = list(rows)
    error, reference = (_mean(rows, "error", method=m, **wanted) for m in (method, REFERENCE))
    if reference == 0.0:  # both exact, or infinitely worse
        return math.inf if error else 1.0
    return error / reference
