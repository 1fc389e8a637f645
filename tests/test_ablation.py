"""The page of what each part of ``fast`` is worth: its cells, its means, and going on where it was killed."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks.data import Source, find_clips, split_clip
from benchmarks.studies import ablation
from benchmarks.studies.ablation import LDS, PARTS, WHOLE, Cell, cells, page, taught_row, training, write
from dyntex.coopnets.config import to_json
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import FAST

CLIPS = [Source("a", "example:ripples"), Source("b", "example:flame")]


def cell(score: float, *, diversity: float = 1.0, **more: Any) -> dict[str, Any]:
    numbers = {"score": score, "diversity": diversity, "copy_distance": 0.5}
    return {"alone": numbers, "seconds": 2.0} | more


def row(text: str, start: str, nth: int = 0) -> list[str]:
    found = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
    return [word.strip() for word in found[nth].split("|")[2:-1]]


def test_every_part_is_one_change_to_the_generator_alone():
    whole = to_json(FAST.generator)
    changed = {name: {k for k, v in to_json(c.generator).items() if v != whole[k]} for name, c in PARTS.items()}
    assert list(changed.values()) == [set(), {"bursts", "fade"}, {"regions"}, {"levels"}, {"colours"}, {"smooth"}]
    assert all(replace(config, generator=FAST.generator) == FAST for config in PARTS.values())


def test_cells_are_all_parts_of_all_clips_and_trainings_of_some_shortest_first():
    found = list(cells(CLIPS, taught=["b"], seconds=[30.0, 60.0]))
    assert [c.row for c in found if c.source.name == "a"] == [LDS, *PARTS]
    rest = [(c.row, c.source.name, c.seconds) for c in found[2 * (1 + len(PARTS)) :]]
    assert rest == [(taught_row(None), "b", None), ("fast, 30 s", "b", 30.0), ("fast, 60 s", "b", 60.0)]
    assert len({c.key for c in found}) == len(found)


def test_the_page_has_geometric_means_and_only_of_all_clips():
    done = {
        f"{WHOLE} / a": cell(1.0, diversity=0.8, iterations=0, fit_seconds=1.0),
        f"{WHOLE} / b": cell(4.0, diversity=1.0, iterations=0, fit_seconds=1.0),
        f"{LDS} / a": cell(3.0),
        f"{taught_row(30.0)} / b": cell(2.5) | {"revised": cell(2.75)["alone"]},
    }
    text = page(done, CLIPS, taught=["b"], seconds=[30.0, 60.0])
    assert row(text, WHOLE) == ["1.00", "4.00", "2.00", "0.90", "0.50", "2.0"]
    # A mean over other clips than its neighbour's would compare with nothing.
    assert row(text, LDS) == ["3.00", "–", "–", "–", "–", "–"]
    assert row(text, WHOLE, 1) == ["4.00", "4.00", "1.00", "0.50", "0", "1"]
    assert row(text, "b, generator alone") == ["4.00", "2.50", "–", "–"]
    assert row(text, "b, revised") == ["–", "2.75", "–", "–"]


def test_a_training_lasts_so_many_seconds_of_the_processor(monkeypatch: pytest.MonkeyPatch):
    now = [100.0]
    monkeypatch.setattr(ablation.time, "process_time", lambda: now[0])
    share = training(40.0)
    assert share(0) == 0.0
    now[0] += 10.0
    assert share(1) == 0.25
    assert training(0.0)(0) == 1.0


def test_what_is_finished_is_kept_and_what_is_of_other_settings_is_made_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    made: list[str] = []

    def make(self: Cell, split: Any) -> dict[str, Any]:
        made.append(self.key)
        if len(made) == 3:
            raise KeyboardInterrupt
        return cell(1.5)

    monkeypatch.setattr(Cell, "make", make)
    sources = find_clips(["example:ripples"])
    settings: dict[str, Any] = {"size": 32, "n_frames": 16, "taught": [], "seconds": []}
    out = tmp_path / "page.md"
    with pytest.raises(KeyboardInterrupt):
        write(sources, out, **settings)
    assert row(out.read_text(), WHOLE) == ["1.50", "1.50", "1.00", "0.50", "2.0"]
    write(sources, out, **settings)
    every = [f"{name} / ripples" for name in (LDS, *PARTS)]
    assert made == [*every[:3], *every[2:]]
    made.clear()
    out.unlink()
    write(sources, out, **settings)
    assert made == []
    assert row(out.read_text(), LDS) == ["1.50", "1.50", "1.00", "0.50", "2.0"]
    made += ["", "", ""]
    write(sources, out, **settings | {"size": 48})
    assert made[3:] == every
    assert json.loads(out.with_suffix(".json").read_text()).keys() == set(every)


def test_a_cell_s_numbers_are_of_the_generator_alone_and_without_training_of_the_start():
    """The very samples that the untaught model gives, measured by the benchmark's own task."""
    split = split_clip(find_clips(["example:ripples"])[0], size=32, n_frames=16)
    found = Cell(WHOLE, split.source, FAST).make(split)
    assert found["iterations"] == 0
    assert "revised" not in found
    model = CoopNets.fit(split.train, FAST, rng=torch.Generator().manual_seed(0), progress=lambda _: 1.0)
    T, rng_for = split.train.n_frames, ablation.rng_for
    clips = {s: model.synthesize(T, rng=rng_for(s, seed=0, device="cpu"), n_steps=0) for s in ablation.SAMPLES}
    expected = ablation.measure("statistics", clips, split)
    for name, value in found["alone"].items():
        assert math.isclose(value, expected[name], rel_tol=1e-5)
    one = Cell("taught", split.source, replace(FAST, iterations=1), None).make(split)
    assert one["iterations"] == 1
    assert one["revised"] != one["alone"]
