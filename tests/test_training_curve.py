"""The curve of a training over seconds: when it is looked at, and its page."""

from __future__ import annotations

import pytest

from dyntex.benchmarks import training_curve
from dyntex.benchmarks.data import Split, find_clips, split_clip
from dyntex.benchmarks.training_curve import Row, curve, page
from dyntex.coopnets.segments import Segments


def test_the_page_says_what_was_measured():
    rows = [
        Row("fire", 0.0, 0, 0.82, 1.19, 0.88, 0.87),
        Row("fire", 15.2, 300, 0.75, 1.03, 0.91, 0.90),
    ]
    text = page(rows, "python -m x")
    assert "| fire | untrained | 0 | 0.82 | 1.19 | 0.88 | 0.87 |" in text
    assert "| fire | 15 | 300 | 0.75 | 1.03 | 0.91 | 0.90 |" in text
    assert "Made by `python -m x`." in text


def test_a_training_is_looked_at_untrained_and_after_the_first_step_past_each_time(
    monkeypatch: pytest.MonkeyPatch,
):
    split = split_clip(find_clips(["example:ripples"])[0], size=16, n_frames=24)
    seen: list[tuple[int, float, bool]] = []

    def judged(model: Segments, _: Split, iterations: int, spent: float, *, seed: int) -> Row:
        seen.append((iterations, spent, bool(model.gen.seam.any())))
        return Row("ripples", spent, iterations, 0.5, 1.0, 1.0, 1.0)

    monkeypatch.setattr(training_curve, "judged", judged)
    rows = curve(split, [1e-9], seed=0)
    assert len(rows) == 2
    assert seen[0] == (0, 0.0, False)
    assert seen[1][0] == 300
    assert seen[1][1] > 0.0
