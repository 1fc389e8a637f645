"""The report's figures, as SVG: transparent, in greys and few colours, readable on light and on dark."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import matplotlib as mpl
import numpy as np
import torch
from matplotlib.figure import Figure

from dyntex.benchmarks.report.summary import Column, Row, per_clip, summarise, table
from dyntex.benchmarks.tasks.quality import HORIZONS
from dyntex.clip import Clip
from dyntex.experiment.report.curves import GREY, STYLE

# Okabe and Ito's colours, which the colour-blind can tell apart; the real clips are grey, and so are the controls.
COLOURS = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7", "#56B4E9", "#B8A800")
LEGENDS = STYLE | {"legend.frameon": False}


def colours_of(methods: Sequence[str]) -> dict[str, str]:
    """A colour for each method, the same in all figures of a report."""
    return {method: COLOURS[i % len(COLOURS)] for i, method in enumerate(methods)}


def clip_bars(
    rows: Sequence[Row], task: str, column: Column, *, methods: Sequence[str], controls: Sequence[str]
) -> str:
    """One number, clip by clip: a bar a method with its standard deviation over seeds, a mark a control."""
    found = per_clip(rows, task, column.key)
    colours, marks = colours_of(methods), ("_", "x", "+")
    with mpl.rc_context(LEGENDS):
        figure, axes = _figure(max(6.0, 0.8 * len(found) + 1.0), 2.9)
        width = 0.8 / max(1, len(methods))
        for i, method in enumerate(methods):
            cells = [found[clip].get(method) for clip in found]
            means = [cell.mean if cell else math.nan for cell in cells]
            errors = [0.0 if cell is None or math.isnan(cell.std) else cell.std for cell in cells]
            x = np.arange(len(found)) + (i - (len(methods) - 1) / 2) * width
            axes.bar(x, means, 0.9 * width, color=colours[method], label=method)
            axes.errorbar(x, means, errors, fmt="none", ecolor=GREY, elinewidth=0.8)
        for mark, control in zip(marks, controls, strict=False):
            values = [cell.mean if (cell := found[clip].get(control)) else math.nan for clip in found]
            axes.plot(range(len(found)), values, mark, color=GREY, markersize=9, label=control)
        axes.set_xticks(range(len(found)), [name.replace("_", " ") for name in found], rotation=20, ha="right")
        axes.set_ylabel(column.title)
        if column.better > 0:
            _zoom(axes, [cell.mean for cells in found.values() for m, cell in cells.items() if m in methods])
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0)
        return _svg(figure)


def horizons(rows: Sequence[Row], methods: Sequence[str], controls: Sequence[str]) -> str:
    """PSNR of the predicted frame against its horizon, the mean over seeds and clips."""
    own = [row for row in rows if row["task"] == "extrapolation"]
    colours = colours_of(methods)
    with mpl.rc_context(LEGENDS):
        figure, axes = _figure(6.0, 2.9)
        for name in (*methods, *controls):
            cells = [summarise([r for r in own if r["method"] == name], f"psnr_{h}").mean for h in HORIZONS]
            dashes = ("-", ":", "--")[1 + controls.index(name) % 2] if name in controls else "-"
            axes.plot(HORIZONS, cells, dashes, color=colours.get(name, GREY), marker="o", markersize=3, label=name)
        axes.set_xscale("log", base=2)
        axes.set_xticks(HORIZONS, [str(h) for h in HORIZONS])
        axes.set_xlabel("frames ahead")
        axes.set_ylabel("PSNR, dB")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0)
        return _svg(figure)


def spectra(shown: Mapping[str, Clip], methods: Sequence[str]) -> str:
    """Power of each clip over temporal frequency."""
    colours = colours_of(methods)
    with mpl.rc_context(LEGENDS):
        figure, axes = _figure(6.0, 2.5)
        for name, clip in shown.items():
            frequency, power = temporal_spectrum(clip)
            dashes = "--" if name == "held out" else "-"
            wide = 1.0 if name in methods else 1.6
            axes.plot(frequency, power, dashes, color=colours.get(name, GREY), linewidth=wide, label=name)
        axes.set_yscale("log")
        axes.set_xlabel("frequency, Hz")
        axes.set_ylabel("power")
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), borderaxespad=0.0)
        return _svg(figure)


def temporal_spectrum(clip: Clip) -> tuple[Any, Any]:
    """Frequencies in Hz, without 0, and the periodogram of the pixels' values over time, Hann-windowed, their mean.

    A sum over frequencies is about the variance (in squared units of [-1, 1]), however long the clip.
    """
    T = clip.n_frames
    window = torch.hann_window(T, dtype=torch.float64)
    y = clip.video.double() - clip.video.double().mean(dim=1, keepdim=True)
    power = torch.fft.rfft(y * window[:, None, None], dim=1).abs().square().mean(dim=(0, 2, 3))
    # Parseval: one-sided, so all but the last (if T is even) count twice; 1e-9 keeps a still clip on a log axis.
    power = 2.0 * power / (T * window.square().sum()) + 1e-9
    return np.fft.rfftfreq(T, float(1 / clip.fps))[1:], power[1:].numpy()


def _figure(width: float, height: float) -> tuple[Figure, Any]:
    figure = Figure(figsize=(width, height))
    return figure, figure.subplots()


def _zoom(axes: Any, values: Sequence[float]) -> None:
    """Let the bars' axis start near the lowest: decibels have no zero that means anything."""
    finite = [value for value in values if math.isfinite(value)]
    if finite:
        axes.set_ylim(bottom=max(0.0, min(finite) - 0.35 * (max(finite) - min(finite)) - 0.5))


def _svg(figure: Figure) -> str:
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, bbox_inches="tight", metadata={"Date": None})
    return buffer.getvalue()


def names_of(rows: Sequence[Row], task: str) -> tuple[list[str], list[str]]:
    """The methods and the controls of a task, in the order of its table."""
    lines = table(rows, task)
    return [line.method for line in lines if not line.control], [line.method for line in lines if line.control]
