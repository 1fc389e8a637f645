"""The method ``segments`` in the commands: what it says, what it leaves, and what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from test_tilting import rolling

import dyntex
from dyntex.coopnets.segments import DEFAULT, Candidate, Segments
from dyntex.coopnets.selection import Judgement
from dyntex.errors import UsageError
from dyntex.experiment import segments as command
from dyntex.experiment.progress import Silent
from dyntex.experiment.segments import config_of, verdict


class Listening(Silent):
    def __init__(self) -> None:
        self.said: list[str] = []

    def say(self, sentence: str) -> None:
        self.said.append(sentence)


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """A training of seconds."""
    training = replace(DEFAULT.training, iterations=2, every=2, n_chains=2, novelty=0.0)
    monkeypatch.setattr(command, "DEFAULT", replace(DEFAULT, training=training, judged=2))


@pytest.mark.usefixtures("quick")
def test_synthesize_trains_by_default_and_sample_makes_it_again(tmp_path: Path):
    progress = Listening()
    made = dyntex.synthesize(rolling(24), tmp_path / "a.npy", frames=30, seed=4, progress=progress)
    assert isinstance(made.model, Segments)
    facts = made.facts
    assert facts["preset"] == "segments"
    assert facts["generator"] == made.model.kind
    assert len(facts["candidates"]) == 3
    assert facts["trained"] is made.model.candidates[made.model.taken].trained
    assert progress.said[0] == "--method auto takes segments, whose generator is chosen by a critic"
    assert sum(line.startswith("segments: ") for line in progress.said) == 2
    assert sum(line.startswith("taken: ") for line in progress.said) == 1
    run = tmp_path / "a.run"
    assert json.loads((run / "result.json").read_text())["candidates"] == facts["candidates"]
    assert json.loads((run / "config.json").read_text())["segments"]["judged"] == 2
    again = dyntex.sample(run, tmp_path / "b.npy", frames=30, seed=4)
    assert np.array_equal(np.load(tmp_path / "a.npy"), np.load(tmp_path / "b.npy"))
    assert again.facts["frames"] == 30
    loop = dyntex.sample(run, tmp_path / "c.npy", frames=20, loop=True)
    assert loop.facts["seam"]["t"]
    in_memory = dyntex.sample(made.model, tmp_path / "d.npy", frames=30, seed=4)
    assert in_memory.facts["model"] is None
    about = dyntex.describe(run)
    assert about["method"] == "segments"
    assert about["decision"] == verdict(made.model)


@pytest.mark.usefixtures("quick")
def test_a_draft_trains_nothing(tmp_path: Path):
    made = dyntex.synthesize(rolling(24), tmp_path / "a.npy", method="segments", quality="draft")
    assert isinstance(made.model, Segments)
    assert made.facts["trained"] is False
    assert made.facts["candidates"] == []


def test_qualities_are_lengths_of_training():
    steps = [config_of(quality).training.iterations for quality in ("draft", None, "standard", "high")]
    assert steps[0] == 0
    assert 0 < steps[1] == steps[2] < steps[3]


@pytest.mark.usefixtures("quick")
def test_fit_takes_a_budget(monkeypatch: pytest.MonkeyPatch):
    given: list[float] = []

    def fit(*_: object, seconds: float, **__: object) -> str:
        given.append(seconds)
        return "fitted"

    monkeypatch.setattr(Segments, "fit", fit)
    clip = rolling(24)
    for options in ({"budget": 40.0}, {"quality": "high"}, {}):
        assert dyntex.fit(clip, method="segments", **options) == "fitted"  # type: ignore[call-overload]
    assert 35.0 < given[0] <= 40.0
    assert 1790.0 < given[1] <= 1800.0
    assert 290.0 < given[2] <= 300.0
    with pytest.raises(UsageError, match="--method segments takes none of labels"):
        dyntex.fit(clip, method="segments", iterations=3)


def test_the_verdict_says_what_was_taken_and_why():
    model = Segments.fit(rolling(24), config_of("draft"), rng=torch.Generator())
    assert verdict(model) == "segments, untrained"
    candidates = (
        Candidate("segments", False, Judgement(0.98, 1.0)),
        Candidate("fronts", True, Judgement(0.712, 0.8)),
        Candidate("shot-noise", False, Judgement(0.9, 1.0)),
    )
    assert verdict(replace(model, candidates=candidates, taken=1)) == (
        "taken: fronts trained. A critic tells it from the clip with AUC 0.71 (.5: not at all; segments untrained "
        "0.98, shot-noise untrained 0.90)"
    )


@pytest.mark.parametrize("options", [{"resume": True}, {"iterations": 3}])
def test_options_of_networks_are_refused(tmp_path: Path, options: dict[str, object]):
    with pytest.raises(UsageError, match="--method segments takes neither --resume nor --iterations"):
        dyntex.synthesize(rolling(24), tmp_path / "a.npy", method="segments", **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"langevin_steps": 3}, "--langevin-steps"),
        ({"label": "fire"}, "--label"),
        ({"size": 48}, "--size"),
        ({"tile": "x"}, "--tile x"),
    ],
)
def test_sample_refuses_what_segments_cannot(tmp_path: Path, options: dict[str, object], named: str):
    model = Segments.fit(rolling(24), config_of("draft"), rng=torch.Generator())
    with pytest.raises(UsageError, match=named):
        dyntex.sample(model, tmp_path / "a.npy", **options)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
