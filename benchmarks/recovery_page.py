"""The recovery task's page: means over all, by mask and by clip, and where the goal is missed."""

from __future__ import annotations

import math
import statistics
from collections.abc import Iterable, Sequence

from benchmarks.recovery import Row
from benchmarks.summary import grid

PAGE = "recovery.md"
REFERENCE = "interpolate"
GOAL = 1.05
"""No method should be further from the truth than interpolation by more."""
NUMBERS = {"error": "error", "psnr": "PSNR", "ssim": "SSIM", "seconds": "seconds a clip"}


def overall(rows: Sequence[Row]) -> list[list[str]]:
    """The first table: of each method, its name and the mean of each number over clips, masks and seeds."""
    return [[m, *(f"{_mean(rows, key, method=m):.3g}" for key in NUMBERS)] for m in _names(rows, "method")]


def page(rows: Sequence[Row], *, size: int, n_frames: int, command: str) -> str:
    """The tables in Markdown: means over all, by mask and by clip, and where the goal is missed.

    Nothing is said of the goal where interpolation was not measured.
    """
    methods, mask_names, clips, seeds = (_names(rows, key) for key in ("method", "mask", "clip", "seed"))
    first = min(methods, key=lambda m: _mean(rows, "error", method=m))
    parts = [
        "# Recovery",
        f"Made by `{command}`: {len(clips)} clips of {n_frames} frames at {size}x{size}, {len(mask_names)} masks, "
        f"{len(seeds)} seed{'s' * (len(seeds) > 1)}. "
        "Error is mean |recovered - true| over missing pixels on the scale of 0 to 255, PSNR that of the mean squared "
        "error over the same, SSIM the mean over windows centred at missing pixels; each is a mean over clips, masks "
        "and seeds. Blocks are an eighth of the frame's side. Telea cannot fill whole frames, and interpolates there.",
        grid(["method", *NUMBERS.values()], overall(rows)),
        f"First by error: **{first}**." + (_missed(rows, first) if REFERENCE in methods else ""),
        "## Error by mask",
        grid(
            ["mask", *methods],
            [[k, *(f"{_mean(rows, 'error', method=m, mask=k):.2f}" for m in methods)] for k in mask_names],
        ),
        "## Error by clip",
        grid(
            ["clip", *methods],
            [[c, *(f"{_mean(rows, 'error', method=m, clip=c):.2f}" for m in methods)] for c in clips],
        ),
    ]
    if REFERENCE in methods:
        ratios = [[c, *(f"{_ratio(rows, first, clip=c, mask=k):.2f}" for k in mask_names)] for c in clips]
        parts += [f"## Error of {first} over that of interpolation", grid(["clip", *mask_names], ratios)]
    return "\n\n".join(parts)


def _missed(rows: Sequence[Row], method: str) -> str:
    places = dict.fromkeys((row.clip, row.mask) for row in rows)
    ratios = {(clip, mask): _ratio(rows, method, clip=clip, mask=mask) for clip, mask in places}
    where = [f"{clip} under {mask}, {r:.2f} times" for (clip, mask), r in ratios.items() if r > GOAL]
    share = f"{GOAL - 1:.0%}"
    return f" Further from the truth than temporal interpolation by more than {share}: {'; '.join(where) or 'nowhere'}."


def _names(rows: Iterable[Row], key: str) -> list[str]:
    return list(dict.fromkeys(getattr(row, key) for row in rows))


def _chosen(rows: Iterable[Row], **wanted: str) -> list[Row]:
    return [row for row in rows if all(getattr(row, key) == value for key, value in wanted.items())]


def _mean(rows: Iterable[Row], number: str, **wanted: str) -> float:
    values = [getattr(row, number) for row in _chosen(rows, **wanted)]
    finite = [value for value in values if math.isfinite(value)]
    return statistics.mean(finite) if finite else math.nan


def _ratio(rows: Iterable[Row], method: str, **wanted: str) -> float:
    rows = list(rows)
    error, reference = (_mean(rows, "error", method=m, **wanted) for m in (method, REFERENCE))
    if reference == 0.0:  # both exact, or infinitely worse
        return math.inf if error else 1.0
    return error / reference
