"""A benchmark's results as Markdown, for ``docs/results/``."""

from __future__ import annotations

from typing import Any

from benchmarks.margins import margins
from benchmarks.proof import proof
from benchmarks.protocol import CAPTIONS, TITLES, protocol, setting
from benchmarks.summary import COLUMNS, Column, best, column_of, grid, per_clip, shown, table

PER_CLIP = {
    "paper": ("psnr", "ssim", "anchored_psnr", "anchored_ssim"),
    "statistics": ("score", "diversity", "copy_distance"),
    "extrapolation": ("psnr_1", "psnr_8"),
}

MARGINS = (
    "Differences clip by clip and seed by seed, their mean over seeds, then clips. The publication's clips, and the "
    "column that its numbers belong to, are not known."
)


def markdown(results: dict[str, Any], *, title: str, command: str) -> str:
    """The page: what was asked; every task's table (controls in italics, the best method in bold) and its numbers clip
    by clip; the margins of CoopNets; the score's proof.

    Args:
        results: as ``results.json`` holds them.
        title: of the page.
        command: the one that makes this page from the results.
    """
    parts = [
        f"# {title}",
        f"Made by `{command}` from the results of `{results['command']}`; the protocol is in "
        "[benchmark.md](../benchmark.md).",
        protocol(results),
        setting(results),
    ]
    for task in results["config"]["tasks"]:
        lines = table(results["rows"], task)
        parts += [f"## {TITLES[task]}", CAPTIONS[task], _table(results, task)]
        if any(line.failed for line in lines):
            parts.append(_failures(results, task))
        if task == "paper" and (ahead := margins(results["rows"])):
            parts += ["### CoopNets against the publication's margins", MARGINS, ahead]
        if task == "statistics":
            parts += ["### What the score is worth", *proof(results["rows"])]
        for key in PER_CLIP.get(task, ()):
            column = column_of(task, key)
            parts += [f"### {column.title}, clip by clip", _clip_table(results, task, column)]
    return "\n\n".join(parts) + "\n"


def _table(results: dict[str, Any], task: str) -> str:
    lines, columns = table(results["rows"], task), COLUMNS[task]
    winners = best(lines, task)
    rows = []
    for i, line in enumerate(lines):
        name = f"*{line.method}*" if line.control else line.method
        cells = [shown(cell, column) for cell, column in zip(line.cells, columns, strict=True)]
        cells = [f"**{cell}**" if winners[c] == i else cell for c, cell in enumerate(cells)]
        rows.append([name, *cells])
    return grid(["method", *(column.title for column in columns)], rows)


def _clip_table(results: dict[str, Any], task: str, column: Column) -> str:
    found = per_clip(results["rows"], task, column.key)
    lines = table(results["rows"], task)
    header = ["clip", *(f"*{line.method}*" if line.control else line.method for line in lines)]
    rows = [
        [clip, *(shown(cells[line.method], column) if line.method in cells else "–" for line in lines)]
        for clip, cells in found.items()
    ]
    return grid(header, rows)


def _failures(results: dict[str, Any], task: str) -> str:
    failed = [row for row in results["rows"] if row["task"] == task and row["status"] == "failed"]
    listed = [f"* {row['method']} on {row['clip']}, seed {row['seed']}: {row['reason']}" for row in failed]
    return "Failed, and left out of the means:\n\n" + "\n".join(listed)
