"""What is told of the rows: means and spreads by hand, the pages, the command; and CoopNets' anchored column."""

from __future__ import annotations

import json
import math
import re
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from commands import dyntex
from typer.testing import CliRunner

from dyntex.benchmarks.data import Source
from dyntex.benchmarks.degradations import DEGRADATIONS, degrade, degraded_scores, ghost
from dyntex.benchmarks.metrics.psnr_ssim import psnr
from dyntex.benchmarks.metrics.statistics import STATISTICS, calibrate
from dyntex.benchmarks.report.html import write_report
from dyntex.benchmarks.report.markdown import render
from dyntex.benchmarks.report.plots import temporal_spectrum
from dyntex.benchmarks.report.published_margins import differences, margins
from dyntex.benchmarks.report.score_validity import score_validity
from dyntex.benchmarks.report.summary import Column, Summary, best, shown, summarise, table
from dyntex.benchmarks.study import PAGE
from dyntex.cli import app
from dyntex.clip import Clip
from dyntex.coopnets.model import ANCHOR_FRAMES, CoopNets
from dyntex.coopnets.presets import FAST
from dyntex.errors import DyntexError, InputError
from dyntex.examples import make
from dyntex.media import read_clip


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
    model = CoopNets.fit(clip, FAST.replaced(iterations=1), rng=torch.Generator().manual_seed(0))
    fitted = model

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
    fitted = CoopNets.fit(clip, FAST.replaced(iterations=1), rng=torch.Generator().manual_seed(0))
    predicted = fitted.predict(clip, 2)
    mean = Clip(clip.video.mean(1, keepdim=True), clip.fps)
    first = future.segment(0, 1)
    assert psnr(predicted.segment(0, 1), first, data_range=2.0) > psnr(mean, first, data_range=2.0) + 1


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("benchmark") / "out"
    for task in ("paper", "extrapolation"):
        words = [task, "--clips", "example:ripples", "--methods", "lds", "--quick", "-o", out]
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
    results = json.loads((finished / "results.json").read_text())
    path = write_report(results | {"command": "dyntex <script>"}, finished)
    assert "<script>" not in path.read_text(encoding="utf-8")


def test_the_markdown_names_its_command_and_marks_the_controls(finished: Path, tmp_path: Path):
    page = tmp_path / "page.md"
    words = ["benchmark", "page", str(finished), "-o", str(page)]
    assert CliRunner().invoke(app, words).exit_code == 0
    text = page.read_text(encoding="utf-8")
    results = json.loads((finished / "results.json").read_text())
    (lds,) = [r for r in results["rows"] if (r["task"], r["method"]) == ("paper", "lds")]
    assert text == (finished / PAGE).read_text(encoding="utf-8")
    assert text.startswith("# Benchmark results\n")
    assert f"Made by `{results['command']}`" in text
    assert f"| lds | **{lds['psnr']:.2f}** |" in text
    assert "| *copy* | ∞ |" in text
    again = CliRunner().invoke(app, words)
    assert again.exception is not None
    assert "--overwrite" in str(again.exception)


def test_json_is_the_results(finished: Path):
    words = ["paper", "--clips", "example:ripples", "--methods", "lds", "--quick"]
    result = CliRunner().invoke(app, ["benchmark", *words, "-o", str(finished), "--json", "-q"])
    assert json.loads(result.stdout) == json.loads((finished / "results.json").read_text())


@pytest.mark.parametrize(
    ("wrong", "exit_code", "message"),
    [
        (["--clips", "{here}"], 3, "holds no clips"),
        (["--clips", "example:fyre"], 3, "no example 'fyre'"),
        (["--methods", "ldss"], 2, "no method 'ldss'"),
        (["--shard", "3/2"], 2, "--shard 3/2"),
        (["--clips", "example:ripples", "--size", "48"], 2, "size is 32, not 48"),
    ],
)
def test_bad_words_change_nothing(finished: Path, tmp_path: Path, wrong: list[str], exit_code: int, message: str):
    before = {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()}
    words = [word.format(here=tmp_path) for word in wrong]
    result = CliRunner().invoke(app, ["benchmark", "paper", "--quick", "-o", str(finished), *words])
    assert isinstance(result.exception, DyntexError), result.output
    assert result.exception.exit_code == exit_code
    assert message in str(result.exception)
    assert {path: path.read_bytes() for path in finished.rglob("*") if path.is_file()} == before


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--task", "papr"], "--task is a command of its own: dyntex benchmark papr"),
        (["--task", "paper,statistics"], "dyntex benchmark paper and dyntex benchmark statistics"),
        (["--task", "recovery", "--masks", "m.npz"], "No such option: --masks"),
        (["--reference"], "--reference is a command of its own: dyntex benchmark iteration"),
        (["ladder", "-o", "page.md"], "ladder has another name: dyntex benchmark degradations"),
        (["tables", "results"], "tables has another name: dyntex benchmark page"),
        (["--clips", "examples", "paper"], "--clips before paper: give options after the name"),
        (["papr"], "No such command 'papr'"),
    ],
)
def test_words_of_old_say_the_new_ones(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], said: str):
    monkeypatch.chdir(tmp_path)
    refused = dyntex("benchmark", *words)
    assert refused.code == 2
    assert said in refused.err
    assert list(tmp_path.iterdir()) == []


# Margins, the score's proof, degradations


def paper_row(method: str, clip: str, seed: int, level: float, likeness: float) -> dict[str, Any]:
    anchored = {"anchored_psnr": level + 1.0, "anchored_ssim": likeness + 0.1}
    return row(method, clip, seed, level) | {"ssim": likeness} | anchored


def test_margins_are_of_equal_clips_and_seeds():
    rows = [
        paper_row("lds", "a", 0, 20.0, 0.50),
        paper_row("lds", "a", 1, 22.0, 0.50),
        paper_row("lds", "b", 0, 10.0, 0.50),
        paper_row("fast", "a", 0, 20.1, 0.51),
        paper_row("fast", "a", 1, 22.3, 0.51),
        paper_row("fast", "b", 0, 11.0, 0.50),
        paper_row("fast", "b", 1, 99.0, 0.99),  # LDS has no such row
        row("copy", "a", 0, None, control=True),
    ]
    found = differences(rows, "fast", "lds", "psnr")
    assert [(r["clip"], r["seed"], round(r["psnr"], 6)) for r in found] == [("a", 0, 0.1), ("a", 1, 0.3), ("b", 0, 1.0)]
    assert margins([r for r in rows if r["method"] != "fast"]) is None
    page = render([margins(rows) or ""])
    # 0.2 on a, short of .26, and 1.0 on b: 0.60 in all; no spread, because b has one seed.
    assert "| fast − lds | PSNR free | 0.60 | ≥ 0.26 | a (+0.20) |" in page
    assert "| fast − lds | SSIM free | 0.0050 | ≥ 0.005 | b (+0.0000) |" in page
    assert "| fast − lds | PSNR anchored | 0.60 | ≥ 0.26 | a (+0.20) |" in page
    assert "hosvd" not in page


def test_the_validity_ranks_the_controls_and_names_what_exposes_them():
    def control(name: str, clip: str, score: float, **numbers: float) -> dict[str, Any]:
        about = {"task": "statistics", "method": name, "clip": clip, "seed": 0, "control": True, "status": "ok"}
        rest = dict.fromkeys(STATISTICS, 1.0) | {"copy_distance": 1.0, "diversity": 1.0}
        return about | {"score": score} | rest | numbers

    rows = [
        control("later-real", "a", 1.0),
        control("copy", "a", 1.0, copy_distance=0.0, diversity=0.0),
        control("mean-frame", "a", 4.0, flicker=9.0, motion=7.0),
        control("reversed-real", "a", 1.2, direction=5.0),
        control("later-real", "b", 1.0),
        control("copy", "b", 1.0, copy_distance=0.0, diversity=0.0),
        control("mean-frame", "b", 0.9, copy_distance=0.6),
        control("reversed-real", "b", 1.4, direction=2.9),
    ]
    said, ranking, exposed = score_validity(rows)
    assert "level with the copy, on 1 of 2 clips" in said
    assert "| a | later-real 1.00, copy 1.00, reversed-real 1.20, mean-frame 4.00 |" in ranking
    assert "| b | mean-frame 0.90, later-real 1.00, copy 1.00, reversed-real 1.40 |" in ranking
    copy = "copy distance 0.00"  # and not its diversity, which is 0 of all that is one clip
    assert f"| a | {copy} | score 4.00; flicker 9.0 | direction 5.0 |" in exposed
    assert f"| b | {copy} | **not exposed** | **not exposed** |" in exposed
    assert score_validity([r | {"control": False} for r in rows]) == []


def test_each_degradation_is_what_it_says():
    real = make("flame", size=32, n_frames=32)
    y = real.video[:, :16]

    def made(name: str, amount: float) -> torch.Tensor:
        return degrade(real, name, amount, n_frames=16).video

    assert all(degrade(real, name, amounts[0], n_frames=8).n_frames == 8 for name, amounts in DEGRADATIONS.items())
    assert torch.equal(made("reversal", 1), y.flip(1))
    assert torch.equal(made("speed", 2), real.video[:, ::2])
    assert torch.equal(made("freezing", 4)[:, 4:8], y[:, 4:5].expand(-1, 4, -1, -1))
    inside = (y.abs() < 0.8).all(0)  # where nothing is cut off at black or white
    shift = (made("colour shift", 0.1) - y)[:, inside]
    torch.testing.assert_close(shift, torch.tensor([[0.1], [0.0], [-0.1]]).expand_as(shift), atol=1e-6, rtol=0)
    mean = y.mean(1, keepdim=True)
    torch.testing.assert_close(made("fading", 0.5) - mean, 0.5 * (y - mean), atol=1e-6, rtol=0)
    # A few thousand values: the deviation is known to 2 %.
    assert float((made("noise", 0.05) - y)[:, inside].std()) == pytest.approx(0.05, rel=0.05)
    # A blur keeps the mean but at the frame's rim, and takes contrast away; a ghost has the clip's mean.
    blurry = made("blur", 2.0)
    assert float(blurry.mean()) == pytest.approx(float(y.mean()), abs=0.01)
    assert blurry.diff(dim=-1).abs().mean() < 0.7 * y.diff(dim=-1).abs().mean()
    spirit = ghost(y, rng=torch.Generator().manual_seed(0))
    torch.testing.assert_close(spirit.mean(1, keepdim=True), mean, atol=1e-5, rtol=0)


def test_degradations_are_a_table_of_scores(tmp_path: Path):
    out = tmp_path / "out"
    words = ["degradations", "--clips", "example:ripples", "--size", "32", "--frames", "32", "-o", str(out)]
    assert CliRunner().invoke(app, ["benchmark", *words]).exit_code == 0
    lines = (out / PAGE).read_text(encoding="utf-8").splitlines()
    table = {tuple(cell.strip() for cell in line.split("|")[1:3]): line for line in lines if line.startswith("| ")}
    assert {key[0] for key in table} == {"degradation", "---", "nothing", *DEGRADATIONS}
    source = Source("ripples", "example:ripples")
    draws = degraded_scores(source, size=32, n_frames=32, n_draws=4)
    assert len(draws) == 4
    for step in (("nothing", 0.0), ("noise", 0.3)):
        values = [draw[step].value for draw in draws]
        assert len(set(values)) == 4  # each is of its own seed
        shown = table[step[0], f"{step[1]:g}"].split("|")[3].strip()
        assert shown == f"{math.prod(values) ** 0.25:.2f}"
    assert min(draw["noise", 0.3].value for draw in draws) > 1.5
    # Waves that run every way have no arrow of time: 7 x 3 - 1 steps, and the reversal is none of them.
    assert "Of 20 steps" in (out / PAGE).read_text(encoding="utf-8")
    real = read_clip("example:ripples", size=32, n_frames=5 * 32)
    train, heldout = real.segment(0, 32), real.segment(4 * 32, 32)
    assert draws[0]["nothing", 0.0] == calibrate(train, heldout).score(train)
    np.save(tmp_path / "ripples.npy", make("ripples", size=32, n_frames=20).to_uint8())
    with pytest.raises(InputError, match=r"ripples has 20 frames: lower --frames to 10"):
        degraded_scores(Source("ripples", str(tmp_path / "ripples.npy")), size=32, n_frames=16, n_draws=4)
