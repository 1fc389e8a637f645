"""--quality and --budget: what they allow, what the rehearsal makes of the rest, and where the seconds go."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from commands import TINY, done, dyntex

from dyntex.clip import Clip
from dyntex.errors import UsageError
from dyntex.experiment import budget
from dyntex.experiment.budget import rehearse, revision_cost, seconds_allowed
from dyntex.experiment.run import Run

OPEN = (False, False, False)


class Clock:
    """A clock that stands still until it is told."""

    def __init__(self) -> None:
        self.now = 0.0

    def monotonic(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(budget, "time", clock)
    return clock


def frames(n: int) -> Clip:
    return Clip(torch.arange(n).view(1, n, 1, 1).expand(3, n, 16, 16) / n, Fraction(25))


class Model:
    """Makes chunks of 64 frames: the first takes 3 s, each other 2 s, and a second less without revision."""

    config = SimpleNamespace(sampling=SimpleNamespace(n_steps=4))

    def __init__(self, clock: Clock) -> None:
        self.clock = clock

    def stream(self, n_frames: int, *, n_steps: int | None = None, **_: Any) -> Iterator[Clip]:
        for start in range(0, n_frames, 64):
            self.clock.now += (3.0 if start == 0 else 2.0) - (n_steps == 0)
            yield frames(min(64, n_frames - start))


@dataclass(frozen=True)
class Out:
    """An output that takes 0.1 s a frame."""

    word: str
    clock: Clock
    written: list[int]
    grid: tuple[int, int] | None = None

    def write(self, chunks: Iterator[Clip], *, n_frames: int, **_: Any) -> None:
        self.written.append(sum(chunk.n_frames for chunk in chunks))
        assert self.written[-1] == n_frames
        self.clock.now += 0.1 * n_frames


@pytest.mark.parametrize(
    ("n_frames", "grid", "expected", "written"),
    [
        (10, None, 3.0 + 1.0, 10),
        (64, None, 3.0 + 6.4, 64),
        (192, None, 3.0 + 2.0 / 64 * 128 + 19.2, 64),
        # A sheet is tried whole: no fewer frames fill it.
        (100, (10, 10), 3.0 + 2.0 + 10.0, 100),
    ],
)
def test_a_rehearsal_is_a_chunk_and_tells_what_all_will_take(
    clock: Clock, tmp_path: Path, n_frames: int, grid: tuple[int, int] | None, expected: float, written: int
):
    """The second chunk is the price of all the later ones; previews take no time on this clock."""
    out = Out(str(tmp_path / "a.mp4"), clock, [], grid)
    found = rehearse(Model(clock), frames(20), out, n_frames=n_frames, rng=torch.Generator(), periodic=OPEN)  # type: ignore[arg-type]
    assert found == pytest.approx(expected)
    assert out.written == [written]
    assert list(tmp_path.iterdir()) == []  # nothing is left, and nothing was in the result's place


def test_a_step_costs_what_a_chunk_took_beyond_the_generator(clock: Clock):
    def cost(seconds: float, n_steps: int | None) -> Any:
        rng = torch.Generator()
        return revision_cost(Model(clock), seconds, n_frames=50, n_steps=n_steps, rng=rng, periodic=OPEN)  # type: ignore[arg-type]

    # The generator alone takes 2 s of it.
    assert cost(8.0, 3) == {"steps": 3, "seconds_per_step": 2.0, "frames": 50}
    assert cost(8.0, None) == {"steps": 4, "seconds_per_step": 1.5, "frames": 50}
    assert cost(1.0, 2)["seconds_per_step"] == 0.0
    assert cost(8.0, 0) is None


def test_a_quality_is_a_budget():
    asked = {"draft": 60.0, "standard": 300.0, "high": 1800.0, None: None}
    assert {name: seconds_allowed(name, budget=None, iterations=None) for name in asked} == asked
    assert seconds_allowed(None, budget=7.0, iterations=None) == 7.0
    for other in ({"budget": 7.0, "iterations": None}, {"budget": None, "iterations": 7}):
        with pytest.raises(UsageError, match=r"use only one of --quality draft and --\w+ 7"):
            seconds_allowed("draft", **other)


@pytest.mark.parametrize("command", ["synthesize", "train"])
def test_the_words_that_exclude_each_other_are_refused(command: str, tmp_path: Path):
    for wrong in (("--quality", "draft", "--budget", "9"), ("--quality", "best")):
        refused = dyntex(command, "example:flame", "-o", tmp_path / "a.mp4", *wrong)
        assert refused.code == 2
        assert wrong[1] in refused.err
    assert list(tmp_path.iterdir()) == []


def test_a_baseline_has_no_quality(tmp_path: Path):
    words = ("--method", "lds", "--quality", "draft")
    refused = dyntex("synthesize", "example:flame", "-o", tmp_path / "a.mp4", *words)
    assert (refused.code, "--quality" in refused.err) == (2, True)


@pytest.mark.parametrize("command", ["synthesize", "train"])
def test_the_training_gets_what_is_left_of_the_budget(command: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    given: list[tuple[float | None, float]] = []
    train = Run.train

    def spied(self: Run, clips: Sequence[Clip], **said: Any) -> Any:
        budget, self.budget = self.budget, None
        given.append((budget, self.afterwards(train(self, clips, **said))))
        raise UsageError("enough")

    monkeypatch.setattr(Run, "train", spied)
    size = TINY[:-2]  # but for the iterations
    dyntex(command, "example:flame", "-o", tmp_path / "a", *size, "--quality", "draft", "--config", _few(tmp_path))
    ((budget, later),) = given
    assert budget is not None
    assert 0.0 < budget < 60.0  # reading took some of it
    assert (later > 0.0) == (command == "synthesize")


def _few(folder: Path) -> Path:
    place = folder / "few.json"
    place.write_text('{"preset": "fast", "optimisation": {"iterations": 1}}')
    return place


def test_a_budget_too_small_to_teach_is_said_and_the_result_made(tmp_path: Path):
    made = done(
        "synthesize",
        "example:flame",
        "-o",
        tmp_path / "a.npy",
        *TINY[:-2],
        "--method",
        "coop",
        "--budget",
        0.001,
        "--json",
    )
    assert made.json["iterations"] == 0
    assert "0.001 s leave no time for training: the networks are used untrained" in made.err
    assert np.load(tmp_path / "a.npy").shape == (16, 16, 16, 3)
    spent = made.json["seconds"]
    assert spent["rehearse"] > 0.0
    assert spent["fit"] >= 0.0

    plain = ("sample", tmp_path / "a.run" / "model", "--frames", 9, "--json")
    alone = done(*plain, "-o", tmp_path / "b.npy", "--langevin-steps", 0)
    assert (alone.json["revision"], "Langevin" in alone.err) == (None, False)
    revised = done(*plain, "-o", tmp_path / "c.npy", "--langevin-steps", 3)
    assert revised.json["revision"].keys() == {"steps", "seconds_per_step", "frames"}
    assert (revised.json["revision"]["steps"], revised.json["revision"]["frames"]) == (3, 9)
    assert re.search(r"each of the 3 Langevin steps took \S+ s for 9 frames", revised.err)
    assert 0.0 < revised.json["first_frame_seconds"] <= revised.json["seconds"]["total"]


@pytest.mark.parametrize("asked", [("--frames", 10_000_001), ("--seconds", 400_001)])
def test_a_result_that_no_disk_holds_is_refused_before_the_work(tmp_path: Path, asked: tuple[str, int]):
    refused = dyntex("synthesize", "example:flame", "-o", tmp_path / "a", *TINY, *asked)
    assert (refused.code, f"{asked[0]} {asked[1]} is too long: give {asked[1] - 1} or less" in refused.err) == (2, True)
    assert list(tmp_path.iterdir()) == []
