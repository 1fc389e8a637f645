"""The cost of a training: measured on short iterations, extrapolated exactly, and never fatal."""

from __future__ import annotations

import os
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from test_run import CONFIG

from dyntex.coopnets.state import TrainState
from dyntex.errors import MemoryLimitError
from dyntex.experiment import estimate as module
from dyntex.experiment.estimate import Estimate, estimate

SHAPE = (3, 8, 16, 16)


@pytest.mark.parametrize("n_steps", [0, 1, 7, 40])
def test_an_iteration_costs_a_share_for_learning_and_one_for_each_step(
    n_steps: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With 3 s of learning and 0.25 s a step: the first iteration, ten times slower, must not count."""
    calls: list[int] = []

    def iteration(*_: Any, n_steps: int) -> float:
        calls.append(n_steps)
        return (3.0 + 0.25 * n_steps) * (10.0 if len(calls) == 1 else 1.0)

    monkeypatch.setattr(module, "_iteration", iteration)
    cost = module._measure(CONFIG.replaced(n_steps=n_steps), SHAPE, "cpu")
    assert cost.seconds == pytest.approx(3.0 + 0.25 * n_steps, rel=1e-12)
    # This process holds torch: more than 50 MiB and less than a TiB, which KiB taken for bytes would not be.
    assert 50 * 2**20 < cost.peak_bytes < 2**40
    assert cost.problem == ""


def test_the_steps_asked_for_are_the_steps_run(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = torch.Generator().manual_seed(0)
    y_obs = torch.rand((1, *SHAPE), generator=rng) * 2 - 1
    t = TrainState(CONFIG.replaced(n_steps_z=0), y_obs, rng=rng)
    calls = 0
    energy = t.des.energy

    def counted(*arguments: Any, **words: Any) -> torch.Tensor:
        nonlocal calls
        calls += 1
        return energy(*arguments, **words)

    monkeypatch.setattr(t.des, "energy", counted)
    ticks = iter(range(100, 200))
    monkeypatch.setattr(module, "time", SimpleNamespace(perf_counter=lambda: float(next(ticks))))
    assert module._iteration(t, y_obs, rng, n_steps=5) == 1.0  # from one look at the clock to the next
    assert calls == 5
    assert t.iteration == 1


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (MemoryLimitError("training needs more"), "training needs more"),
        (MemoryError(), "memory ran out"),
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried"), "memory ran out"),
    ],
)
def test_a_preset_that_does_not_fit_is_a_problem_and_no_error(
    error: Exception, expected: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> None:
        raise error

    monkeypatch.setattr(module, "check_memory", refuse)
    assert module._measure(CONFIG, SHAPE, "cpu") == Estimate(problem=expected)


def test_other_errors_are_not_hidden(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("shapes cannot be multiplied")

    monkeypatch.setattr(module, "check_memory", broken)
    with pytest.raises(RuntimeError, match="shapes"):
        module._measure(CONFIG, SHAPE, "cpu")


def die(*_: Any) -> Estimate:
    """What the kernel does to a process that takes too much."""
    os._exit(137)


def test_a_killed_measurement_is_a_problem_and_leaves_us_alive(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_measure", die)
    assert "killed" in estimate(CONFIG, SHAPE, device=torch.device("cpu")).problem


def test_a_real_measurement_happens_elsewhere_and_is_plausible() -> None:
    before = torch.get_rng_state()
    cost = estimate(CONFIG.replaced(n_steps=3), SHAPE, device=torch.device("cpu"))
    assert cost.problem == ""
    assert 0.0 < cost.seconds < 60.0
    assert 50 * 2**20 < cost.peak_bytes < 2**40
    assert torch.equal(torch.get_rng_state(), before)
