"""LDS: a known system recovered, the right amplitude, the order rule, a numpy oracle for the forecast."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
import pytest
import torch

from dyntex.baselines.common import order_cap, smallest_rank
from dyntex.baselines.lds import LDS, LDSConfig
from dyntex.clip import Clip
from dyntex.errors import UsageError
from dyntex.textures.linear import CHUNK, LinearLaw


def seeded(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def observed(states: torch.Tensor, channels: int = 1, height: int = 5, width: int = 6) -> Clip:
    """A clip that shows states (T, n) through a random full-rank linear picture, at a size that never clips."""
    picture = torch.randn(states.shape[1], channels * height * width, generator=seeded(50), dtype=torch.float64)
    frames = states @ picture
    frames = 0.1 + 0.8 * frames / frames.abs().max()
    video = frames.view(len(states), channels, height, width).transpose(0, 1).float().contiguous()
    return Clip(video, Fraction(25))


def random_clip(n_frames: int = 24) -> Clip:
    video = 0.2 * torch.randn(3, n_frames, 6, 7, generator=seeded(51)).cumsum(dim=1) / math.sqrt(n_frames)
    return Clip(video.clamp(-1, 1), Fraction(25))


def numpy_svd(clip: Clip):
    Y = clip.video.double().numpy().transpose(0, 2, 3, 1).reshape(-1, clip.n_frames)
    mean = Y.mean(axis=1, keepdims=True)
    return mean, *np.linalg.svd(Y - mean, full_matrices=False)


def test_poles_of_a_known_system_are_recovered():
    A = torch.block_diag(
        0.93 * torch.tensor([[math.cos(0.4), -math.sin(0.4)], [math.sin(0.4), math.cos(0.4)]]),
        torch.tensor([[0.6]]),
    ).double()
    T = 4000
    clip = observed(LinearLaw(A, torch.eye(3).double()).simulate(T, rng=seeded(0)))
    fitted = LDS.fit(clip, LDSConfig(n=3), rng=seeded(1))
    # A is normal and the noise white, so a pole p has P = 1 / (1 - |p|^2) and error variance (1 - |p|^2) / T.
    # What the fitted mean adds, (1 + 3p) / T, is a tenth of that bound.
    true = torch.tensor([0.93 * np.exp(0.4j), 0.93 * np.exp(-0.4j), 0.6])
    found = torch.linalg.eigvals(fitted.law.A)
    for pole in true:
        sigma = math.sqrt((1 - float(pole.abs()) ** 2) / T)
        assert (found - pole).abs().min() < 6 * sigma


def test_a_long_free_synthesis_has_the_variance_of_the_true_law():
    """One state x' = p x + e. A variance from N of its samples has relative error sqrt(2/N (1 + p^2) / (1 - p^2));
    here once for the fit and once for the synthesis. 6 of them are 0.25: noise of half or twice the power fails."""
    p, T = 0.5, 4000
    states = LinearLaw(torch.tensor([[p]]).double(), torch.ones(1, 1).double()).simulate(T, rng=seeded(2))
    clip = observed(states)
    out = LDS.fit(clip, LDSConfig(n=1), rng=seeded(3)).synthesize(T, rng=seeded(4))
    scale = (clip.video - clip.video.mean(1, keepdim=True)).std() / (states - states.mean()).std()  # picture's gain
    true_variance = scale**2 / (1 - p**2)
    ratio = float((out.video - clip.video.mean(1, keepdim=True)).square().mean() / true_variance)
    assert abs(ratio - 1) < 6 * math.sqrt(2 * 2 / T * (1 + p**2) / (1 - p**2))


@pytest.mark.parametrize("n", [1, 5, 23])
def test_a_frame_is_seen_through_the_best_n_components(n):
    clip = random_clip()
    fitted = LDS.fit(clip, LDSConfig(n=n), rng=seeded(0))
    seen = [fitted.synthesize(1, rng=seeded(1), anchor=clip.segment(t, 1)).video for t in range(clip.n_frames)]
    error = float((torch.cat(seen, dim=1) - clip.video).double().square().sum())
    _, _, s, _ = numpy_svd(clip)
    assert error == pytest.approx(float((s[n:] ** 2).sum()), rel=1e-4, abs=1e-8)  # Eckart-Young, float32 frames


def test_forecast_equals_a_plain_numpy_implementation():
    clip, n = random_clip(), 4
    mean, U, s, Vh = numpy_svd(clip)
    X = s[:n, None] * Vh[:n]
    A = X[:, 1:] @ np.linalg.pinv(X[:, :-1])
    assert np.abs(np.linalg.eigvals(A)).max() < 0.99
    expected = [mean[:, 0] + U[:, :n] @ np.linalg.matrix_power(A, k) @ X[:, -1] for k in (1, 2, 3)]
    out = LDS.fit(clip, LDSConfig(n=n), rng=seeded(0)).predict(clip, 3).video
    frames = out.numpy().transpose(1, 0, 2, 3)  # (T, C, H, W)
    wanted = np.stack(expected).reshape(3, 3, 6, 7)
    np.testing.assert_allclose(frames, wanted, atol=2e-6)


def test_noise_reaches_the_pixels_with_the_residuals_covariance():
    clip, n = random_clip(), 4
    _, U, s, Vh = numpy_svd(clip)
    X = s[:n, None] * Vh[:n]
    V = X[:, 1:] - X[:, 1:] @ np.linalg.pinv(X[:, :-1]) @ X[:, :-1]
    fitted = LDS.fit(clip, LDSConfig(n=n), rng=seeded(0))
    CB = (fitted.C.double() @ fitted.law.B).numpy()
    np.testing.assert_allclose(CB @ CB.T, U[:, :n] @ V @ V.T @ U[:, :n].T / (clip.n_frames - 1), atol=1e-6)
    assert LDS.fit(clip, LDSConfig(n=n, n_noise=2), rng=seeded(0)).law.B.shape == (n, 2)


def test_order_rule():
    # Singular values 3, 2, 1: squares 9, 4, 1 of 14, so 64 % and 93 %.
    s = torch.tensor([3.0, 2.0, 1.0])
    assert [smallest_rank(s, share) for share in (0.1, 0.64, 0.65, 0.92, 0.93, 1.0)] == [1, 1, 2, 2, 3, 3]
    assert smallest_rank(torch.zeros(4), 0.95) == 1
    assert [order_cap(T) for T in (3, 5, 64, 149, 150, 900)] == [1, 1, 21, 49, 50, 50]


def test_the_default_order_follows_the_rule_and_its_cap():
    smooth = observed(LinearLaw(0.5 * torch.eye(3).double(), torch.eye(3).double()).simulate(60, rng=seeded(5)))
    _, _, s, _ = numpy_svd(smooth)
    n = LDS.fit(smooth, rng=seeded(0)).C.shape[1]
    share = np.cumsum(s**2) / (s**2).sum()
    assert share[n - 1] >= 0.95
    assert n == 1 or share[n - 2] < 0.95
    busy = Clip(0.2 * torch.randn(1, 30, 8, 8, generator=seeded(6)).clamp(-4, 4), Fraction(25))
    assert LDS.fit(busy, rng=seeded(0)).C.shape[1] == 10
    assert LDS.fit(busy, LDSConfig(variance=0.1), rng=seeded(0)).C.shape[1] < 10
    assert LDS.fit(busy, LDSConfig(n=25), rng=seeded(0)).C.shape[1] == 25


@pytest.mark.parametrize("n", [0, -1, 24, 1000])
def test_an_impossible_order_is_refused(n):
    with pytest.raises(UsageError, match=f"{n} states .* between 1 and 23"):
        LDS.fit(random_clip(), LDSConfig(n=n), rng=seeded(0))


@pytest.mark.parametrize(
    ("config", "words"),
    [
        (LDSConfig(n=3, n_noise=4), r"4 noise components .* between 1 and 3"),
        (LDSConfig(n_noise=0), "0 noise components"),
        (LDSConfig(variance=95), "variance is 95; it is a share"),
        (LDSConfig(variance=float("nan")), "variance is nan"),
    ],
)
def test_other_impossible_sizes_are_refused(config, words):
    with pytest.raises(UsageError, match=words):
        LDS.fit(random_clip(), config, rng=seeded(0))


def test_ten_thousand_frames_come_in_small_chunks():
    clip = Clip(random_clip().video.repeat(1, 1, 4, 4), Fraction(25))
    lengths = [chunk.n_frames for chunk in LDS.fit(clip, rng=seeded(0)).stream(10_000, rng=seeded(1))]
    assert sum(lengths) == 10_000
    assert max(lengths) <= CHUNK


def test_parameters():
    fitted = LDS.fit(random_clip(), LDSConfig(n=4, n_noise=3), rng=seeded(0))
    P = 3 * 6 * 7
    assert fitted.n_parameters == 4 * 4 + 4 * 3 + P * 4 + P


def test_the_noise_of_demos_is_the_fitted_one_times_the_root_of_the_number_of_transitions():
    clip = random_clip(24)
    fitted, unscaled, none = (
        LDS.fit(clip, LDSConfig(n=4, noise=noise), rng=seeded(0))  # type: ignore[arg-type]
        for noise in ("fitted", "unscaled", "none")
    )
    torch.testing.assert_close(unscaled.law.B, fitted.law.B * math.sqrt(23), rtol=1e-12, atol=0)
    assert not none.law.B.any()
    for other in (unscaled, none):
        assert torch.equal(other.law.A, fitted.law.A)
        assert torch.equal(other.C, fitted.C)


def test_without_noise_an_anchored_synthesis_is_the_forecast_and_a_free_one_the_mean_frame():
    clip = random_clip(24)
    none = LDS.fit(clip, LDSConfig(n=4, noise="none"), rng=seeded(0))
    one, other = (none.synthesize(9, rng=seeded(seed), anchor=clip).video for seed in (1, 2))
    assert torch.equal(one, other)
    torch.testing.assert_close(one[:, 1:], none.predict(clip.segment(0, 1), 8).video, rtol=0, atol=1e-6)
    mean = clip.video.mean(dim=1, keepdim=True).expand(-1, 9, -1, -1)
    torch.testing.assert_close(none.synthesize(9, rng=seeded(1)).video, mean, rtol=0, atol=1e-6)
