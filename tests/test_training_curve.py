"""The curve of a training over seconds: when it is looked at, and its page."""

from __future__ import annotations

from dataclasses import replace

import pytest

from dyntex.benchmarks import training_curve
from dyntex.benchmarks.data import Split, find_clips, split_clip
from dyntex.benchmarks.training_curve import Row, curve, page
from dyntex.coopnets.segments import DEFAULT, Segments


def test_the_page_says_what_was_measured():
    rows = [
        Row("fire", 0.0, 0, "segments", 0.82, 1.19, 0.88, 0.87),
        Row("fire", 15.2, 1, "fronts", 0.75, 1.03, 0.91, 0.90),
    ]
    text = page(rows, "python -m x")
    assert "| fire | untrained | segments | 0 | 0.82 | 1.19 | 0.88 | 0.87 |" in text
    assert "| fire | 15 | fronts | 1 | 0.75 | 1.03 | 0.91 | 0.90 |" in text
    assert "Made by `python -m x`." in text


def test_a_training_is_looked_at_untrained_and_after_the_first_step_past_each_time(
    monkeypatch: pytest.MonkeyPatch,
):
    split = split_clip(find_clips(["example:ripples"])[0], size=16, n_frames=24)
    seen: list[tuple[int, float, int]] = []

    def judged(model: Segments, _: Split, steps: int, spent: float, *, seed: int) -> Row:
        seen.append((steps, spent, len(model.candidates)))
        return Row("ripples", spent, steps, model.kind, 0.5, 1.0, 1.0, 1.0)

    monkeypatch.setattr(training_curve, "judged", judged)
    quick = replace(DEFAULT, training=replace(DEFAULT.training, every=4, novelty=0.0), judged=2)
    monkeypatch.setattr(training_curve, "DEFAULT", quick)
    rows = curve(split, [1e-9, 2e-9], seed=0)
    assert len(rows) == 3
    assert [steps for steps, *_ in seen] == [0, 1, 1], "one step is past both times"
    assert [candidates for *_, candidates in seen] == [0, 3, 3]
    assert seen[0][1] == 0.0
    assert min(spent for _, spent, _ in seen[1:]) > 0.0, "the decision counts"
