"""The watchdog: what it calls trouble, and what a rollback leaves."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import pytest
import torch
from torch import Tensor

import dyntex.coopnets.watchdog
from dyntex.coopnets.config import CoopConfig
from dyntex.coopnets.record import StepInfo
from dyntex.coopnets.state import TrainState
from dyntex.coopnets.watchdog import Watch, watched
from dyntex.errors import DivergedError
from dyntex.networks.architecture import ConvGeneratorConfig, DescriptorConfig, Head, Layer

FINE = StepInfo(1, 2.0, 10.0, 0.1, 0.05, 3.0, 1.0, 0.5, 1.0)
TINY = CoopConfig.of(
    "tiny",
    DescriptorConfig((Head((Layer(1, (1, 1, 1), activation="none"),)),), ref_std=0.3),
    ConvGeneratorConfig((1, 4, 4), (Layer(0, (2, 2, 2), (2, 2, 2), activation="tanh"),)),
    iterations=8,
    n_steps=1,
)  # fmt: skip


@pytest.mark.parametrize("name", ["gap", "energy", "gen_loss", "move", "des_grad", "gen_grad", "frame_step"])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_what_is_not_finite_is_trouble_at_once(name: str, value: float):
    assert name in (Watch().trouble(replace(FINE, **{name: value})) or "")
    assert Watch().trouble(FINE) is None


def test_samples_that_leave_the_range_of_pixels_are_trouble():
    assert Watch().trouble(replace(FINE, move=1.01)) is not None
    assert Watch().trouble(replace(FINE, move=0.99)) is None


@pytest.mark.parametrize(("name", "usual", "sign"), [("gap", 2.0, 1.0), ("gap", 2.0, -1.0), ("des_grad", 3.0, 1.0)])
def test_a_runaway_is_a_thousand_times_the_recent_median(name: str, usual: float, sign: float):
    watch = Watch()
    for _ in range(49):
        assert watch.trouble(FINE) is None
    assert watch.trouble(replace(FINE, **{name: sign * 1e9})) is None  # 49 records are no history yet
    for _ in range(49):
        assert watch.trouble(FINE) is None
    assert watch.trouble(replace(FINE, **{name: sign * usual * 999.0})) is None
    assert watch.trouble(replace(FINE, **{name: sign * usual * 1001.0})) is not None


def test_energies_of_the_paper_s_size_and_an_oscillating_gap_are_healthy():
    watch = Watch()
    for i in range(200):
        assert watch.trouble(replace(FINE, energy=1e7 * (-1) ** i, gap=100.0 * math.sin(i))) is None


def test_growth_that_the_median_follows_is_healthy():
    watch = Watch()
    for i in range(300):
        assert watch.trouble(replace(FINE, gap=1.1**i)) is None


class Course:
    """A training whose records are scripted: each iteration adds one to a weight and draws one random number."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, bad: set[int], *, times: int = 1000) -> None:
        self.rng = torch.Generator().manual_seed(0)
        self.y = torch.zeros(1, 1, 4, 8, 8)
        self.t = TrainState(TINY, self.y, rng=self.rng)
        self.bad, self.times = bad, times
        self.notices: list[str] = []
        self.scales: list[float] = []
        self.kept: list[int] = []
        self.good: dict[str, Tensor] = {}
        monkeypatch.setattr(dyntex.coopnets.watchdog, "train", self.train)

    def train(
        self, t: TrainState, *_: object, rng: torch.Generator, progress: object, ranks: object
    ) -> Iterator[StepInfo]:
        while t.iteration < TINY.optimisation.iterations:
            t.iteration += 1
            self.scales.append(t.step_scale)
            with torch.no_grad():
                t.des.heads[0].trunk[0].bias += 1.0
            torch.rand(1, generator=rng)
            sick = t.iteration in self.bad and self.times > 0
            self.times -= sick
            yield replace(FINE, iteration=t.iteration, gap=math.nan if sick else 1.0)

    def keep(self) -> None:
        self.kept.append(self.t.iteration)
        self.good = {key: value.clone() for key, value in self.t.state(self.rng).items()}

    def run(self) -> list[int]:
        steps = watched(
            self.t, self.y, self.y[:, :0], rng=self.rng, keep=self.keep,
            go_back=lambda: self.t.load(self.good, self.rng),
            keep_now=lambda info: info.iteration % 2 == 0, notice=self.notices.append,
        )  # fmt: skip
        return [info.iteration for info in steps]

    @property
    def bias(self) -> float:
        return float(self.t.des.heads[0].trunk[0].bias.detach())


def load_without_optimisers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The scripted training has no optimiser state; all else is loaded by the real thing."""
    check = dyntex.coopnets.state.check_tensors

    def lenient(state: object, expected: dict[str, Tensor], what: str) -> None:
        check(state, {k: v for k, v in expected.items() if not k.startswith("optimiser.")}, what)  # type: ignore[arg-type]

    monkeypatch.setattr("dyntex.coopnets.state.check_tensors", lenient)


def test_healthy_training_is_let_alone(monkeypatch: pytest.MonkeyPatch):
    course = Course(monkeypatch, set())
    assert course.run() == list(range(1, 9))
    assert course.kept == [0, 2, 4, 6, 8]
    assert course.notices == []
    assert course.t.step_scale == 1.0


def test_a_runaway_is_rolled_back_with_half_the_step(monkeypatch: pytest.MonkeyPatch):
    load_without_optimisers(monkeypatch)
    course = Course(monkeypatch, {5}, times=1)
    assert course.run() == [1, 2, 3, 4, 5, 6, 7, 8]
    assert course.scales == [1.0] * 5 + [0.5] * 4  # iteration 5 again, from the state kept after 4
    assert course.bias == 8.0  # the lost iteration left nothing in the weights
    assert course.kept == [0, 2, 4, 4, 6, 8]  # once more after the rollback, with the smaller step
    assert len(course.notices) == 1
    assert "iteration 5 diverged" in course.notices[0]
    assert "back to iteration 4" in course.notices[0]
    # The random state went back too: eight draws, not nine.
    twin = torch.Generator().manual_seed(0)
    TrainState(TINY, course.y, rng=twin)
    for _ in range(8):
        torch.rand(1, generator=twin)
    assert torch.equal(course.rng.get_state(), twin.get_state())


def test_the_fourth_runaway_ends_it_with_the_last_good_state(monkeypatch: pytest.MonkeyPatch):
    """Three rollbacks, at 1/2, 1/4 and 1/8 of the step, then the error; also where healthy iterations lie between."""
    load_without_optimisers(monkeypatch)
    course = Course(monkeypatch, {5})
    with pytest.raises(DivergedError, match=r"diverged at iteration 5 \(gap is nan\).*0\.125.*iteration 4.*try"):
        course.run()
    assert len(course.notices) == dyntex.coopnets.watchdog.MAX_ROLLBACKS == 3
    assert [course.scales[i] for i in (4, 5, 6, 7)] == [1.0, 0.5, 0.25, 0.125]
    assert len(course.scales) == 8
    assert (course.t.iteration, course.bias) == (4, 4.0)
    assert DivergedError.exit_code == 5


def test_the_step_goes_on_shrinking_from_what_failed(monkeypatch: pytest.MonkeyPatch):
    """A state that was kept before the first rollback holds the full step: going back twice must not restore it."""
    load_without_optimisers(monkeypatch)
    course = Course(monkeypatch, {1}, times=2)
    course.run()
    assert course.scales[:3] == [1.0, 0.5, 0.25]
    assert set(course.scales[3:]) == {0.25}
