"""The linear law: recovery of a known one, its Lyapunov covariance, its noise scale, its stability."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from dyntex.textures.linear import CHUNK, LinearLaw, fit_law, stabilise

SIGMAS = 6.0  # every Monte Carlo bound below is 6 standard errors of the statistic that it bounds


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def rotation(radius: float, angle: float) -> Tensor:
    c, s = math.cos(angle), math.sin(angle)
    return radius * torch.tensor([[c, -s], [s, c]], dtype=torch.float64)


def known_law() -> LinearLaw:
    """Two damped rotations and one slow real pole, mixed by a random basis; correlated noise of full rank."""
    g = seeded(7)
    D = torch.block_diag(rotation(0.95, 0.3), rotation(0.8, 1.5), torch.tensor([[0.9]], dtype=torch.float64))
    M = torch.eye(5, dtype=torch.float64) + 0.3 * torch.randn(5, 5, generator=g, dtype=torch.float64)
    return LinearLaw(M @ D @ torch.linalg.inv(M), torch.randn(5, 5, generator=g, dtype=torch.float64))


def brute_force_covariance(law: LinearLaw) -> Tensor:
    """P = sum_k A^k B B' A'^k, summed until 0.99^(2k) is below 1e-17."""
    term, total = law.B @ law.B.mT, torch.zeros_like(law.A)
    for _ in range(2000):
        total, term = total + term, law.A @ term @ law.A.mT
    return total


def covariance_sigma(law: LinearLaw, P: Tensor, n_frames: int) -> Tensor:
    """Standard error of each entry of the sample covariance of ``n_frames`` consecutive states (Bartlett, Isserlis):

    var(S_ij) = 1/N sum_k [G_ii(k) G_jj(k) + G_ij(k) G_ji(k)], with G(k) = A^k P and G(-k) = G(k)'.
    """
    total, G = torch.zeros_like(P), P
    for k in range(2000):
        d = G.diagonal()
        total += (1 if k == 0 else 2) * (torch.outer(d, d) + G * G.mT)
        G = law.A @ G
    return (total / n_frames).sqrt()


def test_stationary_covariance_is_the_sum_of_all_past_noise():
    law = known_law()
    torch.testing.assert_close(law.stationary_covariance(), brute_force_covariance(law), rtol=1e-10, atol=1e-10)


def test_long_run_has_the_stationary_covariance():
    law, N = known_law(), 20_000
    X = law.simulate(N, rng=seeded(0))
    P = brute_force_covariance(law)
    sigma = covariance_sigma(law, P, N)
    # The bound has teeth: noise of twice the power would move every variance by more than 12 of these.
    assert (P.diagonal() > 2 * SIGMAS * sigma.diagonal()).all()
    assert ((X.mT @ X / N - P).abs() < SIGMAS * sigma).all()
    # The lag-one covariance is A P; a transposed A or a noise that is drawn twice would show here.
    assert ((X[1:].mT @ X[:-1] / (N - 1) - law.A @ P).abs() < SIGMAS * sigma.max()).all()


def test_the_first_state_is_already_stationary_even_if_the_noise_has_lower_rank():
    law, N = LinearLaw(known_law().A, known_law().B[:, :2]), 1500
    rng = seeded(1)
    X = torch.stack([law.simulate(1, rng=rng)[0] for _ in range(N)])
    P = brute_force_covariance(law)
    # Independent Gaussian draws: var(S_ij) = (P_ii P_jj + P_ij^2) / N.
    sigma = ((torch.outer(P.diagonal(), P.diagonal()) + P**2) / N).sqrt()
    assert ((X.mT @ X / N - P).abs() < SIGMAS * sigma).all()


def test_a_given_first_state_is_the_first_state():
    law = known_law()
    x0 = torch.arange(5, dtype=torch.float64)
    X = law.simulate(3, rng=seeded(2), x0=x0)
    assert torch.equal(X[0], x0)
    quiet = LinearLaw(law.A, torch.zeros(5, 0, dtype=torch.float64))
    expected = torch.stack([x0, law.A @ x0, law.A @ law.A @ x0])
    torch.testing.assert_close(quiet.simulate(3, rng=seeded(2), x0=x0), expected)


def test_forecast_is_the_mean_of_many_futures():
    law, N = known_law(), 2000
    x0 = torch.tensor([3.0, -1.0, 2.0, 0.5, 1.0], dtype=torch.float64)
    rng = seeded(3)
    futures = torch.stack([law.simulate(5, rng=rng, x0=x0)[1:] for _ in range(N)])
    sigma = futures.std(0) / math.sqrt(N)
    assert ((futures.mean(0) - law.forecast(x0, 4)).abs() < SIGMAS * sigma).all()
    torch.testing.assert_close(law.forecast(x0, 3)[2], torch.linalg.matrix_power(law.A, 3) @ x0)


def test_the_cut_into_blocks_does_not_change_the_states():
    law = known_law()
    long = law.simulate(3 * CHUNK + 5, rng=seeded(4))
    assert [len(b) for b in law.stream(3 * CHUNK + 5, rng=seeded(4))] == [CHUNK, CHUNK, CHUNK, 5]
    # Neither the block borders nor the length asked for reach back into the states: a shorter run is a prefix.
    assert torch.equal(law.simulate(CHUNK + 1, rng=seeded(4)), long[: CHUNK + 1])
    # And a run that goes on from the last state with the same generator goes on as if it had not stopped.
    rng = seeded(4)
    head = law.simulate(10, rng=rng)
    tail = law.simulate(11, rng=rng, x0=head[-1])
    assert torch.equal(torch.cat([head, tail[1:]]), long[:20])


def test_known_law_is_recovered_within_the_estimators_own_error():
    law, T = known_law(), 20_000
    fitted = fit_law(law.simulate(T, rng=seeded(5)).mT)
    Q, P = law.B @ law.B.mT, brute_force_covariance(law)
    # Least squares: cov(vec dA) = P^-1 (x) Q / T.
    sigma_A = torch.outer(Q.diagonal(), torch.linalg.inv(P).diagonal()).div(T).sqrt()
    assert ((fitted.A - law.A).abs() < SIGMAS * sigma_A).all()
    # A pole with left and right vectors w, v moves by w' dA v / w'v: var = (w' Q w)(v' P^-1 v) / (T |w'v|^2).
    poles, V = torch.linalg.eig(law.A)
    W = torch.linalg.inv(V).conj().mT  # columns w with w'v = 1
    var = torch.einsum("ik,ij,jk->k", W.conj(), Q.cfloat().to(W.dtype), W).real
    var = var * torch.einsum("ik,ij,jk->k", V.conj(), torch.linalg.inv(P).to(V.dtype), V).real / T
    order, found = torch.argsort(poles.angle()), torch.linalg.eigvals(fitted.A)
    found = found[torch.argsort(found.angle())]
    assert ((found - poles[order]).abs() < SIGMAS * var[order].sqrt()).all()
    # The noise: T-1 nearly independent residuals, var(Q_ij) = (Q_ii Q_jj + Q_ij^2) / T. The bound is 6 % of a
    # variance, so a missing sqrt(T-1) or sqrt(2) is far outside.
    sigma_Q = ((torch.outer(Q.diagonal(), Q.diagonal()) + Q**2) / T).sqrt()
    assert ((fitted.B @ fitted.B.mT - Q).abs() < SIGMAS * sigma_Q).all()


def test_stationary_covariance_differs_from_the_empirical_by_the_end_effect_alone():
    X = known_law().simulate(300, rng=seeded(6)).mT
    law = fit_law(X)
    assert torch.linalg.eigvals(law.A).abs().max() < 0.989  # no pole was moved, as the identity asks
    S1 = X[:, :-1] @ X[:, :-1].mT / 299
    D = (torch.outer(X[:, -1], X[:, -1]) - torch.outer(X[:, 0], X[:, 0])) / 299
    total = torch.zeros_like(D)
    for _ in range(2000):
        total, D = total + D, law.A @ D @ law.A.mT
    torch.testing.assert_close(law.stationary_covariance(), S1 + total, rtol=1e-9, atol=1e-9)


def test_n_noise_keeps_the_strongest_directions_of_the_residual():
    X = known_law().simulate(200, rng=seeded(8)).mT
    full, two = fit_law(X), fit_law(X, n_noise=2)
    assert two.B.shape == (5, 2)
    assert torch.equal(two.A, full.A)
    values, vectors = torch.linalg.eigh(full.B @ full.B.mT)
    best = (vectors[:, -2:] * values[-2:]) @ vectors[:, -2:].mT
    torch.testing.assert_close(two.B @ two.B.mT, best)


def test_stabilise_moves_only_the_outer_poles_and_keeps_phases_and_modes():
    M = torch.randn(6, 6, generator=seeded(9), dtype=torch.float64)
    blocks = [rotation(1.3, 2.0), rotation(0.7, 0.4), torch.tensor([[-1.01]]).double(), torch.tensor([[0.5]]).double()]
    A = M @ torch.block_diag(*blocks) @ torch.linalg.inv(M)
    wanted = [rotation(0.99, 2.0), blocks[1], torch.tensor([[-0.99]]).double(), blocks[3]]
    S = stabilise(A)
    assert S.dtype == torch.float64  # real, though poles are complex
    torch.testing.assert_close(S, M @ torch.block_diag(*wanted) @ torch.linalg.inv(M))


def test_stabilise_leaves_a_stable_matrix_and_is_continuous_at_the_radius():
    A = rotation(0.99, 0.7) * 0.999
    assert stabilise(A) is A
    inside, outside = (stabilise(rotation(0.99 + e, 0.7)) for e in (-1e-9, 1e-9))
    torch.testing.assert_close(inside, outside, rtol=0, atol=3e-9)
    assert torch.linalg.eigvals(stabilise(A, radius=0.5)).abs().max() <= 0.5 + 1e-12


def test_an_exploding_sequence_gives_a_law_that_does_not_explode():
    t = torch.arange(40, dtype=torch.float64)
    X = torch.stack([1.05**t * torch.cos(0.5 * t), 1.05**t * torch.sin(0.5 * t)])
    law = fit_law(X)
    poles = torch.linalg.eigvals(law.A)
    torch.testing.assert_close(poles.abs(), torch.full((2,), 0.99, dtype=torch.float64))
    torch.testing.assert_close(poles.angle().abs(), torch.full((2,), 0.5, dtype=torch.float64))
    assert law.simulate(2000, rng=seeded(10)).isfinite().all()


@pytest.mark.parametrize("T", [2, 3, 30])
def test_a_still_sequence_stays_still(T):
    X = fit_law(torch.zeros(3, T)).simulate(5, rng=seeded(11))
    assert torch.equal(X, torch.zeros(5, 3, dtype=torch.float64))


def test_the_input_is_left_as_it_was_and_the_global_generator_unused():
    X = torch.randn(3, 20, generator=seeded(12))
    before, state = X.clone(), torch.get_rng_state()
    fit_law(X).simulate(10, rng=seeded(13))
    assert torch.equal(X, before)
    assert torch.equal(torch.get_rng_state(), state)
