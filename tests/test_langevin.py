"""The sampler against the exact law of its own discretisation: on a Gaussian energy the chain is AR(1)."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dyntex.coopnets.langevin import langevin

CHAINS = 200_000
SIGMAS = 6.0
S = 0.5  # the target's standard deviation
STEP = 0.6  # coarse on purpose: at step^2 / 4 s^2 = 0.36 a chain without the step^2/2 would be far off


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def gaussian(s: Tensor | float = S, *, mean: float = 0.0):
    """U = |y - mean|^2 / 2 s^2."""
    return lambda y: ((y - mean) / s).square().flatten(1).sum(1).mul(0.5)


def ar1(step: float, s: float, *, scale: float = 1.0, temperature: float = 1.0) -> tuple[float, float]:
    """(a, q) of y' = a y + sqrt(q) e: drift -step^2/2 scale^2 y / s^2, noise step scale sqrt(temperature)."""
    return 1.0 - (step * scale / s) ** 2 / 2.0, (step * scale) ** 2 * temperature


def assert_variance(y: Tensor, expected: float):
    """Mean and variance of independent Gaussian samples, within 6 standard errors of each."""
    n = y.numel()
    assert abs(float(y.mean())) < SIGMAS * math.sqrt(expected / n)
    assert abs(float(y.double().var()) - expected) < SIGMAS * expected * math.sqrt(2.0 / n)


@pytest.mark.parametrize("temperature", [1.0, 0.25])
def test_the_chain_is_the_exact_ar1(temperature: float):
    """From N(0, v0), K steps give a^2K v0 + q (1 - a^2K) / (1 - a^2).

    2e5 chains put 6 standard errors at 1.9 % of the variance: noise / sqrt 2 halves q (40 sigma after three steps),
    a drift of step^2 instead of step^2/2 makes a = -0.44 of 0.28, and a flipped sign makes a = 1.72.
    """
    v0, n_steps = 1.0, 3
    a, q = ar1(STEP, S, temperature=temperature)
    start = torch.randn(CHAINS, 1, generator=seeded())
    y = langevin(gaussian(), start, n_steps=n_steps, step=STEP, rng=seeded(1), temperature=temperature)
    assert_variance(y, a ** (2 * n_steps) * v0 + q * (1 - a ** (2 * n_steps)) / (1 - a**2))
    # One more step of the same chain: its regression on the present is a, with its own standard error.
    after = langevin(gaussian(), y, n_steps=1, step=STEP, rng=seeded(2), temperature=temperature)
    slope = float((after * y).sum() / (y * y).sum())
    assert abs(slope - a) < SIGMAS * math.sqrt(q / float((y * y).sum()))


def test_the_stationary_variance_is_s2_over_1_minus_step2_over_4s2():
    expected = S**2 / (1.0 - STEP**2 / (4.0 * S**2))
    start = torch.randn(CHAINS, 1, generator=seeded()) * math.sqrt(expected)
    # Four steps forget all but a^8 = 4e-5 of a wrong start, far below the bound.
    assert_variance(langevin(gaussian(), start, n_steps=4, step=STEP, rng=seeded(1)), expected)


def test_a_preconditioner_scales_drift_by_its_square_and_noise_by_itself():
    """Per coordinate: a = 1 - step^2 scale^2 / 2 s^2 and variance s^2 / (1 - step^2 scale^2 / 4 s^2).

    The scales differ from s, so that neither drift nor noise can stand in for the other.
    """
    s, scale, step = torch.tensor([0.1, 1.0, 3.0]), torch.tensor([0.12, 0.8, 4.0]), 0.7
    variances = [
        q / (1 - a * a) for a, q in (ar1(step, float(x), scale=float(y)) for x, y in zip(s, scale, strict=True))
    ]
    start = torch.randn(CHAINS, 3, generator=seeded()) * torch.tensor(variances).sqrt()
    y = langevin(gaussian(s), start, n_steps=4, step=step, rng=seeded(1), scale=scale)
    for column, variance in enumerate(variances):
        assert_variance(y[:, column], variance)


def test_the_mean_is_drawn_towards_the_low_of_the_energy():
    y = langevin(gaussian(mean=0.8), torch.zeros(CHAINS, 1), n_steps=30, step=STEP, rng=seeded(1))
    assert abs(float(y.mean()) - 0.8) < SIGMAS * math.sqrt(S**2 / (1.0 - STEP**2 / (4.0 * S**2)) / CHAINS)


def test_temperature_zero_is_gradient_descent_and_draws_nothing():
    """On a quartic, whose gradient has a closed form, in float64: equal to rounding."""
    start = torch.linspace(-1.5, 1.5, 24, dtype=torch.float64).view(4, 2, 3)
    rng = seeded(1)
    before = rng.get_state()
    step, scale = 0.3, 0.7
    y = langevin(
        lambda y: y.pow(4).flatten(1).sum(1), start, n_steps=5, step=step, rng=rng, temperature=0.0, scale=scale
    )
    expected = start
    for _ in range(5):
        expected = expected - step**2 / 2 * scale**2 * 4 * expected**3
    torch.testing.assert_close(y, expected, rtol=1e-14, atol=1e-14)
    assert torch.equal(rng.get_state(), before)


def test_no_steps_return_the_start():
    start = torch.randn(3, 2, generator=seeded())
    assert torch.equal(langevin(gaussian(), start, n_steps=0, step=1.0, rng=seeded()), start)


def test_chains_do_not_see_each_other():
    start = torch.randn(3, 4, generator=seeded())
    together = langevin(gaussian(), start, n_steps=3, step=STEP, rng=seeded(), temperature=0.0)
    alone = [langevin(gaussian(), y[None], n_steps=3, step=STEP, rng=seeded(), temperature=0.0) for y in start]
    assert torch.equal(together, torch.cat(alone))


def test_drift_limit_bounds_the_root_mean_square_move_of_each_chain():
    limit = 0.02
    start = torch.stack((torch.full((2, 3, 4), 0.01), torch.full((2, 3, 4), 1.0), torch.full((2, 3, 4), -1.0)))
    start[1, 0] = 0.5  # unequal, so that a limit on the largest element, or on each, is told from one on the rms
    free = langevin(gaussian(), start, n_steps=1, step=0.5, rng=seeded(), temperature=0.0)
    held = langevin(gaussian(), start, n_steps=1, step=0.5, rng=seeded(), temperature=0.0, drift_limit=limit)
    assert torch.equal(held[0], free[0])  # moved by 0.005: below the limit nothing changes
    moves, wanted = held - start, free - start
    rms = moves.square().flatten(1).mean(1).sqrt()
    torch.testing.assert_close(rms[1:], torch.full((2,), limit), rtol=1e-5, atol=0.0)
    for b in (1, 2):  # in the direction of the gradient still
        torch.testing.assert_close(moves[b] / rms[b], wanted[b] / wanted[b].square().mean().sqrt(), rtol=1e-4, atol=0.0)


def test_drift_limit_leaves_the_noise_alone():
    """With a limit of almost nothing what is left is pure diffusion: variance n step^2 about the start."""
    y = langevin(gaussian(), torch.zeros(CHAINS, 1), n_steps=3, step=STEP, rng=seeded(1), drift_limit=1e-9)
    assert_variance(y, 3 * STEP**2)


def test_projected_pixels_are_bit_identical_and_the_others_move():
    start = torch.randn(2, 3, 4, 5, 5, generator=seeded())
    known = torch.rand(start.shape, generator=seeded(1)) < 0.5
    y = langevin(gaussian(), start, n_steps=4, step=0.1, rng=seeded(2), project=lambda y: torch.where(known, start, y))
    assert torch.equal(y[known], start[known])
    assert (y[~known] != start[~known]).all()


def test_the_projection_follows_every_step():
    """An energy that is infinite outside [-1, 1] is never asked there."""
    seen: list[float] = []

    def energy(y: Tensor) -> Tensor:
        seen.append(float(y.detach().abs().max()))
        return gaussian()(y)

    y = langevin(energy, torch.ones(8, 9), n_steps=5, step=2.0, rng=seeded(), project=lambda y: y.clamp(-1.0, 1.0))
    assert len(seen) == 5
    assert max(seen) <= 1.0
    assert float(y.abs().max()) <= 1.0


def test_the_start_the_weights_and_the_global_randomness_are_untouched():
    weight = torch.tensor(2.0, requires_grad=True)
    start = torch.randn(4, 3, generator=seeded()).requires_grad_()
    before, state = start.detach().clone(), torch.get_rng_state()
    y = langevin(lambda y: weight * gaussian()(y), start * 1.0, n_steps=3, step=0.1, rng=seeded())
    again = langevin(lambda y: weight * gaussian()(y), start, n_steps=3, step=0.1, rng=seeded())
    assert torch.equal(start, before)
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(y, again)  # same generator state, same chain
    assert not y.requires_grad
    assert y.grad_fn is None
    assert weight.grad is None
    assert start.grad is None
    with torch.no_grad():  # also where the caller wants no graph
        assert torch.equal(langevin(lambda y: weight * gaussian()(y), before, n_steps=3, step=0.1, rng=seeded()), y)


def test_a_generator_goes_on_where_it_stopped():
    rng, start = seeded(), torch.zeros(5, 2)
    first, second = (langevin(gaussian(), start, n_steps=1, step=0.1, rng=rng) for _ in range(2))
    assert not torch.equal(first, second)


def test_the_noise_is_fresh_at_every_step_and_in_every_element():
    """On a flat energy n steps give variance n step^2; one draw used n times would give n^2 step^2."""
    y = langevin(lambda y: 0.0 * y.flatten(1).sum(1), torch.zeros(CHAINS, 2), n_steps=4, step=0.5, rng=seeded())
    assert_variance(y, 4 * 0.25)
    correlation = float((y[:, 0] * y[:, 1]).mean()) / (4 * 0.25)
    assert abs(correlation) < SIGMAS / math.sqrt(CHAINS)
