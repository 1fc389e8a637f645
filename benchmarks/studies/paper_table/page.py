"""The page of the paper's table: published numbers beside ours. Pure functions of rows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.report.published_margins import differences
from dyntex.benchmarks.report.summary import Column, Row, per_clip, shown, summarise
from dyntex.benchmarks.studies.paper_table.names import (
    CHAINS,
    CONTROLS,
    GENERATOR,
    NETWORKS,
    RECONSTRUCTED,
    REVISED,
    WORDS,
)
from dyntex.benchmarks.study import Results, ok_rows

PUBLISHED: dict[str, tuple[float, float]] = {
    REVISED: (19.407, 0.5988),
    "lds": (19.148, 0.5939),
    "hosvd": (18.392, 0.4573),
}
"""PSNR in dB and SSIM of Xie et al. (2020), on clips, with pairings and windows that are not known."""

ALIGNED = (
    Column("psnr", "PSNR free", 2),
    Column("ssim", "SSIM free", 4),
    Column("anchored_psnr", "PSNR anchored", 2),
    Column("anchored_ssim", "SSIM anchored", 4),
)
FREE = (
    Column("score", "score", 2, spread=False),
    Column("diversity", "diversity", 2, spread=False),
    Column("copy_distance", "copy distance", 2, spread=False),
)
MEANINGS = {
    "mean-frame": "the still mean of the learnt frames",
    "later-real": "the real frames that follow",
    "reversed-real": "the learnt frames backwards",
    "shuffled-frames": "the learnt frames in random order",
    "white-noise": "each pixel's mean and variance, white in time",
    "copy": "the learnt frames themselves",
}


def page(results: Results) -> list[str | Table]:
    """Its means are over the clips that the networks have learnt, or over all clips before they have learnt one."""
    words = next((row for row in ok_rows(results) if row["task"] == WORDS), {})
    rows = [row for row in ok_rows(results) if row["task"] != WORDS]
    clips = trained_clips(rows) or list(dict.fromkeys(row["clip"] for row in rows))
    common = [row for row in rows if row["clip"] in clips]
    parts: list[str | Table] = [
        "# The paper's comparison, with the paper's networks",
        f"Made by `{results['command']}`; the protocol is the task *paper* of [benchmark.md](../benchmark.md). "
        + words.get("about", ""),
        " ".join(words.get("sentences", ())),
        "## At a glance",
        _coverage(rows, clips)
        + " Published are the numbers of Xie et al. (2020); their clips, and whether their samples were free or "
        "anchored, are not known. PSNR in dB and SSIM of frame t against observed frame t; higher is better. "
        "Rows in italics are controls: no method.",
        glance(common),
    ]
    if len(common) < len(rows):
        others = [row for row in rows if row["method"] not in NETWORKS.values()]
        n_clips = len({row["clip"] for row in others})
        parts += [f"The same over all {_counted(n_clips, 'clip')}, without the networks:", glance(others)]
    leads = margins(common)
    parts += ["## Ordering and margins", leads] if leads.rows else []
    parts += [
        "## Free samples",
        "The score of free samples (1 is as far as real is from real; lower is better), never read without the other "
        "two: a replay has copy distance 0, chains that are alike have diversity 0.",
        _lines(common, FREE, controls=("later-real", "mean-frame", "shuffled-frames", "white-noise")),
    ]
    if "picture" in words:
        parts += ["## What cooperative training looks like", words["picture"]]
    if "seen" in words:
        parts += ["## Seen", "\n".join(f"* {clip}: {text}" for clip, text in words["seen"].items())]
    parts += ["## Clip by clip"]
    for column in ALIGNED:
        parts += [f"### {column.title}", clip_by_clip(rows, column)]
    return parts


def trained_clips(rows: Sequence[Row]) -> list[str]:
    """The clips that the networks have rows of, in the rows' order."""
    return list(dict.fromkeys(row["clip"] for row in rows if row["method"] == REVISED))


def _coverage(rows: Sequence[Row], clips: Sequence[str]) -> str:
    """Which clips the means are over, and on which the networks are still in training."""
    seeds = {
        clip: len({row["seed"] for row in rows if row["method"] == REVISED and row["clip"] == clip}) for clip in clips
    }
    if not any(seeds.values()):
        return f"No training of the networks is finished: means over {_counted(len(clips), 'clip')} without them."
    over = ", ".join(f"{clip} ({_counted(n, 'seed')})" for clip, n in seeds.items())
    waiting = list(dict.fromkeys(row["clip"] for row in rows if row["clip"] not in clips))
    rest = f" Still in training: {', '.join(waiting)}." if waiting else ""
    return f"Means over the {_counted(len(clips), 'clip')} that the networks have learnt: {over}.{rest}"


def glance(rows: Sequence[Row]) -> Table:
    """Method by method: published, free and anchored."""
    lines = []
    for method in [*_methods(rows), *RECONSTRUCTED.values(), *CONTROLS]:
        own = [row for row in rows if row["method"] == method]
        if not own:
            continue
        told = PUBLISHED.get(method)
        published = [f"{told[0]:.2f}", f"{told[1]:.4f}"] if told else ["", ""]
        ours = [shown(summarise(own, column.key), column) for column in ALIGNED]
        if own[0]["control"]:
            ours[2:] = ["", ""]  # it starts nowhere
        lines.append([_title(method), *published, *ours])
    return Table(["", "published PSNR", "published SSIM", *(column.title for column in ALIGNED)], lines, shown=7)


def margins(rows: Sequence[Row]) -> Table:
    """The networks' lead over LDS and HOSVD, published and ours, and the clips on which it is negative."""
    lines = []
    for method in (REVISED, GENERATOR):
        for other in ("lds", "hosvd"):
            for column in ALIGNED:
                i = ("psnr", "ssim").index(column.key.removeprefix("anchored_"))
                lead = PUBLISHED[REVISED][i] - PUBLISHED[other][i]
                found = differences(rows, method, other, column.key)
                here = summarise(found, column.key)
                if math.isnan(here.mean):
                    continue
                by_clip = per_clip(found, "paper", column.key)
                behind = [clip for clip, cells in by_clip.items() if cells[method].mean < 0.0]
                numbers = (f"{value:+.{column.digits}f}" for value in (lead, here.mean))
                lines.append([f"{method} − {other}", column.title, *numbers, ", ".join(behind) or "none"])
    return Table(["difference", "number", "published", "here", "behind on"], lines)


def clip_by_clip(rows: Sequence[Row], column: Column) -> Table:
    """One number of all methods and controls, a line for each clip."""
    anchored = column.key.startswith("anchored")
    methods = [method for method in _methods(rows) if not (anchored and method == CHAINS)]
    controls = () if anchored else tuple(name for name in CONTROLS if name != "copy")
    lines = [
        [clip, *(shown(found[name], column) if name in found else "–" for name in (*methods, *controls))]
        for clip, found in per_clip(rows, "paper", column.key).items()
    ]
    return Table(["clip", *methods, *(f"*{name}*" for name in controls)], lines)


def _methods(rows: Sequence[Row]) -> list[str]:
    """The networks first, then the others in the rows' order."""
    others = dict.fromkeys(row["method"] for row in rows if not row["control"])
    return [name for name in dict.fromkeys((*NETWORKS.values(), *others)) if name in others]


def _lines(rows: Sequence[Row], columns: Sequence[Column], *, controls: Sequence[str]) -> Table:
    lines = [
        [_title(method), *(shown(summarise([r for r in rows if r["method"] == method], c.key), c) for c in columns)]
        for method in (*_methods(rows), *controls)
    ]
    return Table(["", *(column.title for column in columns)], lines)


def _title(method: str) -> str:
    if method in MEANINGS:
        return f"*{method}: {MEANINGS[method]}*"
    return f"*{method}*" if method in RECONSTRUCTED.values() else method


def _counted(n: int, what: str) -> str:
    return f"{n} {what}{'s' * (n != 1)}"
