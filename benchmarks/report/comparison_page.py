"""The page of the comparison of methods."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dyntex.benchmarks.methods import replays
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.report.over_clips import over_clips
from dyntex.benchmarks.report.protocol import CAPTIONS, TITLES, protocol, setting
from dyntex.benchmarks.report.published_margins import margins
from dyntex.benchmarks.report.score_validity import score_validity
from dyntex.benchmarks.report.summary import COLUMNS, Column, Row, best, column_of, per_clip, shown, table

PER_CLIP = {
    "paper": ("psnr", "ssim", "anchored_psnr", "anchored_ssim"),
    "statistics": ("score", "diversity", "copy_distance"),
    "critic": ("critic", "copy_distance"),
    "extrapolation": ("psnr_1", "psnr_8"),
}

HEADLINES = {"statistics": "score", "critic": "critic"}
"""Of which another choice of clips is shown."""

SHOWN = {"statistics": 5, "extrapolation": 7}
"""Columns of a table that fit a terminal: not the ratios, not SSIM at each horizon. The report has them all."""

MARGINS = (
    "Differences clip by clip and seed by seed, their mean over seeds, then clips. The publication's clips, and the "
    "column that its numbers belong to, are not known."
)

OTHER_CLIPS = (
    "How far the mean would move with other clips of this kind: bootstrap intervals over clips (each a mean over its "
    "seeds), and the mean without the clip that is worst for the method."
)

REPLAYS = "†"
REPLAYS_NOTE = (
    "† replays learned frames, so that the copy distance is the only number here that tells it from a triumph."
)


def page(results: dict[str, Any]) -> list[str | Table]:
    """What was asked; every task's table (controls in italics, the best method in bold) and its numbers clip by clip;
    the margins of CoopNets; what the score is worth. From what ``results.json`` holds."""
    rows = results["rows"]
    parts: list[str | Table] = [
        "# Benchmark results",
        f"Made by `{results['command']}`; the protocol is in [benchmark.md](../benchmark.md).",
        protocol(results),
        setting(results),
    ]
    for task in results["config"]["tasks"]:
        parts += [f"## {TITLES[task]}", CAPTIONS[task], task_table(rows, task)]
        if any(replays(line.method) for line in table(rows, task)):
            parts.append(REPLAYS_NOTE)
        if task == "paper" and (ahead := margins(rows)):
            parts += ["### CoopNets against the publication's margins", MARGINS, ahead]
        if task in HEADLINES and (other := over_clips(rows, task, column_of(task, HEADLINES[task]))):
            parts += ["### With other clips", OTHER_CLIPS, other]
        if task == "statistics":
            parts += ["### What the score is worth", *score_validity(rows)]
        for key in PER_CLIP.get(task, ()):
            column = column_of(task, key)
            parts += [f"### {column.title}, clip by clip", _clip_table(rows, task, column)]
    return parts


def task_table(all_rows: Sequence[Row], task: str) -> Table:
    """The table of a task: a line a method, and a line a control, in italics; the best method in bold."""
    lines, columns = table(all_rows, task), COLUMNS[task]
    winners = best(lines, task)
    rows = []
    for i, line in enumerate(lines):
        name = line.method + (f" ({line.failed} failed)" if line.failed else "")
        name = f"*{name}*" if line.control else name + f" {REPLAYS}" * replays(line.method)
        cells = [shown(cell, column) for cell, column in zip(line.cells, columns, strict=True)]
        cells = [f"**{cell}**" if winners[c] == i else cell for c, cell in enumerate(cells)]
        rows.append([name, *cells])
    return Table(["method", *(column.title for column in columns)], rows, shown=SHOWN.get(task, 9))


def _clip_table(all_rows: Sequence[Row], task: str, column: Column) -> Table:
    found = per_clip(all_rows, task, column.key)
    lines = table(all_rows, task)
    header = ["clip", *(f"*{line.method}*" if line.control else line.method for line in lines)]
    rows = [
        [clip, *(shown(cells[line.method], column) if line.method in cells else "–" for line in lines)]
        for clip, cells in found.items()
    ]
    return Table(header, rows)
