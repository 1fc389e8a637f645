"""The page of what each part of ``fast`` is worth: its cells, its means, and going on where it was killed."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch

from dyntex.benchmarks.data import Source, find_clips, split_clip
from dyntex.benchmarks.report.markdown import render
from dyntex.benchmarks.studies import ablation
from dyntex.benchmarks.studies.ablation import LDS, PARTS, WHOLE, Ablation, make, page, trained_name
from dyntex.benchmarks.study import PAGE, run
from dyntex.benchmarks.tasks.quality import SAMPLES, measure, rng_for
from dyntex.coopnets.config import to_json
from dyntex.coopnets.model import CoopNets
from dyntex.coopnets.presets import FAST
from dyntex.errors import UsageError

CLIPS = (Source("a", "example:ripples"), Source("b", "example:flame"))


def cell(score: float, *, diversity: float = 1.0, **more: Any) -> dict[str, Any]:
    numbers = {"score": score, "diversity": diversity, "copy_distance": 0.5}
    return {"alone": numbers, "seconds": 2.0} | more


def row(text: str, start: str, nth: int = 0) -> list[str]:
    found = [line for line in text.splitlines() if line.startswith(f"| {start} |")]
    return [word.strip() for word in found[nth].split("|")[2:-1]]


def test_every_part_is_one_change_to_the_generator_alone():
    whole = to_json(FAST.generator)
    parts = {name: to_json(c.generator) for name, c in PARTS.items()}
    assert all(part | {"texture": whole["texture"]} == whole for part in parts.values())
    changed = [{k for k, v in part["texture"].items() if v != whole["texture"][k]} for part in parts.values()]
    assert changed == [set(), {"sparsity", "fade"}, {"regions"}, {"levels"}, {"colours"}, {"smooth"}]
    assert all(config.replaced(generator=FAST.generator) == FAST for config in PARTS.values())


def test_cells_are_all_parts_of_all_clips_and_trainings_of_some_shortest_first():
    found = list(Ablation(CLIPS, trained=("b",), seconds=(30.0, 60.0)).cells())
    names = [(cell.about["model"], cell.about["clip"]) for cell in found]
    assert [model for model, clip in names if clip == "a"] == [LDS, *PARTS]
    rest = names[2 * (1 + len(PARTS)) :]
    assert rest == [(trained_name(None), "b"), ("fast, 30 s", "b"), ("fast, 60 s", "b")]
    assert [cell.settings["seconds"] for cell in found][-3:] == [None, 30.0, 60.0]
    assert len({cell.path for cell in found}) == len(found)
    assert len(list(Ablation(CLIPS, trained=("none",)).cells())) == 2 * (1 + len(PARTS))
    with pytest.raises(UsageError, match="--trained c is none of the clips: choose among all, none, a, b"):
        Ablation(CLIPS, trained=("c",))


def test_the_page_has_geometric_means_and_only_of_all_clips():
    done = {
        (WHOLE, "a"): cell(1.0, diversity=0.8, iterations=0, fit_seconds=1.0),
        (WHOLE, "b"): cell(4.0, diversity=1.0, iterations=0, fit_seconds=1.0),
        (LDS, "a"): cell(3.0),
        (trained_name(30.0), "b"): cell(2.5) | {"revised": cell(2.75)["alone"]},
    }
    text = render(page(done, ["a", "b"], ["b"], [30.0, 60.0]))
    assert row(text, WHOLE) == ["1.00", "4.00", "2.00", "0.90", "0.50", "2.0"]
    # A mean over other clips than its neighbour's would compare with nothing.
    assert row(text, LDS) == ["3.00", "–", "–", "–", "–", "–"]
    assert row(text, WHOLE, 1) == ["4.00", "4.00", "1.00", "0.50", "0", "1"]
    assert row(text, "b, generator alone") == ["4.00", "2.50", "–", "–"]
    assert row(text, "b, revised") == ["–", "2.75", "–", "–"]


def test_what_is_finished_is_kept_and_every_clip_has_every_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    made: list[Any] = []

    def counted(config: Any, *_: Any, **__: Any) -> dict[str, Any]:
        made.append(config)
        if len(made) == 3:
            raise KeyboardInterrupt
        return cell(1.5)

    monkeypatch.setattr(ablation, "make", counted)
    study = Ablation(tuple(find_clips(["example:ripples"])), size=32, frames=16, trained=("none",))
    with pytest.raises(KeyboardInterrupt):
        run(study, tmp_path / "out")
    run(study, tmp_path / "out")
    every = [None, *PARTS.values()]
    assert made == [*every[:3], *every[2:]]
    text = (tmp_path / "out" / PAGE).read_text()
    for model in (LDS, *PARTS):
        assert row(text, model) == ["1.50", "1.50", "1.00", "0.50", "2.0"]


def test_a_cell_s_numbers_are_of_the_generator_alone_and_without_training_of_the_start():
    """The very samples that the untrained model gives, measured by the benchmark's own task."""
    split = split_clip(find_clips(["example:ripples"])[0], size=32, n_frames=24)
    found = make(FAST, split, seconds=0.0)
    assert found["iterations"] == 0
    assert "revised" not in found
    model = CoopNets.fit(split.train, FAST, rng=torch.Generator().manual_seed(0), progress=lambda _: 1.0)
    T = split.train.n_frames
    clips = {s: model.synthesize(T, rng=rng_for(s, seed=0, device="cpu"), n_steps=0) for s in SAMPLES}
    expected = measure("statistics", clips, split)
    for name, value in found["alone"].items():
        assert math.isclose(value, expected[name], rel_tol=1e-5)
    one = make(FAST.replaced(iterations=1), split, seconds=None)
    assert one["iterations"] == 1
    assert one["revised"] != one["alone"]
