"""``report.html``: the tables, the figures and the moving pictures in one file that needs nothing else."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from dyntex.benchmarks.report.comparison_page import task_table
from dyntex.benchmarks.report.markdown import Table
from dyntex.benchmarks.report.plots import clip_bars, horizons, names_of, spectra
from dyntex.benchmarks.report.protocol import CAPTIONS, TITLES, protocol, setting
from dyntex.benchmarks.report.summary import Column, Row, column_of, per_clip, shown
from dyntex.benchmarks.study import name_of
from dyntex.benchmarks.tasks.comparison import LOSSLESS
from dyntex.clip import Clip
from dyntex.experiment.report.page import code, data_uri, figure, heading, image, page, paragraph, png_uri
from dyntex.experiment.report.report import BASE_STYLE
from dyntex.media import read_clip, write_clip

REPORT = "report.html"
TITLE = "Dynamic texture benchmark"
QUALITY = 20
"""H.264's rate factor of the embedded videos; what was measured is the lossless one."""

REAL = {"copy": "observed", "later-real": "held out"}
"""The controls whose clips are the real ones, as the report calls them."""

SCORE = Column("score", "score", 2, spread=False)
PSNR = Column("psnr", "PSNR", 2, spread=False)

HEADLINES = {"paper": "psnr", "statistics": "score", "critic": "critic"}
"""The number of a task by which a figure compares clips."""

MARKS = {
    "paper": ("mean-frame", "later-real"),
    "statistics": ("reversed-real", "replay"),
    "critic": ("later-real", "replay"),
}
"""The controls that a figure of a task shows beside the methods."""


def write_report(results: dict[str, Any], folder: Path) -> Path:
    """Write the report of a comparison into its folder, from whose videos it is made.

    Args:
        results: as ``results.json`` holds them.
        folder: of the comparison.

    Returns:
        the file.
    """
    body = [
        heading(TITLE, level=1),
        paragraph(protocol(results)),
        code(results["command"]) if results["command"] else "",
        paragraph(setting(results), soft=True),
        *(_task(results["rows"], task) for task in results["config"]["tasks"]),
        *_clips(results, folder),
    ]
    sheets = (BASE_STYLE, Path(__file__).with_name("report.css"))
    style = "".join(sheet.read_text(encoding="utf-8") for sheet in sheets)
    (folder / REPORT).write_text(page(TITLE, body, style=style), encoding="utf-8")
    return folder / REPORT


def _task(rows: Sequence[Row], task: str) -> str:
    methods, controls = names_of(rows, task)
    parts = [heading(TITLES[task]), paragraph(CAPTIONS[task], soft=True), table_html(task_table(rows, task))]
    failed = [row for row in rows if row["task"] == task and row["status"] == "failed"]
    parts += [paragraph(f"Failed: {name_of(row)}: {row['reason']}", soft=True) for row in failed]
    if task in MARKS and methods:
        marks = [name for name in MARKS[task] if name in controls]
        drawn = clip_bars(rows, task, column_of(task, HEADLINES[task]), methods=methods, controls=marks)
        parts.append(_figure(drawn, "Clip by clip; thin lines are the standard deviation over seeds."))
    if task == "extrapolation":
        parts.append(_figure(horizons(rows, methods, controls), "Mean over seeds and clips."))
    return "\n".join(parts)


def table_html(table: Table) -> str:
    """A table of a page as HTML; what Markdown shows in italics in the first column is a control's row."""
    head = "".join(f"<th>{html.escape(title)}</th>" for title in table.header)
    body, was_control = [], False
    for first, *cells in table.rows:
        is_control = first.startswith("*")
        kind = " ".join(["control"] * is_control + ["first"] * (is_control and not was_control))
        was_control = is_control
        body.append(f'<tr class="{kind}"><td>{html.escape(first.strip("*"))}</td>{"".join(map(_cell, cells))}</tr>')
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _cell(text: str) -> str:
    mean, _, std = html.escape(text.strip("*")).partition(" ± ")
    spread = f' <span class="std">± {std}</span>' if std else ""
    return f"<td{' class=best' if text.startswith('**') else ''}>{mean}{spread}</td>"


def _figure(svg: str, caption: str) -> str:
    # As an image, not inline: the ids of several inline figures would clash.
    return figure(image(data_uri("image/svg+xml", svg.encode()), alt=caption), caption=caption)


def _clips(results: dict[str, Any], folder: Path) -> Iterator[str]:
    """Each clip's videos side by side over their x-t slices, and the spectra."""
    exhibits = {clip: dict(_exhibits(results, folder, clip)) for clip in results["config"]["clips"]}
    if not any(exhibits.values()):
        return
    yield heading("Clips")
    yield paragraph(
        "Free samples of seed 0 beside the real frames that they were learnt from and the held-out ones. Under each "
        "video its x-t slice: the middle row of pixels, time downwards.",
        soft=True,
    )
    rows = results["rows"]
    scores, levels = per_clip(rows, "statistics", "score"), per_clip(rows, "paper", "psnr")
    for i, (clip, seen) in enumerate(exhibits.items()):
        if not seen:
            continue
        strip = []
        for name, made in seen.items():
            words = [
                f"{column.title} {shown(found[clip][name], column)}"
                for found, column in ((scores, SCORE), (levels, PSNR))
                if name in found.get(clip, {})
            ]
            strip.append(_exhibit(name, made, words))
        drawn = spectra(seen, results["config"]["methods"])
        yield (
            f"<details{' open' * (i < 2)}><summary>{html.escape(clip)}</summary>"
            f'<div class="strip">{"".join(strip)}</div>{_figure(drawn, "Temporal power spectrum, mean over pixels.")}'
            "</details>"
        )


def _exhibits(results: dict[str, Any], folder: Path, clip: str) -> Iterator[tuple[str, Clip]]:
    for name in (*REAL, *results["config"]["methods"]):
        for place in (f"statistics/{name}/{clip}/0/sample-1", f"paper/{name}/{clip}/0/free"):
            path = folder / (place + LOSSLESS)
            if path.exists():
                yield REAL.get(name, name), read_clip(path)
                break


def _exhibit(name: str, clip: Clip, words: Sequence[str]) -> str:
    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "clip.mp4"
        write_clip(path, clip, quality=QUALITY)
        video = data_uri("video/mp4", path.read_bytes())
    still = png_uri(clip.to_uint8()[:, clip.height // 2])  # (T, W, 3)
    caption = "".join([f"<b>{html.escape(name)}</b>", *(f"<span>{html.escape(word)}</span>" for word in words)])
    return (
        f"<figure><figcaption>{caption}</figcaption>"
        f'<video autoplay loop muted playsinline src="{video}"></video>'
        f'<img src="{still}" alt="x-t slice of {html.escape(name)}"></figure>'
    )
