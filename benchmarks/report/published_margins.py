"""How far CoopNets are ahead of the baselines, beside how far the publication says they are."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from dyntex.benchmarks.methods import is_neural
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.report.summary import Row, column_of, per_clip, shown, summarise, table, value_of

PUBLISHED = {"lds": {"psnr": 0.26, "ssim": 0.005}, "hosvd": {"psnr": 1.0}}
"""Least margins of CoopNets: 19.407 dB and .5988 against 19.148 and .5939 of LDS and 18.392 dB of HOSVD (Xie et al.
2020, on clips that are not known)."""

NUMBERS = ("psnr", "ssim", "anchored_psnr", "anchored_ssim")


def differences(rows: Sequence[Row], method: str, other: str, key: str) -> list[Row]:
    """Rows of what a method has more than another of a number, for each clip and seed that both have."""
    theirs = {
        (row["clip"], row["seed"]): value
        for row in rows
        if row["method"] == other and (value := value_of(row, key)) is not None and math.isfinite(value)
    }
    return [
        row | {key: value - theirs[row["clip"], row["seed"]]}
        for row in rows
        if row["method"] == method
        and (value := value_of(row, key)) is not None
        and math.isfinite(value)
        and (row["clip"], row["seed"]) in theirs
    ]


def margins(rows: Sequence[Row]) -> Table | None:
    """The table of the paper's task; None where it has no neural method beside LDS or HOSVD."""
    here = [row for row in rows if row["task"] == "paper"]
    methods = [line.method for line in table(rows, "paper") if not line.control]
    lines = [
        _line(here, method, other, key)
        for method in methods
        if is_neural(method)
        for other in PUBLISHED
        if other in methods
        for key in NUMBERS
    ]
    return Table(["difference", "number", "here", "published", "clips below it"], lines) if lines else None


def _line(rows: Sequence[Row], method: str, other: str, key: str) -> list[str]:
    found = differences(rows, method, other, key)
    least = PUBLISHED[other].get(key.removeprefix("anchored_"))
    column = column_of("paper", key)
    digits = f".{column.digits}f"
    below = "–" if least is None else ", ".join(_below(found, method, key, least, digits)) or "none"
    published = "–" if least is None else f"≥ {least:g}"
    return [f"{method} − {other}", column.title, shown(summarise(found, key), column), published, below]


def _below(rows: Sequence[Row], method: str, key: str, least: float, digits: str) -> Iterator[str]:
    for clip, cells in per_clip(rows, "paper", key).items():
        if cells[method].mean < least:
            yield f"{clip} ({cells[method].mean:+{digits}})"
