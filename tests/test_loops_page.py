"""The page of seams: every clip and method on it, and an open end told from a loop."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from dyntex.baselines.lds import LDS
from dyntex.benchmarks.data import find_clips
from dyntex.benchmarks.studies import loops
from dyntex.benchmarks.studies.loops import FEW, Draw, Loops, measure, ordinary_places, seams_shown
from dyntex.benchmarks.study import PAGE, run
from dyntex.clip import Clip
from dyntex.errors import UsageError
from dyntex.media import read_clip


def test_seams_are_medians_and_how_many_are_ordinary():
    assert seams_shown([(10, 20), (50, 96), (90, 60)]) == "50 / 60 (2 of 3)"
    assert seams_shown([(1, 20), (5, 95), (9, 4)]) == "5 / 20 (1 of 3)"
    assert seams_shown(None) == "–"


def test_loops_are_drawn_as_loops_and_their_amplitude_is_over_the_free_samples():
    clip = read_clip("example:ripples", size=16, n_frames=64)
    asked: list[tuple[int, bool]] = []

    def draw(n: int, loop: bool, rng: torch.Generator) -> Clip:
        asked.append((n, loop))
        mean = clip.video.mean(1, keepdim=True)
        # A loop of half the deviation, by a real clip's frames: a quarter of the power.
        return Clip(mean + (0.5 if loop else 1.0) * (clip.video[:, :64] - mean), clip.fps)

    found = measure(draw, clip, seeds=5)
    assert {(n, loop): asked.count((n, loop)) for n, loop in asked} == {
        (64, True): 5 + FEW, (32, True): FEW, (16, True): FEW, (64, False): FEW
    }  # fmt: skip
    assert all(abs(ratio - 0.25) < 1e-6 for ratio in found["amplitude"].values())


def test_about_nine_in_ten_of_a_real_clips_places_pass():
    clip = read_clip("example:ripples", size=16, n_frames=64)
    # Two tests that each leave out a tenth: between four fifths and nine tenths, give or take one place of 61.
    assert 0.78 <= ordinary_places(clip) <= 0.92


def test_the_page_has_a_row_for_each_clip(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def fitted(method: str, clip: Clip, *, iterations: int) -> Draw:
        def draw(n: int, loop: bool, rng: torch.Generator) -> Clip:
            return LDS.fit(clip, rng=rng).synthesize(n, rng=rng, loop=loop)

        return draw

    monkeypatch.setattr(loops, "fitted", fitted)
    noise = np.random.default_rng(0).integers(0, 255, (20, 16, 16, 3), dtype=np.uint8)
    np.save(tmp_path / "noise.npy", noise)
    study = Loops(tuple(find_clips([str(tmp_path / "noise.npy")])), size=16, frames=20, seeds=1, iterations=1)
    results = run(study, tmp_path / "out", command="the command")
    text = (tmp_path / "out" / PAGE).read_text()
    assert "Made by `the command`" in text
    assert text.count("\n| noise |") == 4
    assert "of 1)" in text
    assert "–" not in text
    with pytest.raises(UsageError, match=r"a loop is not possible with kpcr, because .*: leave it out of --methods"):
        replace(study, methods=("lds", "kpcr"))
    closed = [row["method"] for row in results["rows"] if "amplitude" in row]
    assert closed == ["lds", "fft-lds", "hosvd", "fast"]  # and not the open end


def test_the_numbers_of_the_page_are_those_that_they_were():
    """Of the code before the studies shared a harness, as its page printed them."""
    clip = read_clip("example:flame", size=32, n_frames=64)
    found = measure(loops.fitted("lds", clip, iterations=2), clip, seeds=2)
    assert seams_shown(found["real"]) == "13 / 1 (0 of 2)"
    assert seams_shown(found["own"]) == "56 / 47 (2 of 2)"
    assert [f"{value:.2f}" for value in found["amplitude"].values()] == ["1.11", "0.87", "1.03"]
