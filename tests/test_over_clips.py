"""Intervals over clips and means without the worst, against values by hand."""

from __future__ import annotations

import math
from typing import Any

import pytest

from dyntex.benchmarks.report.comparison_page import task_table
from dyntex.benchmarks.report.over_clips import bootstrap, over_clips, without_worst
from dyntex.benchmarks.report.summary import column_of


def row(method: str, clip: str, value: float, *, seed: int = 0, control: bool = False) -> dict[str, Any]:
    about = {"task": "statistics", "method": method, "clip": clip, "seed": seed, "control": control, "status": "ok"}
    return about | {"score": value}


def test_the_interval_of_two_clips_is_from_the_one_to_the_other():
    # Means of two draws from {1, 3} are 1, 2, 3 with 1/4, 1/2, 1/4: the 2.5 % quantiles are the ends.
    assert bootstrap([1.0, 3.0]) == (1.0, 3.0)
    assert all(math.isnan(end) for end in bootstrap([1.0]))
    assert bootstrap([2.0, 2.0, 2.0]) == (2.0, 2.0)


def test_the_interval_of_many_clips_is_that_of_their_mean():
    # 100 values of variance 1: the mean's standard error is 1/10, and 95 % is 1.96 of these on either side.
    low, high = bootstrap([(-1.0) ** k for k in range(100)])
    assert low == pytest.approx(-0.196, abs=0.02)
    assert high == pytest.approx(0.196, abs=0.02)
    assert bootstrap([0.0, 1.0, 5.0], seed=1) == bootstrap([0.0, 1.0, 5.0], seed=1)


def test_the_worst_clip_is_by_what_is_better():
    values = {"a": 1.0, "b": 2.0, "c": 6.0}
    assert without_worst(values, better=-1) == ("c", 1.5)
    assert without_worst(values, better=1) == ("a", 4.0)


def test_the_table_takes_seeds_together_before_clips():
    rows = [
        row("lds", "a", 1.0),
        row("lds", "a", 3.0, seed=1),
        row("lds", "b", 4.0),
        row("copy", "a", 1.0, control=True),
    ]
    found = over_clips(rows, "statistics", column_of("statistics", "score"))
    assert found is not None
    (lds, copy) = found.rows
    assert lds == ["lds", "3.00", "2.00 to 4.00", "b", "2.00"]
    assert copy == ["*copy*", "1.00", "–", "–", "–"]
    assert over_clips(rows[:2], "statistics", column_of("statistics", "score")) is None


def test_methods_that_replay_are_marked_in_their_table():
    rows = [row("lds", "a", 1.0), row("video-texture", "a", 1.0), row("replay", "a", 1.0, control=True)]
    assert [line[0] for line in task_table(rows, "statistics").rows] == ["lds", "video-texture †", "*replay*"]
