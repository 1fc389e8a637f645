"""What is told of the rows: means and spreads by hand, the pages, the command; and CoopNets' anchored column."""

from __future__ import annotations

import json
import math
import re
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from benchmarks.conditioned import ANCHOR_FRAMES, Conditioned
from benchmarks.metrics import psnr
from benchmarks.plots import temporal_spectrum
from benchmarks.summary import Column, Summary, best, shown, summarise, table
from dyntex.cli import app
from dyntex.clip import Clip
from dyntex.coopnets import CoopNets
from dyntex.examples import make
from dyntex.presets import FAST


def row(method: str, clip: str, seed: int, value: float | None, *, control: bool = False) -> dict[str, Any]:
    about = {"task": "paper", "method": method, "clip": clip, "seed": seed, "control": control}
    return about | {"status": "ok", "psnr": value}


def test_mean_over_seeds_then_clips():
    rows = [row("lds", "a", 0, 10.0), row("lds", "a", 1, 14.0), row("lds", "b", 0, 30.0)]
    assert summarise(rows, "psnr").mean == (12 + 30) / 2  # not (10 + 14 + 30) / 3
    assert math.isnan(summarise(rows, "psnr").std)  # one seed alone has every clip
    rows.append(row("lds", "b", 1, 28.0))
    found = summarise(rows, "psnr")
    assert (found.mean, found.clips) == ((12 + 29) / 2, 2)
    assert found.std == pytest.approx(abs(20 - 21) / math.sqrt(2))  # of the two seeds' means over clips


def test_failed_cells_are_left_out_and_exact_ones_are_infinite():
    rows = [row("lds", "a", 0, 10.0), {**row("lds", "b", 0, 99.0), "status": "failed", "reason": "no"}]
    assert (summarise(rows, "psnr").mean, summarise(rows, "psnr").clips) == (10.0, 1)
    assert table(rows, "paper")[0].failed == 1
    assert summarise([row("copy", "a", 0, None)], "psnr").mean == math.inf
    assert math.isnan(summarise(rows, "nothing").mean)


def test_a_control_never_wins():
    rows = [row("mean-frame", "a", 0, 50.0, control=True), row("lds", "a", 0, 10.0), row("kpcr", "a", 0, 11.0)]
    lines = table(rows, "paper")
    assert [line.method for line in lines] == ["lds", "kpcr", "mean-frame"]
    assert best(lines, "paper")[0] == 1


@pytest.mark.parametrize(
    ("summary", "text"),
    [
        (Summary(12.345, 0.06, 2), "12.3 ± 0.1"),
        (Summary(1234.5678, math.nan, 2), "1,234.6"),
        (Summary(math.inf, math.nan, 2), "∞"),
        (Summary(math.nan, math.nan, 0), "–"),
    ],
)
def test_numbers_as_they_are_shown(summary: Summary, text: str):
    assert shown(summary, Column("psnr", "PSNR", 1)) == text


def test_the_spectrum_of_a_sine_is_at_its_frequency_and_sums_to_its_variance():
    t = torch.arange(64.0)
    video = (0.5 * torch.sin(2 * math.pi * 8 * t / 64)).view(1, 64, 1, 1).expand(1, 64, 2, 2).contiguous()
    frequency, power = temporal_spectrum(Clip(video, Fraction(32)))
    assert frequency[np.argmax(power)] == pytest.approx(4.0)  # 8 periods in 64 frames of 1/32 s
    assert power.sum() == pytest.approx(0.5**2 / 2, rel=1e-3)


def test_coopnets_anchored_begin_as_the_anchor_does_and_end_as_a_sample_does():
    clip = make("flame", size=32, n_frames=24)
    model = CoopNets.fit(clip, replace(FAST, iterations=1), rng=torch.Generator().manual_seed(0))
    fitted = Conditioned(model)

    def level(made: Clip, start: int, n: int) -> float:
        return psnr(made.segment(start, n), clip.segment(start, n), data_range=2.0)

    free = fitted.synthesize(24, rng=torch.Generator().manual_seed(1))
    anchored = [fitted.synthesize(24, rng=torch.Generator().manual_seed(seed), anchor=clip) for seed in (1, 1, 2)]
    # The first frames are explained as well as the linear part can (measured: 7 dB above a free sample).
    assert level(anchored[0], 0, ANCHOR_FRAMES) > level(free, 0, ANCHOR_FRAMES) + 4
    assert torch.equal(anchored[0].video, anchored[1].video)
    # What the anchor does not say is drawn: another seed ends elsewhere.
    assert (anchored[0].video[:, -1] - anchored[2].video[:, -1]).abs().mean() > 0.02
    # It sees no later frame: a clip that goes on otherwise anchors alike.
    other = Clip(torch.cat((clip.video[:, :ANCHOR_FRAMES], -clip.video[:, ANCHOR_FRAMES:]), dim=1), clip.fps)
    again = fitted.synthesize(24, rng=torch.Generator().manual_seed(1), anchor=other)
    assert torch.equal(again.video, anchored[0].video)
    assert torch.equal(fitted.synthesize(24, rng=torch.Generator().manual_seed(1)).video, free.video)


def test_coopnets_predict_from_where_the_clip_is():
    whole = make("ocean", size=32, n_frames=32)
    clip, future = whole.segment(0, 30), whole.segment(30, 2)
    fitted = Conditioned(CoopNets.fit(clip, replace(FAST, iterations=1), rng=torch.Generator().manual_seed(0)))
    predicted = fitted.predict(clip, 2)
    mean = Clip(clip.video.mean(1, keepdim=True), clip.fps)
    first = future.segment(0, 1)
    assert psnr(predicted.segment(0, 1), first, data_range=2.0) > psnr(mean, first, data_range=2.0) + 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("benchmark") / "out"
    words = ["--clips", "example:ripples", "--methods", "lds", "--task", "paper,extrapolation", "--quick", "-o", out]
    result = CliRunner().invoke(app, ["benchmark", *map(str, words), "--quiet"])
    assert result.exit_code == 0, result.output
    assert result.stdout == f"{out}\n"
    return out


def test_the_report_needs_nothing_else(finished: Path):
    page = (finished / "report.html").read_text(encoding="utf-8")
    links = re.findall(r"""(?:src|href)\s*=\s*["']([^"']*)|url\(([^)]*)\)""", page)
    assert links
    assert all((a or b).startswith("data:") for a, b in links)
    assert page.count("<video") == 3  # observed, held out, lds
    results = json.loads((finished / "results.json").read_text())
    (lds,) = [r for r in results["rows"] if (r["task"], r["method"]) == ("paper", "lds")]
    assert f"{lds['psnr']:.2f}" in page
    assert page.count('class="control') == 6 + 2  # rows of controls: the paper's task, extrapolation


def test_what_was_typed_is_text_in_the_report(finished: Path):
    from benchmarks.report import write_report

    results = json.loads((finished / "results.json").read_text())
    path = write_report(results | {"command": "dyntex <script>"}, finished)
    assert "<script>" not in path.read_text(encoding="utf-8")


def test_the_markdown_names_its_command_and_marks_the_controls(finished: Path, tmp_path: Path):
    page = tmp_path / "page.md"
    words = ["benchmark", "tables", str(finished), "-o", str(page), "--title", "Ripples"]
    assert CliRunner().invoke(app, words).exit_code == 0
    text = page.read_text(encoding="utf-8")
    results = json.loads((finished / "results.json").read_text())
    (lds,) = [r for r in results["rows"] if (r["task"], r["method"]) == ("paper", "lds")]
    assert text.startswith("# Ripples\n")
    assert f"| lds | **{lds['psnr']:.2f}** |" in text
    assert "| *copy* | ∞ |" in text
    again = CliRunner().invoke(app, words)
    assert again.exception is not None
    assert "--overwrite" in str(again.exception)


def test_json_is_the_results(finished: Path):
    words = ["--clips", "example:ripples", "--methods", "lds", "--task", "paper,extrapolation", "--quick"]
    result = CliRunner().invoke(app, ["benchmark", *words, "-o", str(finished), "--json", "-q"])
    assert json.loads(result.stdout) == json.loads((finished / "results.json").read_text())
