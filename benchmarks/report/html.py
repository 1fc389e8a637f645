"""``report.html``: the tables, the figures and the moving pictures in one file that needs nothing else."""

from __future__ import annotations

import html
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from benchmarks.report.plots import clip_bars, horizons, names_of, spectra
from benchmarks.report.protocol import CAPTIONS, TITLES, protocol, setting
from benchmarks.report.summary import COLUMNS, Column, Summary, best, column_of, per_clip, shown, table
from benchmarks.tasks.comparison import LOSSLESS
from dyntex.clip import Clip
from dyntex.experiment.report.page import data_uri, png_uri
from dyntex.media import read_clip, write_clip

REPORT = "report.html"
QUALITY = 20
"""H.264's rate factor of the embedded videos; what was measured is the lossless one."""

REAL = {"copy": "observed", "later-real": "held out"}
"""The controls whose clips are the real ones, as the report calls them."""

SCORE = Column("score", "score", 2, spread=False)
PSNR = Column("psnr", "PSNR", 2, spread=False)

HEADLINES = {"paper": "psnr", "statistics": "score"}
"""The number of a task by which a figure compares clips."""

MARKS = {"paper": ("mean-frame", "later-real"), "statistics": ("reversed-real", "white-noise")}
"""The controls that a figure of a task shows beside the methods."""


def write_report(results: dict[str, Any], folder: Path) -> Path:
    """Write the report of a benchmark into its folder, from whose videos it is made.

    Args:
        results: as ``results.json`` holds them.
        folder: of the benchmark.

    Returns:
        the file.
    """
    config = results["config"]
    body = [
        "<h1>Dynamic texture benchmark</h1>",
        _p(protocol(results)),
        f"<pre>{html.escape(results['command'])}</pre>" if results["command"] else "",
        _p(setting(results), soft=True),
        *(_task(results, task) for task in config["tasks"]),
        *_clips(results, folder),
    ]
    style = Path(__file__).with_name("report.css").read_text(encoding="utf-8")
    page = (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width">'
        f"<title>Dynamic texture benchmark</title>\n<style>\n{style}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )
    (folder / REPORT).write_text(page, encoding="utf-8")
    return folder / REPORT


def _p(text: str, *, soft: bool = False) -> str:
    return f"<p{' class=soft' if soft else ''}>{html.escape(text)}</p>"


def _task(results: dict[str, Any], task: str) -> str:
    rows = results["rows"]
    methods, controls = names_of(rows, task)
    parts = [f"<h2>{html.escape(TITLES[task])}</h2>", _p(CAPTIONS[task], soft=True), _table(rows, task)]
    failed = [row for row in rows if row["task"] == task and row["status"] == "failed"]
    parts += [
        _p(f"Failed: {row['method']} on {row['clip']}, seed {row['seed']}: {row['reason']}", soft=True)
        for row in failed
    ]
    if task in MARKS and methods:
        marks = [name for name in MARKS[task] if name in controls]
        figure = clip_bars(rows, task, column_of(task, HEADLINES[task]), methods=methods, controls=marks)
        parts.append(_figure(figure, "Clip by clip; thin lines are the standard deviation over seeds."))
    if task == "extrapolation":
        parts.append(_figure(horizons(rows, methods, controls), "Mean over seeds and clips."))
    return "\n".join(parts)


def _table(rows: Sequence[dict[str, Any]], task: str) -> str:
    lines, columns = table(rows, task), COLUMNS[task]
    winners = best(lines, task)
    head = "".join(f"<th>{html.escape(title)}</th>" for title in ("method", *(c.title for c in columns)))
    body = []
    for i, line in enumerate(lines):
        first = line.control and (i == 0 or not lines[i - 1].control)
        kind = " ".join(["control"] * line.control + ["first"] * first)
        cells = "".join(_cell(line.cells[c], column, winners[c] == i) for c, column in enumerate(columns))
        name = line.method + (f" ({line.failed} failed)" if line.failed else "")
        body.append(f'<tr class="{kind}"><td>{html.escape(name)}</td>{cells}</tr>')
    return f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{"".join(body)}</tbody></table></div>'


def _cell(summary: Summary, column: Column, wins: bool) -> str:
    mean, _, std = shown(summary, column).partition(" ± ")
    spread = f' <span class="std">± {std}</span>' if std else ""
    return f"<td{' class=best' if wins else ''}>{mean}{spread}</td>"


def _figure(svg: str, caption: str) -> str:
    # As an image, not inline: the ids of several inline figures would clash.
    return (
        f'<figure><img src="{data_uri("image/svg+xml", svg.encode())}" alt="{html.escape(caption)}">'
        f"<figcaption>{html.escape(caption)}</figcaption></figure>"
    )


def _clips(results: dict[str, Any], folder: Path) -> Iterator[str]:
    """Each clip's videos side by side over their x-t slices, and the spectra."""
    exhibits = {clip: dict(_exhibits(results, folder, clip)) for clip in results["config"]["clips"]}
    if not any(exhibits.values()):
        return
    yield "<h2>Clips</h2>"
    yield _p(
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
        figure = spectra(seen, results["config"]["methods"])
        yield (
            f"<details{' open' * (i < 2)}><summary>{html.escape(clip)}</summary>"
            f'<div class="strip">{"".join(strip)}</div>{_figure(figure, "Temporal power spectrum, mean over pixels.")}'
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
