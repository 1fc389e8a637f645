"""Loops of the baselines: the path's whole law against a dense Gaussian conditional, and closed for every method."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Any

import pytest
import torch
from torch import Tensor

import dyntex.textures.linear
from dyntex.baselines.fft_lds import FFTLDS
from dyntex.baselines.hosvd import HOSVD
from dyntex.baselines.lds import LDS, LDSConfig
from dyntex.clip import Clip, concatenate
from dyntex.errors import UsageError
from dyntex.textures.linear import CHUNK, LinearLaw

every_linear = pytest.mark.parametrize("method", [LDS, FFTLDS, HOSVD])


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def some_law(slowest: float, *, n_noise: int = 3) -> LinearLaw:
    """A slow real pole, a rotation at .8, a mixing basis and correlated noise."""
    g = seeded(7)
    c, s = 0.8 * math.cos(0.9), 0.8 * math.sin(0.9)
    D = torch.tensor([[slowest, 0, 0], [0, c, -s], [0, s, c]], dtype=torch.float64)
    M = torch.eye(3, dtype=torch.float64) + 0.3 * torch.randn(3, 3, generator=g, dtype=torch.float64)
    B = torch.randn(3, 3, generator=g, dtype=torch.float64)[:, :n_noise]
    return LinearLaw(M @ D @ torch.linalg.inv(M), B)


def dense_law(law: LinearLaw, N: int) -> Tensor:
    """(N n, N n): the covariance of x_0 ... x_{N-1} when x_0 is stationary and the rest is conditioned on x_N = x_0.

    From the stationary law's autocovariance alone, G(k) = A^k P, and the textbook's conditional of a Gaussian.
    """
    n, P = len(law.A), law.stationary_covariance()
    powers = [torch.linalg.matrix_power(law.A, k) for k in range(N + 1)]
    rows = [[powers[s - t] @ P if s >= t else P @ powers[t - s].mT for t in range(N + 1)] for s in range(N + 1)]
    joint = torch.cat([torch.cat(row, dim=1) for row in rows])
    inner, ends = torch.arange(n, N * n), torch.cat([torch.arange(n), torch.arange(N * n, (N + 1) * n)])
    weights = joint[inner][:, ends] @ torch.linalg.inv(joint[ends][:, ends])
    given = joint[inner][:, inner] - weights @ joint[ends][:, inner]
    from_x0 = torch.cat([torch.eye(n, dtype=torch.float64), weights[:, :n] + weights[:, n:]])
    total = from_x0 @ P @ from_x0.mT
    total[n:, n:] += given
    return total


def exact_law(law: LinearLaw, N: int, monkeypatch: pytest.MonkeyPatch) -> Tensor:
    """The covariance of what :meth:`LinearLaw.loop` draws, without sampling: it is linear in its standard normals, so
    one run for each, that one at 1 and the others at 0, is a column of its square root."""
    n, n_v = law.B.shape
    total = torch.zeros(N * n, N * n, dtype=torch.float64)
    for i in range(n + N * n_v):
        numbers = iter(torch.eye(n + N * n_v, dtype=torch.float64)[i])
        draw = lambda k, rng: torch.stack([next(numbers) for _ in range(k)])  # noqa: B023, E731
        monkeypatch.setattr(dyntex.textures.linear, "_normal", draw)
        column = law.loop(N, rng=seeded(0)).flatten()
        total += torch.outer(column, column)
    return total


@pytest.mark.parametrize(("slowest", "N"), [(0.9, 2), (0.9, 7), (0.99, 5), (0.99, 24), (0.5, 24)])
def test_a_loop_has_the_conditional_law_exactly(slowest: float, N: int, monkeypatch: pytest.MonkeyPatch):
    law = some_law(slowest)
    expected = dense_law(law, N)
    # 1e-7 of variances up to 1e2: the oracle inverts a covariance whose ends are nearly one another.
    torch.testing.assert_close(exact_law(law, N, monkeypatch), expected, rtol=1e-7, atol=1e-7)


def test_with_fewer_noises_than_states_too(monkeypatch: pytest.MonkeyPatch):
    law = some_law(0.9, n_noise=1)
    torch.testing.assert_close(exact_law(law, 12, monkeypatch), dense_law(law, 12), rtol=1e-5, atol=1e-5)


def test_a_loop_swings_as_far_as_the_law_says_at_the_seam_and_little_further_inside(monkeypatch: pytest.MonkeyPatch):
    """One state of pole p. In the middle of N frames the variance is 1 + 2c(1-c) / (1+c)^2 times the stationary one,
    c = p^(N): at most 1.25, at c = 1/3. White noise on a circle would give (1+c) / (1-c), 2 there."""
    N = 40
    p = (1 / 3) ** (1 / N)
    law = LinearLaw(torch.tensor([[p]], dtype=torch.float64), torch.ones(1, 1, dtype=torch.float64))
    variance = exact_law(law, N, monkeypatch).diagonal() * (1 - p**2)
    assert float(variance[0]) == pytest.approx(1.0, abs=1e-9)
    assert float(variance[N // 2]) == pytest.approx(1.25, abs=1e-9)
    assert float(variance.max()) < 1.25 + 1e-9


def test_around_the_seam_of_a_long_loop_all_is_as_anywhere(monkeypatch: pytest.MonkeyPatch):
    """The law of (x_{N-2}, x_{N-1}, x_0, x_1) is the stationary law of four states in a row, to p^N = .8^30 = .001."""
    law, N, n = some_law(0.8), 30, 3
    total = exact_law(law, N, monkeypatch)
    P = law.stationary_covariance()
    at = torch.cat([torch.arange((t % N) * n, (t % N + 1) * n) for t in (-2, -1, 0, 1)])
    seam = total[at][:, at]
    powers = [torch.linalg.matrix_power(law.A, k) for k in range(4)]
    rows = [[powers[s - t] @ P if s >= t else P @ powers[t - s].mT for t in range(4)] for s in range(4)]
    row = torch.cat([torch.cat(r, dim=1) for r in rows])
    torch.testing.assert_close(seam, row, rtol=0, atol=0.01 * float(P.diagonal().max()))


def test_the_law_itself_leads_from_the_last_state_to_the_first():
    """Without noise the only loop is rest; with it, what closes the path is a noise of ordinary size."""
    law = some_law(0.99)
    X = law.loop(50, rng=seeded(1))
    residual = X.roll(-1, 0) - X @ law.A.mT
    e = residual @ torch.linalg.inv(law.B).mT
    assert float(e.abs().max()) < 5.0  # 150 standard normals, shrunk a little
    quiet = LinearLaw(law.A, torch.zeros(3, 2, dtype=torch.float64))
    assert torch.equal(quiet.loop(4, rng=seeded(1)), torch.zeros(4, 3, dtype=torch.float64))


def test_a_given_first_state_is_kept():
    law, x0 = some_law(0.9), torch.tensor([3.0, -2.0, 1.0], dtype=torch.float64)
    X = law.loop(9, rng=seeded(2), x0=x0)
    assert torch.equal(X[0], x0)
    assert not torch.equal(X[1:], law.loop(9, rng=seeded(3), x0=x0)[1:])


def test_a_loop_that_too_few_noises_cannot_close_is_refused():
    law = some_law(0.9, n_noise=1)
    with pytest.raises(UsageError, match="2 frames are too few for 1 noises to bring 3 states back"):
        law.loop(2, rng=seeded(0))
    law.loop(3, rng=seeded(0))


def texture(n_frames: int = 30) -> Clip:
    """Waves that wander, small enough never to be clamped."""
    g = seeded(3)
    y, x = torch.meshgrid(torch.arange(8.0), torch.arange(12.0), indexing="ij")
    amplitude, frames = torch.zeros(4), []
    for _ in range(n_frames):
        amplitude = 0.8 * amplitude + 0.06 * torch.randn(4, generator=g)
        frames.append(sum(a * torch.sin(0.5 * k * x + 0.8 * y / k) for k, a in enumerate(amplitude, start=1)))
    grey = torch.stack([torch.as_tensor(f) for f in frames])
    return Clip((grey + 0.01 * torch.randn(3, n_frames, 8, 12, generator=g)).clamp(-1, 1), Fraction(25))


@every_linear
@pytest.mark.parametrize("n_frames", [2, 9, CHUNK + 6])
def test_every_loop_is_whole_and_closes_like_any_other_step(method: Any, n_frames: int):
    fitted = method.fit(texture(), rng=seeded(0))
    clip = fitted.synthesize(n_frames, rng=seeded(1), loop=True)
    assert clip.n_frames == n_frames
    assert torch.equal(concatenate(fitted.stream(n_frames, rng=seeded(1), loop=True)).video, clip.video)
    assert not torch.equal(fitted.synthesize(n_frames, rng=seeded(2), loop=True).video, clip.video)
    if n_frames > CHUNK:
        steps = (clip.video.roll(-1, 1) - clip.video).square().mean((0, 2, 3)).sqrt()
        # The largest of 70 steps of about 5 strong components is about 2 medians; where an open end meets the
        # beginning it is 1.4 times the clip's deviation, here 3 medians and more.
        assert float(steps[-1] / steps.median()) < 2.5


@every_linear
def test_a_loop_can_start_at_a_given_frame(method: Any):
    clip = texture()
    fitted = method.fit(clip, rng=seeded(0))
    free, loop = (fitted.synthesize(6, rng=seeded(1), anchor=clip, loop=on).video for on in (False, True))
    assert torch.equal(free[:, 0], loop[:, 0])
    assert not torch.equal(free[:, 5], loop[:, 5])


def test_the_frames_of_a_loop_are_the_pictures_of_its_states():
    fitted = LDS.fit(texture(), LDSConfig(n=3), rng=seeded(0))
    X = fitted.law.loop(11, rng=seeded(4))
    expected = (fitted.C.double() @ X.mT).mT + fitted.mean.flatten().double()
    made = fitted.synthesize(11, rng=seeded(4), loop=True).video.transpose(0, 1).flatten(1)
    torch.testing.assert_close(made.double(), expected, rtol=0, atol=1e-6)
